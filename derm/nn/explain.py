"""Saliency methods beyond Grad-CAM, by tf-keras-vis. Knows a predictor and pixels; TensorFlow only.

The class activation maps need the gradient at the last feature maps and so run the head alone; the saliency
maps go back to the picture itself.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from derm import images
from derm.errors import ModelError
from derm.nn.predict import Predictor

SMOOTH_SAMPLES = 20
# tf-keras-vis draws its noise from NumPy's global state, which is set and put back under this lock.
_LOCK = threading.Lock()


@dataclass(frozen=True)
class Method:
    """What clinicians call it, and how it is computed: (predictor, pixels uint8 [S, S, 3], class number)."""

    label: str
    compute: Callable[[Predictor, np.ndarray, int], np.ndarray]


def explain(predictor: Predictor, pixels: np.ndarray, condition: str, method: str) -> np.ndarray:
    """Where `condition` is seen in a photograph uint8 [H, W, 3]: float32 [h, w] in 0..1, covering all of it.

    The same call gives the same map. Raises `ModelError` for an unknown condition or method, and on JAX.
    """
    if method not in METHODS:
        raise ModelError(f"method = '{method}'; expected one of {', '.join(METHODS)}.")
    if condition not in predictor.classes:
        raise ModelError(f"condition = '{condition}': {predictor.bundle.name} knows {', '.join(predictor.classes)}.")
    if (backend := keras.backend.backend()) != "tensorflow":
        raise ModelError(f"{METHODS[method].label} needs TensorFlow and this process runs on {backend}; "
                         "start it with KERAS_BACKEND=tensorflow, or use Grad-CAM.")
    fitted = images.fit(pixels, predictor.input_size)
    with _LOCK:
        found = METHODS[method].compute(predictor, fitted, predictor.classes.index(condition))
    return np.clip(np.nan_to_num(np.asarray(found[0], dtype=np.float32)), 0, 1)


def _grad_cam_plus_plus(predictor: Predictor, pixels: np.ndarray, index: int) -> Any:
    """Chattopadhay et al., WACV 2018."""
    return _from_features("gradcam_plus_plus", "GradcamPlusPlus", predictor, pixels, index)


def _layer_cam(predictor: Predictor, pixels: np.ndarray, index: int) -> Any:
    """Jiang et al., IEEE TIP 2021."""
    return _from_features("layercam", "Layercam", predictor, pixels, index)


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


def _from_features(module: str, name: str, predictor: Predictor, pixels: np.ndarray, index: int) -> Any:
    """[1, h, w]: the head's input is at once its first layer, so it is the penultimate one too."""
    features = predictor.features(pixels[None])
    visualizer = getattr(_tf_keras_vis(module), name)(predictor.head)
    return visualizer(_score(index), features, penultimate_layer=predictor.head.layers[0],
                      seek_penultimate_conv_layer=False, expand_cam=False)


def _from_pixels(predictor: Predictor, pixels: np.ndarray, index: int, *, samples: int) -> Any:
    """[1, S, S]"""
    visualizer = _tf_keras_vis("saliency").Saliency(predictor.float_network)
    state = np.random.get_state()
    np.random.seed(0)
    try:
        return visualizer(_score(index), pixels[None].astype(np.float32), smooth_samples=samples)
    finally:
        np.random.set_state(state)


def _score(index: int) -> Any:
    return _tf_keras_vis("utils.scores").CategoricalScore([index])


def _tf_keras_vis(module: str) -> Any:
    """A module of tf-keras-vis, imported late (it takes TensorFlow) and without its notices of old names."""
    import importlib

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return importlib.import_module(f"tf_keras_vis.{module}")
