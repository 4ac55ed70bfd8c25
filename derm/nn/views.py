"""The ways in which one photograph is looked at before the answers are averaged. Knows arrays; no network."""

from __future__ import annotations

import numpy as np


def of(batch: np.ndarray, *, mirror: bool, turns: bool) -> list[np.ndarray]:
    """The views of pictures [N, S, S, 3], the upright ones first: with `turns` also their quarter turns, with
    `mirror` also the mirror image of each. 1, 2, 4 or 8 arrays like the batch.

    Skin has neither top nor side, so the mean over all of them is the steadier answer (test-time augmentation).
    """
    turned = [np.rot90(batch, quarter, axes=(1, 2)) for quarter in range(4 if turns else 1)]
    return [*turned, *(view[:, :, ::-1] for view in turned)] if mirror else turned
