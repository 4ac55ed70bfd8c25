"""How long a model needs for a photograph, on this machine, now. Knows a predictor and a clock; nothing is claimed
that was not timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binom

from derm import samples
from derm.fairness.figure import Figure

if TYPE_CHECKING:
    from derm.nn.model import Model

RUNS = 20
_SIDE = 512


def seconds(predictor: Model, *, runs: int = RUNS,
            clock: Callable[[], float] = time.perf_counter) -> Figure:
    """Seconds from a photograph's pixels to its diagnosis with heat maps: the `median` of `runs`; n is `runs`.

    The photograph is drawn, 512 pixels wide; decoding its file is not in it, nor the network's first, slower call.
    """
    return median(times(predictor, runs=runs, clock=clock))


def times(predictor: Model, *, runs: int, clock: Callable[[], float] = time.perf_counter) -> list[float]:
    """The seconds of each of the `runs` that `seconds` is the median of."""
    pixels = samples.draw("melanoma", skin="IV", size=_SIDE)
    predictor.diagnose(pixels)
    taken = []
    for _ in range(runs):
        began = clock()
        predictor.diagnose(pixels)
        taken.append(clock() - began)
    return taken


def median(values: Sequence[float], *, level: float = 0.95) -> Figure:
    """The median with the interval between two of the values that holds the true one with `level` at least,
    whatever they are distributed like (Conover 1999, Practical Nonparametric Statistics, section 3.2); without
    one where there are too few values for that."""
    ordered, n = np.sort(np.asarray(values, dtype=np.float64)), len(values)
    below = int(binom.ppf((1 - level) / 2, n, 0.5))  # values that may lie outside at either end
    if below < 1:
        return Figure(None, None, None, n)
    return Figure(float(np.median(ordered)), float(ordered[below - 1]), float(ordered[n - below]), n)
