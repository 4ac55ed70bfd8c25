"""What a run learns from and is measured on: a data set, split without leaks and decoded. No network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from derm import datasets, duplicates, exclusions, splits
from derm.errors import ConfigError, DatasetError
from derm.fairness.groups import skin_type_group
from derm.nn import cache, metadata
from derm.nn.config import TrainConfig, data_folder
from derm.settings import settings

# Training pictures are kept a little larger than the network's input, so that crops lose no detail.
_MARGIN = 8 / 7


@dataclass(frozen=True)
class Part:
    """Pictures uint8 [n, S, S, 3], labels int [n], skin-type group names [n], their rows, and what is known beside
    them as numbers, float32 [n, M]; M is 0 without metadata."""

    pixels: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    rows: pd.DataFrame
    metadata: np.ndarray


@dataclass(frozen=True)
class Material:
    """The training part, the held-out parts ("val", and "test" where there is one), their source, and how its
    metadata becomes numbers (`derm.nn.metadata`). `classes` are the conditions that have photographs, slugs in the
    order of the network's outputs."""

    dataset: datasets.Dataset
    train: Part
    held_out: dict[str, Part]
    classes: tuple[str, ...]
    metadata: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def prepare(config: TrainConfig) -> Material:
    """Load, split and decode. Raises `ConfigError` and `DatasetError` before any training."""
    dataset = datasets.load(data_folder(config))
    rows = chosen_rows(dataset, config)
    parts = (saved_parts(dataset, rows, config.split_file, fold=config.fold) if config.split_file
             else split_rows(dataset, rows, fractions=config.split, seed=config.seed))
    margin = round(config.image_size * _MARGIN)
    learnt = rows[parts == "train"]
    classes = _learnable(dataset, rows, parts)
    spec = metadata.fit(learnt, metadata.names(config.metadata))
    held_out = {name: _part(dataset, rows[parts == name], config.image_size, classes, spec)
                for name in ("val", "test") if (parts == name).any()}
    return Material(dataset, _part(dataset, learnt, margin, classes, spec), held_out, classes, spec)


def at_answer_side(material: Material, config: TrainConfig) -> Material:
    """The material with what is held out decoded as the finished network sees it."""
    if config.answer_side == config.side:
        return material
    return replace(material, held_out={
        name: replace(part, pixels=_pixels(material.dataset, part.rows, config.answer_side))
        for name, part in material.held_out.items()})


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


def _learnable(dataset: datasets.Dataset, rows: pd.DataFrame, parts: pd.Series) -> tuple[str, ...]:
    """The conditions of the training part. Raises `DatasetError` if those held out have another, or are none."""
    conditions = rows["condition"].astype(str)
    learnt = {*conditions[parts == "train"]}
    if not (parts == "val").any():
        raise DatasetError(f"{dataset.name} ({dataset.root}): no photograph is left for validation, because most "
                           f"of its {len(learnt)} conditions have only one that is not nearly a copy of another. "
                           "Add photographs.")
    if unseen := sorted({*conditions} - learnt):
        raise DatasetError(f"{dataset.name} ({dataset.root}): conditions with photographs that are held out and "
                           "none in the training part, so that nothing would be learnt of them. Add photographs, "
                           "split otherwise, or leave these out (`exclude`)", unseen)
    return tuple(name for name in dataset.classes if name in learnt)


def _part(dataset: datasets.Dataset, rows: pd.DataFrame, size: int, classes: tuple[str, ...],
          spec: metadata.Spec) -> Part:
    labels = pd.Categorical(rows["condition"].astype(str), categories=list(classes)).codes
    groups = skin_type_group(rows["fst"]).to_numpy(dtype=str)
    return Part(_pixels(dataset, rows, size), np.asarray(labels, dtype=np.int64), groups, rows,
                metadata.encode(spec, rows))


def _pixels(dataset: datasets.Dataset, rows: pd.DataFrame, size: int) -> np.ndarray:
    paths = [dataset.root / path for path in rows["path"]]
    return cache.pixels(paths, size=size, folder=settings().cache / "pixels")
