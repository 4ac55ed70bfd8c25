"""A training step: how much of it is the network's own, how much waiting for pictures, how much varying them.

    python -m benchmarks.train [--data FOLDER] [--json]

On a processor MobileNetV2 at 224 pixels in batches of 16, on a GPU EfficientNetB4 at 380 in bfloat16 in batches
of 32; the default augmentation with mixup, everything trains. Each of these has a process of its own: ours on
TensorFlow, ours on JAX, and what one would use instead: `image_dataset_from_directory`, Keras's augmentation
layers and `fit`, of the same network, on TensorFlow. Then how much memory a run has after each epoch, and how
long 2,860 pictures take to decode into the cache at 256 pixels.

A step of ours is measured three times, in turns: as `derm train` does it; on a batch that is there already (what
it is shorter by is waiting); and on such a batch without augmentation (what it is shorter by again is that).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import timing
from derm.nn.config import TrainConfig
from derm.settings import PROJECT

# (batch, steps a turn): a step on a GPU takes milliseconds and on a processor a second, with JAX ten.
ACCELERATOR, PROCESSOR, PROCESSOR_JAX = (32, 20), (16, 4), (16, 2)
CLASSES, EPOCH, CACHED, PICTURES = 21, 2860, 256, 640
PEER = "Keras layers and image_dataset_from_directory"
PARTS = {"derm, tensorflow": ("ours", "tensorflow"), "derm, jax": ("ours", "jax"), PEER: ("theirs", "tensorflow")}


def suited(options: argparse.Namespace) -> argparse.Namespace:
    """The options with what was left open filled in as suits the device."""
    import keras

    from derm.nn import learner

    fast, jax = learner.accelerated(), keras.backend.backend() == "jax"
    batch, steps = ACCELERATOR if fast else PROCESSOR_JAX if jax else PROCESSOR
    return argparse.Namespace(**vars(options) | {
        "batch": options.batch or batch, "steps": options.steps or steps,
        "backbone": options.backbone or ("efficientnetb4" if fast else "mobilenetv2")})


def config_for(options: argparse.Namespace) -> TrainConfig:
    """What is trained."""
    config = TrainConfig(backbone=options.backbone, weights="none", image_size=options.size,
                         batch_size=options.batch)
    return replace(config, image_size=config.side)


def ours(paths: Sequence[Path], folder: Path, config: TrainConfig, options: argparse.Namespace) -> dict[str, Any]:
    """Seconds a step, three ways."""
    import keras
    import numpy as np

    from derm.nn import architecture, cache, learner, optimizers, pipeline

    keras.config.set_dtype_policy(learner.precision(config))
    pixels = cache.pixels(paths, size=round(config.side * 8 / 7), folder=folder / "pixels", quiet=True)
    targets = np.eye(CLASSES, dtype="float32")[np.arange(len(paths)) % CLASSES]
    network = architecture.build(config.backbone, classes=CLASSES, size=config.side)
    architecture.set_trainable(network)

    class Plain(learner.Learner):
        """Takes the middle of each picture and varies nothing."""

        def call(self, inputs: dict[str, Any], training: bool = False) -> dict[str, Any]:
            start = (inputs["image"].shape[1] - config.side) // 2
            image = inputs["image"][:, start:start + config.side, start:start + config.side]
            return {"logits": self.trunk(keras.ops.cast(image, "float32"), training=training),
                    "target": inputs["target"]}

    class Ready(keras.utils.PyDataset):
        """The same batch again and again."""

        def __init__(self, batch: Any) -> None:
            super().__init__()
            self.batch = batch

        def __len__(self) -> int:
            return options.steps

        def __getitem__(self, index: int) -> Any:
            return self.batch

    def fit(kind: type[learner.Learner], batches: Callable[[int], Any]) -> Callable[[], None]:
        model = kind(network, config, np.ones(CLASSES, "float32"))
        model({"image": keras.KerasTensor((None, *pixels.shape[1:]), "uint8"),
               "target": keras.KerasTensor((None, CLASSES), "float32")})
        model.compile(optimizer=optimizers.optimizer(config, network, rate=1e-4, warmup=0),
                      jit_compile=learner.use_xla(config))
        numbers = iter(range(10**6))
        return lambda: model.fit(batches(next(numbers)), epochs=1, shuffle=False, verbose=0)

    def drawn(number: int) -> pipeline.Batches:
        order = pipeline.epoch_order(np.full(len(paths), 1 / len(paths)), batch=config.batch_size,
                                     steps=options.steps, seed=0, epoch=number)
        return pipeline.Batches({"image": pixels, "target": targets}, order)

    ready = Ready(drawn(0)[0])
    seconds = timing.take_turns({
        "step": fit(learner.Learner, drawn), "there already": fit(learner.Learner, lambda _: ready),
        "network": fit(Plain, lambda _: ready)}, rounds=options.rounds)
    return split(seconds, config, steps=options.steps)


def split(seconds: dict[str, list[float]], config: TrainConfig, *, steps: int) -> dict[str, Any]:
    """Milliseconds a step and their parts; each part the median over the rounds."""
    a, b, c = ([1000 * each / steps for each in seconds[name]] for name in ("step", "there already", "network"))
    step = statistics.median(a)
    outside = statistics.median((x - y) / x for x, y in zip(a, c, strict=True))
    return {
        "step": round(step, 2),
        "waiting": round(statistics.median(x - y for x, y in zip(a, b, strict=True)), 2),
        "augmentation": round(statistics.median(x - y for x, y in zip(b, c, strict=True)), 2),
        "network": round(statistics.median(c), 2),
        "outside the network's own step": round(outside, 3),
        "images a second": round(1000 * config.batch_size / step, 1),
        f"seconds an epoch of {EPOCH:,}": round(EPOCH / config.batch_size * step / 1000, 2)}


def theirs(paths: Sequence[Path], folder: Path, config: TrainConfig,
           options: argparse.Namespace) -> dict[str, Any]:
    """Seconds a step of what the guides of Keras show: files, layers that vary, the same network, `fit`."""
    import keras

    from derm.nn import architecture, learner

    keras.config.set_dtype_policy(learner.precision(config))
    for index, path in enumerate(paths[:config.batch_size * options.steps]):
        place = folder / "classes" / f"{index % CLASSES:02}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{index}{path.suffix}").symlink_to(path.resolve())
    data = keras.utils.image_dataset_from_directory(
        folder / "classes", label_mode="categorical", image_size=(config.side,) * 2, batch_size=config.batch_size,
        verbose=False).prefetch(-1)  # -1: as many as it finds good
    network = architecture.with_float_input(architecture.build(config.backbone, classes=CLASSES, size=config.side))
    image = keras.Input((config.side, config.side, 3))
    varied: Any = image
    side = math.sqrt(config.crop_min)
    for layer in (keras.layers.RandomFlip(), keras.layers.RandomRotation(config.rotation / 360),
                  keras.layers.RandomZoom((side - 1, 0.0)), keras.layers.RandomBrightness(config.brightness),
                  keras.layers.RandomContrast(config.contrast), keras.layers.RandomHue(config.hue)):
        varied = layer(varied)
    model = keras.Model(image, network(varied))
    model.compile(optimizer=keras.optimizers.AdamW(1e-4),
                  loss=keras.losses.CategoricalCrossentropy(from_logits=True))
    seconds = timing.take_turns({"step": lambda: model.fit(data, epochs=1, verbose=0)}, rounds=options.rounds)
    step = 1000 * statistics.median(seconds["step"]) / len(data)
    return {"step": round(step, 2), "images a second": round(1000 * config.batch_size / step, 1)}


def memory(folder: Path) -> dict[str, Any]:
    """Resident memory after each epoch of a short run, in MB."""
    import psutil

    from derm import samples
    from derm.nn import train

    found: list[float] = []
    samples.write_dataset(folder / "drawn")
    config = TrainConfig(data=str(folder / "drawn"), weights="none", image_size=96, batch_size=16, head_epochs=0,
                         epochs=20, steps_per_epoch=5)
    train.start(config, run=folder / "run",
                say=lambda _: found.append(round(psutil.Process().memory_info().rss / 1e6, 1)))
    return {"after each epoch": found, "growth over the second half": round(found[-1] - found[len(found) // 2], 1)}


def decoding(paths: Sequence[Path], folder: Path) -> float:
    """Seconds for the cache of EPOCH pictures at CACHED pixels; fewer pictures are decoded more than once."""
    from derm.nn import cache

    began = time.perf_counter()
    cache.pixels((list(paths) * math.ceil(EPOCH / len(paths)))[:EPOCH], size=CACHED, folder=folder / "fresh",
                 quiet=True)
    return round(time.perf_counter() - began, 1)


def child(part: str, paths: Sequence[Path], folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """What one process measures."""
    if part == "memory":
        return memory(folder)
    import keras

    options = suited(options)
    config = config_for(options)
    found = {"ours": ours, "theirs": theirs}[part](paths, folder, config, options)
    from derm.nn import learner

    return found | {"backbone": config.backbone, "size": config.side, "precision": learner.precision(config),
                    "devices": keras.distribution.list_devices()}


def in_a_process(part: str, backend: str, pictures: Path) -> dict[str, Any]:
    """The last line that `child` prints in a process of its own."""
    with tempfile.TemporaryDirectory() as own:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.train", *sys.argv[1:], "--data", str(pictures), "--part", part],
            cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=True,
            env=os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "DERM_CACHE": own})
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def run(pictures: Path, folder: Path) -> dict[str, Any]:
    """Everything, one process after the other."""
    found = {name: in_a_process(part, backend, pictures) for name, (part, backend) in PARTS.items()}
    ratios = {f"{PEER}, beside {name}": float(f"{found[PEER]['step'] / each['step']:.3g}")
              for name, each in found.items() if name != PEER}
    return {"ratios": ratios, "milliseconds": {name: each["step"] for name, each in found.items()}, **found,
            "memory, MB": in_a_process("memory", "tensorflow", pictures),
            f"seconds to decode {EPOCH:,} at {CACHED} px": decoding(found_in(pictures), folder),
            **timing.machine()}


def found_in(folder: Path) -> list[Path]:
    """At most PICTURES JPEGs."""
    return sorted(folder.rglob("*.jpg"))[:PICTURES]


def main() -> None:
    parser = timing.parser(__doc__, rounds=3)
    parser.add_argument("--data", type=Path, help="a folder of JPEGs, instead of drawn pictures")
    parser.add_argument("--backbone", default="", help="another network")
    parser.add_argument("--size", type=int, default=0, help="its input in pixels")
    parser.add_argument("--batch", type=int, default=0, help="images a step (default 16, on a GPU 32)")
    parser.add_argument("--steps", type=int, default=0, help="steps a turn (default 4, on a GPU 20)")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.part:
            print(json.dumps(child(options.part, found_in(options.data), folder, options)))
            return
        if options.data is None:
            from benchmarks.scoring import draw

            draw(folder, count=PICTURES)
        timing.show(run(options.data or folder, folder), title="A training step", as_json=options.json)


if __name__ == "__main__":
    main()
