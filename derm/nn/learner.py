"""The network with its augmentation and loss, as one model that `fit` can train on any backend."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from derm.errors import ConfigError
from derm.fairness.groups import SKIN_TYPE_GROUPS
from derm.nn import architecture, devices, groupdro
from derm.nn.augment import Augment
from derm.nn.config import TrainConfig


class Learner(keras.Model):
    """Takes {"image", "target"}, augments both in training, and returns {"logits", "target"}.

    Targets go in with the images because mixup and cutmix change both; that keeps the step inside
    Keras's own `fit`, which is the same on TensorFlow and JAX. With group DRO "group", the numbers of
    `groupdro.codes`, goes in too: a blended image keeps that of its larger part, which is its own. `groups` are
    those of the whole training part, by which the weights of the groups begin.
    """

    def __init__(self, network: keras.Model, config: TrainConfig, class_weights: np.ndarray, *,
                 groups: np.ndarray | None = None) -> None:
        super().__init__(name="learner")
        self.network = network
        self.trunk = architecture.with_float_input(network)
        self.augment = Augment(config, size=config.image_size)
        self.augment_seeds = self.augment.seeds  # tracked as state by Keras
        self.class_weights = class_weights
        self.config = config
        if config.group_weighting == "dro":
            self.group_weights = keras.Variable(
                groupdro.start(groupdro.codes(np.array(SKIN_TYPE_GROUPS) if groups is None else groups)),
                trainable=False, dtype="float32", name="group_weights", aggregation="mean")

    def call(self, inputs: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Logits float32 [B, classes] and the targets they are to be held against."""
        image, target, metadata = inputs["image"], inputs["target"], inputs.get("metadata")
        if training and metadata is not None:
            # What is blended is blended with all that is known of it.
            known = ops.concatenate([target, metadata], axis=1)
            image, known = self.augment(image, known, inputs.get("partner"))
            target, metadata = ops.split(known, [target.shape[1]], axis=1)
        elif training:
            image, target = self.augment(image, target, inputs.get("partner"))
        else:
            image = ops.image.resize(ops.cast(image, "float32"), (self.config.image_size,) * 2)
        seen = image if metadata is None else {"image": image, "metadata": metadata}
        found = {"logits": self.trunk(seen, training=training), "target": target}
        return found | ({"group": inputs["group"]} if "group" in inputs else {})

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None,
                     training: bool = True) -> Any:
        """Mean over the batch of the weighted cross-entropy, or focal loss (Lin et al., ICCV 2017).

        With group DRO the weighted sum of the means over its groups, whose weights it moves on in training.
        """
        target, logits = y_pred["target"], y_pred["logits"]
        smoothing = self.config.label_smoothing
        if self.config.imbalance == "focal":
            loss = keras.losses.categorical_focal_crossentropy(
                target, logits, alpha=1.0, gamma=self.config.focal_gamma, from_logits=True,
                label_smoothing=smoothing)
        else:
            loss = keras.losses.categorical_crossentropy(target, logits, from_logits=True,
                                                         label_smoothing=smoothing)
        loss = loss * ops.sum(target * self.class_weights, axis=1)
        if self.config.group_weighting == "none":
            return devices.shared(ops.mean(loss))
        loss, weights = groupdro.step(self.group_weights, loss, y_pred["group"], rate=self.config.dro_rate)
        if training:
            self.group_weights.assign(weights)
        return devices.shared(loss)


def accelerated() -> bool:
    """Whether Keras sees a GPU or TPU."""
    return any(not str(device).lower().startswith("cpu") for device in keras.distribution.list_devices())


def precision(config: TrainConfig) -> str:
    """The dtype policy: "auto" is bfloat16 on an accelerator and float32 elsewhere."""
    if config.precision != "auto":
        return config.precision
    # Measured on two processor cores: bfloat16 trains at 0.6 times the speed of float32.
    return "mixed_bfloat16" if accelerated() else "float32"


def use_xla(config: TrainConfig) -> bool:
    """Whether the whole step is compiled with XLA: "auto" is yes on JAX and no on TensorFlow.

    On processors TensorFlow's XLA convolutions were measured at 1/30 of the normal speed, and it has no XLA
    kernel for the draws behind mixup and cutmix. Raises `ConfigError` where "on" cannot be had.
    """
    if keras.backend.backend() == "jax":
        return config.xla != "off"
    if config.xla == "on" and config.mixup + config.cutmix > 0:
        raise ConfigError("xla = 'on': TensorFlow cannot compile mixup and cutmix with XLA; set both to 0, "
                          "use KERAS_BACKEND=jax, or xla = 'auto'.", "xla")
    return config.xla == "on"
