"""How fast a config trains here and what memory that takes: a few real steps on drawn pictures.

    python -m derm.nn.estimate CONFIG.toml ANSWER.json        (started by `derm.estimates`, never by hand)

Knows the training script; not how long the whole will take.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from derm import atomic, estimates, samples
from derm.estimates import Measured
from derm.nn import config as configs
from derm.nn.config import TrainConfig


class _Enough(Exception):
    """The last epoch that is timed has ended: what comes after would make a model of it."""


def measure(config: TrainConfig, folder: Path, *, say: Callable[[str], None] = print) -> Measured:
    """Train `estimates.sketch(config)` in the empty `folder` for two epochs a phase, and time the second of each,
    in which nothing is compiled any more. Raises what training raises."""
    import keras

    from derm.nn import train

    say("Drawing pictures to time it on")
    data = samples.write_dataset(folder / "data", per_class=16, size=128)
    epochs: list[dict[str, Any]] = []

    def heard(line: str) -> None:
        if not line.startswith("epoch"):
            return
        say(f"Timing steps: {len(epochs) + 1} of {wanted}")
        epochs.append(_last_epoch(folder / "run"))
        if len(epochs) == wanted:
            raise _Enough

    short = replace(estimates.sketch(config), data=str(data))
    wanted = short.head_epochs + short.epochs
    say("Building the network")
    with contextlib.suppress(_Enough):
        train.start(short, run=folder / "run", say=heard)
    paces = [float(row["images_per_second"]) for row in epochs]
    return Measured(head=paces[short.head_epochs - 1] if short.head_epochs else None,
                    whole=paces[-1] if short.epochs else None, memory=_memory(),
                    gpu_memory=_gpu_memory(keras.backend.backend()))


def _last_epoch(run: Path) -> dict[str, Any]:
    lines = (run / "progress.jsonl").read_text(encoding="utf-8").splitlines()
    return dict(next(row for row in map(json.loads, reversed(lines)) if row["kind"] == "epoch"))


def _memory() -> int:
    """The most that this process had in memory so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _gpu_memory(backend: str) -> int | None:
    """The most that was taken of the first GPU, in bytes; None without one."""
    if backend == "jax":
        import jax

        stats = next((device.memory_stats() for device in jax.devices() if device.platform != "cpu"), None)
        return int(stats["peak_bytes_in_use"]) if stats else None
    if backend == "tensorflow":
        import tensorflow as tf

        if tf.config.list_logical_devices("GPU"):
            return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])
    return None


def main(arguments: Sequence[str]) -> None:
    """Read the config, write the answer."""
    config, answer = map(Path, arguments)
    with tempfile.TemporaryDirectory(prefix="derm-estimate-") as folder:
        found = measure(configs.read(config), Path(folder), say=lambda text: print(text, flush=True))
    atomic.write_bytes(answer, found.to_json().encode())


if __name__ == "__main__":
    main(sys.argv[1:])
