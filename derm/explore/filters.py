"""Which rows a reader wants to see. Knows tables and the words of a URL; draws nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from derm.explore.codes import Coded, categorical, coded, numbers, numeric

MISSING = "missing"
NO_FLAG = "none"
FLAGS = "flags"
_KNOWN = ("condition", "partition3", "partition9", "fst", "fst_other", "mst", "split", "qc", FLAGS, "duplicate")


def choices(table: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """The values of each column that can be filtered, as text, and "missing" where some are.

    Skin types are "I" to "VI", flags single words or "none". Columns of one value and free text are left out.
    """
    found = {}
    for column, column_codes in categorical(table, known=_KNOWN):
        counts = column_codes.counts
        names = [name for name, n in zip(column_codes.names, counts, strict=False) if n]
        if column == FLAGS:
            words = {word for name in names for word in _words(name)}
            names = [*({NO_FLAG} & words), *sorted(words - {NO_FLAG})]
        if counts[-1]:
            names.append(MISSING)
        if len(names) > 1:
            found[column] = tuple(names)
    return found


def ranges(table: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """The least and the greatest value of each column of numbers that varies."""
    found = {}
    for column in numeric(table):
        values = numbers(table, column)
        if not np.isnan(values).all():
            low, high = float(np.nanmin(values)), float(np.nanmax(values))
            if low < high:
                found[column] = low, high
    return found


def mask(table: pd.DataFrame, chosen: Mapping[str, Sequence[str]],
         between: Mapping[str, tuple[float, float]]) -> np.ndarray:
    """Whether each row is wanted, bool [n]: it has one of the values chosen of every column, and its numbers lie
    between the bounds, both included.

    Columns that the table does not have are ignored (the words may come from an old URL), and so is a choice of
    which it has no value at all. Bounds that hold every number leave the rows in that have none.
    """
    wanted = np.ones(len(table), dtype=bool)
    for column, values in chosen.items():
        if column in table and values:
            wanted &= _chosen(coded(table, column), set(values), by_word=column == FLAGS)
    measured = numeric(table)
    for column, (low, high) in between.items():
        if column in measured:
            values_there = numbers(table, column)
            inside = (values_there >= low) & (values_there <= high)
            if not (inside | np.isnan(values_there)).all():
                wanted &= inside
    return wanted


def _chosen(column: Coded, values: set[str], *, by_word: bool) -> np.ndarray:
    keep = np.array([*(not values.isdisjoint(_words(name) if by_word else (name,)) for name in column.names),
                     MISSING in values])
    rows = keep[column.codes]
    return rows if rows.any() else np.ones(len(rows), dtype=bool)


def _words(flags: str) -> Sequence[str]:
    return flags.split(";") if flags else (NO_FLAG,)
