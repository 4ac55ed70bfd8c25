"""The head, what trains, and where the network can be cut in two."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from derm.errors import ConfigError
from derm.nn import architecture


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    return architecture.build("mobilenetv2", classes=3, size=64)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)


def _trained(network) -> list[str]:
    return [layer.name for layer in network.layers if layer.trainable_weights]


def test_logits_are_linear_and_float32_under_mixed_precision(images):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        network = architecture.build("baseline", classes=3, size=64)
    finally:
        keras.config.set_dtype_policy("float32")
    assert network.get_layer("conv1").compute_dtype == "float16"
    assert keras.backend.standardize_dtype(network(images, training=False).dtype) == "float32"


def test_head_alone_trains(network):
    architecture.set_trainable(network, from_layer="head")
    assert _trained(network) == ["logits"]


@pytest.mark.parametrize(("live", "norms"), [(False, 0), (True, 52)])
def test_everything_trains_but_batch_norm_only_if_live(network, live, norms):
    architecture.set_trainable(network, live_batch_norm=live)
    trained = _trained(network)
    assert "Conv1" in trained
    assert "logits" in trained
    found = [name for name in trained if isinstance(network.get_layer(name), keras.layers.BatchNormalization)]
    assert len(found) == norms


@pytest.mark.parametrize("start", ["block_13", "block_13_expand"])
def test_training_from_a_block_or_layer(network, start):
    architecture.set_trainable(network, from_layer=start, live_batch_norm=True)
    trained = _trained(network)
    assert trained[0] == "block_13_expand"
    assert "block_13_expand_BN" in trained
    assert "block_12_project_BN" not in trained


def test_an_unknown_layer_lists_some_that_are_known(network):
    with pytest.raises(ConfigError, match=r"has no such layer.*block_\d+_") as caught:
        architecture.set_trainable(network, from_layer="block_99")
    assert caught.value.key == "from_layer"


def test_a_float_input_shares_weights_and_does_not_round(network, images):
    floats = architecture.with_float_input(network)
    np.testing.assert_allclose(floats(images.astype("float32")), network(images, training=False), atol=1e-6)
    assert np.abs(floats(images + 0.4) - floats(images.astype("float32"))).max() > 0
    assert floats.weights[0] is network.weights[0]


@pytest.mark.parametrize(("finer", "side"), [(False, 2), (True, 4)])
def test_the_two_halves_make_the_whole(network, images, finer, side):
    trunk, head = architecture.split(network, finer=finer)
    features = trunk(images, training=False)
    assert features.shape[1:3] == (side, side)
    np.testing.assert_allclose(head(features, training=False), network(images, training=False), atol=1e-6)


def test_a_hidden_layer_in_the_head_has_no_closed_form(network):
    assert architecture.closed_form(network)
    pooled = network.get_layer("dropout").output
    hidden = keras.layers.Dense(3, name="logits")(keras.layers.Dense(8, activation="relu")(pooled))
    assert not architecture.closed_form(keras.Model(network.input, hidden))
