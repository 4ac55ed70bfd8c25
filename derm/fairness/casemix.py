"""How much of a gap the mix of conditions explains. Knows the cases of two groups; not how a gap is found.

Both groups are given one common mix of conditions, that of the two together among the conditions which both have
(direct standardisation): a case counts for more or less as its condition is rarer or commoner in its group. That
is done for means over cases and for AUROC. F1, kappa, predictive values, AUPRC and the calibration error are not
adjusted: with a case or two of many conditions nothing gives them an interval that holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtri

from derm.fairness.answers import Answers, answers
from derm.fairness.cases import Cases
from derm.fairness.differences import hybrid
from derm.fairness.figure import TOO_FEW, wilson
from derm.fairness.measures import LEADING, MEASURES, Decision
from derm.fairness.resampling import ratio

# What each case adds to a mean, by the measure; for a proportion whether it is hit.
_MEANS: dict[str, Callable[[Answers], np.ndarray | None]] = {
    "accuracy": lambda on: on.truth == on.predicted,
    "balanced_accuracy": lambda on: on.truth == on.predicted,
    "top3": lambda on: on.in_top3,
    "malignant_sensitivity": lambda on: on.flagged,
    "malignant_specificity": lambda on: None if on.flagged is None else ~on.flagged,
    "malignant_selection_rate": lambda on: on.flagged,
    "abstention_rate": lambda on: on.abstained,
    "set_coverage": lambda on: on.covered,
    "brier": lambda on: on.brier,
    "set_size": lambda on: on.set_size,
}
_AS_THE_GROUP = 2  # cases by which a condition's variance is drawn to its group's, so that one case is not certain


@dataclass(frozen=True)
class Adjusted:
    """The gap between two groups that is left once both have one common mix of conditions.

    `n` cases of both groups have a condition that both have; `coverage`, 0 to 1, is their share of all cases of
    the two. Of the others the gap says nothing.
    """

    value: float
    low: float
    high: float
    n: int
    coverage: float


def adjusted_gap(cases: Cases, groups: pd.Series, metric: str, *, worst: str, best: str,
                 decision: Decision = LEADING, level: float = 0.95) -> Adjusted | None:
    """The gap of the group `best` over the group `worst` in `metric`, of `gaps.gap`, for a common mix of
    conditions; below 0 where that turns it round. For balanced accuracy each condition that both have counts
    alike.

    The interval is that of these two groups: Newcombe's hybrid of both groups' own. None where the measure is
    not adjusted or not in the file, or where either group has fewer than TOO_FEW cases of the conditions that
    both have (for AUROC: of malignant ones and of others).
    """
    top, bottom = (worst, best) if MEASURES[metric].better == "lower" else (best, worst)
    given = [answers(cases.where((groups == name).to_numpy()), decision=decision) for name in (top, bottom)]
    a, b = (_within(each, metric) for each in given)
    if a is None or b is None:
        return None
    counts = np.stack([np.bincount(on.truth, minlength=on.n_classes) for on in (a, b)])
    shared = np.all(counts > 0, axis=0)
    a, b = a.where(shared[a.truth]), b.where(shared[b.truth])
    if min(_least(a, metric), _least(b, metric)) < TOO_FEW:
        return None
    mix = np.where(shared, 1 if metric == "balanced_accuracy" else counts.sum(axis=0), 0).astype(np.float64)
    estimate = _auroc if metric == "malignant_auroc" else _mean
    ends_a, ends_b = (estimate(on, metric, mix, level) for on in (a, b))
    low, high = hybrid(ends_a, ends_b)
    n = len(a) + len(b)
    return Adjusted(ends_a[0] - ends_b[0], float(low), float(high), n, n / int(counts.sum()))


def _within(given: Answers, metric: str) -> Answers | None:
    """The cases that the measure is taken on; None if it is not adjusted, or not in the file."""
    on = given if metric == "abstention_rate" else given.answered
    if metric == "malignant_auroc":
        return on if on.score is not None else None
    if metric not in _MEANS or _MEANS[metric](on) is None:
        return None
    if metric in ("malignant_sensitivity", "malignant_specificity") and on.malignant is not None:
        return on.where(on.malignant if metric == "malignant_sensitivity" else ~on.malignant)
    return on


def _least(on: Answers, metric: str) -> int:
    if metric != "malignant_auroc" or on.malignant is None:
        return len(on)
    return min(int(on.malignant.sum()), int((~on.malignant).sum()))


def _mean(on: Answers, metric: str, mix: np.ndarray, level: float) -> tuple[float, float, float]:
    """The mean with that mix of conditions, float64 [C], and its interval."""
    each = _MEANS[metric](on)
    assert each is not None, metric
    value, variance, alike = _moments(each.astype(np.float64), on, mix)
    if MEASURES[metric].proportion or metric == "balanced_accuracy":
        return _share(value, variance, alike, level)
    half = float(ndtri((1 + level) / 2)) * variance**0.5
    return value, value - half, value + half


def _auroc(on: Answers, metric: str, mix: np.ndarray, level: float) -> tuple[float, float, float]:
    """AUROC with that mix of malignant and of other conditions, and its interval: the mean over the cases of one
    kind of the share of the other kind that they are ranked right against (DeLong et al. 1988, Biometrics
    44:837-845)."""
    assert on.malignant is not None, metric
    assert on.score is not None, metric
    weight = ratio(mix, np.bincount(on.truth, minlength=len(mix)))[on.truth]
    parts = []
    for kind in (on.malignant, ~on.malignant):
        right = _below(on.score[kind], on.score[~kind], weight[~kind])
        parts.append(_moments(right if kind is on.malignant else 1 - right, on.where(kind), mix))
    value = parts[0][0]
    return _share(value, parts[0][1] + parts[1][1], parts[0][2] + parts[1][2], level)


def _below(score: np.ndarray, others: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The weighted share of `others` that is below each score, equals counting half."""
    order = np.argsort(others, kind="stable")
    sums = np.concatenate([[0.0], np.cumsum(weight[order])])
    first, last = (np.searchsorted(others[order], score, side=side) for side in ("left", "right"))
    return (sums[first] + sums[last]) / (2 * sums[-1])


