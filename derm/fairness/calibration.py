"""How often a model is right when it is so sure, for a chart. Knows cases; the error in one number is a
measure."""

from __future__ import annotations

import numpy as np
import pandas as pd

from derm.errors import DatasetError
from derm.fairness.answers import answers
from derm.fairness.cases import Cases
from derm.fairness.measures import LEADING, Decision
from derm.fairness.shares import shares


def curve(cases: Cases, *, bins: int = 10, decision: Decision = LEADING, level: float = 0.95) -> pd.DataFrame:
    """The cases with an answer by the probability of the leading class, in `bins` of equal width, empty ones too.

    low, high: the bin's ends; n; confidence: the mean probability; right, right_low, right_high: how often the
    first answer is the true one, NaN where n is below TOO_FEW. Raises `DatasetError` where there are no
    probabilities.
    """
    on = answers(cases, decision=decision).answered
    if on.confidence is None:
        raise DatasetError("these predictions have no probabilities (columns 'p:<condition>'), so nothing can be"
                           " said of calibration.")
    edges = np.arange(bins + 1) / bins  # linspace makes 0.6 a little more than 0.6
    at = np.clip(np.searchsorted(edges, on.confidence, side="right") - 1, 0, bins - 1)
    right = shares(on.truth == on.predicted, at, bins, clusters=on.clusters, level=level)
    n = right["n"].to_numpy()
    sums = np.bincount(at, on.confidence, bins)
    return pd.DataFrame({"low": edges[:-1], "high": edges[1:], "n": n,
                         "confidence": np.divide(sums, n, out=np.full(bins, np.nan), where=n > 0),
                         "right": right["value"], "right_low": right["low"], "right_high": right["high"]})


def by_group(cases: Cases, groups: pd.Series, *, bins: int = 10, decision: Decision = LEADING,
             level: float = 0.95) -> pd.DataFrame:
    """`curve` of each of `groups` (of `groups.assign`), one below the other, the first column `group`."""
    parts = {str(name): curve(cases.where(groups == name), bins=bins, decision=decision, level=level)
             for name in groups.cat.categories}
    return pd.concat(parts, names=["group", None]).reset_index("group").reset_index(drop=True)
