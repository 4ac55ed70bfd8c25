"""AdamW whose rate differs from block to block and that averages the weights. Knows Keras; no data, no files."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from derm.nn import architecture
from derm.nn.config import TrainConfig

# Decaying norms and biases only shrinks what they are there to scale (as in the AdamW literature).
_NEVER_DECAYS = re.compile("bias|gamma|beta")
_HALVED = 0.6  # of the height before: an odd height is halved to a little more or less


class AdamW(keras.optimizers.Adam):
    """Adam with weight decay apart from the gradient (Loshchilov & Hutter, ICLR 2019; 0: plain Adam).

    `factors`: by a variable's path, what its rate is multiplied by, decay included; 1 for others. `ema`: the decay
    a step of an exponential average of the weights after each step but the first `ema_after`, 0 for none. Like
    Adam's moments it is divided by the sum of its weights, so that it does not remember where it began.
    """

    def __init__(self, learning_rate: Any, *, decay: float, factors: Mapping[str, float], ema: float = 0.0,
                 ema_after: int = 0) -> None:
        super().__init__(learning_rate)
        self._decay, self._factors = decay, factors
        self._ema, self._ema_after = ema, ema_after

    def build(self, var_list: list[Any]) -> None:
        """Make room for the moments and averages of these variables."""
        if self.built:
            return
        super().build(var_list)
        self._rates = [self._factors.get(variable.path, 1.0) for variable in var_list]
        self._decays = [0.0 if _NEVER_DECAYS.search(variable.name) else self._decay for variable in var_list]
        self._averages = self.add_optimizer_variables(var_list, "average") if self._ema else []

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """One step of one variable."""
        index = self._get_variable_index(variable)
        rate = ops.cast(learning_rate, variable.dtype) * self._rates[index]
        if self._decays[index]:
            self.assign_sub(variable, variable * (self._decays[index] * rate))
        super().update_step(gradient, variable, rate)
        if self._ema:
            average = self._averages[index]
            self.assign_add(average, (variable - average) * ops.cast(self._share(), variable.dtype))

    @property
    def averages(self) -> dict[str, Any]:
        """The average of each variable that trains, by its path; none without `ema`."""
        return {variable.path: average for variable, average
                in zip(self._trainable_variables, self._averages, strict=False)}

    def _share(self) -> Any:
        """Of the weights after this step in the average: (1 - d) / (1 - d^k), k counted from `ema_after`."""
        count = ops.maximum(ops.cast(self.iterations, "float32") + 1 - self._ema_after, 1.0)
        return (self._ema - 1) / ops.expm1(count * math.log(self._ema))


class Cosine(keras.optimizers.schedules.LearningRateSchedule):
    """Up to `rate` over `warmup` steps, then down along a cosine to a hundredth of it at step `steps`; from step
    `held` on it stays where it is (Loshchilov & Hutter, ICLR 2017, without restarts).

    Keras's own decides by a branch, which JAX would compile anew, and keep, each time the rate is looked up.
    """

    def __init__(self, rate: float, *, steps: int, warmup: int, held: int | None = None) -> None:
        super().__init__()
        self._rate, self._steps, self._warmup = rate, steps, min(warmup, max(steps - 1, 0))
        self._held = steps if held is None else max(held, self._warmup)

    def __call__(self, step: Any) -> Any:
        """The rate of a step, counted from 0."""
        step = ops.minimum(ops.cast(step, "float32"), self._held)
        done = ops.maximum(step - self._warmup, 0.0) / max(self._steps - self._warmup, 1)
        falling = 0.01 + 0.99 * 0.5 * (1 + ops.cos(math.pi * done))
        return self._rate * ops.where(step < self._warmup, step / max(self._warmup, 1), falling)


def optimizer(config: TrainConfig, network: keras.Model, *, rate: Any, warmup: int = 0) -> AdamW:
    """What the config asks for, at `rate` (a number or a schedule whose first `warmup` steps are not averaged)."""
    return AdamW(rate, decay=config.weight_decay if config.optimizer == "adamw" else 0.0,
                 factors=factors(network, config.layer_decay), ema=config.ema, ema_after=warmup)


def factors(network: keras.Model, decay: float) -> dict[str, float]:
    """By the path of each variable of the trunk, `decay` to the power of how far its block is from the head (the
    last block: 1); none if `decay` is 1. After Howard & Ruder, ACL 2018, with blocks for layers.
    """
    return {} if decay == 1 else {
        variable.path: decay**distance for name, distance in blocks(network).items()
        for variable in network.get_layer(name).variables}


def blocks(network: keras.Model) -> dict[str, int]:
    """How many blocks from the head each layer of the trunk that has weights is, by name; the last block's are 1.

    A new block begins where the feature map is halved, so every backbone has about five, whatever its layers are
    called.
    """
    trunk, _ = architecture.split(network)
    heights, height = {}, trunk.input_shape[1]
    for layer in trunk.layers:
        shape = layer.output.shape
        # The maps of squeeze and excitation have one pixel, wherever they stand; some layers do not tell.
        if len(shape) == 4 and 1 < (shape[1] or height) <= _HALVED * height:
            height = shape[1]
        if layer.weights:
            heights[layer.name] = height
    rising = sorted(set(heights.values()))
    return {name: 1 + rising.index(height) for name, height in heights.items()}
