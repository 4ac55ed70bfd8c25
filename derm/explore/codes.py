"""Columns as small whole numbers, so that counting a million rows is quick. Knows tables; not what they mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from derm.schema import FST_GROUPS, SkinType

MISSING = "Missing"
MOST_VALUES = 200  # a column of more is text, not a category
GROUP = "group"  # a column that every table has: the skin-type group
NUMERALS = tuple(skin.name for skin in SkinType)
FST_COLUMNS = ("fst", "fst_other", "x_fst_self")
# Columns with a scale of their own: a type that nobody has is a finding, so it is kept with a count of 0.
SCALES = {**dict.fromkeys(FST_COLUMNS, NUMERALS), GROUP: FST_GROUPS,
          "mst": tuple(str(tone) for tone in range(1, 11))}


@dataclass(frozen=True, eq=False)
class Coded:
    """A column as `codes`, whole numbers [n] into `names`; -1 is missing."""

    codes: np.ndarray
    names: tuple[str, ...]

    @property
    def counts(self) -> np.ndarray:
        """How often each name occurs and, last, how many are missing: int64 [names + 1]."""
        return np.roll(np.bincount(self.codes + 1, minlength=len(self.names) + 1), -1)


def coded(table: pd.DataFrame, column: str) -> Coded:
    """The column as codes; one that the table lacks is all missing. Skin types become "I" to "VI", true and false
    "yes" and "no". `GROUP` is "I-II", "III-IV" or "V-VI": that of `fst`, else `x_skin_group`."""
    if column == GROUP:
        return _groups(table)
    if column not in table:
        return Coded(np.full(len(table), -1, dtype=np.int8), SCALES.get(column, ()))
    values = table[column]
    if column in SCALES:
        return Coded(values.to_numpy(dtype=np.int8, na_value=0) - np.int8(1), SCALES[column])
    if isinstance(values.dtype, pd.CategoricalDtype):
        return Coded(values.cat.codes.to_numpy(), tuple(map(str, values.cat.categories)))
    if pd.api.types.is_bool_dtype(values.dtype):
        return Coded(values.to_numpy(dtype=np.int8, na_value=-1), ("no", "yes"))
    codes, names = pd.factorize(values, sort=True)
    return Coded(codes, tuple(f"{name:g}" if isinstance(name, float) else str(name) for name in names))


def joint(a: Coded, b: Coded) -> np.ndarray:
    """How often each name of `a` meets each of `b`: int64 [names of a + 1, names of b + 1], missing last."""
    shape = len(a.names) + 1, len(b.names) + 1
    cell = a.codes.astype(np.intp)
    cell += 1
    cell *= shape[1]
    cell += b.codes
    cell += 1
    return np.roll(np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape), (-1, -1), (0, 1))


def numbers(table: pd.DataFrame, column: str) -> np.ndarray:
    """A numeric column as float64 [n]; missing, infinite and absent values are NaN."""
    if column not in table:
        return np.full(len(table), np.nan)
    values = table[column].to_numpy(dtype=np.float64, na_value=np.nan)
    endless = np.isinf(values)
    return np.where(endless, np.nan, values) if endless.any() else values


def numeric(table: pd.DataFrame) -> list[str]:
    """The measured columns: `ita` and `x_` columns of numbers; skin types are not among them."""
    return [name for name in map(str, table.columns) if (name == "ita" or name.startswith("x_"))
            and name not in SCALES and pd.api.types.is_numeric_dtype(table[name].dtype)
            and not pd.api.types.is_bool_dtype(table[name].dtype)]


def categorical(table: pd.DataFrame, *, known: Sequence[str]) -> Iterator[tuple[str, Coded]]:
    """The columns of `known` that the table has, then its further `x_` columns of at most MOST_VALUES categories,
    true or false, or skin types; each with its codes."""
    passed = {*numeric(table), *known}
    for name in (*known, *(name for name in map(str, table.columns) if name.startswith("x_"))):
        if name in table and (name in known or (name not in passed and _few(table[name]))):
            yield name, coded(table, name)


def _few(values: pd.Series) -> bool:
    """Told without looking at the rows: a column of free text may have as many values as rows."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return len(values.cat.categories) <= MOST_VALUES
    return not pd.api.types.is_string_dtype(values.dtype)


def _groups(table: pd.DataFrame) -> Coded:
    codes = coded(table, "fst").codes // np.int8(2)  # -1 stays -1
    if "x_skin_group" not in table:
        return Coded(codes, FST_GROUPS)
    given = coded(table, "x_skin_group")
    number = np.array([*(FST_GROUPS.index(n) if n in FST_GROUPS else -1 for n in given.names), -1], dtype=np.int8)
    return Coded(np.where(codes < 0, number[given.codes], codes), FST_GROUPS)
