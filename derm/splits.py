"""Which photographs train, validate and test, and the files that say so. Knows tables; no pictures."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from derm import atomic
from derm.datasets.table import read_csv
from derm.duplicates import merge
from derm.errors import ConfigError, DatasetError
from derm.fairness.groups import SKIN_TYPE_GROUPS, skin_type_group

# Equal folds, handed out in this order; the rest trains.
FRACTIONS = {"80/20": (5, ("val",)), "80/10/10": (10, ("val", "test"))}
ENOUGH_GROUPS = 5  # a condition with this many groups, or one for each part, appears in every part
COLUMNS = ("image_id", "split", "group")

# Why a row is not for training, validating and testing.
TEST = "in the publisher's test part, which is never trained on"
UNLABELLED = "without a condition"
NO_PICTURE = "without a picture on disk"
FLAGGED = "flagged as not for training"
LISTED = "on the list of images to leave out"


def left_out(table: pd.DataFrame, *, pictures: bool = True, flagged: bool = True, test: bool = False,
             listed: Collection[str] = ()) -> pd.Series:
    """Why each row may not be used, text on the table's index; missing where it may.

    `pictures`: it must have one on disk. `flagged`: the authors' doubts (x_excluded) count. `test`: the
    publisher's test rows may be used, for measuring. `listed`: image ids to leave out.
    """
    doubted = table["x_excluded"].fillna(False) if "x_excluded" in table else pd.Series(False, table.index)
    reasons = {
        TEST: (table["split"] == "test").fillna(False) & (not test),
        UNLABELLED: table["condition"].isna(),
        NO_PICTURE: table["path"].isna() & pictures,
        FLAGGED: doubted & flagged,
        LISTED: table["image_id"].isin(list(listed)),
    }
    found = np.select([np.asarray(rows, dtype=bool) for rows in reasons.values()], list(reasons), default="")
    return pd.Series(found, index=table.index, dtype="str").replace("", None)


def split(table: pd.DataFrame, *, fractions: str = "80/20", groups: np.ndarray, seed: int) -> pd.Series:
    """'train', 'val' (and 'test' for 80/10/10), or 'fold1' to 'fold5' for 5-fold, for each row: a category
    Series on the table's index.

    Stratified by condition and skin-type group (`skin_groups`). Rows that share a number in `groups` or a
    group_id stay together. Pass only rows that may be used: those where `left_out` is missing. Raises
    `ConfigError` for other fractions, `DatasetError` for too few groups.
    """
    folds, names = _plan(fractions)
    together = units(table, groups)
    if (count := len(np.unique(together))) < folds:
        raise DatasetError(f"A {fractions} split needs at least {folds} photographs that are not near-duplicates"
                           f"; found {count}. Add photographs.")
    every = names if len(names) == folds else ("train", *names)
    condition = table["condition"].astype("str").fillna("")
    parts = np.full(len(table), "train", dtype=object)
    for name, rows in zip(names, _folds(_strata(condition, skin_groups(table), folds), together, folds, seed),
                          strict=False):
        parts[rows] = name
    _spread(parts, condition.to_numpy(), together, every)
    return pd.Series(pd.Categorical(parts, categories=every), index=table.index, name="split")


def units(table: pd.DataFrame, groups: np.ndarray) -> np.ndarray:
    """What must stay together, int [rows]: near-duplicates (`groups`), the publisher's patients, cases or
    lesions (group_id), and whatever these link."""
    near, given = np.unique(groups, return_inverse=True)[1], pd.factorize(table["group_id"])[0]
    first, known = near.max(initial=-1) + 1, given >= 0  # rows without a group_id are no group
    linked = merge(int(first + given.max(initial=-1) + 1), near[known], first + given[known])
    return linked[near]


def leaks(split: pd.Series, groups: np.ndarray) -> list:
    """The groups that have rows in more than one part; empty when the split is sound."""
    parts = split.groupby(np.asarray(groups)).nunique()
    return parts.index[parts > 1].tolist()


def skin_groups(table: pd.DataFrame) -> pd.Series:
    """'I-II', 'III-IV', 'V-VI' or 'not recorded' for each row, by `fst`, else by the publisher's group."""
    known = skin_type_group(table["fst"])
    if "x_skin_group" not in table:
        return known
    return known.mask(table["fst"].isna() & table["x_skin_group"].notna(), table["x_skin_group"].astype(object))


