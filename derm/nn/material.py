"""What a run learns from and is measured on: a data set, split without leaks and decoded. No network."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from derm import datasets, duplicates, exclusions, splits
from derm.errors import ConfigError, DatasetError
from derm.fairness.groups import skin_type_group
from derm.nn import cache
from derm.nn.config import TrainConfig, data_folder
from derm.settings import settings

# Training pictures are kept a little larger than the network's input, so that crops lose no detail.
_MARGIN = 8 / 7


@dataclass(frozen=True)
class Part:
    """Pictures uint8 [n, S, S, 3], labels int [n], skin-type group names [n], and their rows."""

    pixels: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    rows: pd.DataFrame


@dataclass(frozen=True)
class Material:
    """The training part, the held-out parts ("val", and "test" where there is one), and their source."""

    dataset: datasets.Dataset
    train: Part
    held_out: dict[str, Part]

    @property
    def classes(self) -> tuple[str, ...]:
        """Slugs, in the order of the network's outputs."""
        return self.dataset.classes


def prepare(config: TrainConfig) -> Material:
    """Load, split and decode. Raises `ConfigError` and `DatasetError` before any training."""
    dataset = datasets.load(data_folder(config))
    rows = chosen_rows(dataset, config)
    parts = (saved_parts(dataset, rows, config.split_file, fold=config.fold) if config.split_file
             else split_rows(dataset, rows, fractions=config.split, seed=config.seed))
    margin = round(config.image_size * _MARGIN)
    held_out = {name: _part(dataset, rows[parts == name], config.image_size)
                for name in ("val", "test") if (parts == name).any()}
    return Material(dataset, _part(dataset, rows[parts == "train"], margin), held_out)


def chosen_rows(dataset: datasets.Dataset, config: TrainConfig) -> pd.DataFrame:
    """`labelled_rows`, less those on the config's list and those that its split file does not name."""
    listed: frozenset[str] = frozenset()
    if config.exclude:
        listed = exclusions.ids(Path(config.exclude).expanduser(), known=dataset.table["image_id"])
    rows = labelled_rows(dataset, exclude_flagged=config.exclude_flagged, listed=listed)
    return rows[rows["image_id"].isin(_saved(dataset, config.split_file).index)] if config.split_file else rows


def labelled_rows(dataset: datasets.Dataset, *, exclude_flagged: bool = True, test: bool = False,
                  listed: frozenset[str] = frozenset()) -> pd.DataFrame:
    """The rows with a condition and a picture, without flagged and `listed` ones and, unless `test`, those of
    the publisher's test split. Raises `DatasetError` where fewer than two conditions are left."""
    table = dataset.table
    why_not = splits.left_out(table, flagged=exclude_flagged, test=test, listed=listed)
    rows = table[why_not.isna()]
    if rows["condition"].nunique() >= 2:
        return rows
    counts = why_not.value_counts()
    if len(table) and counts.get(splits.TEST, 0) == len(table):
        raise DatasetError(f"{dataset.name} ({dataset.root}) is for testing only: its publisher calls all "
                           f"{len(table):,} photographs a test part. Train on another data set.")
    if len(table) and table["path"].isna().all():
        raise DatasetError(f"{dataset.name} ({dataset.root}): none of its {len(table):,} photographs is on disk. "
                           "`derm data list` says how to get them.")
    rest = "".join(f"; {count:,} {reason}" for reason, count in counts.items())
    raise DatasetError(f"{dataset.name} ({dataset.root}): {len(rows):,} photographs can be used, of "
                       f"{rows['condition'].nunique()} conditions, and at least two conditions are needed{rest}.")


def split_rows(dataset: datasets.Dataset, rows: pd.DataFrame, *, fractions: str, seed: int) -> pd.Series:
    """"train", "val" (and "test") for each row, near-duplicates and groups kept together."""
    groups = duplicates.groups([dataset.root / path for path in rows["path"]], cache=settings().cache)
    return splits.split(rows, fractions=fractions, groups=groups, seed=seed)


def saved_parts(dataset: datasets.Dataset, rows: pd.DataFrame, split_file: str, *, fold: int = 0) -> pd.Series:
    """"train", "val" (and "test") for each row as a saved split says; of folds, number `fold` validates.

    Raises `DatasetError` for a file that does not fit the data, `ConfigError` for a fold that is not there.
    """
    saved = _saved(dataset, split_file)
    names = sorted(set(saved))
    if all(re.fullmatch(r"fold\d+", name) for name in names):
        if f"fold{fold}" not in names:
            raise ConfigError(f"fold = {fold}; {split_file} has {len(names)} folds: say which of them validates, "
                              "such as --set fold=1.", "fold")
        saved = saved.map(lambda name: "val" if name == f"fold{fold}" else "train")
    elif fold:
        raise ConfigError(f"fold = {fold}; {split_file} has no folds but {', '.join(names)}; leave it 0.", "fold")
    elif unknown := sorted(set(names) - {"train", "val", "test"}):
        raise DatasetError(f"{split_file}: the parts of a split are train, val and test, or fold1, fold2 and so "
                           "on. Mend", unknown)
    parts = rows["image_id"].map(saved).rename("split")
    if empty := [name for name in ("train", "val") if not (parts == name).any()]:
        raise DatasetError(f"{split_file}: no photograph that can be used is in its part {' or '.join(empty)}.")
    return parts


def _saved(dataset: datasets.Dataset, split_file: str) -> pd.Series:
    """The part of each image id in a saved split."""
    saved = splits.read(Path(split_file).expanduser(), known=dataset.table["image_id"])
    return saved.set_index("image_id")["split"]


def _part(dataset: datasets.Dataset, rows: pd.DataFrame, size: int) -> Part:
    paths = [dataset.root / path for path in rows["path"]]
    pictures = cache.pixels(paths, size=size, folder=settings().cache / "pixels")
    labels = pd.Categorical(rows["condition"].astype(str), categories=list(dataset.classes)).codes
    groups = skin_type_group(rows["fst"]).to_numpy(dtype=str)
    return Part(pictures, np.asarray(labels, dtype=np.int64), groups, rows)
