"""PAD-UFES-20 as published on Mendeley Data. Knows its files and columns; reads no pixels."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from derm.datasets.columns import absent, answers, known, numbers, places
from derm.datasets.conditions import PARTITION3, to_slug
from derm.datasets.reading import files, has_columns, read_csv
from derm.datasets.source import Adapter, Source
from derm.datasets.table import Dataset, canonical, fingerprint, scale

MARK = "metadata.csv"
CONDITIONS = {"ACK": "actinic-keratosis", "BCC": "basal-cell-carcinoma", "MEL": "melanoma",
              "NEV": "melanocytic-nevus", "SCC": "squamous-cell-carcinoma", "SEK": "seborrheic-keratosis"}
_IDS = ("patient_id", "lesion_id", "img_id")
_ANSWERS = ("smoke", "drink", "pesticide", "skin_cancer_history", "cancer_history", "has_piped_water",
            "has_sewage_system", "itch", "grew", "hurt", "changed", "bleed", "elevation", "biopsed")
_NUMBERS = ("age", "diameter_1", "diameter_2")  # years; millimetres
_TEXTS = ("background_father", "background_mother")
_REQUIRED = (*_IDS, "diagnostic", "fitspatrick", "region", "gender", *_ANSWERS, *_NUMBERS, *_TEXTS)
SOURCE = Source(
    key="pad-ufes-20", name="PAD-UFES-20", homepage="https://data.mendeley.com/datasets/zr7vgbcyr2/1",
    licence="CC BY 4.0",
    citation="Pacheco A. G. C. et al., PAD-UFES-20: A skin lesion dataset composed of patient data and clinical "
             "images collected from smartphones, Data in Brief 32, 106221, 2020.",
    images=2298, skin_type="one Fitzpatrick type a patient, recorded at the clinic; missing in about a third",
    how=("derm data fetch pad-ufes-20, or by hand:",
         "Open https://data.mendeley.com/datasets/zr7vgbcyr2/1 and choose Download All.",
         "Unpack the archive and those inside it: metadata.csv beside images/ or imgs_part_1, _2 and _3."),
    limits=("Six conditions of one Brazilian programme for skin cancer; few patients of FST V-VI.",
            "Skin type and history are missing for most lesions that were not biopsied.",
            "Actinic keratosis counts as malignant, as in Fitzpatrick17k; the publisher does not call it so."),
    fetchable=True)


def load(root: Path) -> Dataset:
    """The smartphone pictures, grouped by patient. `image_id` is img_id as published, with its .png.

    Raises `DatasetError` for what cannot be read.
    """
    root = Path(root)
    frame = read_csv(root / MARK, required=_REQUIRED)
    condition, unmapped = to_slug(frame["diagnostic"].replace(CONDITIONS))
    sizes = files(root)
    table = canonical(pd.DataFrame({
        "image_id": frame["img_id"], "path": places(frame["img_id"], sizes), "group_id": frame["patient_id"],
        "condition": condition, "partition3": condition.map(PARTITION3),
        "fst": scale(frame, "fitspatrick", ids="img_id"),
        "x_lesion_id": frame["lesion_id"], "x_body_site": known(frame["region"], "UNK").str.lower(),
        "x_sex": known(frame["gender"], "UNK").str.lower(),
        **{f"x_{name}": known(frame[name], "UNK") for name in _TEXTS},
        **{f"x_{name}": numbers(frame, name, ids="img_id") for name in _NUMBERS},
        **{f"x_{name}": answers(frame, name, ids="img_id") for name in _ANSWERS}}))
    return Dataset(SOURCE, root, table, tuple(table["condition"].cat.categories), fingerprint(table, sizes),
                   notes=absent(table["path"]), unmapped=unmapped)


def recognise(root: Path) -> bool:
    """Whether the folder holds the data set's metadata."""
    return has_columns(root / MARK, (*_IDS, "fitspatrick"))


ADAPTER = Adapter(SOURCE, recognise, load)
