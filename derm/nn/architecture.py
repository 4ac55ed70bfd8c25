"""A backbone with a classifier's head, and which of its layers train. Knows Keras; not data or files
other than weights.

One flat graph (image -> backbone -> pool -> dropout -> logits), so that saliency tools see every layer. An
attention head begins at the layer `head_features`; metadata joins the pooled features before the logits.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import keras
import numpy as np
from keras.src.utils import module_utils

from derm.errors import ConfigError
from derm.nn import backbones

if keras.backend.backend() == "jax":
    # To save a model Keras imports TensorFlow where it happens to be installed, only to ask whether an
    # object is a TensorShape; that costs seconds and the GPU memory that JAX needs.
    module_utils.tensorflow._available = False

_FINER_TRIES = 20
_START = "head_features"  # the first layer of an attention head: an identity that marks the place
_REDUCTION = 16  # of the channels in squeeze and excitation, as in the paper
_EMBEDDING = 16  # numbers that stand for the metadata beside the pooled features


def build(backbone: str, *, classes: int, size: int, weights: str = "none", dropout: float = 0.2,
          head: str = "pool", metadata: int = 0) -> keras.Model:
    """The network: `image` uint8 [B, size, size, 3] in, logits float32 [B, classes] out.

    `weights` is "none", "imagenet" or a file (see `backbones.trunk`), `head` one of `config.HEADS`; before it is
    trained every head answers as mean pooling does. With `metadata` numbers beside the photograph the inputs are
    {"image", "metadata"}, the second float32 [B, metadata]. Raises `ConfigError` and `ModelError`.
    """
    image = keras.Input((size, size, 3), dtype="uint8", name="image")
    x = _POOLING[head](backbones.trunk(backbone, image, weights=weights).output)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    inputs: Any = image
    if metadata:
        inputs = {"image": image, "metadata": keras.Input((metadata,), dtype="float32", name="metadata")}
        beside = keras.layers.Dense(_EMBEDDING, activation="relu", name="embedding")(inputs["metadata"])
        x = keras.layers.Concatenate(name="fused")([x, beside])
    # float32 whatever the policy: a softmax over half-precision logits loses the small probabilities.
    logits = keras.layers.Dense(classes, dtype="float32", name="logits")(x)
    return keras.Model(inputs, logits, name=backbone.replace("-", "_"))


def _mean(x: Any) -> Any:
    return keras.layers.GlobalAveragePooling2D(name="pool")(x)


def _squeeze_excite(x: Any) -> Any:
    """Each channel times a gate that all channels decide (Hu et al., CVPR 2018), then the mean."""
    x = keras.layers.Identity(name=_START)(x)
    squeezed = keras.layers.GlobalAveragePooling2D(name="squeeze")(x)
    return _mean(_gated(x, _excite(x.shape[-1])(squeezed), name="channel"))


def _cbam(x: Any) -> Any:
    """Channel, then spatial attention (Woo et al., ECCV 2018), then the mean."""
    x = keras.layers.Identity(name=_START)(x)
    excite = _excite(x.shape[-1])
    pooled = [excite(layer(name=f"squeeze_{what}")(x)) for what, layer in (
        ("mean", keras.layers.GlobalAveragePooling2D), ("max", keras.layers.GlobalMaxPooling2D))]
    x = _gated(x, keras.layers.Add(name="squeezed")(pooled), name="channel")
    seen = keras.layers.Concatenate(name="seen")([
        keras.ops.mean(x, axis=-1, keepdims=True), keras.ops.max(x, axis=-1, keepdims=True)])
    where = keras.layers.Conv2D(1, 7, padding="same", kernel_initializer="zeros", name="where")(seen)
    return _mean(_gated(x, where, name="place"))


def _attention(x: Any) -> Any:
    """The mean weighted by a learnt softmax over the positions."""
    x = keras.layers.Identity(name=_START)(x)
    scores = keras.layers.Conv2D(1, 1, kernel_initializer="zeros", name="scores")(x)
    scores = keras.layers.Reshape((-1, 1), name="positions")(scores)
    weights = keras.layers.Softmax(axis=1, dtype="float32", name="attention")(scores)
    flat = keras.layers.Reshape((-1, x.shape[-1]), name="flat")(x)
    summed = keras.layers.Dot(axes=1, name="weighted")([weights, flat])
    return keras.layers.Reshape((x.shape[-1],), name="pool")(summed)


def _excite(channels: int) -> Callable[[Any], Any]:
    """Squeezed features -> a number a channel, at first 0; called twice it shares its weights."""
    hidden = keras.layers.Dense(max(channels // _REDUCTION, 4), activation="relu", name="excite_in")
    out = keras.layers.Dense(channels, kernel_initializer="zeros", name="excite_out")
    return lambda x: out(hidden(x))


def _gated(x: Any, score: Any, *, name: str) -> Any:
    """x times a gate in 0..2 that is 1 where the score is 0: a fresh head changes nothing."""
    gate = keras.layers.Activation("sigmoid", name=f"{name}_sigmoid")(score)
    gate = keras.layers.Rescaling(2.0, name=f"{name}_gate")(gate)
    if len(gate.shape) == 2:
        gate = keras.layers.Reshape((1, 1, gate.shape[-1]), name=f"{name}_spread")(gate)
    return keras.layers.Multiply(name=f"{name}_gated")([x, gate])


_POOLING: dict[str, Callable[[Any], Any]] = {
    "pool": _mean, "se": _squeeze_excite, "cbam": _cbam, "attention": _attention,
}


def with_float_input(model: keras.Model) -> keras.Model:
    """The same layers and weights behind a float32 input in 0..255.

    For augmented batches and for gradients with respect to the picture: a uint8 input would round
    the one and cut off the other.
    """
    image = keras.Input(_image(model).shape[1:], dtype="float32", name="image")
    inputs: Any = image
    if isinstance(model.input, dict):
        metadata = model.input["metadata"]
        inputs = {"image": image, "metadata": keras.Input(metadata.shape[1:], dtype="float32", name="metadata")}
    return keras.models.clone_model(model, input_tensors=inputs, clone_function=lambda layer: layer)


def parted(model: keras.Model, absent: np.ndarray) -> tuple[keras.Model, Callable[[np.ndarray], np.ndarray]]:
    """The network of a photograph alone, sharing its layers, and what metadata float32 [N, M] adds to its logits:
    float32 [N, classes]. `absent`, float32 [1, M], is what nothing known looks like.

    Exact, because both meet in one linear layer: the part that does not see the photograph is a sum beside it.
    """
    if not isinstance(model.input, dict):
        return model, lambda metadata: np.zeros((len(metadata), model.output.shape[-1]), np.float32)
    logits, pooled = model.get_layer("logits"), model.get_layer("dropout").output
    kernel, bias = (keras.ops.convert_to_numpy(weight) for weight in logits.weights)
    inner, shift = (keras.ops.convert_to_numpy(weight) for weight in model.get_layer("embedding").weights)
    own, beside = np.split(kernel, [pooled.shape[-1]])

    def added(metadata: np.ndarray) -> np.ndarray:
        return np.asarray(np.maximum(metadata @ inner + shift, 0) @ beside)

    alone = keras.layers.Dense(logits.units, dtype="float32", name="logits")
    network = keras.Model(_image(model), alone(pooled), name=model.name)
    alone.set_weights([own, bias + added(absent)[0]])
    return network, lambda metadata: added(metadata) - added(absent)


def metadata_width(model: keras.Model) -> int:
    """How many numbers beside the photograph the network reads; 0 if none."""
    return int(model.input["metadata"].shape[-1]) if isinstance(model.input, dict) else 0


def feature_layer(model: keras.Model) -> Any:
    """The layer whose output, [B, h, w, channels], feeds the head."""
    return model.get_layer(_head_start(model)).input._keras_history.operation


def _head_start(model: keras.Model) -> str:
    """The first layer of the head."""
    return _START if any(layer.name == _START for layer in model.layers) else "pool"


def _image(model: keras.Model) -> Any:
    return model.input["image"] if isinstance(model.input, dict) else model.input


def split(model: keras.Model, *, finer: bool = False) -> tuple[keras.Model, keras.Model]:
    """The network in two, sharing its layers: image -> feature map [B, h, w, channels], that -> logits.

    The cut is at the last feature map or, with `finer`, at the last one of twice its resolution that all
    paths run through; at the last after all if there is none near the end, as in NASNet. With metadata the
    second half takes {"features", "metadata"}.
    """
    last = feature_layer(model).output
    for tensor in _finer(model, 2 * last.shape[1]) if finer else ():
        with suppress(ValueError):  # another path leads around the tensor
            return _cut(model, tensor)
    return _cut(model, last)


def _cut(model: keras.Model, tensor: Any) -> tuple[keras.Model, keras.Model]:
    rest: Any = tensor
    if isinstance(model.input, dict):
        rest = {"features": tensor, "metadata": model.input["metadata"]}
    return keras.Model(_image(model), tensor), keras.Model(rest, model.output)


def _finer(model: keras.Model, size: int) -> list[Any]:
    """Feature maps at least `size` high, last first; not the padded ones, which show nothing more."""
    tensors = [operation.output for operation in reversed(model.operations)
               if not isinstance(operation, keras.layers.ZeroPadding2D)]
    return [t for t in tensors if len(t.shape) == 4 and t.shape[1] >= size][:_FINER_TRIES]


def closed_form(model: keras.Model) -> bool:
    """Whether the head is a pooled linear one, so that the gradient of a logit is its row of weights."""
    names = {layer.name for layer in model.layers}
    if _START in names or not {"pool", "dropout", "logits"} <= names:
        return False
    pool, dropout, logits = (model.get_layer(name) for name in ("pool", "dropout", "logits"))
    chained = dropout.input is pool.output and logits.input is dropout.output
    linear = isinstance(logits, keras.layers.Dense) and logits.activation is keras.activations.linear
    return chained and linear and isinstance(pool, keras.layers.GlobalAveragePooling2D)


def set_trainable(model: keras.Model, *, from_layer: str | None = None,
                  live_batch_norm: bool = False) -> None:
    """Choose what trains: "head" what follows the last feature map, None or "all" everything, else every layer
    from the named one (or the first of a block: "block_13", "conv4_block1") to the end. Compile afterwards.

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
        return names.index(_head_start(model))
    for index, name in enumerate(names):
        if name == from_layer or name.startswith(f"{from_layer}_"):
            return index
    weighted = [layer.name for layer in model.layers if layer.weights]
    some = weighted[:: max(1, len(weighted) // 5)][:6]
    raise ConfigError(f"from_layer = '{from_layer}': {model.name} has no such layer. Expected 'head', 'all' "
                      f"or a layer's name, for example {', '.join(some)}.", "from_layer")
