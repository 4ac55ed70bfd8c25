"""How near a photograph is to those a model learnt from: known cases like it, what they say it is, and whether it
is like any. Pure arrays: knows neither networks nor files.

A photograph is seen in two views. `deep`, the network's last features as they are, tells which known cases are
alike for the model. `middle`, features of about twice the resolution scaled to unit length, tells what kind of
picture it is. Unlike is a photograph of which, in both views taken together, much remains outside the space that
the training photographs span: the residual of Wang et al. 2022 (ViM, CVPR), who take it of the last features
alone; there it misses documents and screenshots, as the other view alone misses animals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

DEEP_AXES, MIDDLE_AXES = 128, 96
WIDTH = 0.025  # of cosine similarity, see `vote`; each bundle keeps the one that it was made with
_STEPS = 127  # on each side of 0, in which points are kept
_PART = 256  # photographs whose likeness to all known cases is in memory at once
DECLINED = 0.03  # share of held-out photographs of skin that may be taken for something else


@dataclass(frozen=True)
class Space:
    """A centre float32 [C] and orthonormal axes float32 [d, C], the widest first, d < C."""

    centre: np.ndarray
    axes: np.ndarray


@dataclass(frozen=True)
class Reference:
    """What is kept of a model's photographs: the spaces of both views that the training photographs span, what
    their residuals are divided by (`widths` float64 [2]) and the distance above which a photograph is unlike them
    (`limit`); and of n known cases, which it learnt from or was validated on, `points` float32 [n, k], where each
    is along the first k axes of the `deep` space (all but in files of an earlier version), `groups` int32 [n],
    alike for near-duplicates and what else belongs together, and what to show of each: `image_ids`, `conditions`,
    relative `paths` (text), `fst` int8 (1-6, -1 for not recorded), `sizes` in bytes.
    """

    deep: Space
    middle: Space
    widths: np.ndarray
    limit: float
    points: np.ndarray
    image_ids: np.ndarray
    conditions: np.ndarray
    fst: np.ndarray
    paths: np.ndarray
    sizes: np.ndarray
    groups: np.ndarray

    @cached_property
    def directions(self) -> np.ndarray:
        """Their deep features as far as the points tell, each scaled to length 1; float32 [n, C]."""
        axes = self.deep.axes[:self.points.shape[1]]
        return _unit(self.deep.centre + self.points @ axes).astype(np.float32)

    @cached_property
    def speakers(self) -> tuple[list[str], np.ndarray]:
        """The conditions there are, and which one each known case has: names and float64 [n, names], 0 or 1."""
        names, number = np.unique(self.conditions.astype(str), return_inverse=True)
        return names.tolist(), np.eye(len(names))[number]

    @cached_property
    def group_of(self) -> dict[str, int]:
        """The group of each known case by its image id."""
        return dict(zip(self.image_ids.astype(str).tolist(), self.groups.tolist(), strict=True))


def spaces(deep: np.ndarray, middle: np.ndarray) -> tuple[Space, Space]:
    """The spaces that training photographs span in both views, features [n, C] and [n, C']."""
    return _space(deep, DEEP_AXES), _space(_unit(middle), MIDDLE_AXES)


def points(space: Space, deep: np.ndarray) -> np.ndarray:
    """Where photographs are in the deep space, along its axes, float64 [n, d]."""
    return (np.asarray(deep, dtype=np.float64) - space.centre) @ space.axes.T


def residuals(deep_space: Space, middle_space: Space, deep: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """How far photographs lie outside the spaces in the two views, float64 [n, 2], each on a scale of its own."""
    return np.stack([_outside(deep_space, deep), _outside(middle_space, _unit(middle))], axis=1)


def widths(apart: np.ndarray) -> np.ndarray:
    """How much the `residuals` [n, 2] of held-out photographs vary in each view: the middle 68 % of them."""
    low, high = np.quantile(apart, [0.16, 0.84], axis=0)
    return np.asarray(np.maximum(high - low, 1e-9))


def distance(reference: Reference, deep: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """How far photographs are from the training photographs, float64 [n]: the mean over both views."""
    apart = residuals(reference.deep, reference.middle, deep, middle)
    return np.asarray((apart / reference.widths).mean(axis=1))


def limit(distances: np.ndarray, *, declined: float = DECLINED) -> float:
    """The distance that a share `declined` of held-out photographs of skin exceeds."""
    return float(np.quantile(distances, 1 - declined, method="higher"))


def unlike_out_of_fold(distances: np.ndarray, clusters: np.ndarray, *, folds: int = 10,
                       seed: int = 0) -> np.ndarray:
    """Whether each held-out photograph is unlike, bool [n], by a limit from the other folds."""
    names, number = np.unique(clusters, return_inverse=True)
    fold = (np.random.default_rng(seed).permutation(len(names)) % folds)[number]
    found = np.zeros(len(distances), dtype=bool)
    for one in np.unique(fold):
        out = fold == one
        found[out] = distances[out] > (limit(distances[~out]) if (~out).any() else np.inf)
    return found


def nearest(reference: Reference, deep: np.ndarray, *, count: int = 4) -> np.ndarray:
    """Rows of the known cases most like one photograph of `deep` features [C], the most alike first: by the cosine
    of the angle between the features."""
    return np.argsort(-_likeness(reference, deep[None])[0], kind="stable")[:count]


def vote(reference: Reference, deep: np.ndarray, classes: Sequence[str],
         image_ids: Sequence[str] | None = None, *, width: float = WIDTH) -> np.ndarray:
    """What the known cases say of photographs of `deep` features [N, C]: float64 [N, classes], rows sum to 1.

    Each case speaks for its own condition, with exp(likeness / width), the kernel estimate of Nadaraya and Watson
    (1964): one that is by `width` less alike than another has 1/e of its say. That such a vote mends a network's
    answer is shown of text by Khandelwal et al. (2020, kNN-LM). Of a photograph that is a known case itself, as
    its image id tells, neither it nor its group speaks.
    """
    names, speaks_for = reference.speakers
    own = np.full(len(deep), -1)
    if image_ids is not None:
        own[:] = [reference.group_of.get(str(name), -1) for name in image_ids]
    found = np.zeros((len(deep), len(classes)))
    for i in range(0, len(deep), _PART):
        alike = _likeness(reference, deep[i:i + _PART])
        silent = own[i:i + _PART, None] == reference.groups
        alike[silent & ~silent.all(axis=1, keepdims=True)] = -np.inf  # somebody has to speak
        loud = np.exp((alike - alike.max(axis=1, keepdims=True)) / width) @ speaks_for
        found[i:i + _PART, [classes.index(name) for name in names]] = loud / loud.sum(axis=1, keepdims=True)
    return found


def stepped(values: np.ndarray) -> tuple[np.ndarray, float]:
    """Points as int8 and the step between two of them: what is kept of them takes half the room."""
    step = float(np.abs(values).max(initial=0)) / _STEPS or 1.0
    return np.round(np.asarray(values, dtype=np.float64) / step).astype(np.int8), step


def rounded(values: np.ndarray) -> np.ndarray:
    """float32 as precise as float16, in which they are kept: what is measured now is what a reader measures."""
    return np.asarray(values, dtype=np.float16).astype(np.float32)


def _likeness(reference: Reference, deep: np.ndarray) -> np.ndarray:
    """The cosine of the angle between photographs' features [N, C] and each known case's, float64 [N, n]."""
    return np.asarray(_unit(deep).astype(np.float32) @ reference.directions.T, dtype=np.float64)


def _unit(features: np.ndarray) -> np.ndarray:
    values = np.asarray(features, dtype=np.float64)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)


def _space(features: np.ndarray, axes: int) -> Space:
    """The principal axes of features [n, C]: at most `axes`, and fewer than n and C."""
    values = np.asarray(features, dtype=np.float64)
    count = min(axes, len(values) - 1, values.shape[1] - 1)
    _, vectors = np.linalg.eigh(np.cov(values, rowvar=False))
    return Space(rounded(values.mean(axis=0)), rounded(vectors[:, ::-1][:, :count].T))


def _outside(space: Space, features: np.ndarray) -> np.ndarray:
    off = np.asarray(features, dtype=np.float64) - space.centre
    return np.asarray(np.linalg.norm(off - off @ space.axes.T @ space.axes, axis=1))
