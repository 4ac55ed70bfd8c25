"""HAM10000 as published on Harvard Dataverse and Kaggle. Knows its files and columns; reads no pixels."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from derm.datasets.columns import absent, known, numbers, places
from derm.datasets.conditions import PARTITION3, to_slug
from derm.datasets.reading import files, has_columns, read_csv
from derm.datasets.source import Adapter, Source
from derm.datasets.table import Dataset, canonical, fingerprint

MARKS = ("HAM10000_metadata.csv", "HAM10000_metadata", "HAM10000_metadata.tab")
# akiec and bkl each hold several conditions that the publisher does not tell apart.
CONDITIONS = {"akiec": "actinic-keratosis-or-bowen-disease", "bcc": "basal-cell-carcinoma",
              "bkl": "benign-keratosis", "df": "dermatofibroma", "mel": "melanoma", "nv": "melanocytic-nevus",
              "vasc": "vascular-lesion"}
_REQUIRED = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization")
SOURCE = Source(
    key="ham10000", name="HAM10000", homepage="https://doi.org/10.7910/DVN/DBW86T",
    licence="CC BY-NC 4.0: not for commercial use.",
    citation="Tschandl P., Rosendahl C., Kittler H., The HAM10000 dataset, a large collection of multi-source "
             "dermatoscopic images of common pigmented skin lesions, Scientific Data 5, 180161, 2018.",
    images=10015, skin_type="none recorded",
    how=("derm data fetch ham10000, or by hand:",
         "Open https://doi.org/10.7910/DVN/DBW86T and download HAM10000_metadata and both archives of images.",
         "Unpack them beside the metadata: HAM10000_images_part_1 and HAM10000_images_part_2."),
    limits=("No skin type is recorded: it cannot show how a model serves different skin.",
            "Dermoscopic pictures, unlike photographs of a clinic or telephone.",
            "Pigmented lesions of clinics in Austria and Australia, two thirds of them moles."),
    fetchable=True)


def load(root: Path) -> Dataset:
    """The dermoscopic pictures, grouped by lesion, without any skin type. Raises `DatasetError` if unreadable."""
    root = Path(root)
    frame = read_csv(_metadata(root), required=_REQUIRED)
    condition, unmapped = to_slug(frame["dx"].replace(CONDITIONS))
    sizes = files(root)
    table = canonical(pd.DataFrame({
        "image_id": frame["image_id"], "path": places(frame["image_id"] + ".jpg", sizes),
        "group_id": frame["lesion_id"], "condition": condition, "partition3": condition.map(PARTITION3),
        "x_body_site": known(frame["localization"], "unknown"), "x_sex": known(frame["sex"], "unknown"),
        "x_age": numbers(frame, "age", ids="image_id"), "x_dx_type": frame["dx_type"],
        **({"x_source": frame["dataset"]} if "dataset" in frame else {})}))
    return Dataset(SOURCE, root, table, tuple(table["condition"].cat.categories), fingerprint(table, sizes),
                   notes=("No skin type is recorded.", *absent(table["path"])), unmapped=unmapped)


def _metadata(root: Path) -> Path:
    return next((root / name for name in MARKS if (root / name).is_file()), root / MARKS[0])


def recognise(root: Path) -> bool:
    """Whether the folder holds the data set's metadata, with an extension or without."""
    return has_columns(_metadata(root), _REQUIRED)


ADAPTER = Adapter(SOURCE, recognise, load)
