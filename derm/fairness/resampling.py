"""The bootstrap over cases through counts of kinds of cases. Knows arrays of numbers; not what they measure.

Drawing n cases with replacement and counting them is one multinomial draw over the kinds of cases that there are,
so it costs what the kinds cost, however many the cases. Cases of one cluster (a patient, near-duplicates) are
drawn together: a kind is then what a whole cluster holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import sparse
from scipy.special import ndtr, ndtri, stdtrit

Seed = int | tuple[int, ...]
Statistic = Callable[[np.ndarray], Mapping[str, np.ndarray]]  # totals [b, D] -> measures [b] each
MOST_CASES = 2000  # that are kinds of their own where no two are alike
KINDS = 250  # else
_MANY = 500
_CELLS_AT_ONCE = 2_000_000  # replicates x kinds held in memory


@dataclass(frozen=True, eq=False)
class Kinds:
    """What is drawn: `times`, int64 [K], how many there are of each kind, and `holds`, sparse [K, cells], how many
    cases of each cell one of that kind holds."""

    times: np.ndarray
    holds: sparse.csr_array


def kinds(cells: np.ndarray, n_cells: int, clusters: np.ndarray | None = None) -> Kinds:
    """The kinds of cases, each case being in a cell numbered 0 to n_cells - 1, int [n].

    With `clusters`, int [n], what is drawn are clusters, and those that hold the same cases are alike.
    """
    if clusters is None:
        times = np.bincount(cells, minlength=n_cells)
        there = np.flatnonzero(times)
        held = np.ones(len(there)), (np.arange(len(there)), there)
        return Kinds(times[there], sparse.csr_array(held, shape=(len(there), n_cells)))
    number = np.unique(clusters, return_inverse=True)[1]
    label = np.random.default_rng(0).integers(2**63, size=n_cells, dtype=np.uint64)
    # A sum of random 64-bit labels tells what a cluster holds, whatever the order of its cases.
    held_by = np.zeros(int(number.max(initial=-1)) + 1, dtype=np.uint64)
    np.add.at(held_by, number, label[cells])
    _, first, times = np.unique(held_by, return_index=True, return_counts=True)
    kind = np.full(len(held_by), -1)
    kind[first] = np.arange(len(first))
    rows = np.flatnonzero(kind[number] >= 0)
    held = np.ones(len(rows)), (kind[number[rows]], cells[rows])
    return Kinds(times, sparse.csr_array(held, shape=(len(first), n_cells)))


def repeated(clusters: np.ndarray) -> np.ndarray | None:
    """`clusters`, numbers from 0 up, if any has several cases, else None."""
    return clusters if np.bincount(clusters).max(initial=0) > 1 else None


@dataclass(frozen=True, eq=False)
class Replicates:
    """A measure of some `units` (cases or clusters) and of bootstrap samples of them, `drawn`, float64 [n_boot];
    NaN where undefined. `acceleration`: how its standard error changes with its value, Efron's a."""

    value: float
    drawn: np.ndarray
    units: int
    acceleration: float

    @property
    def corrected(self) -> np.ndarray:
        """The replicates moved, in their order, so that their percentiles are the bias-corrected and accelerated
        ones (Efron 1987, J. Am. Stat. Assoc. 82:171-185), with Student's t for the normal and n - 1 for n, without
        which few cases give intervals that are too short (Hesterberg 2015, Am. Stat. 69:371-386)."""
        there = np.isfinite(self.drawn)
        drawn = self.drawn[there]
        if np.isnan(self.value) or self.units < 2 or len(drawn) < 2 or drawn.min() == drawn.max():
            return self.drawn
        below = ((drawn < self.value).mean() + (drawn <= self.value).mean()) / 2
        bias = ndtri(np.clip(below, 0.05, 0.95))  # beyond that only the most extreme replicates would be left
        moved = bias + _wide_normal(len(drawn), self.units)
        levels = ndtr(bias + moved / np.maximum(1 - self.acceleration * moved, 0.1))
        order = np.argsort(drawn, kind="stable")
        places = np.arange(len(drawn))
        found = self.drawn.copy()
        found[np.flatnonzero(there)[order]] = np.interp(levels * (len(drawn) - 1), places, drawn[order])
        return found


