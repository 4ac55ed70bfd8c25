"""Which convolutional trunks there are and how each wants its input. Knows Keras and weights files;
not classes, heads or training.

Every trunk takes uint8 RGB and scales it inside the graph, so nobody can forget it, and the graph is
the same whatever the weights, so that a checkpoint fits a trunk that was built without them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from derm.errors import ConfigError, ModelError
from derm.nn import config as configs
from derm.nn.config import find_weights
from derm.settings import settings

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Builder = Callable[..., keras.Model]
Scaling = Callable[[Any], Any]


def _symmetric(image: Any) -> Any:
    """0..255 -> -1..1."""
    return keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(image)


def _unit(image: Any) -> Any:
    """0..255 -> 0..1."""
    return keras.layers.Rescaling(1 / 255, name="scale")(image)


def _standardised(image: Any) -> Any:
    """0..255 -> zero mean and unit variance over ImageNet, channel by channel."""
    mean = [255 * m for m in IMAGENET_MEAN]
    variance = [(255 * s) ** 2 for s in IMAGENET_STD]
    return keras.layers.Normalization(mean=mean, variance=variance, name="scale")(image)


def _caffe(image: Any) -> Any:
    """RGB -> BGR less the ImageNet mean, as the first ResNet was trained in Caffe."""
    bgr = keras.ops.flip(image, axis=-1)
    return keras.layers.Rescaling(1.0, offset=[-103.939, -116.779, -123.68], name="scale")(bgr)


def _inside(image: Any) -> Any:
    """Nothing: the Keras application holds its own scaling."""
    return image


def _baseline(*, input_tensor: Any, **_: Any) -> keras.Model:
    """The plain two-layer network that every other one should beat; it has no published weights."""
    x = input_tensor
    for number, filters in enumerate((32, 64), start=1):
        x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"conv{number}")(x)
        x = keras.layers.MaxPooling2D(name=f"conv{number}_pool")(x)
    return keras.Model(keras.utils.get_source_inputs(input_tensor), x)


@dataclass(frozen=True)
class Backbone:
    """One trunk. `files` are the names its ImageNet weights go by (Keras's own last), `last` the layer
    it ends with where that is not the application's end."""

    name: str
    builder: Builder
    scaling: Scaling
    files: tuple[str, ...] = ()
    last: str | None = None

    @property
    def size(self) -> int:
        """The natural side of its input in pixels."""
        return configs.BACKBONES[self.name][0]

    @property
    def min_size(self) -> int:
        """The least side of its input in pixels."""
        return configs.BACKBONES[self.name][1]


_APPLICATIONS = keras.applications
_KERNELS = "weights_tf_dim_ordering_tf_kernels"
BACKBONES: Mapping[str, Backbone] = {b.name: b for b in (
    Backbone("resnet50", _APPLICATIONS.ResNet50, _caffe, (f"resnet50_{_KERNELS}_notop.h5",)),
    Backbone("resnet50v2", _APPLICATIONS.ResNet50V2, _symmetric, (f"resnet50v2_{_KERNELS}_notop.h5",)),
    Backbone("resnet50v2-conv4", _APPLICATIONS.ResNet50V2, _symmetric,
             ("resnet50v2_conv4_imagenet.weights.h5",), last="conv5_block1_preact_relu"),
    Backbone("mobilenetv2", _APPLICATIONS.MobileNetV2, _symmetric,
             ("mobilenet_v2_1.0_224_imagenet_notop.weights.h5",
              f"mobilenet_v2_{_KERNELS}_1.0_224_no_top.h5")),
    Backbone("mobilenetv3large", _APPLICATIONS.MobileNetV3Large, _inside,
             ("weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",)),
    Backbone("efficientnetb0", _APPLICATIONS.EfficientNetB0, _inside, ("efficientnetb0_notop.h5",)),
    Backbone("efficientnetb3", _APPLICATIONS.EfficientNetB3, _inside, ("efficientnetb3_notop.h5",)),
    Backbone("efficientnetb4", _APPLICATIONS.EfficientNetB4, _inside, ("efficientnetb4_notop.h5",)),
    Backbone("efficientnetv2b0", _APPLICATIONS.EfficientNetV2B0, _inside,
             ("efficientnetv2-b0_notop.h5",)),
    Backbone("efficientnetv2s", _APPLICATIONS.EfficientNetV2S, _inside, ("efficientnetv2-s_notop.h5",)),
    Backbone("densenet121", _APPLICATIONS.DenseNet121, _standardised,
             (f"densenet121_{_KERNELS}_notop.h5",)),
    Backbone("inceptionv3", _APPLICATIONS.InceptionV3, _symmetric,
             (f"inception_v3_{_KERNELS}_notop.h5",)),
    Backbone("nasnetmobile", _APPLICATIONS.NASNetMobile, _symmetric, ("nasnet_mobile_no_top.h5",)),
    Backbone("convnexttiny", _APPLICATIONS.ConvNeXtTiny, _inside, ("convnext_tiny_notop.h5",)),
    Backbone("baseline", _baseline, _unit),
)}


def backbone(name: str) -> Backbone:
    """The backbone called `name`. Raises `ConfigError` that lists the known ones."""
    try:
        return BACKBONES[name]
    except KeyError:
        known = ", ".join(BACKBONES)
        raise ConfigError(f"backbone = '{name}'; expected one of {known}.", "backbone") from None


def trunk(name: str, image: Any, *, weights: str = "none") -> keras.Model:
    """One flat graph from the uint8 Keras tensor `image` [B, S, S, 3] to the last feature map.

    `weights` is "none", "imagenet", a file, or the name of a file in the weights folder. Raises
    `ConfigError` for an unknown name or a size below the least, `ModelError` for weights that are
    missing, cannot be downloaded or do not fit.
    """
    kind = backbone(name)
    size = image.shape[1]
    if size < kind.min_size:
        raise ConfigError(f"size = {size}; {name} needs at least {kind.min_size} pixels.", "size")
    plain = _application(kind, kind.scaling(image))
    path = None if weights in ("none", "imagenet") else find_weights(weights)
    if path and path.suffix == ".keras":  # saved by this project, from the flat graph; the others were not
        flat = _flatten(plain)
        _load_file(flat, path, kind)
        return flat
    if path:
        _load_file(plain, path, kind)
    elif weights == "imagenet":
        _load_imagenet(kind, plain)
    _set_statistics(plain)
    return _flatten(plain)


def _application(kind: Backbone, tensor: Any) -> keras.Model:
    """The Keras application on top of `tensor`, without weights or its own head."""
    shape = {"input_shape": tuple(tensor.shape[1:])} if kind.name == "nasnetmobile" else {}
    whole = kind.builder(include_top=False, weights=None, input_tensor=tensor, **shape)
    return keras.Model(whole.input, whole.get_layer(kind.last).output) if kind.last else whole


def _flatten(model: keras.Model) -> keras.Model:
    """The same network with every Sequential (ConvNeXt has four) laid out in the open.

    A copy, because a layer shared with the nested graph would give that graph's tensor as its output.
    """
    if not any(isinstance(layer, keras.Model) for layer in model.layers):
        return model

    def copy(layer: Any) -> Any:
        if type(layer).__name__ == "LayerScale":  # ConvNeXt's own: one factor a channel, said in a public layer
            channels = layer.projection_dim
            return keras.layers.EinsumDense("bhwc,c->bhwc", (None, None, channels), name=layer.name)
        return layer if isinstance(layer, keras.Sequential) else type(layer).from_config(layer.get_config())

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(layer, keras.Sequential):
            return layer(*args, **kwargs)
        (x,) = args
        for inner in layer.layers:
            x = copy(inner)(x)
        return x

    flat = keras.models.clone_model(model, input_tensors=model.input, clone_function=copy, call_function=call)
    flat.set_weights(model.get_weights())
    return flat


def _load_imagenet(kind: Backbone, plain: keras.Model) -> None:
    folder = settings().weights
    for path in [folder / file for file in kind.files] if folder else []:
        if path.is_file():
            return _load_file(plain, path, kind)
    if kind.name == "baseline":
        raise ModelError("weights = 'imagenet': the baseline network has no published weights; use 'none'.")
    advice = f"Put the file {kind.files[-1]} into {folder or 'the folder that DERM_WEIGHTS names'}"
    if kind.last:
        raise ModelError(f"weights = 'imagenet': Keras publishes none for {kind.name}. {advice}.")
    try:
        # Built apart, because Keras builds some graphs differently when it loads the weights itself.
        source = kind.builder(include_top=False, weights="imagenet", input_shape=(kind.size, kind.size, 3))
    except Exception as error:  # Keras raises a bare Exception for a failed download
        raise ModelError(f"weights = 'imagenet': the download for {kind.name} failed ({error}). {advice} "
                         "or into ~/.keras/models and try again.") from error
    plain.set_weights(source.get_weights())


def _load_file(model: keras.Model, path: Path, kind: Backbone) -> None:
    try:
        with warnings.catch_warnings():
            # Keras files every layer twice, by order and by depth; without the head only the order agrees.
            warnings.filterwarnings("ignore", message="Skipping nested container")
            model.load_weights(path)
    except Exception as error:  # h5py, zipfile and Keras raise a dozen kinds for a wrong file
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"{path}: not weights of {kind.name} ({reason[:200]}). "
                         "Expected a file saved from this backbone without its head.") from error


def _set_statistics(model: keras.Model) -> None:
    """Give EfficientNet's input normalisation the mean and variance of ImageNet.

    Its weights file holds the deviations where the variances belong (keras issue: tensorflow #49930);
    Keras mends that with one more layer, but only when it loads the weights itself.
    """
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization) and layer.input_mean is None:
            layer.adapt_mean.assign(IMAGENET_MEAN)
            layer.adapt_variance.assign([s**2 for s in IMAGENET_STD])
            layer.finalize_state()
