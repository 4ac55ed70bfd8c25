"""One bundle in memory: photographs in, diagnoses out. Knows the network and its bundle; no pages, no paths
but those it is handed.

One traced call gives logits, the last feature maps and the mean of finer ones; probabilities, heat maps and
known cases follow from those.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from PIL import Image, ImageOps

from derm import images, registry
from derm.errors import ImageError, ModelError
from derm.images import Photo
from derm.nn import architecture, calibrate, reference
from derm.registry import Bundle
from derm.schema import Diagnosis
from derm.support import Reference

BATCH = 32
HEAT_MAPS = 5

Picture = np.ndarray | bytes | str | Path | Image.Image | Photo
Outputs = tuple[np.ndarray, np.ndarray, np.ndarray]
Forward = Callable[[np.ndarray], Outputs]
Call = Callable[[Any], tuple[Any, Any, Any]]
Views = Callable[[Call, Any], tuple[Any, Any, Any]]


class Predictor:
    """A bundle's network, ready to call from any thread."""

    def __init__(self, bundle: Bundle, network: keras.Model, known: Reference | None = None) -> None:
        self.bundle = bundle
        self.network = network
        self.known = known
        self._closed = architecture.closed_form(network)
        self._forward = _traced(network, mirror=bundle.mirror)
        # One call at a time: the network already uses every core, and Keras layers are not thread-safe.
        self._lock = threading.Lock()

    @classmethod
    def load(cls, bundle: Bundle) -> Predictor:
        """The predictor of a bundle on disk, its hashes checked before Keras opens anything.

        Raises `ModelError` for a file that is damaged, unsafe or not a network.
        """
        registry.check(bundle)
        path = bundle.path(registry.NETWORK)
        try:
            network = keras.saving.load_model(path, compile=False, safe_mode=True)
        except Exception as error:  # Keras reports a damaged file as whatever it stumbles over
            raise ModelError(f"{path}: Keras cannot load it ({type(error).__name__}: {str(error)[:200]}). "
                             "Copy or train the bundle again.") from error
        return cls(bundle, network, reference.read(bundle))

    @property
    def classes(self) -> tuple[str, ...]:
        """The conditions, in the order of the network's outputs."""
        return self.bundle.classes

    @property
    def input_size(self) -> int:
        """The side of the network's square input, in pixels."""
        return self.bundle.input_size

    def warm(self) -> None:
        """Run one black picture, so that the first photograph need not wait for the tracing."""
        self._run(np.zeros((1, self.input_size, self.input_size, 3), np.uint8))

    def diagnose(self, image: Picture) -> Diagnosis:
        """The diagnosis of one photograph, with heat maps of the five most probable conditions.

        `image` is an array uint8 [H, W, 3], the bytes of a file, a path, or a Pillow image. Raises `ImageError`.
        """
        began = time.perf_counter()
        return self.diagnose_fitted(self._fit(image)[None], began=began)[0]

    def diagnose_many(self, pictures: Sequence[Picture]) -> list[Diagnosis]:
        """One diagnosis a photograph, in order. Raises `ImageError` at the first that cannot be read.

        For many files see `derm.nn.scoring`, which reads ahead and goes on after a broken one.
        """
        found: list[Diagnosis] = []
        for i in range(0, len(pictures), BATCH):
            began = time.perf_counter()
            found += self.diagnose_fitted(np.stack([self._fit(one) for one in pictures[i:i + BATCH]]), began=began)
        return found

    def diagnose_fitted(self, batch: np.ndarray, *, began: float | None = None) -> list[Diagnosis]:
        """One diagnosis a picture, of pictures uint8 [N, S, S, 3] fitted already, in one call of the network.

        `began` is when work on them started (`time.perf_counter`), if it was before.
        """
        began = time.perf_counter() if began is None else began
        outputs = self._run(batch)
        return [self._diagnosis(*one, began, count=len(batch)) for one in zip(*outputs, strict=True)]

    def probabilities(self, batch: np.ndarray) -> np.ndarray:
        """Calibrated probabilities float64 [N, classes] of pictures uint8 [N, S, S, 3] fitted already."""
        logits = [self._run(batch[i:i + BATCH])[0] for i in range(0, len(batch), BATCH)]
        return self._calibrated(np.concatenate(logits) if logits else np.empty((0, len(self.classes))))

    def features(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of pictures uint8 [N, S, S, 3] fitted already, the means of the last feature maps and of finer ones:
        float32 [N, c] and [N, c'], the `deep` and the `middle` view of `derm.support`."""
        parts = [self._run(batch[i:i + BATCH]) for i in range(0, len(batch), BATCH)]
        return np.concatenate([_pooled(last) for _, last, _ in parts]), np.concatenate([m for _, _, m in parts])

    def _run(self, batch: np.ndarray) -> Outputs:
        with self._lock:
            return self._forward(batch)

    def _fit(self, image: Picture) -> np.ndarray:
        return images.fit(_pixels(image), self.input_size)

    def _calibrated(self, logits: np.ndarray) -> np.ndarray:
        return calibrate.probabilities(logits, self.bundle.temperature)

    def _diagnosis(self, logits: np.ndarray, features: np.ndarray, middle: np.ndarray, began: float, *,
                   count: int) -> Diagnosis:
        probabilities = self._calibrated(logits[None])[0]
        leading = np.argsort(-probabilities, kind="stable")[:HEAT_MAPS]
        maps = self.grad_cam(features, leading)
        heatmaps = {self.classes[c]: one for c, one in zip(leading, maps, strict=True)}
        found = Diagnosis(self.bundle.name, self.bundle.version, self.classes, probabilities, heatmaps,
                          (time.perf_counter() - began) / count, self.bundle.partition3)
        if self.known is None:
            return found
        return reference.placed(found, self.known, _pooled(features[None])[0], middle)

    def grad_cam(self, features: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Grad-CAM float32 [k, h, w] in 0..1 of `classes` int [k] from feature maps [h, w, channels].

        relu of the channels weighted by their mean gradient (Selvaraju et al., ICCV 2017), over its maximum.
        With a pooled linear head the gradient of logit c is kernel[:, c] / (h * w) at every position, so
        that the weights are known beforehand; the constant falls out with the maximum.
        """
        weights = self._kernel[:, classes].T if self._closed else self._mean_gradients(features, classes)
        maps = np.maximum(np.einsum("hwc,kc->khw", features, weights, dtype=np.float32), 0)
        return maps / np.maximum(maps.max(axis=(1, 2), keepdims=True), np.finfo(np.float32).tiny)

    @cached_property
    def _kernel(self) -> np.ndarray:
        return keras.ops.convert_to_numpy(self.network.get_layer("logits").kernel)

    @cached_property
    def _head(self) -> keras.Model:
        return architecture.split(self.network)[1]

    def _mean_gradients(self, features: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """[k, channels]: back through the head alone, one copy of the features a class."""
        copies = np.repeat(features[None], len(classes), axis=0)
        wanted = np.eye(len(self.classes), dtype=np.float32)[classes]
        with self._lock:
            return _gradient(self._head, copies, wanted).mean(axis=(1, 2))


def _pooled(features: np.ndarray) -> np.ndarray:
    """[N, c] from [N, h, w, c]."""
    return np.asarray(features.mean(axis=(1, 2)))


def _pixels(image: Picture) -> np.ndarray:
    """uint8 [H, W, 3] of whatever a caller may have. Raises `ImageError`."""
    if isinstance(image, bytes):
        return images.decode(image).pixels
    if isinstance(image, str | Path):
        return images.read(Path(image)).pixels
    if isinstance(image, Photo):
        return image.pixels
    if isinstance(image, Image.Image):
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ImageError(f"An array {image.dtype} {list(image.shape)} is no photograph; expected uint8 "
                         "[height, width, 3], red first, 0 to 255.")
    return image


def _traced(network: keras.Model, *, mirror: bool) -> Forward:
    """The network as one compiled call: uint8 [N, S, S, 3] -> logits [N, classes], features [N, h, w, c] and the
    mean of a finer feature map [N, c'].

    With `mirror` the logits are the mean over the picture and its mirror image; the features stay the picture's.
    """
    finer = ops.mean(architecture.split(network, finer=True)[0].output, axis=(1, 2))
    every = keras.Model(network.input, [network.output, architecture.feature_layer(network).output, finer])
    return _BACKENDS[keras.backend.backend()](every, _two_views if mirror else _one_view)


def _one_view(call: Call, batch: Any) -> tuple[Any, Any, Any]:
    logits, features, finer = call(batch)
    return logits, features, finer


def _two_views(call: Call, batch: Any) -> tuple[Any, Any, Any]:
    logits, features, finer = call(ops.concatenate([batch, ops.flip(batch, axis=2)]))
    upright, mirrored = ops.split(logits, 2)
    return (upright + mirrored) / 2, ops.split(features, 2)[0], ops.split(finer, 2)[0]


def _traced_tensorflow(every: keras.Model, views: Views) -> Forward:
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    traced = tf.function(lambda batch: views(lambda x: every(x, training=False), batch), autograph=False,
                         input_signature=[tf.TensorSpec(every.input_shape, tf.uint8)])
    # With weights that cannot change TensorFlow folds normalisation into convolution: measured 1.6 times as fast.
    call = convert_variables_to_constants_v2(traced.get_concrete_function())

    def forward(batch: np.ndarray) -> Outputs:
        logits, features, finer = call(tf.constant(batch))
        return logits.numpy(), features.numpy(), finer.numpy()

    return forward


def _traced_jax(every: keras.Model, views: Views) -> Forward:
    import jax

    weights = [variable.value for variable in every.trainable_variables]
    others = [variable.value for variable in every.non_trainable_variables]
    call = jax.jit(lambda w, o, batch: views(lambda x: every.stateless_call(w, o, x, training=False)[0], batch))

    def forward(batch: np.ndarray) -> Outputs:
        # JAX compiles anew for every shape: filled up to a power of two there are only a few.
        spare = (1 << (len(batch) - 1).bit_length()) - len(batch)
        filled = np.concatenate([batch, np.zeros((spare, *batch.shape[1:]), np.uint8)])
        logits, features, finer = (np.asarray(part)[:len(batch)] for part in call(weights, others, filled))
        return logits, features, finer

    return forward


_BACKENDS: dict[str, Callable[[keras.Model, Views], Forward]] = {
    "tensorflow": _traced_tensorflow, "jax": _traced_jax,
}


def _gradient(head: keras.Model, features: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The gradient of the sum of wanted * logits with respect to the features, shaped like them."""
    if keras.backend.backend() == "jax":
        import jax

        return np.asarray(jax.grad(lambda x: (head(x, training=False) * wanted).sum())(features))
    import tensorflow as tf

    x = tf.constant(features)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(head(x, training=False) * wanted)
    return np.asarray(tape.gradient(total, x).numpy())
