"""Who is taken for what: confusion matrices, their difference, and sensitivity by condition and group, for charts.
Knows cases; one number about them is a measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from derm.fairness.answers import answers
from derm.fairness.cases import Cases
from derm.fairness.differences import hybrid
from derm.fairness.figure import TOO_FEW, wilson
from derm.fairness.measures import LEADING, Decision
from derm.fairness.resampling import ratio
from derm.fairness.shares import shares

OTHER = "other"


@dataclass(frozen=True, eq=False)
class _Counts:
    """The cases of each truth and answer, int64 [rows, columns], and how many times the variance of a row's
    shares is that of independent cases, [rows]."""

    truth: list[str]
    predicted: list[str]
    n: np.ndarray
    effect: np.ndarray


def confusion(cases: Cases, *, classes: Sequence[str] | None = None, merged: Mapping[str, str] | None = None,
              decision: Decision = LEADING, level: float = 0.95) -> pd.DataFrame:
    """The confusion matrix of the cases with an answer, one row a cell, empty ones too.

    truth, predicted; n: the cases in the cell; of: all of that truth; share, low, high: n / of with Wilson's
    interval, NaN where `of` is below TOO_FEW. `classes` (by default all that occur) are the truths shown; where
    they are given, all other answers are OTHER. `merged` names conditions to be taken as one: with `partition3`
    of each, the matrix is that of partitions. Several cases of a cluster count as one in the interval, as if
    they could not but be alike.
    """
    names = _names(cases, merged)
    shown = _occurring([cases], names, decision) if classes is None else classes
    counts = _counts(cases, names, shown, decision, others=classes is not None)
    share, low, high = _shares(counts, level)
    of = np.broadcast_to(counts.n.sum(axis=1)[:, None], counts.n.shape)
    return _long(counts, n=counts.n, of=of, share=share, low=low, high=high)


def difference(a: Cases, b: Cases, *, classes: Sequence[str] | None = None,
               merged: Mapping[str, str] | None = None, decision: Decision = LEADING,
               level: float = 0.95) -> pd.DataFrame:
    """The shares of the `confusion` of `a` minus those of `b`, two groups of the same model's cases; one row a
    cell.

    truth, predicted; of_a, of_b: the cases of that truth; value, low, high: the difference with Newcombe's hybrid
    score interval, NaN where either has fewer than TOO_FEW.
    """
    names = _names(a, merged)
    shown = _occurring([a, b], names, decision) if classes is None else classes
    counts_a, counts_b = (_counts(each, names, shown, decision, others=classes is not None) for each in (a, b))
    ends_a, ends_b = _shares(counts_a, level), _shares(counts_b, level)
    low, high = hybrid(ends_a, ends_b)
    of_a, of_b = (np.broadcast_to(each.n.sum(axis=1)[:, None], each.n.shape) for each in (counts_a, counts_b))
    return _long(counts_a, of_a=of_a, of_b=of_b, value=ends_a[0] - ends_b[0], low=low, high=high)


def by_condition(cases: Cases, groups: pd.Series, *, decision: Decision = LEADING,
                 level: float = 0.95) -> pd.DataFrame:
    """Each condition's sensitivity in each of `groups` (of `groups.assign`), of the cases with an answer; one
    row a cell, those without a case too.

    condition, group; n: the cases; sensitivity, low, high: the share of them whose first answer is right, NaN
    where n is below TOO_FEW.
    """
    names = [str(name) for name in groups.cat.categories]
    codes = groups.cat.codes.to_numpy().astype(np.int64)
    given = answers(cases, decision=decision)
    kept = np.ones(len(cases), dtype=bool) if given.abstained is None else ~given.abstained
    cell = given.truth * len(names) + codes
    found = shares((given.truth == given.predicted)[kept], cell[kept], len(cases.classes) * len(names),
                   clusters=given.clusters[kept], level=level)
    found = found.rename(columns={"value": "sensitivity"})
    found.insert(0, "condition", np.repeat(np.array(cases.classes, dtype=object), len(names)))
    found.insert(1, "group", names * len(cases.classes))
    return found


def _names(cases: Cases, merged: Mapping[str, str] | None) -> list[str]:
    """What each class is shown as."""
    return [str(merged.get(name, name)) if merged else name for name in cases.classes]


def _occurring(parts: Sequence[Cases], names: list[str], decision: Decision) -> list[str]:
    """Those of `names` that are a truth or an answer, in the order of the classes."""
    there: set[int] = set()
    for cases in parts:
        on = answers(cases, decision=decision).answered
        there |= set(on.truth.tolist()) | set(on.predicted.tolist())
    return list(dict.fromkeys(names[i] for i in sorted(there)))


def _counts(cases: Cases, names: list[str], classes: Sequence[str], decision: Decision, *,
            others: bool) -> _Counts:
    """Of the cases with an answer whose truth is one of `classes`; with `others`, further answers are a column."""
    on = answers(cases, decision=decision).answered
    shown = list(classes)
    number = pd.Index(shown, dtype=object).get_indexer(pd.Index(names, dtype=object))
    number = np.where(number < 0, len(shown), number)
    truth, predicted = number[on.truth], number[on.predicted]
    n = np.zeros((len(shown) + 1, len(shown) + 1), dtype=np.int64)
    np.add.at(n, (truth, predicted), 1)
    rows = n[:-1]
    _, who = np.unique(on.clusters, return_inverse=True)
    pairs, times = np.unique(truth * (len(on) + 1) + who, return_counts=True)
    squares = np.bincount(pairs // (len(on) + 1), times**2, len(shown) + 1)[:-1]
    effect = np.fmax(1, ratio(squares, rows.sum(axis=1)))
    return _Counts(shown, [*shown, OTHER] if others else shown, rows if others else rows[:, :-1], effect)


def _shares(counts: _Counts, level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    of = counts.n.sum(axis=1).astype(np.float64)
    of = np.where(of < TOO_FEW, np.nan, of)[:, None]
    effect = counts.effect[:, None]
    return counts.n / of, *wilson(counts.n / effect, of / effect, level=level)


def _long(counts: _Counts, **cells: np.ndarray) -> pd.DataFrame:
    """One row a cell."""
    table = pd.DataFrame({"truth": np.repeat(np.array(counts.truth, dtype=object), len(counts.predicted)),
                          "predicted": counts.predicted * len(counts.truth)})
    return table.assign(**{name: values.ravel() for name, values in cells.items()})
