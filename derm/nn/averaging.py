"""Averages of weights, and a network that answers with them for a while. Knows networks; no files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np


@dataclass
class EpochMean:
    """The mean of the weights at the ends of `count` epochs (stochastic weight averaging: Izmailov et al., UAI
    2018)."""

    count: int = 0
    arrays: list[np.ndarray] = field(default_factory=list)

    def add(self, arrays: Sequence[np.ndarray]) -> None:
        """Take in the weights of one more epoch."""
        self.count += 1
        before = self.arrays or arrays
        # Kept in float64: the smallest weights must not drown in the rounding of many small updates.
        self.arrays = [mean + (new - mean) / self.count
                       for mean, new in zip((a.astype(np.float64) for a in before), arrays, strict=True)]


def values(variables: Sequence[Any]) -> list[np.ndarray]:
    """What the variables hold, copied."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def assign(variables: Sequence[Any], arrays: Sequence[np.ndarray]) -> None:
    """Give each variable its array; raises `ValueError` if there are more of one."""
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def replaced(network: keras.Model, averages: Mapping[str, Any]) -> list[np.ndarray]:
    """The network's weights, those that have an average (by their path) replaced by it."""
    return values([averages.get(variable.path, variable) for variable in network.weights])


@contextmanager
def answering(network: keras.Model, arrays: Sequence[np.ndarray]) -> Iterator[None]:
    """A block within which the network has these weights instead of its own."""
    own = values(network.weights)
    assign(network.weights, arrays)
    try:
        yield
    finally:
        assign(network.weights, own)
