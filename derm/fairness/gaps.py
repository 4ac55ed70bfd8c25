"""How far groups are apart: each gap with the interval of the gap itself. Knows samples of measures, two or many
at a time; not how a measure is taken, nor how a gap is said.

The worst and the best of several groups are picked after looking, and picking makes the gap look larger and
surer than it is: of six groups that do not differ, an interval made for two groups chosen beforehand finds a gap
in one audit out of three. So an interval is that of the pair named, at a level that allows (Šidák 1967, J. Am.
Stat. Assoc. 62:626-633) for every pair that might as well have been picked: those of groups which the data
cannot tell from the worst and from the best (the idea of moment selection: Andrews and Soares 2010, Econometrica
78:119-157). With two groups, or where the worst and the best stand out, that is the plain interval. In
simulations intervals of 95 % cover 94 to 98 % of the differences between the groups that they name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import pandas as pd

from derm.fairness import measures
from derm.fairness.casemix import Adjusted, adjusted_gap
from derm.fairness.cases import Cases
from derm.fairness.differences import apart, holm, p_value, standard_error
from derm.fairness.figure import TOO_FEW, Figure, Sample
from derm.fairness.groups import compared
from derm.fairness.measures import LEADING, MEASURES, Decision

_TOLD_APART = 1.96  # standard errors beyond which two groups differ, in a two-sided test at 5 %


@dataclass(frozen=True)
class Gap:
    """Best minus worst group in one measure, >= 0 whichever way is better.

    Where neither way is better, `worst` is the lowest. `n_worst` and `n_best` are what the measure was taken on
    (the malignant cases for their sensitivity). `low` to `high` is the interval of the difference between these
    two groups and `p` two-sided, both allowing for the `pairs` among which they were picked. `adjusted`: the gap
    that is left with a common mix of conditions, where asked for.
    """

    metric: str
    worst: str
    best: str
    value: float
    low: float
    high: float
    p: float
    n_worst: int
    n_best: int
    adjusted: Adjusted | None = None
    pairs: int = 1


@dataclass(frozen=True)
class Difference:
    """A group's value minus that of all others together, its interval and a two-sided p value."""

    group: str
    value: float
    low: float
    high: float
    p: float
    n: int
    n_rest: int


_Tested = TypeVar("_Tested", Gap, Difference)


@dataclass(frozen=True)
class Worst:
    """The group with the worst value; `low` to `high` holds for all groups at once."""

    group: str
    value: float
    low: float
    high: float
    n: int


def gap(samples_by_group: Mapping[str, Mapping[str, Sample]], metric: str, *, level: float = 0.95) -> Gap | None:
    """The gap in `metric` between the groups (of `measures.by_group`) that may be compared and have a value on at
    least TOO_FEW cases; None if fewer than two have.

    The interval is Newcombe's hybrid score for proportions (`differences.newcombe`), else that of the
    replicates' differences. `p` is the smallest 1 - level at which the interval leaves out 0.
    """
    found = _comparable(samples_by_group, metric)
    if len(found) < 2:
        return None
    worst, best = _extremes(found, metric)
    pairs = _pairs(found, worst, best)
    top, bottom = (best, worst) if found[best].value >= found[worst].value else (worst, best)
    value, low, high = apart(found[top], found[bottom], level=level ** (1 / pairs))
    return Gap(metric=metric, worst=worst, best=best, value=value, low=low, high=high,
               p=_of_many(p_value(found[top], found[bottom]), pairs), n_worst=found[worst].n, n_best=found[best].n,
               pairs=pairs)


def gaps(samples_by_group: Mapping[str, Mapping[str, Sample]], metrics: Sequence[str], *,
         level: float = 0.95) -> list[Gap]:
    """The `gap` in each of `metrics` that has one, in that order, with p values that allow for their number (Holm
    1979, Scand. J. Stat. 6:65-70); the intervals are each gap's own."""
    found = [each for name in metrics if (each := gap(samples_by_group, name, level=level)) is not None]
    return _holm(found)


