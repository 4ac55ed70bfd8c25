"""One network in memory: photographs in, diagnoses out. Knows the network and its bundle; no pages, no paths
but those it is handed.

One traced call gives logits, the last feature maps and the mean of finer ones; probabilities, heat maps and
known cases follow from those. What metadata adds to the logits comes after, and what known cases say after that.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import keras
import numpy as np
import pandas as pd
from keras import ops

from derm import registry, support
from derm.errors import ModelError
from derm.nn import architecture, calibrate, reference, views
from derm.nn.metadata import encode, encode_one
from derm.nn.model import BATCH, Model
from derm.registry import Bundle
from derm.schema import Diagnosis
from derm.support import Reference

if TYPE_CHECKING:
    from derm.nn.ensemble import Ensemble

HEAT_MAPS = 5


class Seen(NamedTuple):
    """What a network makes of n pictures: calibrated `probabilities` float64 [n, classes], the last feature maps
    float32 [n, h, w, c] and the means of finer ones [n, c'], both of the upright picture, and `deep` [n, c], the
    mean of the last feature maps of all views."""

    probabilities: np.ndarray
    features: np.ndarray
    middle: np.ndarray
    deep: np.ndarray


Outputs = tuple[np.ndarray, np.ndarray, np.ndarray]
Evidence = tuple[np.ndarray, np.ndarray | None]  # logits [N, classes] and what known cases say, if they do
Forward = Callable[[np.ndarray], Outputs]


def load(bundle: Bundle) -> Predictor | Ensemble:
    """The bundle on disk, ready to answer: one network or several. Raises `ModelError` as `Predictor.load`, and
    for a member that is missing or another than before."""
    if not bundle.members:
        return Predictor.load(bundle)
    from derm.nn.ensemble import Ensemble

    return Ensemble.load(bundle)


def opened(bundle: Bundle) -> keras.Model:
    """The network of a bundle on disk, its hashes checked before Keras opens anything.

    Raises `ModelError` for a file that is damaged, unsafe or not a network.
    """
    registry.check(bundle)
    path = bundle.path(registry.NETWORK)
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras reports a damaged file as whatever it stumbles over
        raise ModelError(f"{path}: Keras cannot load it ({type(error).__name__}: {str(error)[:200]}). "
                         "Copy or train the bundle again.") from error


class Predictor(Model):
    """A bundle's network, ready to call from any thread. `network` is its part that sees the photograph; what
    metadata adds to the logits comes after."""

    def __init__(self, bundle: Bundle, network: keras.Model, known: Reference | None = None) -> None:
        super().__init__(bundle, known)
        self.network, self._added = architecture.parted(network, encode_one(bundle.metadata, {}))
        self._closed = architecture.closed_form(self.network)
        self._forward = _traced(self.network)
        # One call at a time: the network already uses every core, and Keras layers are not thread-safe.
        self._lock = threading.Lock()

    @classmethod
    def load(cls, bundle: Bundle) -> Predictor:
        """The predictor of a bundle on disk. Raises `ModelError` as `opened`, and for known cases that have a say
        in its answers and are not there."""
        network, known = opened(bundle), reference.read(bundle)
        if bundle.known_cases and known is None:
            raise ModelError(f"{bundle.folder}: known cases have a say in its answers, but it has no "
                             f"{registry.REFERENCE}. Copy the bundle again.")
        return cls(bundle, network, known)

    def warm(self) -> None:
        """Run one black picture, so that the first photograph need not wait for the tracing."""
        self.look(np.zeros((1, self.input_size, self.input_size, 3), np.uint8))

    def _diagnosed(self, batch: np.ndarray, metadata: pd.DataFrame | None, began: float) -> list[Diagnosis]:
        seen = self.look(batch, metadata)
        return [self._diagnosis(Seen(*one), began, count=len(batch)) for one in zip(*seen, strict=True)]

    def look(self, batch: np.ndarray, metadata: pd.DataFrame | None = None) -> Seen:
        """What the network makes of pictures fitted already, and of what is known beside them."""
        logits, features, middle, deep = map(np.concatenate, zip(*self._seen(batch), strict=True))
        answer = self.answer(self._with(logits, metadata), self._vote(deep, metadata))
        return Seen(answer, features, middle, deep)

    def evidence(self, batch: np.ndarray, metadata: pd.DataFrame | None = None) -> Evidence:
        """What an answer is made of, for pictures fitted already: logits float32 [N, classes], the mean over all
        views, with what is known beside them; and what the known cases say, None where they have no say."""
        seen = [(logits, deep) for logits, _, _, deep in self._seen(batch)]
        none = np.empty((0, len(self.classes)), np.float32)
        logits = self._with(np.concatenate([none, *(logits for logits, _ in seen)]), metadata)
        return logits, self._vote(np.concatenate([deep for _, deep in seen]), metadata) if seen else None

    def answer(self, logits: np.ndarray, vote: np.ndarray | None) -> np.ndarray:
        """Calibrated probabilities float64 [N, classes] from the evidence."""
        return calibrate.probabilities(logits, self.bundle.temperature, vote, share=self.bundle.known_cases)

    def probabilities(self, batch: np.ndarray, metadata: pd.DataFrame | None = None) -> np.ndarray:
        """Calibrated probabilities float64 [N, classes], as `Model` says."""
        return self.answer(*self.evidence(batch, metadata))

    def features(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The means of the last feature maps and of finer ones: float32 [N, c] and [N, c'], as `Model` says."""
        parts = [self._run(batch[i:i + BATCH]) for i in range(0, len(batch), BATCH)]
        return np.concatenate([pooled(last) for _, last, _ in parts]), np.concatenate([m for _, _, m in parts])

    def deep(self, batch: np.ndarray) -> np.ndarray:
        """The mean of the last feature maps of all views, float32 [N, c]: what known cases are compared by."""
        return np.concatenate([deep for _, _, _, deep in self._seen(batch)])

    def _seen(self, batch: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """Part after part of the batch: logits, the mean over all views of each picture, the upright picture's
        features, and the mean of the last ones over all views. All views go through the network in one call, which
        is measurably quicker than one by one."""
        sides = {"mirror": self.bundle.mirror, "turns": self.bundle.turns}
        step = max(1, 2 * BATCH // len(views.of(batch[:1], **sides)))
        for i in range(0, len(batch), step):
            part = views.of(batch[i:i + step], **sides)
            logits, features, middle = self._run(np.concatenate(part))
            upright = slice(len(part[0]))
            mean, deep = (each.reshape(len(part), -1, each.shape[1]).mean(axis=0)
                          for each in (logits, pooled(features)))
            yield mean, features[upright], middle[upright], deep

    def _run(self, batch: np.ndarray) -> Outputs:
        with self._lock:
            return self._forward(batch)

    def _with(self, logits: np.ndarray, metadata: pd.DataFrame | None) -> np.ndarray:
        return logits if metadata is None else logits + self._added(encode(self.bundle.metadata, metadata))

    def _vote(self, deep: np.ndarray, metadata: pd.DataFrame | None) -> np.ndarray | None:
        if not self.bundle.known_cases:
            return None
        assert self.known is not None, "gathered or loaded before anything is answered"
        own = metadata["image_id"].tolist() if metadata is not None and "image_id" in metadata else None
        return support.vote(self.known, deep, self.classes, own, width=self.bundle.known_width)

    def _diagnosis(self, seen: Seen, began: float, *, count: int) -> Diagnosis:
        leading = np.argsort(-seen.probabilities, kind="stable")[:HEAT_MAPS]
        maps = self.grad_cam(seen.features, leading)
        heatmaps = {self.classes[c]: one for c, one in zip(leading, maps, strict=True)}
        found = Diagnosis(self.bundle.name, self.bundle.version, self.classes, seen.probabilities, heatmaps,
                          (time.perf_counter() - began) / count, self.bundle.partition3)
        if self.known is None:
            return found
        return reference.placed(found, self.known, seen)

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


def pooled(features: np.ndarray) -> np.ndarray:
    """[N, c] from [N, h, w, c]."""
    return np.asarray(features.mean(axis=(1, 2)))


def _traced(network: keras.Model) -> Forward:
    """The network as one compiled call: uint8 [N, S, S, 3] -> logits [N, classes], features [N, h, w, c] and the
    mean of a finer feature map [N, c']."""
    finer = ops.mean(architecture.split(network, finer=True)[0].output, axis=(1, 2))
    every = keras.Model(network.input, [network.output, architecture.feature_layer(network).output, finer])
    return _BACKENDS[keras.backend.backend()](every)


def _traced_tensorflow(every: keras.Model) -> Forward:
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    traced = tf.function(lambda batch: every(batch, training=False), autograph=False,
                         input_signature=[tf.TensorSpec(every.input_shape, tf.uint8)])
    # With weights that cannot change TensorFlow folds normalisation into convolution: measured 1.6 times as fast.
    call = convert_variables_to_constants_v2(traced.get_concrete_function())

    def forward(batch: np.ndarray) -> Outputs:
        logits, features, finer = call(tf.constant(batch))
        return logits.numpy(), features.numpy(), finer.numpy()

    return forward


def _traced_jax(every: keras.Model) -> Forward:
    import jax

    weights = [variable.value for variable in every.trainable_variables]
    others = [variable.value for variable in every.non_trainable_variables]
    call = jax.jit(lambda w, o, batch: every.stateless_call(w, o, batch, training=False)[0])

    def forward(batch: np.ndarray) -> Outputs:
        # JAX compiles anew for every shape: filled up to a power of two there are only a few.
        spare = (1 << (len(batch) - 1).bit_length()) - len(batch)
        filled = np.concatenate([batch, np.zeros((spare, *batch.shape[1:]), np.uint8)])
        logits, features, finer = (np.asarray(part)[:len(batch)] for part in call(weights, others, filled))
        return logits, features, finer

    return forward


_BACKENDS: dict[str, Callable[[keras.Model], Forward]] = {
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
