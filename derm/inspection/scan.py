"""Everything measured on the pictures of a data set, in one go: quality, skin tone, near-duplicates.

Knows data sets and files; draws nothing, changes nothing. Safe to run in a thread of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from derm import leaks
from derm.datasets import Dataset
from derm.inspection import quality

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Scan:
    """What was measured. `table` has a row an image, indexed by image_id:

    flags: category text such as "dark" or "blurred;odd-size", "" for none, missing without a picture;
    ita: Float64, degrees; duplicate_group: Int64, equal for near-duplicates, missing where there is none;
    unreadable: bool; reason: text, why; width, height: Int64, pixels.

    `pairs` are the near-duplicates, as `leaks.pairs` gives them.
    """

    table: pd.DataFrame
    pairs: pd.DataFrame


def scan(dataset: Dataset, *, cache: Path | None, progress: Progress | None) -> Scan:
    """Measure every picture of `dataset` that is on disk.

    `cache` is a folder for the measures, so that the second time takes a moment; `progress` is called with
    (done, to do), each picture counting twice: once measured, once compared. Unreadable pictures are flagged.
    """
    table = dataset.table
    there = table["path"].notna().to_numpy()
    paths = [dataset.root / path for path in table.loc[there, "path"]]
    measured = quality.flags(paths, cache=cache, progress=_stage(progress, 0, len(paths)))
    measured = measured.set_index(np.flatnonzero(there)).reindex(range(len(table)))
    unreadable = measured["unreadable"].eq(True).to_numpy(dtype=bool)
    pairs = leaks.pairs(dataset, cache=cache, progress=_stage(progress, 1, len(paths)),
                        usable=there & ~unreadable)
    if progress:
        progress(2 * len(paths), 2 * len(paths))
    ids = pd.Index(table["image_id"], name="image_id")
    return Scan(measured.assign(
        flags=measured["flags"].astype("category"), unreadable=unreadable,
        duplicate_group=_linked(leaks.groups(table, pairs))).set_index(ids), pairs)


def joined(table: pd.DataFrame, scan: Scan) -> pd.DataFrame:
    """The canonical table with `flags`, `ita` and `duplicate` (boolean), missing where nothing was measured."""
    measured = scan.table.reindex(table["image_id"]).set_index(table.index)
    duplicate = measured["duplicate_group"].notna().astype("boolean").mask(measured["flags"].isna())
    return table.assign(flags=measured["flags"], ita=measured["ita"], duplicate=duplicate)


def _stage(progress: Progress | None, stage: int, count: int) -> Progress | None:
    """`progress` of one of two stages, each as long as there are pictures, as part of the whole."""
    if progress is None:
        return None
    return lambda done, todo: progress(stage * count + count * done // max(todo, 1), 2 * count)


def _linked(groups: np.ndarray) -> pd.Series:
    """The group numbers, Int64, missing for a group of one."""
    return pd.Series(groups, dtype="Int64").mask(np.bincount(groups)[groups] == 1)