def adjust(gap: Gap, cases: Cases, groups: pd.Series, *, decision: Decision = LEADING, level: float = 0.95) -> Gap:
    """The gap with what is left of it for a common mix of conditions (`casemix.adjusted_gap`), if that can be
    said; the interval allows for the picking of the two groups as the gap's own does."""
    left = adjusted_gap(cases, groups, gap.metric, worst=gap.worst, best=gap.best, decision=decision,
                        level=level ** (1 / gap.pairs))
    return replace(gap, adjusted=left)


def versus_rest(cases: Cases, groups: pd.Series, metric: str, *, decision: Decision = LEADING, n_boot: int = 2000,
                seed: int = 0, level: float = 0.95) -> list[Difference]:
    """`versus_rests` in one measure."""
    own = measures.by_group(cases, groups, decision=decision, measures=[metric], n_boot=n_boot, seed=seed)
    return versus_rests(own, cases, groups, [metric], decision=decision, n_boot=n_boot, seed=seed,
                        level=level)[metric]


def versus_rests(samples_by_group: Mapping[str, Mapping[str, Sample]], cases: Cases, groups: pd.Series,
                 metrics: Sequence[str], *, decision: Decision = LEADING, n_boot: int = 2000, seed: int = 0,
                 level: float = 0.95) -> dict[str, list[Difference]]:
    """Each of `groups` (of `groups.assign`), whose samples are at hand, minus all others that may be compared
    taken together, in each of `metrics`: those with a value on at least TOO_FEW cases on both sides, in the
    groups' order.

    The difference is that of the values as they are: for a measure where lower is better, above 0 is worse. The p
    values allow for the number of groups (Holm 1979).
    """
    names = [str(name) for name in groups.cat.categories]
    codes = groups.cat.codes.to_numpy()
    may = np.isin(codes, [number for number, name in enumerate(names) if compared(name)])
    found: dict[str, list[Difference]] = {metric: [] for metric in metrics}
    for number, name in enumerate(names):
        if not compared(name) or not any(_usable(each) for each in samples_by_group[name].values()):
            continue
        others = measures.samples(cases.where(may & (codes != number)), decision=decision, measures=metrics,
                                  n_boot=n_boot, seed=(seed, number, 1))
        for metric, rest in others.items():
            own = samples_by_group[name][metric]
            if _usable(own) and _usable(rest):
                found[metric].append(Difference(name, *apart(own, rest, level=level), p=p_value(own, rest),
                                                n=own.n, n_rest=rest.n))
    return {metric: _holm(differences) for metric, differences in found.items()}


def worst_group(samples_by_group: Mapping[str, Mapping[str, Sample]], metric: str, *,
                level: float = 0.95) -> Worst | None:
    """The worst of the groups that may be compared and have a value on at least TOO_FEW cases; None if none has.

    Its interval is one of a set of intervals, a group each, that all hold together with `level`: each at level
    ** (1 / groups), which is exact for independent groups (Šidák 1967). So it holds whichever group is worst.
    """
    found = _comparable(samples_by_group, metric)
    if not found:
        return None
    worst, _ = _extremes(found, metric)
    figure = found[worst].figure(level ** (1 / len(found)))
    if figure.value is None or figure.low is None or figure.high is None:
        return None
    return Worst(worst, figure.value, figure.low, figure.high, figure.n)


def equal_opportunity(cases: Cases, groups: pd.Series, *, decision: Decision = LEADING, n_boot: int = 2000,
                      seed: int = 0, level: float = 0.95) -> Figure:
    """The largest difference between groups in sensitivity for malignant conditions (Hardt et al. 2016,
    NeurIPS)."""
    return _largest(cases, groups, ["malignant_sensitivity"], decision, n_boot, seed, level)


