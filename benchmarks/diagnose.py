"""Photograph bytes to five probabilities and five heat maps, warm: ours against what people write.

    python -m benchmarks.diagnose [--image PATH] [--json]

The peers are what public dermatology apps do, Keras's `predict` and a GradientTape model built for the
request, and `predict` with tf-keras-vis's Grad-CAM; both also for the first class alone, though ours always
makes five maps. Same network, same bytes; maps are compared on the same input.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from benchmarks import timing
from derm import images, registry, samples
from derm.errors import ModelError
from derm.nn import architecture
from derm.nn.predict import Predictor

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.utils.scores import CategoricalScore

OURS, TAPE, VIS = "derm", "predict + GradientTape", "predict + tf-keras-vis"


def default_predictor() -> tuple[Predictor, str]:
    """The default bundle's predictor, or an untrained network of the same kind; and which it is."""
    try:
        bundle = registry.find()
    except ModelError:
        network = architecture.build("mobilenetv2", classes=21, size=224)
        bundle = registry.Bundle(
            folder=Path(), name="untrained", version="0", classes=tuple(f"class {i}" for i in range(21)),
            partition3={}, input_size=224, backbone="mobilenetv2", temperature=1.0, data_name="",
            data_fingerprint="", licence="", intended_use="", keras_version="", code_version="",
            created="", figures={})
        return Predictor(bundle, network), "no bundle found: mobilenetv2 without weights, 224 px, 21 classes"
    return Predictor.load(bundle), f"{bundle.name} {bundle.version} ({bundle.backbone}, {bundle.input_size} px)"


def photograph() -> bytes:
    """A drawn picture as a JPEG of 1024 x 768 pixels."""
    file = io.BytesIO()
    pixels = samples.draw("melanoma", skin=5, seed=1, size=1024)[128:896]
    Image.fromarray(pixels).save(file, "JPEG", quality=92)
    return file.getvalue()


class Peers:
    """Other people's way through the same network."""

    def __init__(self, predictor: Predictor) -> None:
        self.network, self.size, self.mirror = predictor.network, predictor.input_size, predictor.bundle.mirror
        self.last = architecture.feature_layer(self.network)
        # tf-keras-vis watches the input, so it needs one that has a gradient.
        image = keras.Input(self.network.input_shape[1:], dtype="float32")
        self.floats = keras.models.clone_model(self.network, input_tensors=image)
        self.floats.set_weights(self.network.get_weights())
        for layer in self.floats.layers:
            if isinstance(layer, keras.layers.Normalization):
                layer.finalize_state()
        self.gradcam = Gradcam(self.floats, clone=False)

    def read(self, data: bytes) -> np.ndarray:
        """uint8 [1, S, S, 3], as a first tutorial has it."""
        return np.array(Image.open(io.BytesIO(data)).convert("RGB").resize((self.size, self.size)))[None]

    def leading(self, batch: np.ndarray, count: int) -> np.ndarray:
        """The numbers of the `count` most probable classes."""
        # The same answer as ours: of both views, in one call, where the bundle says so.
        views = np.concatenate([batch, batch[:, :, ::-1]]) if self.mirror else batch
        probabilities = tf.nn.softmax(self.network.predict(views, verbose=0).mean(axis=0)).numpy()
        return np.argsort(-probabilities, kind="stable")[:count]

    def tape(self, batch: np.ndarray, classes: Sequence[int]) -> list[np.ndarray]:
        """Grad-CAM [h, w] of each class, as in Keras's own example, but for building the model only once."""
        model = keras.Model(self.network.inputs, [self.last.output, self.network.output])
        maps = []
        for index in classes:
            with tf.GradientTape() as tape:
                features, logits = model(tf.constant(batch))
                score = logits[:, int(index)]
            weights = tf.reduce_mean(tape.gradient(score, features), axis=(0, 1, 2))
            heatmap = tf.maximum(tf.squeeze(features[0] @ weights[:, None], axis=-1), 0)
            maps.append((heatmap / tf.maximum(tf.reduce_max(heatmap), 1e-9)).numpy())
        return maps

    def vis(self, batch: np.ndarray, classes: Sequence[int]) -> list[np.ndarray]:
        """Grad-CAM [h, w] of each class by the library, its enlargement to the input's size left out."""
        floats = batch.astype("float32")
        maps = [self.gradcam(CategoricalScore([int(index)]), floats, penultimate_layer=self.last.name,
                             seek_penultimate_conv_layer=False, expand_cam=False) for index in classes]
        return [np.asarray(one)[0] for one in maps]


def correlation(predictor: Predictor, peers: Peers, data: bytes) -> dict[str, float]:
    """The least correlation over five classes between our heat maps and each peer's, on the same input."""
    batch = images.fit(images.decode(data).pixels, predictor.input_size)[None]
    ours = predictor.diagnose(data).heatmaps
    classes = [predictor.classes.index(condition) for condition in ours]
    found = {}
    for name, maps in ((TAPE, peers.tape(batch, classes)), (VIS, peers.vis(batch, classes))):
        pairs = [(a, b) for a, b in zip(ours.values(), maps, strict=True) if a.any() or b.any()]
        found[name] = round(min(float(np.corrcoef(a.ravel(), b.ravel())[0, 1]) for a, b in pairs), 6)
    return found


def run(data: bytes, *, rounds: int) -> dict[str, Any]:
    predictor, which = default_predictor()
    peers = Peers(predictor)

    def ask(maps: Any, count: int) -> Any:
        batch = peers.read(data)
        return maps(batch, peers.leading(batch, count))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tf-keras-vis hands Keras a list where it expects a tensor
        seconds = timing.take_turns({
            OURS: lambda: predictor.diagnose(data),
            TAPE: lambda: ask(peers.tape, 5), VIS: lambda: ask(peers.vis, 5),
            f"{TAPE}, one map": lambda: ask(peers.tape, 1), f"{VIS}, one map": lambda: ask(peers.vis, 1),
        }, rounds=rounds, warm_up=3)
        alike = correlation(predictor, peers, data)
    ratios = timing.ratios(seconds, OURS)
    return {"ratios": {name: ratios[name] for name in (TAPE, VIS)},
            "ratios where the peer makes one map": {name: ratios[f"{name}, one map"] for name in (TAPE, VIS)},
            "milliseconds": timing.medians(seconds), "least correlation of the heat maps": alike,
            "network": which, "bytes": len(data), "rounds": rounds, **timing.machine()}


def main() -> None:
    parser = timing.parser(__doc__, rounds=15)
    parser.add_argument("--image", type=Path, help="a photograph, instead of a drawn picture")
    arguments = parser.parse_args()
    data = arguments.image.read_bytes() if arguments.image else photograph()
    found = run(data, rounds=arguments.rounds)
    timing.show(found, title="One photograph: five probabilities, five heat maps", as_json=arguments.json)


if __name__ == "__main__":
    main()
