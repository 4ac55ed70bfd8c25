"""Where an attention head, or a network that reads metadata too, sees a condition."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest

from derm.nn import architecture, explain
from derm.nn.predict import Predictor
from tests.bundles import make_bundle

HEADS = ("se", "cbam", "attention")
LESION = (slice(20, 28), slice(4, 12))  # rows, columns of a picture 32 x 32; in its map a quarter of that
AGE = {"x_age": {"kind": "number", "mean": 50.0, "sd": 10.0}}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return replace(make_bundle(tmp_path_factory.mktemp("models") / "tiny"), mirror=False)


@pytest.fixture(scope="module")
def pixels():
    """A dark lesion on light skin."""
    picture = np.random.default_rng(0).integers(205, 225, (32, 32, 3), dtype=np.uint8)
    picture[LESION] = np.random.default_rng(1).integers(20, 40, picture[LESION].shape, dtype=np.uint8)
    return picture


def dark_is_melanoma(classes, head, metadata=0):
    """A network whose feature map is darkness, by which it knows one condition; its head a little trained."""
    keras.utils.set_random_seed(0)
    network = architecture.build("baseline", classes=len(classes), size=32, head=head, metadata=metadata)
    rng = np.random.default_rng(3)
    architecture.set_trainable(network, from_layer="head")
    for variable in network.trainable_variables:
        variable.assign(variable + rng.normal(0, 0.05, variable.shape))
    for name, weight, bias in (("conv1", -1 / 3, 0.8), ("conv2", 1.0, 0.0)):
        kernel, shift = (np.zeros_like(values) for values in network.get_layer(name).get_weights())
        kernel[1, 1, :3 if name == "conv1" else 1, 0], shift[0] = weight, bias
        network.get_layer(name).set_weights([kernel, shift])
    kernel, shift = network.get_layer("logits").get_weights()
    kernel[0] = np.where(np.array(classes) == "melanoma", 3.0, -1.0)
    network.get_layer("logits").set_weights([kernel, shift])
    return network


def share_in_lesion(heatmap):
    scale = 32 // len(heatmap)
    rows, columns = (slice(part.start // scale, part.stop // scale) for part in LESION)
    return heatmap[rows, columns].sum() / heatmap.sum()


@pytest.mark.parametrize("head", HEADS)
def test_grad_cam_is_the_gradient_at_the_last_feature_map(bundle, pixels, head):
    """Against Grad-CAM as everybody writes it, in one tape over the whole network."""
    tf = pytest.importorskip("tensorflow")
    network = dark_is_melanoma(bundle.classes, head)
    found = Predictor(bundle, network).diagnose(pixels).heatmaps
    floats = keras.models.clone_model(network, input_tensors=keras.Input((32, 32, 3), name="image"))
    floats.set_weights(network.get_weights())
    both = keras.Model(floats.input, [floats.get_layer("conv2_pool").output, floats.output])
    image = tf.constant(pixels[None].astype("float32"))
    for condition, ours in found.items():
        with tf.GradientTape() as tape:
            tape.watch(image)
            features, logits = both(image, training=False)
            score = logits[0, bundle.classes.index(condition)]
        weights = np.asarray(tape.gradient(score, features)).mean(axis=(1, 2))[0]
        theirs = np.maximum(np.asarray(features[0]) @ weights, 0)
        np.testing.assert_allclose(ours, theirs / max(theirs.max(), 1e-30), atol=1e-4)


@pytest.mark.parametrize("head", HEADS)
def test_grad_cam_finds_the_lesion(bundle, pixels, head):
    found = Predictor(bundle, dark_is_melanoma(bundle.classes, head)).diagnose(pixels)
    assert found.top(1)[0].condition == "melanoma"
    assert share_in_lesion(found.heatmaps["melanoma"]) > 0.9


# SmoothGrad's noise is wider than the step from skin to lesion that this network knows.
@pytest.mark.parametrize("method", sorted({*explain.METHODS} - {"smoothgrad"}))
def test_every_method_finds_the_lesion_behind_a_head_with_metadata(bundle, pixels, method):
    pytest.importorskip("tensorflow")
    network = dark_is_melanoma(bundle.classes, "cbam", metadata=2)
    predictor = Predictor(replace(bundle, metadata=AGE), network)
    assert share_in_lesion(explain.explain(predictor, pixels, "melanoma", method)) > 0.8


def test_the_heat_map_of_a_photograph_does_not_depend_on_the_metadata(bundle, pixels):
    predictor = Predictor(replace(bundle, metadata=AGE), dark_is_melanoma(bundle.classes, "attention", metadata=2))
    without, young, old = (predictor.diagnose(pixels, metadata)
                           for metadata in (None, {"x_age": 8}, {"x_age": 95}))
    assert np.abs(young.probabilities - old.probabilities).max() > 1e-4
    assert np.abs(young.probabilities - without.probabilities).max() > 1e-4
    for other in (young, old):
        np.testing.assert_allclose(other.heatmaps["melanoma"], without.heatmaps["melanoma"], atol=1e-6)
