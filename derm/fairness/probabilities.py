"""Whether probabilities mean what they say, with bootstrap replicates: Brier score, calibration error, means."""

from __future__ import annotations

import numpy as np

from derm.fairness.figure import Sample
from derm.fairness.resampling import Replicates, Seed, bootstrap, kinds, ratio, thinned

BINS = 15
_FACTORS = np.linspace(0, 3, 31)


def mean(values: np.ndarray, *, clusters: np.ndarray | None = None, n_boot: int = 2000, seed: Seed = 0) -> Sample:
    """The mean of `values`, float [n]."""
    one, = _means(values, np.zeros(len(values), dtype=np.int64), clusters, n_boot, seed)
    return Sample(one.value, one.corrected, len(values))


def calibration_error(confidence: np.ndarray, right: np.ndarray, *, clusters: np.ndarray | None = None,
                      n_boot: int = 2000, seed: Seed = 0) -> Sample:
    """Expected calibration error of the leading class in BINS equal-width bins (Guo et al. 2017, ICML).

    The measure adds up absolute values, so chance alone makes it larger, the more so the fewer the cases, and each
    bootstrap sample makes it larger again. So its replicates are not those of the bootstrap, but draws from the
    errors that it leaves possible: if the gaps of all bins were s times those seen, the bootstrap of the bins says
    how often the measure would be as large as it is, and that is how sure one is that the error is no more than s
    times the measure (the inverted test; Efron and Tibshirani 1993, An Introduction to the Bootstrap, ch. 12).
    """
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    gaps = _means(confidence - right, bins, clusters, n_boot, seed)
    seen = np.array([each.value for each in gaps])
    value = float(np.abs(seen).sum()) if len(confidence) else np.nan
    if not value or np.isnan(value) or gaps[0].units < 2:
        return Sample(value, np.full(n_boot, value), len(confidence))
    chance = np.stack([each.drawn for each in gaps], axis=1) - seen
    chance *= np.sqrt(gaps[0].units / (gaps[0].units - 1))
    sure = np.array([(np.abs(chance + factor * seen).sum(axis=1) >= value).mean() for factor in _FACTORS])
    sure[_FACTORS <= 1] = np.minimum(sure[_FACTORS <= 1], 0.97)  # the value seen is never beyond the interval
    # In the order of the bootstrap's, so that those of two groups are as independent as theirs.
    places = (np.argsort(np.argsort(np.abs(chance + seen).sum(axis=1), kind="stable")) + 0.5) / n_boot
    return Sample(value, value * np.interp(places, np.maximum.accumulate(sure), _FACTORS), len(confidence))


def _means(values: np.ndarray, column: np.ndarray, clusters: np.ndarray | None, n_boot: int,
           seed: Seed) -> list[Replicates]:
    """The columns' sums of `values` over the number of cases.

    Many cases are `thinned`: neighbours in column and value are then alike, each with their mean.
    """
    columns = int(column.max(initial=0)) + 1
    cells, n_cells = thinned(np.lexsort((values, column)))
    sums = np.bincount(cells * columns + column, values, n_cells * columns).reshape(n_cells, columns)
    parts = np.column_stack([sums / np.bincount(cells, minlength=n_cells)[:, None], np.ones(n_cells)])
    found = bootstrap(kinds(cells, n_cells, clusters), parts,
                      lambda totals: {str(i): ratio(totals[:, i], totals[:, -1]) for i in range(columns)},
                      n_boot=n_boot, seed=seed)
    return list(found.values())
