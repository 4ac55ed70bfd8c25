"""The AJL 2025 competition's folder as published. Knows its files and columns; reads no pixels."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from derm.datasets.source import Adapter, Source
from derm.datasets.table import Dataset, canonical, fingerprint, has_columns, listing, read_csv, scale
from derm.errors import DatasetError

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
            "Its photographs are a part of Fitzpatrick17k, from two atlases with very different skin types."))
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
    return Dataset(SOURCE, root, table, tuple(table["condition"].cat.categories), fingerprint(table, sizes),
                   problems=_problems(root, table, sizes))


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


def _problems(root: Path, table: pd.DataFrame, sizes: dict[str, int]) -> tuple[DatasetError, ...]:
    train = table[table["split"] == "train"]
    labels = dict(zip(train["image_id"], train["condition"], strict=True))
    misplaced = []
    for path in sizes:
        folder, file = os.path.split(path)
        label = labels.get(file.removesuffix(".jpg"))
        if label and folder.startswith("train/") and folder != f"train/train/{label}":
            misplaced.append(f"{path} is {label}")
    found = []
    if misplaced:
        found.append(DatasetError(f"{root}: photographs in a folder that disagrees with their label in {MARK}. "
                                  "Move or remove them", sorted(misplaced)))
    if missing := sorted(set(table["path"]) - sizes.keys()):
        found.append(DatasetError(f"{root}: photographs named in the CSV files are missing. Unpack the download "
                                  "again, or remove their rows", missing))
    return tuple(found)


def recognise(root: Path) -> bool:
    """Whether the folder holds the competition's train.csv."""
    return has_columns(root / MARK, ("md5hash", "fitzpatrick_scale", "label"))


ADAPTER = Adapter(SOURCE, recognise, load)
