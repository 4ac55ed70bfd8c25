"""Two samples of a measure compared: their difference, its interval and its p value. Knows samples; not what they
are of, nor why the two were chosen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from derm.fairness.figure import Sample, tails, wilson

Ends = tuple[np.ndarray | float, np.ndarray | float, np.ndarray | float]  # value, low, high; of one shape
_MOST_Z = 7.5  # a p value below 1e-13 is not told from 1e-13


def apart(a: Sample, b: Sample, *, level: float) -> tuple[float, float, float]:
    """a minus b and its interval: `newcombe` for proportions, else percentiles of the replicates' differences."""
    value = a.value - b.value
    if a.hits is not None and b.hits is not None:
        return (value, *newcombe(a, b, level=level))
    low, high = np.quantile(_differences(a, b), tails(level))
    return value, float(low), float(high)


def p_value(a: Sample, b: Sample) -> float:
    """The smallest 1 - level at which the interval of a minus b leaves out 0."""
    if a.hits is None or b.hits is None:
        drawn = _differences(a, b)
        return min(1.0, 2 * float(min((drawn <= 0).sum(), (drawn >= 0).sum()) + 1) / (len(drawn) + 1))
    top, bottom = (a, b) if a.value >= b.value else (b, a)

    def low(z: float) -> float:
        return newcombe(top, bottom, level=2 * float(ndtr(z)) - 1)[0]

    if top.value == bottom.value:
        return 1.0
    return 2 * float(ndtr(-(brentq(low, 0, _MOST_Z) if low(_MOST_Z) < 0 else _MOST_Z)))


def newcombe(a: Sample, b: Sample, *, level: float = 0.95) -> tuple[float, float]:
    """The interval of the proportion a minus the proportion b: the hybrid score method (Newcombe 1998, Stat. Med.
    17:873-890, method 10), of as many independent cases as their design effects leave."""
    low, high = hybrid((a.value, *_wilson(a, level)), (b.value, *_wilson(b, level)))
    return float(low), float(high)


def hybrid(a: Ends, b: Ends) -> tuple[np.ndarray, np.ndarray]:
    """The interval of a minus b, low and high, from the values and intervals of both (Zou and Donner 2008, Stat.
    Med. 27:1693-1702)."""
    (value_a, low_a, high_a), (value_b, low_b, high_b) = a, b
    value = value_a - value_b
    return (value - np.hypot(value_a - low_a, high_b - value_b),
            value + np.hypot(high_a - value_a, value_b - low_b))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values that allow for their number (Holm 1979, Scand. J. Stat. 6:65-70), in the same order."""
    order = np.argsort(p_values, kind="stable")
    times = np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(times * np.asarray(p_values, dtype=np.float64)[order]))
    return [float(p) for p in adjusted]


def standard_error(sample: Sample) -> float:
    """That of the value: for a proportion Wilson's, so that it is not 0 where all or none are hit."""
    if sample.hits is None:
        return float(np.nanstd(sample.drawn))
    low, high = _wilson(sample, 0.95)
    return (high - low) / (2 * float(ndtri(0.975)))


def _differences(a: Sample, b: Sample) -> np.ndarray:
    drawn = a.drawn - b.drawn
    return drawn[np.isfinite(drawn)]


def _wilson(sample: Sample, level: float) -> tuple[float, float]:
    assert sample.hits is not None, "a proportion"
    low, high = wilson(sample.hits / sample.design_effect, sample.n / sample.design_effect, level=level)
    return float(low), float(high)
