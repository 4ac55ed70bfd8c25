"""Many proportions at once, each with n and its interval: the cells and points of charts. Knows arrays."""

from __future__ import annotations

import numpy as np
import pandas as pd

from derm.fairness.figure import TOO_FEW, wilson
from derm.fairness.resampling import repeated


def shares(hit: np.ndarray, cell: np.ndarray, n_cells: int, *, clusters: np.ndarray,
           level: float = 0.95) -> pd.DataFrame:
    """n, value, low and high of the share that is hit, bool [n], in each cell of cases, numbered 0 to n_cells -
    1 in `cell`, int [n]. As `of_tallies`; `clusters`, int [n], are the cases' own."""
    if repeated(clusters) is None:
        return of_tallies(np.bincount(cell, hit, n_cells), np.bincount(cell, minlength=n_cells), level=level)
    _, number = np.unique(clusters, return_inverse=True)
    pairs, at = np.unique(cell * len(cell) + number, return_inverse=True)
    return of_tallies(np.bincount(at, hit), np.bincount(at), cell=pairs // len(cell), n_cells=n_cells, level=level)


def of_tallies(hits: np.ndarray, n: np.ndarray, *, cell: np.ndarray | None = None, n_cells: int = 0,
               level: float = 0.95) -> pd.DataFrame:
    """n, value, low and high of each cell, with Wilson's interval; NaN where n is below TOO_FEW.

    `hits` and `n`, [m] each, are the tallies of the cells; or, with `cell`, int [m], of each cluster in a cell.
    The interval is then that of as many independent cases as the variance between clusters leaves (Kish 1965,
    Survey Sampling); where all cases are alike, those of a cluster count as one.
    """
    hits, n = np.asarray(hits, dtype=np.float64), np.asarray(n, dtype=np.float64)
    effect = np.ones(len(n))
    if cell is not None:
        each_hits, each_n = hits, n
        hits, n = np.bincount(cell, each_hits, n_cells), np.bincount(cell, each_n, n_cells)
        value = _value(hits, n)
        off = np.bincount(cell, (each_hits - value[cell] * each_n) ** 2, n_cells)
        alike = np.bincount(cell, each_n**2, n_cells)
        spread = n * value * (1 - value)
        effect = np.fmax(1, np.where(spread > 0, _value(off, spread), _value(alike, n)))
    value = _value(hits, np.where(n < TOO_FEW, np.nan, n))
    low, high = wilson(hits / effect, np.where(n < TOO_FEW, np.nan, n / effect), level=level)
    return pd.DataFrame({"n": n.astype(np.int64), "value": value, "low": low, "high": high})


def _value(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom != 0)
