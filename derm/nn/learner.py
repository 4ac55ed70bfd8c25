"""The network with its augmentation and loss, as one model that `fit` can train on any backend."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from derm.errors import ConfigError
from derm.nn import architecture
from derm.nn.augment import Augment
from derm.nn.config import TrainConfig


class Learner(keras.Model):
    """Takes {"image", "target"}, augments both in training, and returns {"logits", "target"}.

    Targets go in with the images because mixup and cutmix change both; that keeps the step inside
    Keras's own `fit`, which is the same on TensorFlow and JAX.
    """

    def __init__(self, network: keras.Model, config: TrainConfig, class_weights: np.ndarray) -> None:
        super().__init__(name="learner")
        self.network = network
        self.trunk = architecture.with_float_input(network)
        self.augment = Augment(config, size=config.image_size)
        self.augment_seeds = self.augment.seeds  # tracked as state by Keras
        self.class_weights = class_weights
        self.config = config

    def call(self, inputs: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Logits float32 [B, classes] and the targets they are to be held against."""
        image, target = inputs["image"], inputs["target"]
        if training:
            image, target = self.augment(image, target)
        else:
            image = ops.image.resize(ops.cast(image, "float32"), (self.config.image_size,) * 2)
        return {"logits": self.trunk(image, training=training), "target": target}

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None,
                     training: bool = True) -> Any:
        """Mean over the batch of the weighted cross-entropy, or focal loss (Lin et al., ICCV 2017)."""
        target, logits = y_pred["target"], y_pred["logits"]
        smoothing = self.config.label_smoothing
        if self.config.imbalance == "focal":
            loss = keras.losses.categorical_focal_crossentropy(
                target, logits, alpha=1.0, gamma=self.config.focal_gamma, from_logits=True,
                label_smoothing=smoothing)
        else:
            loss = keras.losses.categorical_crossentropy(target, logits, from_logits=True,
                                                         label_smoothing=smoothing)
        return ops.mean(loss * ops.sum(target * self.class_weights, axis=1))


def optimizer(config: TrainConfig, *, rate: float, steps: int, warmup: int, cosine: bool) -> Any:
    """AdamW or Adam with `rate` as its peak: warm-up then cosine over `steps`, or constant."""
    schedule: Any = rate
    if cosine:
        warmup = min(warmup, max(steps - 1, 0))
        schedule = keras.optimizers.schedules.CosineDecay(
            0.0 if warmup else rate, max(steps - warmup, 1), alpha=0.01,
            warmup_target=rate if warmup else None, warmup_steps=warmup)
    if config.optimizer == "adam":
        return keras.optimizers.Adam(schedule)
    adamw = keras.optimizers.AdamW(schedule, weight_decay=config.weight_decay)
    # Decaying norms and biases only shrinks what they are there to scale (as in the AdamW literature).
    adamw.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return adamw


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
