"""What a run learns from and is measured on: a data set, split without leaks and decoded. No network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from derm import datasets, duplicates, splits
from derm.errors import DatasetError
from derm.fairness.metrics import skin_type_group
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
    """The training part, the held-out parts ("val", and "test" of an 80/10/10 split), and their source."""

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
    rows = labelled_rows(dataset, exclude_flagged=config.exclude_flagged)
    parts = split_rows(dataset, rows, fractions=config.split, seed=config.seed)
    margin = round(config.image_size * _MARGIN)
    held_out = {name: _part(dataset, rows[parts == name], config.image_size)
                for name in ("val", "test") if (parts == name).any()}
    return Material(dataset, _part(dataset, rows[parts == "train"], margin), held_out)


def labelled_rows(dataset: datasets.Dataset, *, exclude_flagged: bool = True) -> pd.DataFrame:
    """The rows with a condition and a picture, without the publisher's test split and flagged rows."""
    table = dataset.table
    keep = table["condition"].notna() & table["path"].notna() & (table["split"] != "test").fillna(True)
    if exclude_flagged:
        keep &= ~table["x_excluded"].fillna(False)
    rows = table[keep]
    if rows["condition"].nunique() < 2:
        raise DatasetError(f"{dataset.root}: {len(rows)} labelled photographs of "
                           f"{rows['condition'].nunique()} conditions; expected at least two conditions.")
    return rows


def split_rows(dataset: datasets.Dataset, rows: pd.DataFrame, *, fractions: str, seed: int) -> pd.Series:
    """"train", "val" (and "test") for each row, near-duplicates and groups kept together."""
    groups = duplicates.groups([dataset.root / path for path in rows["path"]],
                               cache=settings().cache / "signatures")
    return splits.split(rows, fractions=fractions, groups=groups, seed=seed)


def _part(dataset: datasets.Dataset, rows: pd.DataFrame, size: int) -> Part:
    paths = [dataset.root / path for path in rows["path"]]
    pictures = cache.pixels(paths, size=size, folder=settings().cache / "pixels")
    labels = pd.Categorical(rows["condition"].astype(str), categories=list(dataset.classes)).codes
    groups = skin_type_group(rows["fst"]).to_numpy(dtype=str)
    return Part(pictures, np.asarray(labels, dtype=np.int64), groups, rows)
