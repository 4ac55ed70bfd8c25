"""Which photographs train, validate and test. Knows the canonical table; no files."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from derm.duplicates import merge
from derm.errors import ConfigError, DatasetError
from derm.schema import SkinType

# Equal folds, handed out in this order; the rest trains.
FRACTIONS = {"80/20": (5, ("val",)), "80/10/10": (10, ("val", "test"))}
ENOUGH_GROUPS = 5  # a condition with this many groups appears in every part


def split(table: pd.DataFrame, *, fractions: str = "80/20", groups: np.ndarray, seed: int) -> pd.Series:
    """'train', 'val' (and 'test' for 80/10/10) for each row, a category Series on the table's index.

    Stratified by condition and skin-type group (I-II, III-IV, V-VI, missing). Rows that share a number in
    `groups` or a group_id stay together. Pass only rows that may be used: no publisher's test rows, none
    excluded. Raises `ConfigError` for other fractions, `DatasetError` for too few groups.
    """
    if fractions not in FRACTIONS:
        raise ConfigError(f"split = {fractions!r}; expected one of {', '.join(FRACTIONS)}.", "split")
    folds, names = FRACTIONS[fractions]
    units = _units(table, groups)
    if (count := len(np.unique(units))) < folds:
        raise DatasetError(f"A {fractions} split needs at least {folds} photographs that are not near-duplicates"
                           f"; found {count}. Add photographs.")
    condition = table["condition"].astype("str").fillna("")
    parts = np.full(len(table), "train", dtype=object)
    for name, rows in zip(names, _folds(_strata(condition, table["fst"], folds), units, folds, seed),
                          strict=False):
        parts[rows] = name
    _spread(parts, condition.to_numpy(), units, ("train", *names))
    return pd.Series(pd.Categorical(parts, categories=["train", *names]), index=table.index, name="split")


def leaks(split: pd.Series, groups: np.ndarray) -> list:
    """The groups that have rows in more than one part; empty when the split is sound."""
    parts = split.groupby(np.asarray(groups)).nunique()
    return parts.index[parts > 1].tolist()


def _units(table: pd.DataFrame, groups: np.ndarray) -> np.ndarray:
    """What must stay together: near-duplicates, and the publisher's patients, cases or lesions."""
    near = np.unique(groups, return_inverse=True)[1]
    given = pd.factorize(table["group_id"])[0] + near.max(initial=-1) + 1
    linked = merge(int(given.max(initial=-1)) + 1, near, given)
    return linked[near]


def _strata(condition: pd.Series, fst: pd.Series, folds: int) -> np.ndarray:
    """Condition x skin-type group; strata too small to be in every fold are pooled by condition, then all."""
    skin = fst.map({int(t): t.group for t in SkinType}).astype("str").fillna("missing")
    strata = condition + " " + skin
    for coarser in (condition, pd.Series("other", index=fst.index)):
        rare = strata.groupby(strata).transform("size") < folds
        strata = strata.mask(rare, coarser)
    return strata.to_numpy()


def _folds(strata: np.ndarray, units: np.ndarray, folds: int, seed: int) -> list[np.ndarray]:
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # rare strata: expected, and dealt with in _spread
        return [rows for _, rows in splitter.split(strata, strata, units)]


def _spread(parts: np.ndarray, condition: np.ndarray, units: np.ndarray, names: tuple[str, ...]) -> None:
    """Move, in place, the smallest groups of a condition to the parts that lack it, if it has enough groups.

    A group with several labels counts for its commonest one.
    """
    table = pd.DataFrame({"unit": units, "condition": condition, "part": parts})
    sizes = table.groupby(["unit", "condition", "part"], as_index=False).size()
    whole = sizes.sort_values("size", kind="stable").drop_duplicates("unit", keep="last").set_index("unit")
    for _, members in whole.groupby("condition"):
        if len(members) < ENOUGH_GROUPS:
            continue
        for name in names:
            if name not in members["part"].to_numpy():
                largest = members["part"].value_counts().idxmax()
                unit = members.index[members["part"] == largest][0]
                members.loc[unit, "part"] = name
                parts[units == unit] = name
