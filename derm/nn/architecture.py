"""A backbone with a classifier's head, and which of its layers train. Knows Keras; not data or files
other than weights.

One flat graph (image -> backbone -> pool -> dropout -> logits), so that saliency tools see every layer.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import keras
from keras.src.utils import module_utils

from derm.errors import ConfigError
from derm.nn import backbones

if keras.backend.backend() == "jax":
    # To save a model Keras imports TensorFlow where it happens to be installed, only to ask whether an
    # object is a TensorShape; that costs seconds and the GPU memory that JAX needs.
    module_utils.tensorflow._available = False

_FINER_TRIES = 20


def build(backbone: str, *, classes: int, size: int, weights: str = "none",
          dropout: float = 0.2) -> keras.Model:
    """The network: `image` uint8 [B, size, size, 3] in, logits float32 [B, classes] out.

    `weights` is "none", "imagenet" or a file (see `backbones.trunk`). Raises `ConfigError` and `ModelError`.
    """
    image = keras.Input((size, size, 3), dtype="uint8", name="image")
    features = backbones.trunk(backbone, image, weights=weights).output
    x = keras.layers.GlobalAveragePooling2D(name="pool")(features)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    # float32 whatever the policy: a softmax over half-precision logits loses the small probabilities.
    logits = keras.layers.Dense(classes, dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name=backbone.replace("-", "_"))


def with_float_input(model: keras.Model) -> keras.Model:
    """The same layers and weights behind a float32 input in 0..255.

    For augmented batches and for gradients with respect to the picture: a uint8 input would round
    the one and cut off the other.
    """
    image = keras.Input(model.input_shape[1:], dtype="float32", name="image")
    return keras.models.clone_model(model, input_tensors=image, clone_function=lambda layer: layer)


def feature_layer(model: keras.Model) -> Any:
    """The layer whose output, [B, h, w, channels], feeds the pooling."""
    return model.get_layer("pool").input._keras_history.operation


def split(model: keras.Model, *, finer: bool = False) -> tuple[keras.Model, keras.Model]:
    """The network in two, sharing its layers: image -> feature map [B, h, w, channels], that -> logits.

    The cut is at the last feature map or, with `finer`, at the last one of twice its resolution that all
    paths run through; at the last after all if there is none near the end, as in NASNet.
    """
    last = feature_layer(model).output
    for tensor in _finer(model, 2 * last.shape[1]) if finer else ():
        with suppress(ValueError):  # another path leads around the tensor
            return keras.Model(model.input, tensor), keras.Model(tensor, model.output)
    return keras.Model(model.input, last), keras.Model(last, model.output)


def _finer(model: keras.Model, size: int) -> list[Any]:
    """Feature maps at least `size` high, last first; not the padded ones, which show nothing more."""
    tensors = [operation.output for operation in reversed(model.operations)
               if not isinstance(operation, keras.layers.ZeroPadding2D)]
    return [t for t in tensors if len(t.shape) == 4 and t.shape[1] >= size][:_FINER_TRIES]


def closed_form(model: keras.Model) -> bool:
    """Whether the head is a pooled linear one, so that the gradient of a logit is its row of weights."""
    names = {layer.name for layer in model.layers}
    if not {"pool", "dropout", "logits"} <= names:
        return False
    pool, dropout, logits = (model.get_layer(name) for name in ("pool", "dropout", "logits"))
    chained = dropout.input is pool.output and logits.input is dropout.output
    linear = isinstance(logits, keras.layers.Dense) and logits.activation is keras.activations.linear
    return chained and linear and isinstance(pool, keras.layers.GlobalAveragePooling2D)


def set_trainable(model: keras.Model, *, from_layer: str | None = None,
                  live_batch_norm: bool = False) -> None:
    """Choose what trains: "head" the logits alone, None or "all" everything, else every layer from the
    named one (or the first of a block: "block_13", "conv4_block1") to the end. Compile afterwards.

    Batch normalisation stays frozen, in inference mode, unless `live_batch_norm`; then it is live in the
    part that trains. Raises `ConfigError` for an unknown layer.
    """
    start = _start(model, from_layer)
    for index, layer in enumerate(model.layers):
        frozen_norm = isinstance(layer, keras.layers.BatchNormalization) and not live_batch_norm
        layer.trainable = index >= start and not frozen_norm


def _start(model: keras.Model, from_layer: str | None) -> int:
    names = [layer.name for layer in model.layers]
    if from_layer in (None, "all"):
        return 0
    if from_layer == "head":
        return names.index("pool")
    for index, name in enumerate(names):
        if name == from_layer or name.startswith(f"{from_layer}_"):
            return index
    weighted = [layer.name for layer in model.layers if layer.weights]
    some = weighted[:: max(1, len(weighted) // 5)][:6]
    raise ConfigError(f"from_layer = '{from_layer}': {model.name} has no such layer. Expected 'head', 'all' "
                      f"or a layer's name, for example {', '.join(some)}.", "from_layer")
