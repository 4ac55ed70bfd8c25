"""The loss and the device choices."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from derm.errors import ConfigError
from derm.nn import architecture, learner
from derm.nn.config import TrainConfig
from derm.nn.learner import Learner

LOGITS = np.array([[2.0, 0.0, -1.0], [0.5, 0.1, 0.0], [-1.0, 3.0, 0.0]], "float32")
TARGET = np.array([[1, 0, 0], [0, 0, 1], [0.3, 0.7, 0]], "float32")


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return architecture.build("baseline", classes=3, size=32)


def loss(network: keras.Model, weights: np.ndarray | None = None, **changes: object) -> float:
    config = TrainConfig(**{"image_size": 32, "label_smoothing": 0.0, **changes})
    model = Learner(network, config, np.ones(3, "float32") if weights is None else weights)
    return float(model.compute_loss(y_pred={"target": TARGET, "logits": LOGITS}))


def cross_entropies(target: np.ndarray = TARGET) -> np.ndarray:
    return -(target * (LOGITS - np.log(np.exp(LOGITS).sum(axis=1, keepdims=True)))).sum(axis=1)


def test_the_loss_is_the_mean_cross_entropy(network):
    assert loss(network) == pytest.approx(cross_entropies().mean(), rel=1e-5)


def test_label_smoothing(network):
    smooth = 0.9 * TARGET + 0.1 / 3
    assert loss(network, label_smoothing=0.1) == pytest.approx(cross_entropies(smooth).mean(), rel=1e-5)


def test_class_weights_follow_a_mixed_target(network):
    weights = np.array([2.0, 0.5, 3.0], "float32")
    assert loss(network, weights) == pytest.approx((cross_entropies() * (TARGET @ weights)).mean(), rel=1e-5)


def test_focal_loss_without_focus_is_the_cross_entropy(network):
    assert loss(network, imbalance="focal", focal_gamma=0.0) == pytest.approx(loss(network), rel=1e-4)


def test_focal_loss_takes_less_notice_of_what_is_known(network):
    """By hand for hard targets: (1 - p)^gamma of the cross-entropy (Lin et al. 2017)."""
    hard = np.eye(3, dtype="float32")[[0, 2, 1]]
    model = Learner(network, TrainConfig(image_size=32, label_smoothing=0.0, imbalance="focal", focal_gamma=2.0),
                    np.ones(3, "float32"))
    found = float(model.compute_loss(y_pred={"target": hard, "logits": LOGITS}))
    entropy = cross_entropies(hard)
    assert found == pytest.approx(((1 - np.exp(-entropy)) ** 2 * entropy).mean(), rel=1e-4)


def test_training_augments_and_prediction_does_not(network):
    model = Learner(network, TrainConfig(image_size=32, mixup=1.0), np.ones(3, "float32"))
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    target = np.eye(3, dtype="float32")
    plain = model({"image": images, "target": target}, training=False)
    np.testing.assert_allclose(plain["logits"], network(images), atol=1e-5)
    np.testing.assert_array_equal(plain["target"], target)
    varied = model({"image": images, "target": target}, training=True)
    assert np.abs(np.asarray(varied["target"]) - target).max() > 0


@pytest.mark.parametrize(("backend", "xla", "used"), [
    ("tensorflow", "auto", False), ("tensorflow", "off", False), ("jax", "auto", True), ("jax", "on", True),
    ("jax", "off", False),
])
def test_where_xla_is_used(monkeypatch, backend, xla, used):
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    assert learner.use_xla(TrainConfig(xla=xla)) is used


def test_xla_on_is_refused_on_tensorflow(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")
    with pytest.raises(ConfigError, match="KERAS_BACKEND=jax") as refusal:
        learner.use_xla(TrainConfig(xla="on"))
    assert refusal.value.key == "xla"


@pytest.mark.parametrize(("precision", "accelerated", "policy"), [
    ("auto", False, "float32"), ("auto", True, "mixed_bfloat16"), ("float32", True, "float32"),
    ("mixed_float16", False, "mixed_float16"),
])
def test_precision_follows_the_device(monkeypatch, precision, accelerated, policy):
    monkeypatch.setattr(learner, "accelerated", lambda: accelerated)
    assert learner.precision(TrainConfig(precision=precision)) == policy


@pytest.mark.parametrize(("devices", "found"), [(["cpu:0"], False), (["CPU:0", "CPU:1"], False),
                                               (["gpu:0"], True), (["cpu:0", "tpu:0"], True)])
def test_an_accelerator_is_anything_but_a_processor(monkeypatch, devices, found):
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: devices)
    assert learner.accelerated() is found


def with_norms() -> keras.Model:
    """The smallest network that has blocks and normalisation."""
    image = x = keras.Input((32, 32, 3), dtype="uint8", name="image")
    x = keras.layers.Rescaling(1 / 255, name="scale")(x)
    for block in ("block_1", "block_2"):
        x = keras.layers.Conv2D(4, 3, strides=2, name=f"{block}_conv")(x)
        x = keras.layers.BatchNormalization(name=f"{block}_norm")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = keras.layers.Dropout(0.0, name="dropout")(x)
    return keras.Model(image, keras.layers.Dense(3, name="logits")(x))


@pytest.mark.parametrize(("train_from", "live", "changed"), [
    ("head", False, {"logits"}),
    ("head", True, {"logits"}),
    ("block_2", False, {"block_2_conv", "logits"}),
    ("block_2", True, {"block_2_conv", "block_2_norm", "logits"}),
    ("all", False, {"block_1_conv", "block_2_conv", "logits"}),
    ("all", True, {"block_1_conv", "block_1_norm", "block_2_conv", "block_2_norm", "logits"}),
])
def test_a_step_changes_what_is_not_frozen(train_from, live, changed):
    """Of normalisation the statistics too, or, frozen, neither these nor the weights."""
    network = with_norms()
    model = Learner(network, TrainConfig(image_size=32, mixup=0.0), np.ones(3, "float32"))
    architecture.set_trainable(network, from_layer=train_from, live_batch_norm=live)
    model.compile(optimizer=keras.optimizers.SGD(0.1), run_eagerly=True)
    before = {variable.path: np.array(variable) for variable in network.weights}
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    model.train_on_batch({"image": images, "target": np.eye(3, dtype="float32")})
    moved = {variable.path for variable in network.weights if not np.array_equal(before[variable.path], variable)}
    assert {path.split("/")[0] for path in moved} == changed
    if "block_2_norm" in changed:
        assert {"block_2_norm/gamma", "block_2_norm/beta", "block_2_norm/moving_mean"} <= moved
