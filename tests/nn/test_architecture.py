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


HEADS = ("se", "cbam", "attention")


def tiny(head: str = "pool", metadata: int = 0):
    """A small network with the weights of the trunk and the logits the same for every head."""
    keras.utils.set_random_seed(0)
    source = architecture.build("baseline", classes=3, size=32)
    network = architecture.build("baseline", classes=3, size=32, head=head, metadata=metadata)
    for layer in source.layers:
        if layer.weights and (layer.name != "logits" or not metadata):
            network.get_layer(layer.name).set_weights(layer.get_weights())
    return network


def stirred(network):
    """The same network with every weight of its head drawn at random, as if trained."""
    rng = np.random.default_rng(1)
    architecture.set_trainable(network, from_layer="head")
    for variable in network.trainable_variables:
        variable.assign(rng.normal(0, 0.5, variable.shape))
    return network


@pytest.fixture(scope="module")
def small_images():
    return np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize("head", HEADS)
def test_an_attention_head_starts_from_the_answer_of_mean_pooling_and_can_leave_it(head, small_images):
    network = tiny(head)
    expected = tiny()(small_images, training=False)
    np.testing.assert_allclose(network(small_images, training=False), expected, rtol=1e-5, atol=1e-6)
    assert np.abs(np.asarray(stirred(network)(small_images, training=False)) - expected).max() > 0.01


@pytest.mark.parametrize(("head", "metadata", "trained"), [
    ("pool", 0, {"logits"}), ("se", 0, {"excite_in", "excite_out", "logits"}),
    ("cbam", 0, {"excite_in", "excite_out", "where", "logits"}), ("attention", 0, {"scores", "logits"}),
    ("attention", 4, {"scores", "embedding", "logits"}),
])
def test_the_head_is_what_follows_the_last_feature_map(head, metadata, trained):
    network = tiny(head, metadata)
    architecture.set_trainable(network, from_layer="head")
    assert set(_trained(network)) == trained
    assert architecture.feature_layer(network).name == "conv2_pool"
    assert architecture.closed_form(network) == (head == "pool" and not metadata)


@pytest.mark.parametrize("finer", [False, True])
@pytest.mark.parametrize("head", HEADS)
def test_an_attention_head_can_be_cut_off(head, finer, small_images):
    network = stirred(tiny(head))
    trunk, rest = architecture.split(network, finer=finer)
    features = trunk(small_images, training=False)
    assert features.shape[1] == (16 if finer else 8)
    np.testing.assert_allclose(rest(features, training=False), network(small_images, training=False), atol=1e-5)


@pytest.mark.parametrize("head", HEADS)
def test_the_weights_of_a_head_do_not_depend_on_the_size_of_the_picture(head, small_images):
    network = stirred(tiny(head))
    larger = architecture.build("baseline", classes=3, size=64, head=head)
    larger.set_weights(network.get_weights())
    spread = small_images.repeat(2, axis=1).repeat(2, axis=2)
    assert np.isfinite(np.asarray(larger(spread, training=False))).all()


def test_squeeze_and_excitation_gates_channels(small_images):
    """Against its definition, written out."""
    network = stirred(tiny("se"))
    features = np.asarray(architecture.split(network)[0](small_images, training=False))
    weights = {name: [np.asarray(w) for w in network.get_layer(name).get_weights()]
               for name in ("excite_in", "excite_out", "logits")}
    mean = features.mean(axis=(1, 2))
    hidden = np.maximum(mean @ weights["excite_in"][0] + weights["excite_in"][1], 0)
    gate = 2 / (1 + np.exp(-(hidden @ weights["excite_out"][0] + weights["excite_out"][1])))
    expected = (mean * gate) @ weights["logits"][0] + weights["logits"][1]
    np.testing.assert_allclose(network(small_images, training=False), expected, rtol=1e-4, atol=1e-4)


def test_attention_pooling_is_a_weighted_mean(small_images):
    network = stirred(tiny("attention"))
    features = np.asarray(architecture.split(network)[0](small_images, training=False)).reshape(2, 64, -1)
    (kernel, bias), (last, shift) = (network.get_layer(name).get_weights() for name in ("scores", "logits"))
    scores = features @ kernel[0, 0] + bias
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    expected = (shares * features).sum(axis=1) @ last + shift
    np.testing.assert_allclose(network(small_images, training=False), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("head", ["pool", "cbam"])
def test_what_metadata_adds_can_be_taken_apart_exactly(head, small_images):
    network = stirred(tiny(head, metadata=4))
    rng = np.random.default_rng(2)
    known, absent = rng.normal(size=(2, 4)).astype("float32"), rng.normal(size=(1, 4)).astype("float32")
    alone, added = architecture.parted(network, absent)
    for metadata in (known, absent.repeat(2, axis=0)):
        whole = network({"image": small_images, "metadata": metadata}, training=False)
        np.testing.assert_allclose(np.asarray(alone(small_images, training=False)) + added(metadata), whole,
                                   atol=1e-5)
    assert np.abs(added(known)).max() > 0.01
    assert architecture.closed_form(alone) == (head == "pool")
    floats = architecture.with_float_input(network)
    np.testing.assert_allclose(
        floats({"image": small_images.astype("float32"), "metadata": known}, training=False),
        network({"image": small_images, "metadata": known}, training=False), atol=1e-5)
