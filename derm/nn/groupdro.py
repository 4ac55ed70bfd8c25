"""Group DRO: the loss of each skin-type group weighs the more, the worse the group does. Knows arrays; no files.

Sagawa, Koh, Hashimoto, Liang: Distributionally robust neural networks for group shifts, ICLR 2020, algorithm 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from derm.fairness.groups import SKIN_TYPE_GROUPS


def codes(groups: np.ndarray) -> np.ndarray:
    """The number of each skin-type group's name in SKIN_TYPE_GROUPS, int32 [n]."""
    return np.array([SKIN_TYPE_GROUPS.index(name) for name in groups], dtype=np.int32)


def start(groups: np.ndarray) -> np.ndarray:
    """The weights to begin with, float32 [groups]: alike for those that occur in `groups` (numbers), else 0."""
    occurs = np.bincount(groups, minlength=len(SKIN_TYPE_GROUPS)) > 0
    return (occurs / occurs.sum()).astype(np.float32)


def step(weights: Any, losses: Any, groups: Any, *, rate: float) -> tuple[Any, Any]:
    """The loss of a batch, and the weights from now on, [groups].

    From losses [B] and group numbers [B]: q_g grows by exp(rate x mean loss of g), they are made to sum to 1
    again, and the loss is the sum of q_g x mean loss of g. A group that is not in the batch has no loss in it.
    """
    member = ops.one_hot(groups, len(SKIN_TYPE_GROUPS), dtype=losses.dtype)
    means = ops.sum(member * losses[:, None], axis=0) / ops.maximum(ops.sum(member, axis=0), 1.0)
    pull = rate * ops.stop_gradient(means)
    grown = weights * ops.exp(pull - ops.max(pull))  # the same shares, and no overflow
    grown = grown / ops.sum(grown)
    return ops.sum(grown * means), grown
