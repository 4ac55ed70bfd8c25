"""Means of weights, and a network that answers with others than its own."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from derm.nn import architecture, averaging
from derm.nn.averaging import EpochMean


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return architecture.build("baseline", classes=3, size=32)


def test_the_mean_over_epochs_is_the_mean():
    rng = np.random.default_rng(0)
    epochs = [[rng.normal(size=(2, 3)).astype("float32"), rng.normal(size=4).astype("float32")] for _ in range(5)]
    mean = EpochMean()
    for number, arrays in enumerate(epochs, start=1):
        if number == 3:  # a run that was killed goes on with what its checkpoint held
            mean = EpochMean(mean.count, list(mean.arrays))
        mean.add(arrays)
        for found, *seen in zip(mean.arrays, *epochs[:number], strict=True):
            np.testing.assert_allclose(found, np.mean(seen, axis=0, dtype="float64"), rtol=1e-6)
    assert mean.count == 5


def test_a_network_answers_with_other_weights_for_a_while(network):
    own = averaging.values(network.weights)
    others = [array + 1 for array in own]
    with averaging.answering(network, others):
        within = averaging.values(network.weights)
    with pytest.raises(KeyError), averaging.answering(network, others):
        raise KeyError
    after = averaging.values(network.weights)
    for found, expected in zip([*within, *after], [*others, *own], strict=True):
        np.testing.assert_array_equal(found, expected)


def test_only_what_has_an_average_is_replaced(network):
    path = network.weights[2].path
    found = averaging.replaced(network, {path: network.weights[2] * 0 + 7})
    np.testing.assert_array_equal(found[2], np.full_like(found[2], 7))
    for index in (0, 1, 3, 4, 5):
        np.testing.assert_array_equal(found[index], averaging.values(network.weights)[index])
