"""A measured value with n and its interval. Knows numbers; not what was measured, nor on whom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

TOO_FEW = 20


@dataclass(frozen=True)
class Figure:
    """A measured value with its interval; None where n is below TOO_FEW or the measure has no value."""

    value: float | None
    low: float | None
    high: float | None
    n: int

    @property
    def text(self) -> str:
        """'0.61 [0.57-0.65]', or why there is no value; for where n stands beside it."""
        if self.value is None or self.low is None or self.high is None:
            return "too few" if self.n < TOO_FEW else "undefined"
        return f"{self.value:.2f} [{self.low:.2f}-{self.high:.2f}]"

    def __str__(self) -> str:
        """'0.61 [0.57-0.65], n = 572' or 'too few (n = 7)'."""
        return f"{self.text} (n = {self.n:,})" if self.value is None else f"{self.text}, n = {self.n:,}"


@dataclass(frozen=True, eq=False)
class Sample:
    """A measured value with its bootstrap replicates `drawn`, float64 [n_boot]; NaN where undefined.

    n is what the value was measured on: the malignant cases for their sensitivity. `hits` is there where the value
    is a proportion, hits / n. `design_effect` is how many times the variance of that proportion is that of n
    independent cases: 1, unless several photographs share a `group_id`.
    """

    value: float
    drawn: np.ndarray
    n: int
    hits: int | None = None
    design_effect: float = 1.0

    def figure(self, level: float = 0.95) -> Figure:
        """With Wilson's score interval for a proportion, of as many independent cases as its `design_effect`
        leaves (Kish 1965, Survey Sampling), else with percentiles of the replicates. None below TOO_FEW."""
        if self.hits is None:
            return percentile(self.value, self.drawn, self.n, level)
        if self.n < TOO_FEW:
            return Figure(None, None, None, self.n)
        effective = self.n / self.design_effect
        low, high = wilson(self.hits / self.design_effect, effective, level=level)
        return Figure(self.value, float(low), float(high), self.n)


def proportion(hits: int, n: int, *, level: float = 0.95) -> Figure:
    """hits / n with Wilson's score interval, as `proportions`."""
    if n < TOO_FEW:
        return Figure(None, None, None, n)
    value, low, high = (float(number) for number in proportions(hits, n, level=level))
    return Figure(value, low, high, n)


def proportions(hits: ArrayLike, n: ArrayLike, *,
                level: float = 0.95) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """hits / n and its `wilson` interval, low and high, float64 of the shape that hits and n have together; NaN
    where n is below TOO_FEW."""
    hits, n = np.broadcast_arrays(np.asarray(hits, dtype=np.float64), np.asarray(n, dtype=np.float64))
    n = np.where(n < TOO_FEW, np.nan, n)
    return hits / n, *wilson(hits, n, level=level)


def wilson(hits: ArrayLike, n: ArrayLike, *, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's score interval of hits / n, low and high, float64 (1927, J. Am. Stat. Assoc. 22:209-212). n > 0 or
    NaN; neither need be whole."""
    hits, n = np.asarray(hits, dtype=np.float64), np.asarray(n, dtype=np.float64)
    share, z2 = hits / n, ndtri((1 + level) / 2) ** 2
    centre = (hits + z2 / 2) / (n + z2)
    half = np.sqrt(z2 * (share * (1 - share) * n + z2 / 4)) / (n + z2)
    # Exactly 0 and 1 where nobody or everybody is hit: rounding must not leave 1e-17.
    return np.where(hits == 0, 0 * n, centre - half), np.where(hits == n, 1.0, centre + half)


def percentile(value: float, drawn: np.ndarray, n: int, level: float = 0.95) -> Figure:
    """`value`, measured on n things, with the interval that holds `level` of its bootstrap replicates `drawn`."""
    drawn = drawn[np.isfinite(drawn)]
    if n < TOO_FEW or np.isnan(value) or not len(drawn):
        return Figure(None, None, None, n)
    low, high = np.quantile(drawn, tails(level))
    if low == high == value and value in (0, 1):
        # Nothing varies where all is right, or all wrong: what can be said is what a proportion would let one say.
        low, high = wilson(n * value, n, level=level)
    return Figure(value, float(low), float(high), n)


def tails(level: float) -> tuple[float, float]:
    """The two quantiles that have `level` between them."""
    return (1 - level) / 2, (1 + level) / 2