def counts(table: pd.DataFrame, parts: pd.Series) -> pd.DataFrame:
    """Pictures of each condition (row) in each skin-type group and part (columns), zeros included."""
    skin = pd.Categorical(skin_groups(table), categories=SKIN_TYPE_GROUPS)
    found = table.groupby([table["condition"].astype("str"), skin, parts], observed=False).size()
    return found.unstack([1, 2], fill_value=0)


def write(path: Path, saved: pd.DataFrame) -> None:
    """Save a split (COLUMNS) as a CSV file, whole or not at all."""
    atomic.write_bytes(path, saved[list(COLUMNS)].to_csv(index=False).encode())


def read(path: Path, *, known: Collection[str] | None = None) -> pd.DataFrame:
    """A saved split, text columns image_id and split, and group where the file has it.

    Raises `DatasetError` for a file that is none, for images that are named twice or in no part, and for
    image ids that are not among those `known`.
    """
    frame = read_csv(path, required=COLUMNS[:2])
    ids = frame["image_id"]
    if twice := list(ids[ids.duplicated()].unique()):
        raise DatasetError(f"{path}: images named more than once. Keep one row of each", twice)
    if blank := list(ids[frame["split"] == ""]):
        raise DatasetError(f"{path}: images in no part. Fill in their split, or remove their rows", blank)
    if known is not None and (strange := list(ids[~ids.isin(list(known))])):
        raise DatasetError(f"{path}: images that are not in this data set; was the file made for another one?",
                           strange)
    return frame[[column for column in COLUMNS if column in frame]]


def _plan(fractions: str) -> tuple[int, tuple[str, ...]]:
    """How many equal folds, and what the first of them are called; k-fold is 5-fold."""
    if fractions in FRACTIONS:
        return FRACTIONS[fractions]
    if found := re.fullmatch(r"([2-9]|[1-9]\d|k)-fold", fractions):
        folds = 5 if found[1] == "k" else int(found[1])
        return folds, tuple(f"fold{number}" for number in range(1, folds + 1))
    raise ConfigError(f"fractions = {fractions!r}; expected one of {', '.join(FRACTIONS)}, or 5-fold (from 2-fold "
                      "to 99-fold).", "fractions")


def _strata(condition: pd.Series, skin: pd.Series, folds: int) -> np.ndarray:
    """Condition x skin-type group; strata too small to be in every fold are pooled by condition, then all."""
    strata = condition + " " + skin
    for coarser in (condition, pd.Series("other", index=condition.index)):
        rare = strata.groupby(strata).transform("size") < folds
        strata = strata.mask(rare, coarser)
    return strata.to_numpy()


def _folds(strata: np.ndarray, units: np.ndarray, folds: int, seed: int) -> list[np.ndarray]:
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # rare strata: expected, and dealt with in _spread
        return [rows for _, rows in splitter.split(strata, strata, units)]


def _spread(parts: np.ndarray, condition: np.ndarray, units: np.ndarray, names: tuple[str, ...]) -> None:
    """Move, in place, groups of a condition to the parts that lack it, if it has enough groups; with fewer, one to
    "train" if that lacks it, for what was never seen cannot be judged either.

    A group with several labels counts for its commonest one.
    """
    table = pd.DataFrame({"unit": units, "condition": condition, "part": parts})
    sizes = table.groupby(["unit", "condition", "part"], as_index=False).size()
    whole = sizes.sort_values("size", kind="stable").drop_duplicates("unit", keep="last").set_index("unit")
    for _, members in whole.groupby("condition"):
        enough = len(members) >= max(ENOUGH_GROUPS, len(names))
        for name in names if enough else {"train"}.intersection(names):
            if name not in members["part"].to_numpy():
                largest = members["part"].value_counts().idxmax()
                unit = members.index[members["part"] == largest][0]
                members.loc[unit, "part"] = name
                parts[units == unit] = name
