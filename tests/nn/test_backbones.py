"""Every backbone builds, scales its own input and takes its weights, or says what is wrong."""

from __future__ import annotations

import functools
from dataclasses import replace

import keras
import numpy as np
import pytest

from derm import safety
from derm.errors import ConfigError, ModelError
from derm.nn import architecture, backbones
from derm.nn.backbones import BACKBONES, IMAGENET_MEAN, IMAGENET_STD
from derm.settings import settings

IMAGES = np.random.default_rng(0).integers(0, 256, (1, 75, 75, 3), dtype=np.uint8)
TORCH_STYLE = (IMAGES / 255 - IMAGENET_MEAN) / IMAGENET_STD


@pytest.fixture
def weights_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("DERM_WEIGHTS", str(tmp_path))
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


def _image(size: int = 32):
    return keras.Input((size, size, 3), dtype="uint8", name="image")


def _same(one, other) -> bool:
    pairs = zip(one.get_weights(), other.get_weights(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


# Larger ones of a family: the same code with more layers.
LARGER = ("resnet50v2", "nasnetmobile", "inceptionv3", "densenet121", "efficientnetb3", "efficientnetb4",
          "efficientnetv2s")


@functools.cache
def built(name: str) -> keras.Model:
    """The network at the least size, for those who do not change it."""
    return architecture.build(name, classes=4, size=BACKBONES[name].min_size)


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=pytest.mark.slow) if name in LARGER else name for name in BACKBONES])
def test_one_image_through_one_flat_graph(name):
    size = BACKBONES[name].min_size
    network = built(name)
    assert network(IMAGES[:, :size, :size], training=False).shape == (1, 4)
    assert network.input.dtype == "uint8"
    assert not [layer.name for layer in network.layers if isinstance(layer, keras.Model | keras.layers.Lambda)]
    assert architecture.closed_form(network)


def test_natural_sizes_are_not_below_the_least():
    assert all(kind.size >= kind.min_size and kind.name == name for name, kind in BACKBONES.items())


@pytest.mark.parametrize("name", ["resnet50", "convnexttiny", "mobilenetv3large"])  # the three odd graphs
def test_saved_and_loaded_without_custom_objects(name, tmp_path):
    network = built(name)
    path = tmp_path / "model.keras"
    network.save(path)
    safety.check_network_file(path, classes=4, input_size=32)
    again = keras.saving.load_model(path, compile=False, safe_mode=True)
    image = IMAGES[:, :32, :32]
    np.testing.assert_array_equal(again(image, training=False), network(image, training=False))


@pytest.mark.parametrize(("name", "peer"), [
    ("resnet50", keras.applications.resnet), ("resnet50v2", keras.applications.resnet_v2),
    ("resnet50v2-conv4", keras.applications.resnet_v2), ("mobilenetv2", keras.applications.mobilenet_v2),
    ("densenet121", keras.applications.densenet), ("inceptionv3", keras.applications.inception_v3),
    ("nasnetmobile", keras.applications.nasnet),
])
def test_scaling_is_that_of_the_application(name, peer):
    expected = peer.preprocess_input(IMAGES.astype("float32"))
    np.testing.assert_allclose(BACKBONES[name].scaling(IMAGES), expected, atol=2e-5)


def test_efficientnet_scales_by_the_statistics_of_imagenet_whatever_its_weights():
    trunk = backbones.trunk("efficientnetb0", _image(75))
    norm = next(layer for layer in trunk.layers if isinstance(layer, keras.layers.Normalization))
    np.testing.assert_allclose(keras.Model(trunk.inputs[0], norm.output)(IMAGES), TORCH_STYLE, atol=2e-5)


def test_weights_by_name_from_the_weights_folder(weights_folder):
    source = backbones.trunk("baseline", _image())
    source.save_weights(weights_folder / "mine.weights.h5")
    for weights in ("mine.weights.h5", str(weights_folder / "mine.weights.h5")):
        assert _same(backbones.trunk("baseline", _image(), weights=weights), source)


def test_weights_from_a_bundle_with_other_classes(tmp_path):
    source = architecture.build("baseline", classes=5, size=32)
    source.save(tmp_path / "model.keras")
    trunk = backbones.trunk("baseline", _image(), weights=str(tmp_path / "model.keras"))
    assert all(np.array_equal(a, b) for a, b in zip(trunk.get_weights(), source.get_weights(), strict=False))


def test_imagenet_weights_come_from_the_weights_folder_first(weights_folder):
    source = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(32, 32, 3))
    source.save_weights(weights_folder / "mobilenet_v2_1.0_224_imagenet_notop.weights.h5")
    assert _same(backbones.trunk("mobilenetv2", _image(), weights="imagenet"), source)


def _tiny(*, weights, input_tensor=None, input_shape=None, **_):
    """Stands for a Keras application; its 'download' is a network of ones."""
    x = keras.Input(input_shape) if input_tensor is None else input_tensor
    start = "ones" if weights == "imagenet" else "zeros"
    out = keras.layers.Conv2D(2, 3, kernel_initializer=start)(x)
    return keras.Model(x if input_tensor is None else keras.utils.get_source_inputs(x), out)


def test_downloaded_weights_are_copied(weights_folder, monkeypatch):
    monkeypatch.setitem(BACKBONES, "mobilenetv2", replace(BACKBONES["mobilenetv2"], builder=_tiny))
    trunk = backbones.trunk("mobilenetv2", _image(), weights="imagenet")
    assert (trunk.get_weights()[0] == 1).all()


def test_a_failed_download_says_where_the_file_goes(weights_folder, monkeypatch):
    def unreachable(*, weights, **rest):
        if weights == "imagenet":
            raise Exception("URL fetch failure")  # what Keras raises
        return _tiny(weights=weights, **rest)

    monkeypatch.setitem(BACKBONES, "densenet121", replace(BACKBONES["densenet121"], builder=unreachable))
    with pytest.raises(ModelError, match="URL fetch failure") as caught:
        backbones.trunk("densenet121", _image(), weights="imagenet")
    assert "densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5" in str(caught.value)
    assert str(weights_folder) in str(caught.value)


@pytest.mark.parametrize(("name", "size", "weights", "error", "says"), [
    ("resnet51", 32, "none", ConfigError, "expected one of resnet50, "),
    ("inceptionv3", 64, "none", ConfigError, "at least 75"),
    ("baseline", 32, "imagenet", ModelError, "no published weights"),
    ("resnet50v2-conv4", 32, "imagenet", ModelError, "resnet50v2_conv4_imagenet.weights.h5"),
    ("baseline", 32, "absent.weights.h5", ModelError, "no such file"),
    ("baseline", 32, "wrong.weights.h5", ModelError, "not weights of baseline"),
    ("baseline", 32, "other.weights.h5", ModelError, "not weights of baseline"),
    ("baseline", 32, "text.txt", ModelError, "not weights of baseline"),
])
def test_what_cannot_be_built_is_said_in_a_sentence(name, size, weights, error, says, weights_folder):
    (weights_folder / "wrong.weights.h5").write_bytes(b"not HDF5")
    (weights_folder / "text.txt").write_text("text")
    _tiny(weights=None, input_shape=(32, 32, 3)).save_weights(weights_folder / "other.weights.h5")
    with pytest.raises(error, match=says):
        backbones.trunk(name, _image(size), weights=weights)
