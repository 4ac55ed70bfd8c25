"""What each threshold for malignant would do to each group, for a chart. Knows cases; sets no threshold."""

from __future__ import annotations

import numpy as np
import pandas as pd

from derm.errors import DatasetError
from derm.fairness.answers import Answers, answers
from derm.fairness.cases import Cases
from derm.fairness.measures import LEADING, Decision
from derm.fairness.shares import of_tallies


def thresholds(cases: Cases, groups: pd.Series, *, points: int = 101, decision: Decision = LEADING,
               level: float = 0.95) -> pd.DataFrame:
    """Sensitivity and specificity for malignant conditions of each of `groups` (of `groups.assign`), the cases
    with an answer being called malignant from each of `points` thresholds, 0 to 1, on; one row a group and
    threshold.

    group, threshold; n malignant cases, sensitivity, sens_low, sens_high; n_benign others, specificity, spec_low,
    spec_high. NaN where n is below TOO_FEW. Of `decision` only the abstaining counts. Raises `DatasetError` where
    there are no probabilities, or nothing is known to be malignant.
    """
    given = answers(cases, decision=decision)
    if given.score is None:
        raise DatasetError("these predictions have no probabilities of malignant conditions, so no threshold can"
                           " be tried; expected columns 'p:<condition>', some known to be malignant.")
    at = np.arange(points) / (points - 1)  # linspace makes 0.6 a little more than 0.6
    parts = [_of_group(given.where(groups.cat.codes.to_numpy() == number).answered, at, level)
             .assign(group=str(name)) for number, name in enumerate(groups.cat.categories)]
    table = pd.concat(parts, ignore_index=True)
    return table[["group", *table.columns.drop("group")]]


def _of_group(on: Answers, at: np.ndarray, level: float) -> pd.DataFrame:
    assert on.malignant is not None
    flagged = _flagged(on, on.malignant, at, level)
    alarms = _flagged(on, ~on.malignant, at, level)
    return pd.DataFrame({
        "threshold": at, "n": flagged["n"], "sensitivity": flagged["value"], "sens_low": flagged["low"],
        "sens_high": flagged["high"], "n_benign": alarms["n"], "specificity": 1 - alarms["value"],
        "spec_low": 1 - alarms["high"], "spec_high": 1 - alarms["low"]})


def _flagged(on: Answers, within: np.ndarray, at: np.ndarray, level: float) -> pd.DataFrame:
    """n, value, low and high of the share of the cases `within`, bool [n], that each threshold calls malignant."""
    assert on.score is not None
    reached = np.searchsorted(at, on.score[within], side="right")  # how many thresholds each case is above
    alone = on.repeated is None
    who = np.zeros_like(reached) if alone else np.unique(on.clusters[within], return_inverse=True)[1]
    clusters = int(who.max(initial=0)) + 1
    counts = np.bincount(who * (len(at) + 1) + reached, minlength=clusters * (len(at) + 1)).reshape(clusters, -1)
    hits = counts[:, ::-1].cumsum(axis=1)[:, -2::-1]  # of each cluster, above the first threshold, the second ...
    n = np.broadcast_to(counts.sum(axis=1)[:, None], hits.shape)
    cell = None if alone else np.tile(np.arange(len(at)), clusters)
    return of_tallies(hits.ravel(), n.ravel(), cell=cell, n_cells=len(at), level=level)
