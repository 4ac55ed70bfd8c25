"""The AJL 2025 competition's folder as published. Knows its files and columns; reads no pixels."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from derm.datasets.reading import files, has_columns, listing, read_csv
from derm.datasets.source import Adapter, Source
from derm.datasets.table import Dataset, canonical, fingerprint, mark_missing, scale, slug
from derm.errors import DatasetError, first_five

MARK = "train.csv"
WRONGLY_LABELLED = "3 Wrongly labelled"
SOURCE = Source(
    key="ajl", name="AJL 2025", homepage="https://www.kaggle.com/competitions/bttai-ajl-2025",
    licence="Annotations: Fitzpatrick17k, CC BY-NC-SA 3.0. Images: DermaAmin and Atlas Dermatologico, "
            "for research only, not for commercial use.",
    citation="Groh M. et al., Evaluating Deep Neural Networks Trained on Clinical Images in Dermatology with "
             "the Fitzpatrick 17k Dataset, CVPR Workshops 2021. AJL and Break Through Tech, Kaggle 2025.",
    images=4087, skin_type="two Fitzpatrick annotations of the photograph (scale and Centaur)",
    how=("Accept the rules at https://www.kaggle.com/competitions/bttai-ajl-2025.",
         "kaggle competitions download -c bttai-ajl-2025",
         "Unpack the archive; name its folder with DERM_DATA or --data."),
    limits=("The labels of its test part are withheld.",
            "Its photographs are a part of Fitzpatrick17k, from two atlases with very different skin types.",
            "Few show types V and VI. The types were read off the photographs, not asked or measured.",
            "The labels are the atlases'; it says nothing of age, sex, country, or which are of one patient."))
_BOTH = ("md5hash", "fitzpatrick_scale", "fitzpatrick_centaur", "qc", "ddi_scale")
_LABELS = ("label", "nine_partition_label", "three_partition_label")


def load(root: Path) -> Dataset:
    """The competition's photographs: train.csv, and test.csv (no labels) where it is there.

    `x_excluded` marks rows that the publisher calls wrongly labelled. Photographs that are missing or in
    another label's folder are problems. Raises `DatasetError` for CSV files that cannot be used.
    """
    root = Path(root)
    if not (root / MARK).is_file():
        raise DatasetError(f"{root}: no {MARK}; found {listing(root)}. Name the AJL folder as published: "
                           f"{MARK} beside train/train/<label>/<md5hash>.jpg.")
    frame = _train(root / MARK)
    if (root / "test.csv").is_file():
        frame = pd.concat([frame, _test(root / "test.csv")], ignore_index=True).fillna("")
    held = {f"{folder}/{name}": size for folder in ("train/train", "test/test")
            for name, size in files(root / folder).items()}
    sizes = {name: size for name, size in held.items() if name.endswith(".jpg")}
    table, lost = mark_missing(_table(frame), sizes)
    problems = _misplaced(root, table, sizes)
    if lost:
        problems.append(DatasetError(f"{root}: photographs named in the CSV files are missing. Unpack the "
                                     "download again, or remove their rows", lost))
    others = sorted(held.keys() - sizes.keys())
    notes = (f"Files left out, as they are not photographs {first_five(others)}.",) if others else ()
    return Dataset(SOURCE, root, table, tuple(table["condition"].cat.categories), fingerprint(table, sizes),
                   notes=notes, problems=tuple(problems))


def _train(path: Path) -> pd.DataFrame:
    frame = read_csv(path, required=(*_BOTH, *_LABELS))
    blank = frame.loc[frame["label"] == "", "md5hash"]
    if len(blank):
        raise DatasetError(f"{path}: rows without a label. Mend or remove", list(blank))
    return frame.assign(split="train", path="train/train/" + frame["label"] + "/" + frame["md5hash"] + ".jpg")


def _test(path: Path) -> pd.DataFrame:
    frame = read_csv(path, required=_BOTH).drop(columns=list(_LABELS), errors="ignore")
    return frame.assign(split="test", path="test/test/" + frame["md5hash"] + ".jpg")


def _table(frame: pd.DataFrame) -> pd.DataFrame:
    further = [c for c in frame.columns if c not in (*_BOTH, *_LABELS, "split", "path")]
    return canonical(pd.DataFrame({
        "image_id": frame["md5hash"], "path": frame["path"], "group_id": frame["md5hash"],
        "condition": frame["label"], "split": frame["split"], "qc": frame["qc"],
        "partition3": slug(frame["three_partition_label"]),
        "partition9": slug(frame["nine_partition_label"]),
        "fst": scale(frame, "fitzpatrick_scale", ids="md5hash"),
        "fst_other": scale(frame, "fitzpatrick_centaur", ids="md5hash"),
        "x_ddi_scale": frame["ddi_scale"].mask(frame["ddi_scale"].isin(["-1", ""])).astype("category"),
        "x_excluded": frame["qc"] == WRONGLY_LABELLED,
        **{f"x_{column}": frame[column] for column in further}}))


def _misplaced(root: Path, table: pd.DataFrame, names: Iterable[str]) -> list[DatasetError]:
    train = table[table["split"] == "train"]
    labels = dict(zip(train["image_id"], train["condition"], strict=True))
    found = []
    for name in names:
        folder, file = os.path.split(name)
        label = labels.get(file.removesuffix(".jpg"))
        if label and folder.startswith("train/") and folder != f"train/train/{label}":
            found.append(f"{name} is {label}")
    return [DatasetError(f"{root}: photographs in a folder that disagrees with their label in {MARK}. Move or "
                         "remove them", sorted(found))] if found else []


def recognise(root: Path) -> bool:
    """Whether the folder holds the competition's train.csv."""
    return has_columns(root / MARK, ("md5hash", "fitzpatrick_scale", "label"))


ADAPTER = Adapter(SOURCE, recognise, load)
