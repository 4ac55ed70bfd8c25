"""Two models on the same photographs: what changes from one to the other, group by group. Knows tables.

Asked of the same photographs, two models tend to be right and wrong together, so their difference is surer than
the intervals of the two suggest: it is measured photograph by photograph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtri

from derm.errors import DatasetError
from derm.fairness import groups
from derm.fairness.answers import LEADING, Answers, Decision, answers
from derm.fairness.audit import to_cases
from derm.fairness.figure import TOO_FEW
from derm.fairness.measures import MEASURES

# What each photograph adds to a mean, by the measure.
_EACH: dict[str, Callable[[Answers], np.ndarray | None]] = {
    "accuracy": lambda on: on.truth == on.predicted,
    "top3": lambda on: on.in_top3,
    "malignant_sensitivity": lambda on: on.flagged,
    "malignant_specificity": lambda on: None if on.flagged is None else ~on.flagged,
    "malignant_selection_rate": lambda on: on.flagged,
    "brier": lambda on: on.brier,
    "abstention_rate": lambda on: on.abstained,
    "set_size": lambda on: on.set_size,
    "set_coverage": lambda on: on.covered,
}


@dataclass(frozen=True)
class Change:
    """The other model's value minus ours in `metric`, on the `n` photographs of `group` that it is measured on in
    both; the difference, its interval and both values are None where n is below TOO_FEW."""

    group: str
    metric: str
    n: int
    value: float | None
    low: float | None
    high: float | None
    ours: float | None
    theirs: float | None


def changes(ours: pd.DataFrame, theirs: pd.DataFrame, *, by: str | Sequence[str] = "fst3",
            metrics: Sequence[str] = tuple(_EACH), decision: Decision = LEADING,
            level: float = 0.95) -> list[Change]:
    """From one predictions table to another, of each of `metrics` that is a mean over photographs: over all
    and in each of our groups.

    Photographs are matched by `image_id`; those that only one file has, whose condition is not known, or that a
    model did not answer, are left out. For shares the interval is Bonett and Price's for paired proportions (2012,
    J. Educ. Behav. Stat. 37:479-488), else the normal one of the mean of the differences; both allow for
    photographs that share a group_id. Raises `DatasetError` if no photograph is in both, or they differ in its
    condition.
    """
    cases = [to_cases(table) for table in _matched(ours, theirs)]
    assigned = groups.assign(cases[0].table, by)
    a, b = (answers(each, decision=decision) for each in cases)
    there = {groups.ALL: np.ones(len(a), dtype=bool)}
    there |= {str(name): (assigned == name).to_numpy() for name in assigned.cat.categories}
    return [change for metric in metrics if metric in _EACH for name, mask in there.items()
            if (change := _change(name, metric, a.where(mask), b.where(mask), level)) is not None]


def _matched(ours: pd.DataFrame, theirs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The labelled photographs of both, in our order."""
    ours, theirs = (table[table["condition"].notna()] for table in (ours, theirs))
    at = pd.Index(theirs["image_id"].astype(object)).get_indexer(pd.Index(ours["image_id"].astype(object)))
    if not (at >= 0).any():
        raise DatasetError("no image_id is in both files, so the two models cannot be compared photograph by "
                           "photograph; expected the same ones.")
    ours, theirs = ours[at >= 0].reset_index(drop=True), theirs.iloc[at[at >= 0]].reset_index(drop=True)
    said = [table["condition"].astype(object) for table in (ours, theirs)]
    if (wrong := said[0] != said[1]).any():
        rows = zip(ours.loc[wrong, "image_id"], said[0][wrong], said[1][wrong], strict=True)
        raise DatasetError("the two files differ in the true condition of these photographs. Mend one of them",
                           [f"{name}: {one} or {other}" for name, one, other in rows])
    if "partition3" in ours:
        theirs = theirs.assign(partition3=ours["partition3"])
    return ours, theirs


def _change(group: str, metric: str, a: Answers, b: Answers, level: float) -> Change | None:
    """None where either file does not say."""
    on = np.ones(len(a), dtype=bool)
    if metric != "abstention_rate":
        for each in (a, b):
            on &= True if each.abstained is None else ~each.abstained
    if metric in ("malignant_sensitivity", "malignant_specificity") and a.malignant is not None:
        on &= a.malignant if metric == "malignant_sensitivity" else ~a.malignant
    before, after = (_EACH[metric](each.where(on)) for each in (a, b))
    if before is None or after is None:
        return None
    if len(before) < TOO_FEW:
        return Change(group, metric, len(before), *[None] * 5)
    off = after.astype(np.float64) - before
    low, high = _interval(off, a.where(on).repeated, proportion=MEASURES[metric].proportion, level=level)
    return Change(group, metric, len(off), float(off.mean()), low, high, float(before.mean()), float(after.mean()))


def _interval(off: np.ndarray, clusters: np.ndarray | None, *, proportion: bool,
              level: float) -> tuple[float, float]:
    """Of the mean of the differences `off`, [n], each -1, 0 or 1 for a proportion."""
    z, n, mean = float(ndtri((1 + level) / 2)), len(off), off.mean()
    effect = 1.0
    if clusters is not None and (spread := ((off - mean) ** 2).sum()) > 0:
        _, who = np.unique(clusters, return_inverse=True)
        effect = max(1.0, float((np.bincount(who, off - mean) ** 2).sum() / spread))
    if not proportion:
        half = z * off.std(ddof=1) * np.sqrt(effect / n)
        return float(mean - half), float(mean + half)
    size = n / effect
    up, down = (((off == sign).sum() / effect + 1) / (size + 2) for sign in (1, -1))
    half = z * np.sqrt((up + down - (up - down) ** 2) / (size + 2))
    return max(-1.0, float(up - down - half)), min(1.0, float(up - down + half))