def equalised_odds(cases: Cases, groups: pd.Series, *, decision: Decision = LEADING, n_boot: int = 2000,
                   seed: int = 0, level: float = 0.95) -> Figure:
    """The larger of the largest differences in sensitivity for malignant conditions and in false alarms (Hardt
    et al. 2016, NeurIPS; of fairlearn's readings the 'worst case')."""
    both = ["malignant_sensitivity", "malignant_specificity"]
    return _largest(cases, groups, both, decision, n_boot, seed, level)


def demographic_parity(cases: Cases, groups: pd.Series, *, decision: Decision = LEADING, n_boot: int = 2000,
                       seed: int = 0, level: float = 0.95) -> Figure:
    """The largest difference between groups in the share called malignant, whatever they have."""
    return _largest(cases, groups, ["malignant_selection_rate"], decision, n_boot, seed, level)


def _holm(found: list[_Tested]) -> list[_Tested]:
    return [replace(each, p=p) for each, p in zip(found, holm([each.p for each in found]), strict=True)]


def _largest(cases: Cases, groups: pd.Series, metrics: list[str], decision: Decision, n_boot: int, seed: int,
             level: float) -> Figure:
    """Largest minus smallest value over the groups, the largest such difference over `metrics`; n is what they
    were taken on. Such a difference is never below 0 and leans upwards, the more so the more groups: its
    interval is that of the two groups, allowing for those of any of the metrics that might as well have been
    picked."""
    by_group = measures.by_group(cases, groups, decision=decision, measures=metrics, n_boot=n_boot, seed=seed)
    each = {name: _comparable(by_group, name) for name in metrics}
    n = sum(sample.n for found in each.values() for sample in found.values())
    ends = [(found[best], found[worst], _pairs(found, worst, best)) for name, found in each.items()
            if len(found) > 1 for worst, best in [_extremes(found, name)]]
    if not ends:
        return Figure(None, None, None, n)
    size = np.array([abs(best.value - worst.value) for best, worst, _ in ends])
    error = np.array([np.hypot(standard_error(best), standard_error(worst)) for best, worst, _ in ends])
    largest = int(size.argmax())
    near = size[largest] - size <= _TOLD_APART * np.hypot(error, error[largest])
    pairs = sum(pairs for (_, _, pairs), counts in zip(ends, near, strict=True) if counts)
    best, worst, _ = ends[largest]
    value, low, high = apart(best, worst, level=level ** (1 / pairs))
    return Figure(value, max(0.0, low), high, n)


def _usable(sample: Sample) -> bool:
    """Enough cases, and a value that most resamples of them have too."""
    return sample.n >= TOO_FEW and bool(np.isfinite(sample.value) and np.isfinite(sample.drawn).mean() > 0.5)


def _comparable(samples_by_group: Mapping[str, Mapping[str, Sample]], metric: str) -> dict[str, Sample]:
    return {name: each[metric] for name, each in samples_by_group.items()
            if compared(name) and metric in each and _usable(each[metric])}


def _extremes(found: Mapping[str, Sample], metric: str) -> tuple[str, str]:
    """The worst group and the best, which differ even where all are equal."""
    sign = -1 if MEASURES[metric].better == "lower" else 1
    order = sorted(found, key=lambda name: sign * found[name].value)
    return order[0], order[-1]


def _pairs(found: Mapping[str, Sample], worst: str, best: str) -> int:
    """How many pairs of groups might as well have been the worst and the best."""
    names = list(found)
    value = np.array([found[name].value for name in names])
    error = np.array([standard_error(found[name]) for name in names])

    def like(name: str) -> np.ndarray:
        i = names.index(name)
        return np.abs(value - value[i]) <= _TOLD_APART * np.hypot(error, error[i])

    either = np.triu(like(worst)[:, None] & like(best), 1) | np.triu(like(best)[:, None] & like(worst), 1)
    pair = sorted((names.index(worst), names.index(best)))
    either[pair[0], pair[1]] = True
    return int(either.sum())


def _of_many(p: float, pairs: int) -> float:
    """Šidák's p value of the smallest of so many."""
    return float(-np.expm1(pairs * np.log1p(-p))) if p < 1 else 1.0
