"""Saliency methods beyond Grad-CAM, by tf-keras-vis. Knows a predictor and pixels; TensorFlow only.

The class activation maps need the gradient at the last feature maps and so run the head alone; the saliency
maps go back to the picture itself.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import keras
import numpy as np

from derm import images
from derm.errors import ModelError
from derm.nn import architecture
from derm.nn.ensemble import Ensemble
from derm.nn.model import Model
from derm.nn.predict import Predictor

SMOOTH_SAMPLES = 20
# tf-keras-vis draws its noise from NumPy's global state, which is set and put back under this lock.
_LOCK = threading.Lock()


@dataclass(frozen=True)
class Method:
    """What clinicians call it, and how it is computed: (predictor, pixels uint8 [S, S, 3], class number)."""

    label: str
    compute: Callable[[Predictor, np.ndarray, int], np.ndarray]


def explain(predictor: Model, pixels: np.ndarray, condition: str, method: str) -> np.ndarray:
    """Where `condition` is seen in a photograph uint8 [H, W, 3]: float32 [h, w] in 0..1, covering all of it.

    The same call gives the same map; of an ensemble, that of its members together. Raises `ModelError` for an
    unknown condition or method, and on JAX.
    """
    if method not in METHODS:
        raise ModelError(f"method = '{method}'; expected one of {', '.join(METHODS)}.")
    if condition not in predictor.classes:
        known = ", ".join(predictor.classes)
        raise ModelError(f"condition = '{condition}'; {predictor.bundle.name} knows {known}.")
    if (backend := keras.backend.backend()) != "tensorflow":
        raise ModelError(f"{METHODS[method].label} needs TensorFlow and this process runs on {backend}; "
                         "start it with KERAS_BACKEND=tensorflow, or use Grad-CAM.")
    if isinstance(predictor, Ensemble):
        return predictor.together([explain(member, pixels, condition, method)
                                   for member in predictor.members.values()])
    assert isinstance(predictor, Predictor)
    fitted = images.fit(pixels, predictor.input_size)
    with _LOCK:
        found = METHODS[method].compute(predictor, fitted, predictor.classes.index(condition))
    return np.clip(np.nan_to_num(np.asarray(found[0], dtype=np.float32)), 0, 1)


def _grad_cam_plus_plus(predictor: Predictor, pixels: np.ndarray, index: int) -> Any:
    """Chattopadhay et al., WACV 2018."""
    return _class_activation("gradcam_plus_plus", "GradcamPlusPlus", _halves(predictor.network), pixels, index)


def _layer_cam(predictor: Predictor, pixels: np.ndarray, index: int) -> Any:
    """Jiang et al., IEEE TIP 2021. One stage further up: at the last one it would equal Grad-CAM++."""
    halves = _halves(predictor.network, finer=True)
    return _class_activation("layercam", "Layercam", halves, pixels, index)


def _saliency(predictor: Predictor, pixels: np.ndarray, index: int) -> Any:
    """Simonyan et al., ICLR workshop 2014."""
    return _from_pixels(predictor, pixels, index, samples=0)


def _smooth_grad(predictor: Predictor, pixels: np.ndarray, index: int) -> Any:
    """Smilkov et al., 2017."""
    return _from_pixels(predictor, pixels, index, samples=SMOOTH_SAMPLES)


METHODS: Mapping[str, Method] = {
    "gradcam++": Method("Grad-CAM++", _grad_cam_plus_plus),
    "layercam": Method("LayerCAM", _layer_cam),
    "smoothgrad": Method("SmoothGrad", _smooth_grad),
    "saliency": Method("Saliency", _saliency),
}


def _class_activation(module: str, name: str, halves: tuple[keras.Model, keras.Model], pixels: np.ndarray,
                      index: int) -> Any:
    """[1, h, w]: the head's input is at once its first layer, so it is the penultimate one too."""
    trunk, head = halves
    visualizer = getattr(_tf_keras_vis(module), name)(head)
    return visualizer(_score(index), trunk(pixels[None], training=False), penultimate_layer=head.layers[0],
                      seek_penultimate_conv_layer=False, expand_cam=False)


def _from_pixels(predictor: Predictor, pixels: np.ndarray, index: int, *, samples: int) -> Any:
    """[1, S, S]"""
    visualizer = _tf_keras_vis("saliency").Saliency(_traced(predictor.network))
    state = np.random.get_state()
    np.random.seed(0)
    try:
        return visualizer(_score(index), pixels[None].astype(np.float32), smooth_samples=samples)
    finally:
        np.random.set_state(state)


@lru_cache(maxsize=2)
def _halves(network: keras.Model, *, finer: bool = False) -> tuple[keras.Model, keras.Model]:
    return architecture.split(network, finer=finer)


@dataclass(frozen=True)
class _Traced:
    """What tf-keras-vis asks of a model, as one compiled graph: several times quicker than layer by layer."""

    inputs: list[Any]
    outputs: list[Any]
    call: Callable[[Any], Any]

    def __call__(self, inputs: list[Any], training: bool = False) -> Any:
        return self.call(inputs[0])


@lru_cache(maxsize=1)
def _traced(network: keras.Model) -> _Traced:
    import tensorflow as tf

    floats = architecture.with_float_input(network)
    call = tf.function(lambda image: floats(image, training=False), autograph=False)
    return _Traced(floats.inputs, floats.outputs, call)


def _score(index: int) -> Any:
    return _tf_keras_vis("utils.scores").CategoricalScore([index])


def _tf_keras_vis(module: str) -> Any:
    """A module of tf-keras-vis, imported late (it takes TensorFlow) and without its notices of old names."""
    import importlib

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return importlib.import_module(f"tf_keras_vis.{module}")