def bootstrap(drawn_from: Kinds, parts: sparse.sparray | np.ndarray, statistic: Statistic, *, n_boot: int,
              seed: Seed) -> dict[str, Replicates]:
    """The measures of `statistic`, for what there is and for `n_boot` bootstrap samples of it.

    `parts`, [cells, D], is what a case of each cell adds to the totals that `statistic` is told.
    """
    each = sparse.csr_array(drawn_from.holds @ parts)
    totals = np.asarray(drawn_from.times[None].astype(np.float64) @ each)
    exact, accelerations = statistic(totals), _accelerations(drawn_from.times, each, totals, statistic)
    drawn: dict[str, list[np.ndarray]] = {name: [np.empty(0)] for name in exact}
    for counts in _draws(drawn_from.times, n_boot=n_boot, rng=np.random.default_rng(seed)):
        for name, values in statistic(np.asarray(counts @ each)).items():
            drawn[name].append(values)
    units = int(drawn_from.times.sum())
    return {name: Replicates(float(value[0]), np.concatenate(drawn[name]), units, accelerations.get(name, 0.0))
            for name, value in exact.items()}


def _accelerations(times: np.ndarray, each: sparse.csr_array, totals: np.ndarray,
                   statistic: Statistic) -> dict[str, float]:
    """From the measures without one of each kind (Efron 1987); none above _MANY cases, where it is next to
    nothing."""
    if not 0 < times.sum() <= _MANY:
        return {}
    found = {}
    for name, values in statistic(totals - each.toarray()).items():
        change = np.nan_to_num(np.nansum(times * values) / times.sum() - values)
        spread = float((times * change**2).sum())
        found[name] = float((times * change**3).sum()) / (6 * spread**1.5) if spread else 0.0
    return found


@lru_cache(maxsize=64)
def _wide_normal(count: int, units: int) -> np.ndarray:
    """Quantiles of the normal, `count` of equal weight, as wide as `units` make Student's t."""
    return stdtrit(units - 1, (np.arange(count) + 0.5) / count) * np.sqrt(units / (units - 1))


def thinned(order: np.ndarray) -> tuple[np.ndarray, int]:
    """A cell for each of n cases, int [n], and how many cells there are: one a case or, above MOST_CASES, KINDS
    cells of equally many neighbours in `order`, the cases sorted. What neighbours differ by is then lost to the
    replicates, in the order of 1 / KINDS squared of their variance."""
    n = len(order)
    cells = np.arange(n)
    if n <= MOST_CASES:
        return cells, n
    cells[order] = np.arange(n) * KINDS // n
    return cells, KINDS


def _draws(times: np.ndarray, *, n_boot: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """How often each kind is drawn, float64 [b, K], in blocks of replicates."""
    total, width = int(times.sum()), len(times)
    kind = np.repeat(np.arange(width), times) if total <= 5 * width else None
    for size in _blocks(n_boot, width):
        if kind is None:
            yield rng.multinomial(total, times / total, size=size).astype(np.float64)
        else:  # a few cases of each kind: picking cases is the same, and quicker than a binomial draw a kind
            picked = kind[rng.integers(max(total, 1), size=(size, total))]
            picked += width * np.arange(size)[:, None]
            yield np.bincount(picked.ravel(), minlength=size * width).reshape(size, width).astype(np.float64)


def _blocks(total: int, width: int) -> Iterator[int]:
    """Sizes that add up to `total`, each times `width` within memory."""
    size = max(1, _CELLS_AT_ONCE // max(width, 1))
    for start in range(0, total, size):
        yield min(size, total - start)


def ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """top / bottom, NaN where bottom is 0."""
    top, bottom = np.asarray(top, dtype=np.float64), np.asarray(bottom, dtype=np.float64)
    return np.divide(top, bottom, out=np.full(np.broadcast(top, bottom).shape, np.nan), where=bottom != 0)
