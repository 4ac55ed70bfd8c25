"""From a picture to a diagnosis: one network, any thread, either backend."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import keras
import numpy as np
import pytest
from PIL import Image

import derm
from derm import images, registry
from derm.errors import ImageError, ModelError
from derm.images import Photo
from derm.nn.predict import Predictor
from derm.settings import PROJECT, settings
from tests.bundles import make_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def predictor(bundle):
    return Predictor.load(bundle)


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def test_a_differential_of_every_class_and_five_heat_maps(predictor, pixels):
    found = predictor.diagnose(pixels)
    assert (found.model, found.version, found.classes) == ("tiny", "1", predictor.classes)
    assert found.probabilities.dtype == np.float64
    assert found.probabilities.sum() == pytest.approx(1, abs=1e-12)
    assert list(found.heatmaps) == [p.condition for p in found.top(5)]
    assert all(m.dtype == np.float32 and m.shape == (8, 8) for m in found.heatmaps.values())
    assert all(m.min() >= 0 and m.max() in (0, 1) for m in found.heatmaps.values())
    assert found.partition3 == predictor.bundle.partition3
    assert found.seconds > 0


def test_the_same_picture_however_it_comes(predictor, pixels, tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    path = tmp_path / "picture.png"
    path.write_bytes(buffer.getvalue())
    expected = predictor.diagnose(pixels).probabilities
    for same in (buffer.getvalue(), path, str(path), Image.fromarray(pixels), Photo(pixels, "photo")):
        np.testing.assert_array_equal(predictor.diagnose(same).probabilities, expected)


@pytest.mark.parametrize("wrong", [
    np.zeros((8, 8, 3), np.float32), np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8),
    np.zeros((0, 8, 3), np.uint8), b"text",
])
def test_what_is_no_photograph_is_refused(predictor, wrong):
    with pytest.raises(ImageError):
        predictor.diagnose(wrong)


@pytest.mark.parametrize("count", [0, 1, 33])
def test_many_give_the_same_as_one_by_one(predictor, pixels, count):
    pictures = [np.roll(pixels, i, axis=1) for i in range(count)]
    found = predictor.diagnose_many(pictures)
    assert len(found) == count
    for one, picture in zip(found, pictures, strict=True):
        alone = predictor.diagnose(picture)
        np.testing.assert_allclose(one.probabilities, alone.probabilities, atol=1e-6)
        np.testing.assert_allclose(one.heatmaps[one.top(1)[0].condition],
                                   alone.heatmaps[one.top(1)[0].condition], atol=1e-4)


def test_temperature_flattens_probabilities_and_keeps_their_order(predictor, pixels):
    batch = images.fit(pixels, predictor.input_size)[None]
    warmer = Predictor(replace(predictor.bundle, temperature=4.0), predictor.network)
    cold, warm = predictor.probabilities(batch)[0], warmer.probabilities(batch)[0]
    logits = np.asarray(predictor.network(batch, training=False), dtype=np.float64)[0]
    np.testing.assert_allclose(warm, np.exp(logits / 4) / np.exp(logits / 4).sum(), atol=1e-7)
    assert warm.max() < cold.max()
    assert (np.argsort(warm) == np.argsort(cold)).all()
    assert predictor.probabilities(batch[:0]).shape == (0, len(predictor.classes))


def test_closed_form_is_grad_cam(predictor, pixels):
    """Against Grad-CAM as everybody writes it, back from the logit to the last feature map, class by class."""
    tf = pytest.importorskip("tensorflow")
    network = predictor.network
    both = keras.Model(network.input, [network.get_layer("pool").input, network.output])
    batch = tf.constant(images.fit(pixels, predictor.input_size)[None])
    for condition, ours in predictor.diagnose(pixels).heatmaps.items():
        with tf.GradientTape() as tape:
            features, logits = both(batch, training=False)
            tape.watch(features)
            # The head is applied again, because a uint8 input lets the tape see nothing before it.
            pooled = network.get_layer("pool")(features)
            score = network.get_layer("logits")(pooled)[0, predictor.classes.index(condition)]
        weights = tf.reduce_mean(tape.gradient(score, features), axis=(1, 2))[0]
        theirs = np.maximum(np.asarray(features[0]) @ weights.numpy(), 0)
        np.testing.assert_allclose(ours, theirs / theirs.max(), atol=1e-5)
        assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.9999
        assert logits.shape == (1, len(predictor.classes))


def test_a_deeper_head_is_followed_backwards(predictor, pixels):
    """A hidden linear layer leaves no closed form, but multiplies out to one."""
    network = predictor.network
    pooled, count = network.get_layer("dropout").output, len(predictor.classes)
    hidden = keras.layers.Dense(6, name="hidden")
    deep = keras.Model(network.input, keras.layers.Dense(count, name="logits")(hidden(pooled)))
    found = Predictor(predictor.bundle, deep).diagnose(pixels)
    kernel = hidden.kernel.numpy() @ deep.get_layer("logits").kernel.numpy()
    features = keras.Model(network.input, network.get_layer("pool").input)
    maps = np.maximum(np.asarray(features(images.fit(pixels, 32)[None]))[0] @ kernel, 0)
    for condition, ours in found.heatmaps.items():
        expected = maps[:, :, predictor.classes.index(condition)]
        np.testing.assert_allclose(ours, expected / max(expected.max(), 1e-30), atol=1e-4)


def test_threads_get_the_answers_of_one(predictor, pixels):
    pictures = [np.roll(pixels, i % 8, axis=0) for i in range(64)]
    expected = [predictor.diagnose(picture).probabilities for picture in pictures[:8]]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(predictor.diagnose, pictures))
    for i, one in enumerate(found):
        np.testing.assert_array_equal(one.probabilities, expected[i % 8])


def test_a_changed_network_is_not_opened(bundle, tmp_path):
    broken = replace(bundle, folder=tmp_path)
    data = bytearray(bundle.path(registry.NETWORK).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / registry.NETWORK).write_bytes(data)
    with pytest.raises(ModelError, match="SHA-256"):
        Predictor.load(broken)


def test_load_by_name(bundle, pixels, monkeypatch):
    monkeypatch.setenv("DERM_MODELS", str(bundle.folder.parent))
    settings.cache_clear()
    try:
        assert derm.load("tiny").diagnose(pixels).model == "tiny"
    finally:
        settings.cache_clear()


ON_JAX = """
import sys
from pathlib import Path
import numpy as np
from derm import registry
from derm.errors import ModelError
from derm.nn import architecture, explain
from derm.nn.predict import Predictor

