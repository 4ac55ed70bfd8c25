"""The saliency methods beyond Grad-CAM."""

from __future__ import annotations

import numpy as np
import pytest

from derm.errors import ModelError
from derm.nn import explain
from derm.nn.predict import Predictor
from derm.ui.heatmaps import WAYS
from tests.bundles import make_bundle


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    return Predictor.load(make_bundle(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


SIDES = {"gradcam++": 8, "layercam": 16, "smoothgrad": 32, "saliency": 32}


@pytest.mark.parametrize("method", explain.METHODS)
def test_a_map_that_is_the_same_each_time(predictor, pixels, method):
    found = explain.explain(predictor, pixels, "eczema", method)
    assert found.dtype == np.float32
    assert found.shape == (SIDES[method], SIDES[method])
    assert found.min() >= 0
    assert 0.9 < found.max() <= 1
    np.testing.assert_array_equal(explain.explain(predictor, pixels, "eczema", method), found)
    assert not np.array_equal(explain.explain(predictor, pixels, "acne", method), found)


def test_saliency_is_the_gradient_at_the_picture(predictor):
    """Against the change of the logit when one colour of one pixel goes one grey level up and down."""
    pixels = np.random.default_rng(1).integers(1, 255, (32, 32, 3), dtype=np.uint8)
    found = explain.explain(predictor, pixels, "eczema", "saliency")
    ranked = np.argsort(found.ravel())[[-1, 900, 700, 400, 0]]
    batch = np.repeat(pixels[None], 5 * 3 * 2, axis=0).reshape(5, 3, 2, 32 * 32, 3)
    for i, place in enumerate(ranked):
        for colour in range(3):
            batch[i, colour, 0, place, colour] += 1
            batch[i, colour, 1, place, colour] -= 1
    logits = np.asarray(predictor.network(batch.reshape(-1, 32, 32, 3), training=False))
    change = logits[:, predictor.classes.index("eczema")].reshape(5, 3, 2)
    steepest = np.abs(change[:, :, 0] - change[:, :, 1]).max(axis=1)
    np.testing.assert_allclose(steepest / steepest[0], found.ravel()[ranked], atol=0.03)


def test_the_noise_of_smoothgrad_leaves_the_state_of_numpy_alone(predictor, pixels):
    np.random.seed(5)
    expected = np.random.random()
    np.random.seed(5)
    explain.explain(predictor, pixels, "eczema", "smoothgrad")
    assert np.random.random() == expected


@pytest.mark.parametrize(("condition", "method", "says"), [
    ("eczema", "gradcam", "expected one of gradcam"), ("measles", "saliency", "tiny knows acne"),
])
def test_unknown_names_are_refused(predictor, pixels, condition, method, says):
    with pytest.raises(ModelError, match=says):
        explain.explain(predictor, pixels, condition, method)


def test_the_page_offers_what_there_is_under_the_same_names():
    labels = {key: method.label for key, method in explain.METHODS.items()}
    assert labels == {key: way[0] for key, way in WAYS.items() if key != "gradcam"}
