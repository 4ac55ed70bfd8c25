"""From a table to batches: what is drawn how often, and what each image weighs. Knows arrays; no files."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np

from derm.nn.config import TrainConfig


def class_weights(labels: np.ndarray, classes: int, imbalance: str) -> np.ndarray:
    """What one image of each class weighs in the loss, float32 [classes], mean 1 over the images.

    "class-weights": inverse frequency. "weighted-loss": inverse effective number of samples,
    (1 - b) / (1 - b^n) with b = 0.999 (Cui et al., CVPR 2019). Anything else: all 1.
    """
    counts = np.maximum(np.bincount(labels, minlength=classes), 1)
    if imbalance == "class-weights":
        weights = 1 / counts
    elif imbalance == "weighted-loss":
        weights = 0.001 / (1 - 0.999**counts)
    else:
        return np.ones(classes, "float32")
    return (weights / weights[labels].mean()).astype("float32")


def draw_shares(labels: np.ndarray, groups: np.ndarray, imbalance: str) -> np.ndarray:
    """How likely each image is to be drawn, float64 [n], summing to 1.

    "sqrt-sampling": classes by the square root of their size. "inverse-sampling": classes alike.
    "skin-type-sampling": classes by the square root, and within each class its skin-type groups too.
    """
    def rarity(codes: np.ndarray, power: float) -> np.ndarray:
        return np.bincount(codes)[codes].astype(float) ** -power

    if imbalance == "sqrt-sampling":
        shares = rarity(labels, 0.5)
    elif imbalance == "inverse-sampling":
        shares = rarity(labels, 1.0)
    elif imbalance == "skin-type-sampling":
        codes = np.unique(groups, return_inverse=True)[1]
        both = np.unique(labels * (codes.max() + 1) + codes, return_inverse=True)[1]
        # Within a class a group is drawn by the square root of its size; the class itself likewise.
        within = rarity(both, 0.5)
        totals = np.bincount(labels, weights=within)
        shares = within / totals[labels] * np.sqrt(np.bincount(labels))[labels]
    else:
        shares = np.ones(len(labels))
    return shares / shares.sum()


def epoch_order(shares: np.ndarray, *, batch: int, steps: int, seed: int, epoch: int) -> np.ndarray:
    """Which images an epoch sees, int [steps, batch]: the same for the same seed and epoch.

    Systematic sampling: image i comes floor or ceil(n * share_i) times, so that with equal shares
    every image comes once, and no epoch forgets a rare class by bad luck.
    """
    rng = np.random.default_rng((seed, epoch))
    count = steps * batch
    shuffled = rng.permutation(len(shares))
    ticks = (np.arange(count) + rng.random()) / count
    drawn = np.minimum(np.searchsorted(np.cumsum(shares[shuffled]), ticks, side="right"), len(shares) - 1)
    return rng.permutation(shuffled[drawn]).reshape(steps, batch)


def steps_per_epoch(images: int, config: TrainConfig) -> int:
    """Batches in an epoch: what the config says, else enough to see as many images as there are."""
    return config.steps_per_epoch or max(1, round(images / config.batch_size))


def partners(order: np.ndarray, labels: np.ndarray, *, below: int, seed: int, epoch: int) -> np.ndarray:
    """For each image of an epoch's `order`, int [steps, batch], another one of its class, int [steps, batch].

    Only of classes with fewer than `below` images; any other image, and the only one of its class, gets itself.
    The same for the same order, seed and epoch.
    """
    counts = np.bincount(labels)
    by_class = np.argsort(labels, kind="stable")
    first = np.cumsum(counts) - counts
    place = np.empty_like(by_class)
    place[by_class] = np.arange(len(labels)) - first[labels[by_class]]
    own = labels[order]
    size = counts[own]
    further = 1 + np.floor(np.random.default_rng((seed, epoch, 1)).random(order.shape) * (size - 1)).astype(int)
    return by_class[first[own] + (place[order] + np.where(size < below, further, 0)) % size]


class Batches(keras.utils.PyDataset):
    """One epoch's batches, each a dict of the rows that `order`, int [steps, batch], draws from `columns`.

    The learner wants "image", uint8 [n, S, S, 3], and "target", float32 [n, classes]; "group" and "metadata" go
    along in the same way. With `partners`, int [steps, batch], a batch has "partner" too: the pictures of those
    rows. Two threads read ahead, so the accelerator does not wait for the disk.
    """

    def __init__(self, columns: Mapping[str, np.ndarray], order: np.ndarray, *,
                 partners: np.ndarray | None = None) -> None:
        super().__init__(workers=2, use_multiprocessing=False, max_queue_size=8)
        self._columns, self._order, self._partners = columns, order, partners

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray]]:
        batch = {name: column[self._order[index]] for name, column in self._columns.items()}
        if self._partners is not None:
            batch["partner"] = self._columns["image"][self._partners[index]]
        return (batch,)
