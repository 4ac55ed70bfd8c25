"""Diverse Dermatology Images (DDI) as Stanford AIMI publishes it. Knows its file and columns; reads no pixels."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from derm.datasets.columns import absent, answers, places, refuse
from derm.datasets.conditions import PARTITION3, to_slug
from derm.datasets.reading import files, has_columns, read_csv
from derm.datasets.source import Adapter, Source
from derm.datasets.table import Dataset, canonical, fingerprint
from derm.errors import DatasetError

MARK = "ddi_metadata.csv"
_MALIGNANT = ("malignant", "malignancy(malig=1)")  # the second in older files
_REQUIRED = ("DDI_ID", "DDI_file", "skin_tone", "disease")
_GROUPS = {"12": "I-II", "34": "III-IV", "56": "V-VI"}
SOURCE = Source(
    key="ddi", name="DDI", homepage="https://ddi-dataset.github.io",
    licence="Stanford University Dataset Research Use Agreement: research only, not for commercial use, not to be "
            "passed on.",
    citation="Daneshjou R. et al., Disparities in dermatology AI performance on a diverse, curated clinical image "
             "set, Science Advances 8, eabq6147, 2022.",
    images=656, skin_type="one of three groups (I-II, III-IV, V-VI), from the clinic's record and dermatologists' "
                          "review of the photographs",
    how=("Open https://ddi-dataset.github.io and follow the link to Stanford AIMI.",
         "Register, sign the agreement, and download the archive.",
         "Unpack it: ddi_metadata.csv beside images/. Name its folder with DERM_DATA or --data."),
    limits=("For external tests only: all of it is the test split, never trained or tuned on.",
            "A skin-tone group is known, not one Fitzpatrick type.",
            "Every lesion was biopsied, so the conditions are not those of everyday practice.",
            "Patients are not published: two pictures may be of one person."))


def load(root: Path) -> Dataset:
    """The biopsied lesions, all in split `test`: skin tone as `x_skin_group`, the published name as `x_disease`.

    `partition3` is malignant where the publisher says so; otherwise what the condition is known to be, and
    missing where that contradicts the publisher. Raises `DatasetError` for what cannot be read.
    """
    root = Path(root)
    frame = read_csv(root / MARK, required=_REQUIRED)
    flag = next((name for name in _MALIGNANT if name in frame), None)
    if flag is None:
        raise DatasetError(f"{root / MARK}: no column '{_MALIGNANT[0]}' or '{_MALIGNANT[1]}'. Download it again.")
    malignant = answers(frame, flag, ids="DDI_file")
    condition, unmapped = to_slug(frame["disease"])
    usual = condition.map(PARTITION3)
    sizes = files(root)
    table = canonical(pd.DataFrame({
        "image_id": frame["DDI_file"], "path": places(frame["DDI_file"], sizes), "group_id": frame["DDI_file"],
        "condition": condition, "split": "test",
        "partition3": usual.mask(usual == "malignant").mask(malignant.fillna(False), "malignant"),
        "x_skin_group": _group(frame), "x_malignant": malignant, "x_disease": frame["disease"]}))
    return Dataset(SOURCE, root, table, tuple(table["condition"].cat.categories), fingerprint(table, sizes),
                   notes=absent(table["path"]), unmapped=unmapped)


def _group(frame: pd.DataFrame) -> pd.Series:
    tone = frame["skin_tone"].str.removesuffix(".0")
    refuse(frame, "skin_tone", ~tone.isin([*_GROUPS, "", "-1"]), "12, 34, 56 or blank", ids="DDI_file")
    return tone.map(_GROUPS)


def recognise(root: Path) -> bool:
    """Whether the folder holds DDI's metadata."""
    return has_columns(root / MARK, _REQUIRED)


ADAPTER = Adapter(SOURCE, recognise, load)
