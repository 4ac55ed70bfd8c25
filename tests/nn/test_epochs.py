"""What an epoch shows the learner, on numbered pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from derm.nn.config import TrainConfig
from derm.nn.epochs import Epochs
from derm.nn.material import Material, Part

GROUPS = np.array(["I-II", "V-VI", "not recorded"])[np.arange(12) % 3]


@pytest.fixture
def material() -> Material:
    """Twelve pictures, of one shade each that is their number, of two conditions."""
    pixels = np.broadcast_to(np.arange(12, dtype=np.uint8)[:, None, None, None], (12, 4, 4, 3))
    part = Part(pixels, np.arange(12) % 2, GROUPS, rows=None, metadata=np.empty((12, 0), np.float32))
    return Material(None, part, {}, ("acne", "eczema"))


def shown(epochs: Epochs, epoch: int, first: int = 0) -> dict[str, np.ndarray]:
    batches = epochs.batches(epoch, first=first)
    every = [batches[index][0] for index in range(len(batches))]
    return {name: np.concatenate([batch[name] for batch in every]) for name in every[0]}


def test_pictures_come_with_what_belongs_to_them(material):
    epochs = Epochs(TrainConfig(batch_size=4, group_weighting="dro", rare="mixup"), material)
    found = shown(epochs, 0)
    numbers = found["image"][:, 0, 0, 0]
    assert sorted(numbers) == list(range(12))
    np.testing.assert_array_equal(found["target"].argmax(axis=1), numbers % 2)
    np.testing.assert_array_equal(np.array(["I-II", "III-IV", "V-VI", "not recorded"])[found["group"]],
                                  GROUPS[numbers])
    np.testing.assert_array_equal(found["partner"][:, 0, 0, 0] % 2, numbers % 2)
    assert (found["partner"][:, 0, 0, 0] != numbers).all()
    assert {name: (tensor.shape[1:], tensor.dtype) for name, tensor in epochs.inputs().items()} == {
        name: (column.shape[1:], column.dtype.name) for name, column in found.items()}


def test_only_what_is_asked_for_comes_along(material):
    assert set(shown(Epochs(TrainConfig(batch_size=4), material), 0)) == {"image", "target"}


def test_an_epoch_is_the_same_again_and_other_than_the_next(material):
    config = TrainConfig(batch_size=4, rare="paste")
    whole, rest = shown(Epochs(config, material), 3), shown(Epochs(config, material), 3, first=1)
    for name, column in whole.items():
        np.testing.assert_array_equal(column[4:], rest[name])
    assert (shown(Epochs(config, material), 4)["image"] != whole["image"]).any()


def test_the_config_decides_how_often_each_is_drawn(material):
    uneven = replace(material, train=replace(material.train, labels=np.array([0] * 11 + [1])))
    config = TrainConfig(batch_size=4, imbalance="inverse-sampling", steps_per_epoch=10)
    assert shown(Epochs(config, uneven), 0)["target"][:, 1].mean() == pytest.approx(0.5, abs=0.05)
