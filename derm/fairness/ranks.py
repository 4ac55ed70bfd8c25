"""How well a score ranks: areas under the two curves, with bootstrap replicates. Knows arrays."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from derm.fairness.figure import Sample
from derm.fairness.resampling import KINDS, MOST_CASES, Seed, bootstrap, kinds, ratio


def areas(positive: np.ndarray, score: np.ndarray, *, clusters: np.ndarray | None = None, n_boot: int = 2000,
          seed: Seed = 0) -> dict[str, Sample]:
    """`auroc` (Mann and Whitney's statistic, ties counting half) and `auprc` (average precision, as
    scikit-learn's) of `score`, float [n], for `positive`, bool [n]. Undefined unless there are both kinds; n is
    the rarer kind, on which the precision of both depends.

    The values are exact. Where the scores are many, the replicates see them in KINDS steps, and are moved by what
    that changes in the value.
    """
    rank = np.unique(-score, return_inverse=True)[1]
    seen = _coarse(rank, positive) if rank.max(initial=0) >= MOST_CASES else rank
    ranks = int(seen.max(initial=-1)) + 1
    measured = bootstrap(kinds(seen + ranks * positive, 2 * ranks, clusters), sparse.eye_array(2 * ranks), _curves,
                         n_boot=n_boot, seed=seed)
    rarer = int(min(positive.sum(), (~positive).sum()))
    return {name: Sample(value, np.clip(each.corrected + (value - each.value), 0, 1), rarer)
            for (name, each), value in zip(measured.items(), _exact(positive, rank).values(), strict=True)}


def _exact(positive: np.ndarray, rank: np.ndarray) -> dict[str, float]:
    ranks = int(rank.max(initial=-1)) + 1
    totals = np.bincount(rank + ranks * positive, minlength=2 * ranks)
    return {name: float(value[0]) for name, value in _curves(totals[None].astype(np.float64)).items()}


def _coarse(rank: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """KINDS steps of equal weight, the positives weighing as much as the others: the rarer they are, the finer the
    steps where they lie."""
    weight = sum(np.bincount(rank, of, rank.max() + 1) / max(of.sum(), 1) for of in (positive, ~positive))
    before = np.cumsum(weight) - weight
    return np.unique((before * KINDS / weight.sum()).astype(np.int64), return_inverse=True)[1][rank]


def _curves(totals: np.ndarray) -> dict[str, np.ndarray]:
    """Of totals [b, 2 ranks]: how many negatives, then positives, have each rank, the highest score first."""
    negative, positive = np.split(totals, 2, axis=1)
    found = np.cumsum(positive, axis=1)
    said = np.cumsum(negative, axis=1)
    n_positive, n_negative = positive.sum(axis=1), negative.sum(axis=1)
    said += found
    precise = positive * found
    precise /= np.maximum(said, 1)  # 0 / 0 only for ranks that nobody has
    found -= positive / 2
    found *= negative
    return {"auroc": ratio(found.sum(axis=1), n_positive * n_negative),
            "auprc": np.where(n_negative > 0, ratio(precise.sum(axis=1), n_positive), np.nan)}
