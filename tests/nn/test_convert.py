"""Somebody else's networks, tiny ones, made ours; and ours made ONNX."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from derm import importing, registry, safety
from derm.errors import ModelError
from derm.nn import architecture, convert
from derm.nn.predict import Predictor
from tests.bundles import make_bundle

L = keras.layers
CLASSES, SIZE = 3, 32


def nested() -> keras.Model:
    """Two Sequentials whose layers have the same names, and dropout that sleeps when it is asked."""
    def part() -> list[keras.Layer]:
        return [L.Conv2D(4, 3, name="pool"), L.BatchNormalization(name="norm"), L.ReLU(name="logits")]

    image = keras.Input((SIZE, SIZE, 3))
    first, second = keras.Sequential(part(), name="one")(image), keras.Sequential(part(), name="two")(image)
    x = L.GlobalAveragePooling2D()(L.Concatenate()([first, second]))
    return keras.Model(image, L.Dense(CLASSES, activation="softmax")(L.Dropout(0.5)(x)))


def sequential() -> keras.Model:
    return keras.Sequential([keras.Input((SIZE, SIZE, 3)), L.RandomFlip(), L.Conv2D(4, 3, activation="relu"),
                             L.Flatten(), L.Dense(8), L.Dense(CLASSES), L.Softmax()])


def of_bytes() -> keras.Model:
    image = keras.Input((SIZE, SIZE, 3), dtype="uint8", name="photo")
    x = L.Conv2D(4, 3)(L.Rescaling(1 / 255, name="image")(image)) + 1
    return keras.Model(image, L.Dense(CLASSES)(L.Flatten()(L.GlobalMaxPooling2D(keepdims=True)(x))))


def two_ways() -> keras.Model:
    image = keras.Input((SIZE, SIZE, 3))
    ways = [L.GlobalAveragePooling2D()(L.Conv2D(4, side)(image)) for side in (3, 5)]
    return keras.Model(image, L.Dense(CLASSES)(L.Concatenate()(ways)))


def ending(activation: str) -> keras.Model:
    return keras.Sequential([keras.Input((SIZE, SIZE, 3)), L.Conv2D(4, 3), L.GlobalAveragePooling2D(),
                             L.Dense(CLASSES, activation=activation)])


def broken() -> keras.Model:
    network = ending("softmax")
    network.layers[-1].bias.assign([np.nan] * CLASSES)
    return network


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (4, SIZE, SIZE, 3), dtype=np.uint8)


def answers(network: keras.Model, batch: np.ndarray) -> np.ndarray:
    return np.asarray(network(batch, training=False), dtype=np.float64)


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("make", "scaling", "scaled", "is_shares"), [
    (nested, "-1..1", lambda x: x / 127.5 - 1, True),
    (sequential, "0..255", lambda x: x.astype("float32"), True), (of_bytes, "", lambda x: x, False)])
def test_it_answers_as_before_and_as_a_bundle_does(make: Callable[[], keras.Model], scaling: str,
                                                   scaled: Callable[[np.ndarray], np.ndarray], is_shares: bool,
                                                   pixels: np.ndarray, tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    outside = make()
    before = answers(outside, scaled(pixels))
    path = tmp_path / "model.keras"
    convert.adopt(outside, classes=CLASSES, scaling=scaling).save(path)
    safety.check_network_file(path, classes=CLASSES, input_size=SIZE)
    adopted = keras.saving.load_model(path, compile=False, safe_mode=True)
    assert (adopted.input.name, adopted.input.dtype, adopted.output.dtype) == ("image", "uint8", "float32")
    expected = before if is_shares else softmax(before)
    np.testing.assert_allclose(softmax(answers(adopted, pixels)), expected, atol=1e-5)
    assert len(architecture.feature_layer(adopted).output.shape) == 4
    assert not any(isinstance(layer, keras.Model) for layer in adopted.layers)


def test_scalings_are_zero_and_one_where_they_should_be() -> None:
    np.testing.assert_allclose(convert.SCALINGS["0..1"]()(np.array([0.0, 255.0])), [0, 1])
    middle = np.array([123.675, 116.28, 103.53]).reshape(1, 1, 1, 3)
    above = middle + 255 * np.array([0.229, 0.224, 0.225])
    scaled = np.asarray(convert.SCALINGS["imagenet"]()(np.concatenate([middle, above]).astype("float32")))
    np.testing.assert_allclose(scaled.reshape(2, 3), [[0] * 3, [1] * 3], atol=1e-4)


def test_the_scalings_are_those_that_people_are_offered() -> None:
    assert list(convert.SCALINGS) == list(importing.SCALINGS)


@pytest.mark.parametrize(("make", "classes", "said"), [
    (lambda: ending("sigmoid"), CLASSES, "sigmoid"), (two_ways, CLASSES, "feature maps"),
    (lambda: ending("softmax"), CLASSES + 1, "4 labels"), (broken, CLASSES, "NaN")])
def test_what_cannot_be_a_model_is_refused(make: Callable[[], keras.Model], classes: int, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        convert.adopt(make(), classes=classes, scaling="0..1")


def test_onnx_answers_as_the_network_and_says_how_to_read_it(pixels: np.ndarray, tmp_path: Path) -> None:
    for name in ("tf2onnx", "onnx"):
        pytest.importorskip(name, reason="install the extra [onnx]")
    runtime = pytest.importorskip("onnxruntime", reason="see requirements-dev.txt")
    bundle = make_bundle(tmp_path / "tiny")
    network = Predictor.load(bundle).network
    convert.to_onnx(network, tmp_path / "tiny.onnx", properties={"classes": json.dumps(bundle.classes)})
    session = runtime.InferenceSession(tmp_path / "tiny.onnx")
    assert [one.name for one in session.get_outputs()] == ["logits"]
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == list(bundle.classes)
    for batch in (pixels, pixels[:1]):
        (found,) = session.run(None, {"image": batch})
        np.testing.assert_allclose(found, answers(network, batch), atol=1e-4)


def test_without_its_packages_onnx_says_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(ModelError, match=r"\.\[onnx\]"):
        convert.to_onnx(ending("softmax"), tmp_path / "x.onnx", properties={})


def test_a_task_that_fails_is_answered_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "source.keras").write_bytes(b"PK no zip")
    with pytest.raises(ModelError, match="Keras cannot load it"):
        convert.TASKS["onnx"]({"source": tmp_path / "source.keras", "target": tmp_path / "x", "properties": {}})


def test_the_network_of_a_bundle_can_be_adopted_again(tmp_path: Path, pixels: np.ndarray) -> None:
    bundle = make_bundle(tmp_path / "tiny", classes=("a", "b", "c"))
    answer = convert.TASKS["adopt"]({"source": bundle.path(registry.NETWORK), "target": tmp_path / "again.keras",
                                     "classes": 3, "scaling": ""})
    assert np.allclose(np.sum(answer["answers"], axis=1), 1, atol=1e-5)
    again = keras.saving.load_model(tmp_path / "again.keras", compile=False)
    np.testing.assert_allclose(answers(again, pixels), answers(Predictor.load(bundle).network, pixels), atol=1e-4)


def test_a_file_through_a_process_of_its_own_diagnoses(tmp_path: Path, pixels: np.ndarray) -> None:
    ending("softmax").save(tmp_path / "theirs.keras")
    labels = importing.read_labels(b"acne\neczema\nmelanoma\n")
    found = importing.bring(tmp_path / "theirs.keras", labels=labels, name="theirs", scaling="0..1",
                            models=tmp_path / "models")
    diagnosis = Predictor.load(found.bundle).diagnose(pixels[0])
    assert diagnosis.probabilities.sum() == pytest.approx(1)
    assert set(diagnosis.heatmaps) == {"acne", "eczema", "melanoma"}
