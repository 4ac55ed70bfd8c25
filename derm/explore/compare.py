"""Two data sets side by side. Knows tables; no pages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from derm.explore.codes import MISSING
from derm.explore.counts import occurring
from derm.fairness.figure import TOO_FEW, Figure, proportions


def compare(a: pd.DataFrame, b: pd.DataFrame, column: str) -> pd.DataFrame:
    """How often each value that either has occurs in both: value, then n_a, share_a, low_a, high_a, the same of b,
    and `difference` (share_b - share_a) with diff_low and diff_high.

    Intervals: Wilson's, and Newcombe's hybrid score interval of a difference (Newcombe 1998, Stat. Med.
    17:873-890, method 10). "Missing" counts as a value. NaN where a side has fewer than TOO_FEW rows.
    """
    sides = occurring(a, column), occurring(b, column)
    values = [value for value in {**sides[0], **sides[1]} if value != MISSING]
    if MISSING in sides[0] or MISSING in sides[1]:
        values.append(MISSING)
    found: dict[str, Any] = {"value": values}
    for name, side, total in zip("ab", sides, (len(a), len(b)), strict=True):
        n = np.array([side.get(value, 0) for value in values], dtype=np.int64)
        share, low, high = proportions(n, total)
        found |= {f"n_{name}": n, f"share_{name}": share, f"low_{name}": low, f"high_{name}": high}
    difference = found["share_b"] - found["share_a"]
    below = np.hypot(found["share_b"] - found["low_b"], found["high_a"] - found["share_a"])
    above = np.hypot(found["high_b"] - found["share_b"], found["share_a"] - found["low_a"])
    return pd.DataFrame({**found, "difference": difference, "diff_low": difference - below,
                         "diff_high": difference + above})


def distance(compared: pd.DataFrame, *, n_boot: int = 1000, seed: int = 0) -> Figure:
    """Total variation distance of the two distributions in a `compare`: half the sum of the absolute differences,
    0 if they are the same, 1 if they share nothing.

    The interval is that of the multinomial bootstrap, moved back by the bootstrap's own bias: the measure adds up
    absolute values, so every resample looks further apart than the data sets are.
    """
    sides = [compared[name].to_numpy() for name in ("n_a", "n_b")]
    totals = [int(side.sum()) for side in sides]
    if min(totals) < TOO_FEW:
        return Figure(None, None, None, min(totals))
    rng = np.random.default_rng(seed)
    drawn = [np.vstack([side, rng.multinomial(n, side / n, size=n_boot)]) / n
             for side, n in zip(sides, totals, strict=True)]
    values = np.abs(drawn[1] - drawn[0]).sum(axis=1) / 2
    value = float(values[0])
    low, high = np.quantile(values[1:], [0.025, 0.975]) - (values[1:].mean() - value)
    return Figure(value, max(0.0, float(low)), min(1.0, float(high)), sum(totals))
