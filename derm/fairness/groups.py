"""Who is compared with whom: the rows of a table by skin type, Monk tone, age, any column, or several at once."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from derm.errors import DatasetError
from derm.schema import FST_GROUPS, PROBABILITY_PREFIX, SkinType

ALL = "all"  # everybody together
NOT_RECORDED = "not recorded"
SKIN_TYPE_GROUPS = (*FST_GROUPS, NOT_RECORDED)
JOINT = " x "
MOST_GROUPS = 40  # more than that cannot be read
_MST = {"1-3": (1, 3), "4-6": (4, 6), "7-10": (7, 10)}
_AGES = {"0-17": 18, "18-39": 40, "40-59": 60, "60-79": 80, "80 and over": np.inf}
_FEW_NUMBERS = 8  # a column of no more different numbers than that is codes, not a measurement
_LABELS = {"fst3": "Skin type, in three groups", "fst": "Skin type, I to VI", "mst": "Monk skin tone",
           "partition3": "Benign, malignant or non-neoplastic", "split": "Split", "x_age": "Age", "x_sex": "Sex",
           "x_source": "Source", "x_body_site": "Body site"}
# Who a case is, and what the model said of it: neither makes groups.
_NO_GROUPS = ("image_id", "group_id", "path", "condition", "predicted", "abstained", "prediction_set",
              "x_skin_group")


def assign(table: pd.DataFrame, by: str | Sequence[str]) -> pd.Series:
    """The group of each row, an ordered category with the table's index.

    `by` is "fst" ("I" to "VI"), "fst3" ("I-II", "III-IV", "V-VI": that of `fst`, else of `x_skin_group`), "mst"
    ("1-3", "4-6", "7-10"), or any column: its values as text, ages in five bins, other numbers in quartiles.
    Several give those intersections that occur ("V-VI x malignant"). Skin types and tones that nobody has are
    groups all the same. Missing values are the group NOT_RECORDED, the last. Raises `DatasetError` for a column
    that is not there.
    """
    columns = [by] if isinstance(by, str) else list(by)
    if not columns:
        raise DatasetError("no column to group by; name one, such as 'fst3'.")
    parts = [_one(table, name) for name in columns]
    return parts[0] if len(parts) == 1 else _joined(parts)


def compared(name: str) -> bool:
    """Whether the group may be compared with others: nothing of it is 'not recorded'."""
    return NOT_RECORDED not in name.split(JOINT)


def choices(table: pd.DataFrame) -> dict[str, str]:
    """What the table can be grouped by, and how to call it: whatever gives 2 to MOST_GROUPS groups to compare."""
    names = ["fst3", "fst", *(str(name) for name in table.columns if str(name) != "fst")]
    found = {}
    for name in names:
        if name in _NO_GROUPS or name.startswith(PROBABILITY_PREFIX) or not _has(table, name):
            continue
        counts = _one(table, name).value_counts()
        if 2 <= sum(compared(str(group)) and n > 0 for group, n in counts.items()) <= MOST_GROUPS:
            found[name] = _LABELS.get(name) or name.removeprefix("x_").replace("_", " ").strip().capitalize()
    return found


def skin_type_group(fst: pd.Series) -> pd.Series:
    """One of SKIN_TYPE_GROUPS for each Fitzpatrick skin type 1 to 6; missing is 'not recorded'."""
    named = {number: FST_GROUPS[(number - 1) // 2] for number in range(1, 7)}
    return fst.astype("Float64").map(named).astype(object).fillna(NOT_RECORDED)


def _has(table: pd.DataFrame, name: str) -> bool:
    if name == "fst3":
        return "fst" in table or "x_skin_group" in table
    return name in table


def _one(table: pd.DataFrame, by: str) -> pd.Series:
    if not _has(table, by):
        raise DatasetError(f"no column {'fst' if by == 'fst3' else by!r} to group by; expected one of these.",
                           list(map(str, table.columns)))
    if by == "fst3":
        return _category(_skin_groups(table), FST_GROUPS)
    values = table[by]
    if by == "fst":
        names = {int(skin): skin.name for skin in SkinType}
        return _category(values.astype("Float64").map(names), tuple(names.values()))
    if by == "mst":
        tones = {tone: name for name, (low, high) in _MST.items() for tone in range(low, high + 1)}
        return _category(values.astype("Float64").map(tones), tuple(_MST))
    if isinstance(values.dtype, pd.CategoricalDtype):
        return _text(values)
    if pd.api.types.is_bool_dtype(values.dtype):
        return _category(values.map({True: "yes", False: "no"}), ("no", "yes"))
    if pd.api.types.is_numeric_dtype(values.dtype):
        return _binned(values, ages=by == "x_age")
    return _text(values)


def _skin_groups(table: pd.DataFrame) -> pd.Series:
    given = pd.Series(None, index=table.index, dtype=object)
    if "fst" in table:
        group = skin_type_group(table["fst"])
        given = group.where(group != NOT_RECORDED)
    return given.fillna(table["x_skin_group"].astype(object)) if "x_skin_group" in table else given


def _category(values: pd.Series, names: Sequence[str]) -> pd.Series:
    """`names` in order, what is none of them being NOT_RECORDED, a category only if it occurs."""
    codes = pd.Index(list(names)).astype(object).get_indexer(pd.Index(values.astype(object)))
    known = [*names, NOT_RECORDED] if (codes < 0).any() else list(names)
    codes = np.where(codes < 0, len(names), codes)
    return pd.Series(pd.Categorical.from_codes(codes, pd.Index(known), ordered=True), index=values.index)


def _text(values: pd.Series) -> pd.Series:
    """Categories in their own order, other values sorted; only those that occur."""
    text = values.astype("string").str.strip()
    text = text.mask(text == "")
    there = set(text.dropna())
    names = sorted(there)
    if isinstance(values.dtype, pd.CategoricalDtype):
        in_order = dict.fromkeys(str(name).strip() for name in values.cat.categories)
        names = [name for name in in_order if name in there]
    return _category(text, [name for name in names if name != NOT_RECORDED])


def _binned(values: pd.Series, *, ages: bool) -> pd.Series:
    numbers = values.astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
    numbers = np.where(np.isfinite(numbers), numbers, np.nan)
    different = np.unique(numbers[~np.isnan(numbers)])
    if ages:
        names, ends = list(_AGES), np.array(list(_AGES.values()))
    elif len(different) <= _FEW_NUMBERS:
        names, ends = [f"{number:g}" for number in different], np.append(different[1:], np.inf)
    else:
        inner = np.unique(np.quantile(numbers[~np.isnan(numbers)], [0.25, 0.5, 0.75]))
        between = [f"{low:g} to under {high:g}" for low, high in itertools.pairwise(inner)]
        names = [f"under {inner[0]:g}", *between, f"{inner[-1]:g} and over"]
        ends = np.append(inner, np.inf)
    bins = np.where(np.isnan(numbers), -1, np.searchsorted(ends, numbers, side="right"))
    if ages:
        bins = np.where(numbers < 0, -1, bins)
    named = np.array([*names, None], dtype=object)[bins]
    occur = [name for name in names if name in set(named)]
    return _category(pd.Series(named, index=values.index), occur)


def _joined(parts: Sequence[pd.Series]) -> pd.Series:
    """The intersections that occur, in the order of their parts; those with something missing last."""
    codes = np.stack([part.cat.codes.to_numpy() for part in parts])
    found, rows = np.unique(codes, axis=1, return_inverse=True)
    names = [JOINT.join(str(part.cat.categories[code]) for part, code in zip(parts, column, strict=True))
             for column in found.T]
    order = sorted(range(len(names)), key=lambda i: not compared(names[i]))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    category = pd.Categorical.from_codes(rank[rows.ravel()], pd.Index([names[i] for i in order]), ordered=True)
    return pd.Series(category, index=parts[0].index)
