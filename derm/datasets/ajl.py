"""The AJL 2025 competition's folder as published. Knows its files and columns; reads no pixels."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from derm.datasets.table import Dataset, canonical, fingerprint, listing, read_csv, scale
from derm.errors import DatasetError

NAME = "AJL 2025"
MARK = "train.csv"  # the file that tells this data set from others
WRONGLY_LABELLED = "3 Wrongly labelled"
LICENCE = ("Annotations: Fitzpatrick17k, CC BY-NC-SA 3.0. Images: DermaAmin and Atlas Dermatologico, "
           "for research only, not for commercial use.")
CITATION = ("Groh M. et al., Evaluating Deep Neural Networks Trained on Clinical Images in Dermatology with "
            "the Fitzpatrick 17k Dataset, CVPR Workshops 2021. AJL and Break Through Tech, Kaggle 2025.")
_BOTH = ("md5hash", "fitzpatrick_scale", "fitzpatrick_centaur", "qc", "ddi_scale")
_LABELS = ("label", "nine_partition_label", "three_partition_label")


def load(root: Path) -> Dataset:
    """The competition's photographs: train.csv, and test.csv (no labels) where it is there.

    `x_excluded` marks rows that the publisher calls wrongly labelled. Raises `DatasetError` for anything
    missing or contradictory, naming the first five.
    """
    root = Path(root)
    if not (root / MARK).is_file():
        raise DatasetError(f"{root}: no {MARK}; found {listing(root)}. Name the AJL folder as published: "
                           f"{MARK} beside train/train/<label>/<md5hash>.jpg.")
    frame = _train(root / MARK)
    if (root / "test.csv").is_file():
        frame = pd.concat([frame, _test(root / "test.csv")], ignore_index=True).fillna("")
    table = _table(frame)
    sizes = _sizes(root)
    _check_files(root, table, sizes)
    return Dataset(NAME, root, table, LICENCE, CITATION, tuple(table["condition"].cat.categories),
                   fingerprint(table, sizes))


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
        "partition3": _slug(frame["three_partition_label"]),
        "partition9": _slug(frame["nine_partition_label"]),
        "fst": scale(frame, "fitzpatrick_scale", ids="md5hash"),
        "fst_other": scale(frame, "fitzpatrick_centaur", ids="md5hash"),
        "x_ddi_scale": frame["ddi_scale"].mask(frame["ddi_scale"].isin(["-1", ""])).astype("category"),
        "x_excluded": frame["qc"] == WRONGLY_LABELLED,
        **{f"x_{column}": frame[column] for column in further}}))


def _slug(text: pd.Series) -> pd.Series:
    return text.str.lower().str.replace(" ", "-")


def _sizes(root: Path) -> dict[str, int]:
    """Bytes of every photograph on disk by its path relative to root; one listing a folder."""
    train = root / "train" / "train"
    labels = [p.name for p in train.iterdir() if p.is_dir()] if train.is_dir() else []
    sizes: dict[str, int] = {}
    for folder in (*(f"train/train/{label}" for label in labels), "test/test"):
        if (root / folder).is_dir():
            with os.scandir(root / folder) as entries:
                sizes |= {f"{folder}/{e.name}": e.stat().st_size for e in entries if e.name.endswith(".jpg")}
    return sizes


def _check_files(root: Path, table: pd.DataFrame, sizes: dict[str, int]) -> None:
    train = table[table["split"] == "train"]
    labels = dict(zip(train["image_id"], train["condition"], strict=True))
    misplaced = []
    for path in sizes:
        folder, file = os.path.split(path)
        label = labels.get(file.removesuffix(".jpg"))
        if label and folder.startswith("train/") and folder != f"train/train/{label}":
            misplaced.append(f"{path} is {label}")
    if misplaced:
        raise DatasetError(f"{root}: photographs in a folder that disagrees with their label in {MARK}. "
                           "Move or remove them", sorted(misplaced))
    if missing := sorted(set(table["path"]) - sizes.keys()):
        raise DatasetError(f"{root}: photographs named in the CSV files are missing. Unpack the download "
                           "again, or remove their rows", missing)
