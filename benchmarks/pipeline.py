"""Images a second ready for the training step, ours against Keras's ImageDataGenerator.

    python -m benchmarks.pipeline [--data FOLDER] [--json]

Both read the same JPEGs and vary them alike (crop or zoom, flips, small rotation, brightness, colour), 32 of
224 x 224 at a time, from the second epoch on. Ours is what `derm train` does: pictures decoded once into the
cache, batches cut from it, varied in the graph; the rows "with" have one more option each. The peer is
`flow_from_dataframe` as it comes, and again with the two threads that ours has too.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from keras.src.legacy.preprocessing.image import ImageDataGenerator

from benchmarks import timing
from benchmarks.scoring import draw
from derm.nn import cache, pipeline
from derm.nn.augment import Augment
from derm.nn.config import TrainConfig

SIZE, CACHED, BATCH, CLASSES, THREADS = 224, 256, 32, 21, 2
# ImageDataGenerator mixes no images, so mixup is left out of both.
CONFIG = TrainConfig(batch_size=BATCH, mixup=0.0)
# The nearest it has: it zooms where we crop (0.6 of the area is 0.77 of a side) and shifts a colour where we
# turn the hue; it has no right angles and no contrast.
PEER = {"rotation_range": CONFIG.rotation, "zoom_range": (CONFIG.crop_min**0.5, 1.0), "fill_mode": "reflect",
        "horizontal_flip": True, "vertical_flip": True, "brightness_range": (0.8, 1.2),
        "channel_shift_range": 255 * CONFIG.hue}
# Options that are off unless asked for, each added to the above.
OPTIONS: dict[str, dict[str, Any]] = {
    "with randaugment": {"randaugment": 2}, "with colour_limit": {"colour_limit": 5.0},
    "with skin_tone": {"skin_tone": 0.5}, "with rare = mixup": {"rare": "mixup"},
    "with rare = paste": {"rare": "paste"}}
OURS, PLAIN, THREADED = "derm", "ImageDataGenerator", f"ImageDataGenerator, {THREADS} threads"


def ours(paths: Sequence[Path], folder: Path, config: TrainConfig = CONFIG) -> Callable[[], None]:
    """Runs the next epoch of our pipeline; every condition is rare where `config` does something about that."""
    pixels = cache.pixels(paths, size=CACHED, folder=folder, quiet=True)
    labels = np.arange(len(paths)) % CLASSES
    columns = {"image": pixels, "target": np.eye(CLASSES, dtype="float32")[labels]}
    varied = tf.function(Augment(config, size=SIZE))
    shares = np.full(len(paths), 1 / len(paths))
    numbers = itertools.count()

    def epoch() -> None:
        number = next(numbers)
        order = pipeline.epoch_order(shares, batch=BATCH, steps=len(paths) // BATCH, seed=0, epoch=number)
        partners = None if config.rare == "none" else pipeline.partners(
            order, labels, below=len(labels), seed=0, epoch=number)
        for (batch,) in ahead(pipeline.Batches(columns, order, partners=partners), threads=THREADS):
            images, _ = varied(batch["image"], batch["target"], batch.get("partner"))
            # Taking a number out waits until the batch is really there.
            check(images[-1, -1, -1, -1].numpy(), images.shape)

    return epoch


def theirs(paths: Sequence[Path], *, threads: int) -> Callable[[], None]:
    """Runs the next epoch of `flow_from_dataframe`."""
    table = pd.DataFrame({"path": [str(path) for path in paths],
                          "label": [f"{index % CLASSES:02}" for index in range(len(paths))]})
    with contextlib.redirect_stdout(sys.stderr):  # it says how many it found, which would spoil --json
        flow = ImageDataGenerator(**PEER).flow_from_dataframe(
            table, x_col="path", y_col="label", target_size=(SIZE, SIZE), batch_size=BATCH, seed=0)

    def epoch() -> None:
        for images, _ in ahead(flow, threads=threads):
            check(images[-1, -1, -1, -1], images.shape)
        flow.on_epoch_end()

    return epoch


def ahead(batches: Any, *, threads: int) -> Iterator[Any]:
    """The batches in their order; with more than one thread, read ahead as `fit` does."""
    if threads == 1:
        yield from (batches[index] for index in range(len(batches)))
        return
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(batches.__getitem__, range(len(batches)))


def check(value: float, shape: Sequence[int]) -> None:
    if not 0 <= value <= 255 or tuple(shape) != (BATCH, SIZE, SIZE, 3):
        raise AssertionError(f"got a batch of shape {tuple(shape)} with the value {value}")


def run(paths: Sequence[Path], folder: Path, *, rounds: int) -> dict[str, Any]:
    whole = list(paths)[: len(paths) // BATCH * BATCH]
    # The first epoch decodes, compiles and warms the disk's cache: it is the warm-up.
    options = {name: ours(whole, folder, replace(CONFIG, **changes)) for name, changes in OPTIONS.items()}
    seconds = timing.take_turns({OURS: ours(whole, folder), **options, PLAIN: theirs(whole, threads=1),
                                 THREADED: theirs(whole, threads=THREADS)}, rounds=rounds)
    milliseconds = timing.medians(seconds)
    speeds = {name: round(1000 * len(whole) / each, 1) for name, each in milliseconds.items()}
    return {"ratios": timing.ratios(seconds, OURS), "milliseconds": milliseconds, "images a second": speeds,
            "images": len(whole), "rounds": rounds, "devices": keras.distribution.list_devices(),
            **timing.machine()}


def main() -> None:
    parser = timing.parser(__doc__, rounds=5)
    parser.add_argument("--data", type=Path, help="a folder of JPEGs, instead of drawn pictures")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not arguments.data:
            draw(folder, count=512)
        paths = sorted((arguments.data or folder).rglob("*.jpg"))[:512]
        if len(paths) < BATCH:
            parser.error(f"{arguments.data}: {len(paths)} JPEGs; expected at least {BATCH}.")
        found = run(paths, folder / "cache", rounds=arguments.rounds)
    timing.show(found, title="Images ready for the training step (an epoch)", as_json=arguments.json)


if __name__ == "__main__":
    main()
