"""Probabilities that mean what they say. Knows logits, what known cases say, and labels; no Keras, no files."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp, softmax

_LEAST = 1e-300  # a probability of 0 has no logarithm


def temperature(logits: np.ndarray, labels: np.ndarray, vote: np.ndarray | None = None, *,
                share: float = 0.0) -> float:
    """The T > 0 for which `probabilities` have the least cross-entropy (Guo et al., ICML 2017).

    `logits` and `vote` float [n, classes], `labels` int [n]. Searched between 1/20 and 20.
    """
    own = np.arange(len(labels)), labels

    def loss(log_t: float) -> float:
        scaled = log_softmax(logits / np.exp(log_t), axis=1)[own]
        if vote is not None and share:
            beside = np.log(np.maximum(vote[own], _LEAST))
            scaled = logsumexp([scaled + np.log1p(-share), beside + np.log(share)], axis=0)
        return -float(scaled.mean())

    found = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded")
    return float(np.exp(found.x))


def probabilities(logits: np.ndarray, temperature: float, vote: np.ndarray | None = None, *,
                  share: float = 0.0) -> np.ndarray:
    """softmax(logits / temperature), or that and `vote`, what known cases say, which has a `share` of the answer:
    float64 [n, classes]; rows sum to 1."""
    found = np.asarray(softmax(np.asarray(logits, dtype=np.float64) / temperature, axis=1))
    return found if vote is None or not share else (1 - share) * found + share * vote
