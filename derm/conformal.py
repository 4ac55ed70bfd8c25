"""Prediction sets that hold the right condition 9 times in 10, on each skin-type group. Knows arrays; no files.

Split conformal prediction with the least ambiguous sets (Sadinle, Lei & Wasserman 2019, J. Am. Stat. Assoc.
114:223-234), a threshold for each group (Mondrian: Vovk, Gammerman & Shafer 2005, Algorithmic Learning in a
Random World). A case's score is one minus the probability of its true condition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

LEVEL = 0.9
LEAST = 100  # calibration cases below which a group takes the threshold of all together
ALL = "all"


@dataclass(frozen=True)
class Limit:
    """A condition is in the set if its probability is at least `least`; measured on `n` cases."""

    least: float
    n: int


def fit(p: np.ndarray, truth: np.ndarray, groups: np.ndarray, *, level: float = LEVEL,
        least: int = LEAST) -> dict[str, Limit]:
    """ALL, for whoever's group is not known or too small, and each group with at least `least` cases.

    `p` float [n, C], `truth` int [n] (outside 0..C-1: a condition the model does not know), `groups` text [n].
    """
    scores = _scores(p, truth)
    found = {ALL: Limit(_limit(scores, level), len(scores))}
    for name in sorted(set(groups.tolist()) - {ALL}):
        own = scores[groups == name]
        if len(own) >= least:
            found[name] = Limit(_limit(own, level), len(own))
    return found


def limit(limits: Mapping[str, Limit], group: str | None) -> Limit:
    """The group's own limit, else that of all."""
    return limits.get(group or ALL, limits[ALL])


def sets(p: np.ndarray, limits: Mapping[str, Limit], groups: np.ndarray) -> np.ndarray:
    """Which conditions each set holds, bool [n, C]; never none: the leading one is always there."""
    least = np.array([limit(limits, name).least for name in groups.tolist()]).reshape(-1, 1)
    return (p >= least) | (np.arange(p.shape[1]) == p.argmax(axis=1)[:, None])


def out_of_fold(p: np.ndarray, truth: np.ndarray, groups: np.ndarray, clusters: np.ndarray, *, folds: int = 10,
                level: float = LEVEL, least: int = LEAST, seed: int = 0) -> np.ndarray:
    """`sets` with each row's limits from the other folds, bool [n, C]: what the sets do on cases not seen.

    Rows of one of `clusters` [n] share a fold. A group that is large enough over all folds is never pooled.
    """
    fold = fold_of(clusters, folds=folds, seed=seed)
    sizes = {name: int((groups == name).sum()) for name in set(groups.tolist())}
    own = np.array([name if sizes[name] >= least else ALL for name in groups.tolist()], dtype=object)
    held = np.zeros(p.shape, dtype=bool)
    for one in np.unique(fold):
        out = fold == one
        held[out] = sets(p[out], fit(p[~out], truth[~out], own[~out], level=level, least=1), own[out])
    return held


def fold_of(clusters: np.ndarray, *, folds: int, seed: int = 0) -> np.ndarray:
    """The fold, int [n] from 0, of each row; rows of one of `clusters` [n] share one, which is drawn."""
    names, number = np.unique(clusters, return_inverse=True)
    return np.asarray((np.random.default_rng(seed).permutation(len(names)) % folds)[number])


def too_large(held: np.ndarray) -> np.ndarray:
    """Whether each set, bool [n, C], holds more than half of all conditions: no answer worth giving, bool [n]."""
    return np.asarray(2 * held.sum(axis=1) > held.shape[1])


def _scores(p: np.ndarray, truth: np.ndarray) -> np.ndarray:
    known = (truth >= 0) & (truth < p.shape[1])
    picked = p[np.arange(len(p)), np.where(known, truth, 0)]
    return np.where(known, 1 - picked, np.inf)


def _limit(scores: np.ndarray, level: float) -> float:
    """One minus the ceil((n + 1) level)-th smallest score: with it, coverage is at least `level` for cases like
    these. 0, so that every condition is in, where there are too few scores for that."""
    rank = int(np.ceil((len(scores) + 1) * level))
    if rank > len(scores):
        return 0.0
    return float(max(0.0, 1 - np.partition(scores, rank - 1)[rank - 1]))
