"""A finished network is small, and still the network that answered."""

from __future__ import annotations

import zipfile

import keras
import numpy as np
import pytest

from derm import safety
from derm.errors import ModelError
from derm.nn import architecture, compact


@pytest.fixture
def network():
    keras.utils.set_random_seed(0)
    return architecture.build("baseline", classes=3, size=32)


@pytest.mark.parametrize(("value", "rounded"), [
    (1 + 2**-11, 1.0), (1 + 3 * 2**-11, 1 + 2**-9), (1 + 2**-11 + 2**-20, 1 + 2**-10),
    (-1 - 2**-11 - 2**-20, -1 - 2**-10), (0.0, 0.0), (2 - 2**-12, 2.0),
    (1e-30, pytest.approx(1e-30, rel=2**-11)), (1e30, pytest.approx(1e30, rel=2**-11)),
])
def test_a_weight_is_rounded_to_eleven_bits_ties_to_even(network, value, rounded):
    bias = network.get_layer("logits").bias
    bias.assign(np.full(3, value, np.float32))
    compact.shorten(network)
    found = np.asarray(bias)
    assert found[0] == rounded
    assert found.view(np.uint32)[0] % 2**13 == 0


@pytest.mark.parametrize(("shape", "bits"), [((100, 199), 11), ((100, 200), 8)])
def test_large_kernels_keep_fewer_bits(shape, bits):
    inputs = keras.Input(shape[:1])
    network = keras.Model(inputs, keras.layers.Dense(shape[1])(inputs))
    before = network.get_weights()[0]
    compact.shorten(network)
    after = network.get_weights()[0]
    assert not (after.view(np.uint32) % 2 ** (24 - bits)).any()
    assert 2 ** -(bits + 1) < np.abs(after / before - 1).max() <= 2**-bits


def test_every_weight_is_shortened_a_little_and_doing_it_again_changes_nothing(network):
    before = network.get_weights()
    assert not compact.is_short(network)
    compact.shorten(network)
    assert compact.is_short(network)
    once = network.get_weights()
    for old, new in zip(before, once, strict=True):
        assert new.dtype == np.float32
        np.testing.assert_allclose(new, old, rtol=2**-8, atol=0)
    assert any((old != new).any() for old, new in zip(before, once, strict=True))
    compact.shorten(network)
    for old, new in zip(once, network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_saved_network_is_about_half_as_large_and_answers_the_same(network, tmp_path):
    network.save(tmp_path / "plain.keras")
    compact.shorten(network)
    compact.save(network, tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as file:
        weights = file.getinfo("model.weights.h5")
    assert weights.compress_type == zipfile.ZIP_DEFLATED
    assert (tmp_path / "model.keras").stat().st_size < 0.55 * (tmp_path / "plain.keras").stat().st_size
    safety.check_network_file(tmp_path / "model.keras", classes=3, input_size=32)
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    np.testing.assert_array_equal(again(images, training=False), network(images, training=False))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_network_with_metadata_belongs_to_a_bundle_that_says_so(tmp_path):
    path = tmp_path / "model.keras"
    compact.save(architecture.build("baseline", classes=3, size=32, head="cbam", metadata=5), path)
    safety.check_network_file(path, classes=3, input_size=32, metadata=5)
    for width in (0, 4):
        with pytest.raises(ModelError, match=r"float32 \[None, 5\].*do not belong together"):
            safety.check_network_file(path, classes=3, input_size=32, metadata=width)
