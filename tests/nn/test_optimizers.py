"""The schedule, the optimiser's step, the average it keeps, and what each block's rate is."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from derm.nn import architecture, optimizers
from derm.nn.config import TrainConfig
from derm.nn.optimizers import AdamW, Cosine


@pytest.fixture(scope="module")
def network() -> keras.Model:
    """conv1 at 32 pixels, conv2 at 16."""
    return architecture.build("baseline", classes=3, size=32)


@pytest.mark.parametrize(("options", "at", "found"), [
    ({"steps": 110, "warmup": 10}, [0, 5, 10, 60, 110], [0, 0.05, 0.1, 0.1 * (0.99 * 0.5 + 0.01), 0.001]),
    ({"steps": 110, "warmup": 0}, [0, 55, 110], [0.1, 0.1 * (0.99 * 0.5 + 0.01), 0.001]),
    ({"steps": 5, "warmup": 50}, [0, 2, 4, 5], [0, 0.05, 0.1, 0.001]),
    ({"steps": 110, "warmup": 10, "held": 60}, [10, 60, 80, 110], [0.1, *[0.1 * (0.99 * 0.5 + 0.01)] * 3]),
    ({"steps": 110, "warmup": 10, "held": 3}, [3, 10, 110], [0.03, 0.1, 0.1]),
], ids=["warm-up then cosine", "no warm-up", "a warm-up longer than the run", "held", "held within the warm-up"])
def test_the_rate(options, at, found):
    schedule = Cosine(0.1, **options)
    assert [float(schedule(step)) for step in at] == pytest.approx(found, rel=1e-4)


def trained(optimizer: keras.optimizers.Optimizer, steps: int = 3, gradient: float = 1.0) -> dict[str, np.ndarray]:
    """A kernel and a bias after some steps."""
    variables = [keras.Variable(np.full(2, 5.0, "float32"), name=name) for name in ("kernel", "bias")]
    optimizer.build(variables)
    for step in range(steps):
        optimizer.apply([np.full(2, gradient * (step + 1), "float32")] * 2)
    return {variable.name: np.array(variable) for variable in variables}


def test_it_is_keras_s_adamw_whose_biases_do_not_decay():
    theirs = keras.optimizers.AdamW(0.1, weight_decay=0.5)
    theirs.exclude_from_weight_decay(var_names=["bias"])
    ours, expected = trained(AdamW(0.1, decay=0.5, factors={})), trained(theirs)
    np.testing.assert_allclose(ours["kernel"], expected["kernel"], rtol=1e-5)
    np.testing.assert_allclose(ours["bias"], expected["bias"], rtol=1e-5)
    assert ours["kernel"][0] < ours["bias"][0]


@pytest.mark.parametrize(("name", "decays"), [("adamw", True), ("adam", False)])
def test_the_optimizer_is_the_one_asked_for(network, name, decays):
    config = TrainConfig(optimizer=name, weight_decay=0.5)
    left = trained(optimizers.optimizer(config, network, rate=0.1), gradient=0.0)["kernel"][0]
    assert bool(left < 5) is decays


def test_each_block_has_the_rate_of_the_next_times_the_decay(network):
    assert optimizers.factors(network, 1.0) == {}
    assert optimizers.factors(network, 0.5) == {
        "conv1/kernel": 0.25, "conv1/bias": 0.25, "conv2/kernel": 0.5, "conv2/bias": 0.5}


@pytest.mark.parametrize(("gradient", "what"), [(1.0, "step"), (0.0, "decay")])
def test_steps_and_decay_shrink_with_the_block(network, gradient, what):
    """All weights 1 and all gradients alike, so that Adam alone would move all of them by the rate."""
    copy = keras.models.clone_model(network)
    for variable in copy.trainable_variables:
        variable.assign(keras.ops.ones_like(variable))
    config = TrainConfig(layer_decay=0.5, weight_decay=0.0 if gradient else 0.1)
    made = optimizers.optimizer(config, copy, rate=0.01)
    made.build(copy.trainable_variables)
    made.apply([keras.ops.ones_like(variable) * gradient for variable in copy.trainable_variables])
    moved = {variable.path: 1 - float(np.mean(variable)) for variable in copy.trainable_variables}
    assert moved["logits/kernel"] == pytest.approx(0.01 if what == "step" else 0.001, rel=1e-3)
    assert moved["conv2/kernel"] == pytest.approx(moved["logits/kernel"] / 2, rel=1e-3)
    assert moved["conv1/kernel"] == pytest.approx(moved["logits/kernel"] / 4, rel=1e-3)


def test_a_block_ends_where_the_feature_map_is_halved():
    """Squeeze-and-excitation layers, of one pixel, belong to the block around them, those of the head to none."""
    found = optimizers.blocks(architecture.build("mobilenetv3large", classes=2, size=64, head="cbam"))
    assert set(found.values()) == {1, 2, 3, 4, 5}
    first, *_, last = found.values()
    assert (first, last) == (5, 1)
    assert found["expanded_conv_3_squeeze_excite_conv"] == found["expanded_conv_3_depthwise"]
    assert not {"excite_in", "excite_out", "where", "logits"} & set(found)


@pytest.mark.parametrize("after", [0, 2])
def test_the_average_is_the_weighted_mean_of_the_weights_since_it_began(after):
    made = AdamW(0.1, decay=0.0, factors={}, ema=0.8, ema_after=after)
    weight = keras.Variable(np.array([5.0], "float32"), name="kernel")
    made.build([weight])
    seen = []
    for gradient in (1.0, -2.0, 0.5, 3.0, 1.0):
        made.apply([np.array([gradient], "float32")])
        seen.append(float(weight[0]))
    used = np.array(seen[after:])
    shares = 0.8 ** np.arange(len(used))[::-1]
    assert float(made.averages[weight.path][0]) == pytest.approx((used * shares).sum() / shares.sum(), rel=1e-5)
    assert float(weight[0]) == seen[-1]


def test_without_an_average_there_is_none(network):
    made = optimizers.optimizer(TrainConfig(), network, rate=0.1)
    made.build(network.trainable_variables)
    assert made.averages == {}