def _moments(values: np.ndarray, on: Answers, mix: np.ndarray) -> tuple[float, float, float]:
    """The mean of `values`, float64 [n], with that mix of conditions; its variance; and what its variance would
    be if each case had a variance of 1.

    The variance of a condition's cases is taken as if _AS_THE_GROUP more were there, as varied as the whole group:
    many conditions have a case or two, which do not show how cases vary. In simulations the intervals of gaps then
    cover 94 to 97 % on average over the designs tried, single ones with few cases of each condition down to 85 %;
    those of means that are no proportions up to 99 %.
    """
    n = np.bincount(on.truth, minlength=len(mix))
    share = np.where(n > 0, mix, 0) / mix[n > 0].sum()
    first, second = (np.nan_to_num(ratio(np.bincount(on.truth, power, len(mix)), n))
                     for power in (values, values**2))
    value, square = float(share @ first), float(share @ second)
    mean, squares = ((own * n + whole * _AS_THE_GROUP) / (n + _AS_THE_GROUP)
                     for own, whole in ((first, value), (second, square)))
    weight = np.nan_to_num(ratio(share, n))
    effect = _design_effect(on, weight[on.truth] * (values - mean[on.truth]), weight[on.truth])
    return value, effect * float(share * weight @ (squares - mean**2)), effect * float(share @ weight)


def _share(value: float, variance: float, alike: float, level: float) -> tuple[float, float, float]:
    """A share and Wilson's interval of as many cases as its variance leaves or, where it is 0 or 1, as the
    weights."""
    cases = value * (1 - value) / variance if 0 < value < 1 and variance > 0 else 1 / alike
    low, high = wilson(value * cases, cases, level=level)
    return value, float(low), float(high)


def _design_effect(on: Answers, off: np.ndarray, weight: np.ndarray) -> float:
    """How many times the variance of a weighted mean is that of independent cases, from the weighted deviations
    `off`, [n], added up by cluster; where nothing deviates, as if those of a cluster could not but be alike."""
    if on.repeated is None:
        return 1.0
    _, who = np.unique(on.clusters, return_inverse=True)
    terms = off if off.any() else weight
    return max(1.0, float((np.bincount(who, terms) ** 2).sum() / (terms**2).sum()))