predictor = Predictor.load(registry.read(Path(sys.argv[1])))
predictor.network.save(sys.argv[2])
pixels = np.load(sys.argv[3])
np.save(sys.argv[3], predictor.diagnose(pixels).probabilities)
assert len(predictor.diagnose_many([pixels] * 3)) == 3
features = np.random.default_rng(0).random((8, 8, 64), np.float32)
closed = predictor.grad_cam(features, np.arange(3))
predictor._closed = False
np.testing.assert_allclose(predictor.grad_cam(features, np.arange(3)), closed, atol=1e-5)
try:
    explain.explain(predictor, pixels, predictor.classes[0], "saliency")
except ModelError as error:
    assert "KERAS_BACKEND=tensorflow" in str(error)
else:
    raise AssertionError("no ModelError")
assert "tensorflow" not in sys.modules
"""


def test_jax_gives_the_same_answers_without_tensorflow(predictor, pixels, tmp_path):
    pytest.importorskip("jax")
    kept = tmp_path / "array.npy"
    np.save(kept, pixels)
    done = subprocess.run(
        [sys.executable, "-c", ON_JAX, str(predictor.bundle.folder), str(tmp_path / "again.keras"), str(kept)],
        cwd=PROJECT, env=os.environ | {"KERAS_BACKEND": "jax"}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(kept), predictor.diagnose(pixels).probabilities, atol=1e-5)


def test_with_mirror_the_answer_is_the_mean_of_both_views_and_the_map_the_pictures_own(bundle, predictor, pixels):
    both = Predictor.load(replace(bundle, mirror=True))
    flipped = np.ascontiguousarray(pixels[:, ::-1])
    logits = [np.log(predictor.diagnose(view).probabilities) for view in (pixels, flipped)]
    mean = np.exp(np.mean(logits, axis=0))
    found = both.diagnose(pixels)
    np.testing.assert_allclose(found.probabilities, mean / mean.sum(), atol=1e-6)
    np.testing.assert_allclose(found.probabilities, both.diagnose(flipped).probabilities, atol=1e-6)
    alone = predictor.diagnose(pixels)
    shared = set(found.heatmaps) & set(alone.heatmaps)
    assert shared
    for condition in shared:
        np.testing.assert_allclose(found.heatmaps[condition], alone.heatmaps[condition], atol=1e-5)


@pytest.mark.parametrize(("mirror", "count"), [(False, 4), (True, 8)])
def test_with_turns_the_answer_is_the_mean_over_all_of_them_and_the_map_the_pictures_own(
        bundle, predictor, pixels, mirror, count):
    square = images.fit(pixels, predictor.input_size)
    views = [np.rot90(view, quarter) for view in ((square, square[:, ::-1]) if mirror else (square,))
             for quarter in range(4)]
    assert len(views) == count
    logits, _ = predictor.evidence(np.stack(views))
    turned = Predictor(replace(bundle, mirror=mirror, turns=True), predictor.network)
    np.testing.assert_allclose(turned.evidence(square[None])[0][0], logits.mean(axis=0), atol=1e-5)
    found = turned.diagnose_fitted(np.stack(views))
    for one in found[1:]:  # every view of it gets the same answer
        np.testing.assert_allclose(one.probabilities, found[0].probabilities, atol=1e-6)
    assert np.abs(found[0].probabilities - predictor.probabilities(square[None])[0]).max() > 1e-6
    for own, alone in zip(turned.features(square[None]), predictor.features(square[None]), strict=True):
        np.testing.assert_allclose(own, alone, atol=1e-6)
