"""What a run will cost before it is started: time, memory and disk, and whether they are there.

The pace is measured by a process of its own (`derm.nn.estimate`) and kept for the next time. No Keras in here.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil

from derm.errors import JobError
from derm.machine import Machine
from derm.nn.config import TrainConfig

WORKER = ("-m", "derm.nn.estimate")  # what the process is told to do, before the config and the answer
_STEPS = 3          # timed in each phase, after as many to warm up
_DECODING = 0.01    # seconds a photograph, once: what is decoded is kept
_MARGIN = 8 / 7     # training photographs are kept a little larger, so that crops lose no detail
_SPARE = 2**30      # bytes of a disk that are left free
_FLOAT = 4          # bytes
_AT_LEAST = 3       # float copies of a batch of photographs that any training step holds at once
_OUT_OF_MEMORY = ("RESOURCE_EXHAUSTED", "ResourceExhausted", "Out of memory", "OOM", "MemoryError", "bad_alloc")


@dataclass(frozen=True)
class Measured:
    """Photographs a second in training the head alone and the whole network (None for a phase that there is not),
    the most memory of the process and, where it used one, of the GPU; in bytes."""

    head: float | None
    whole: float | None
    memory: int
    gpu_memory: int | None

    def to_json(self) -> str:
        """As the file holds it."""
        return json.dumps(asdict(self))

    def seconds(self, config: TrainConfig, *, train: int, val: int) -> float:
        """About how long the whole run takes with so many photographs in training and in validation.

        Looking at a photograph without learning from it costs about what training the head does, or a third of
        training the whole network, which goes through it three times.
        """
        look = self.head or 3 * (self.whole or math.inf)
        epoch = config.steps_per_epoch * config.batch_size or train
        views = (2 if config.mirror else 1) * (4 if config.turns else 1)
        trained = config.head_epochs * epoch / (self.head or math.inf) + config.epochs * epoch / (
            self.whole or math.inf)
        watched = (config.head_epochs + config.epochs) * val / look
        return trained + watched + (train + val * views) / look + _DECODING * (train + val)


def sketch(config: TrainConfig) -> TrainConfig:
    """The config as it is timed: the same network and step on drawn pictures, a few steps of each phase."""
    return replace(config, data="", split="80/20", split_file="", fold=0, exclude="", metadata="", weights="none",
                   seed=0, head_epochs=min(config.head_epochs, 2), epochs=min(config.epochs, 2), swa_epochs=0,
                   steps_per_epoch=_STEPS, warmup_epochs=0.0, early_stopping=0, early_metric="macro-f1")


class Measuring:
    """A measurement that is going on, or has ended; `folder` is kept, so that the answer is found the next
    time."""

    def __init__(self, config: TrainConfig, *, cache: Path) -> None:
        """Starts it. Raises `JobError` where no process can be started."""
        self.answer = _place(config, cache)
        folder = self.answer.with_suffix("")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "config.toml").write_text(sketch(config).to_toml(), encoding="utf-8")
            self._said = folder / "said.txt"
            environment = {**os.environ, "DERM_CACHE": str(folder / "cache"), "TF_CPP_MIN_LOG_LEVEL": "3",
                           # A run may be using the GPU: take no more of its memory than is needed.
                           "TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
            with self._said.open("wb") as said:
                self._process = subprocess.Popen(
                    [sys.executable, *WORKER, str(folder / "config.toml"), str(self.answer)],
                    stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment)
        except OSError as error:
            raise JobError(f"{folder}: no measurement could be started ({error.strerror or error}).") from error

    @property
    def is_over(self) -> bool:
        """Whether its process has ended."""
        return self._process.poll() is not None

    @property
    def doing(self) -> str:
        """What it does now, in words."""
        lines = [line for line in self._lines() if line.startswith(("Drawing", "Building", "Timing"))]
        return lines[-1] if lines else "Starting"

    @property
    def share(self) -> float:
        """How far it has come, 0 to 1, by the steps that it has said."""
        done = sum(line.startswith(("Drawing", "Building", "Timing")) for line in self._lines())
        return min(1.0, (done + 1) / 7)

    @property
    def problem(self) -> str:
        """Why it ended without an answer; '' while it goes on and where there is one."""
        if not self.is_over or self.answer.is_file():
            return ""
        lines = self._lines()
        if self._process.returncode == -9 or any(word in line for line in lines for word in _OUT_OF_MEMORY):
            return ("These settings need more memory than there is: the measurement ran out of it. Choose a "
                    "smaller batch or smaller images.")
        return f"It could not be measured: {lines[-1][:300] if lines else 'the process said nothing'}"

    def cancel(self) -> None:
        """End it."""
        if not self.is_over:
            for child in psutil.Process(self._process.pid).children(recursive=True):
                child.kill()
            self._process.kill()
            self._process.wait(10)

    def _lines(self) -> list[str]:
        return [line.strip() for line in self._said.read_text("utf-8", "replace").splitlines() if line.strip()]


def known(config: TrainConfig, *, cache: Path) -> Measured | None:
    """What was measured of these settings on this machine, if it was."""
    try:
        return Measured(**json.loads(_place(config, cache).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def obstacles(config: TrainConfig, *, photographs: int, size: int, machine: Machine, rooms: dict[str, int],
              measured: Measured | None) -> Iterator[str]:
    """Why the run cannot fit here, a sentence each. `size` is the side of its input in pixels, `rooms` the bytes
    free where what is decoded ("cache") and the run ("runs") go."""
    decoded = photographs * 3 * round(size * _MARGIN) ** 2
    if decoded + _SPARE > rooms["cache"]:
        yield (f"The photographs take {gigabytes(decoded)} once decoded, and the disk of the cache has "
               f"{gigabytes(rooms['cache'])} free. Make room, or choose smaller images.")
    if rooms["runs"] < _SPARE:
        yield f"The disk of the runs has {gigabytes(rooms['runs'])} free; a run needs about {gigabytes(_SPARE)}."
    batch = _AT_LEAST * _FLOAT * 3 * config.batch_size * size**2
    needed = max(batch, (measured.gpu_memory or 0) if measured else 0)
    biggest = max((gpu.memory for gpu in machine.gpus), default=0)
    if machine.gpus and needed > biggest:
        yield (f"A step needs {gigabytes(needed)} of GPU memory or more, and the GPU has {gigabytes(biggest)}. "
               "Choose a smaller batch or smaller images.")
    needed = max(0 if machine.gpus else batch, measured.memory if measured else 0)
    if needed > machine.available:
        yield (f"Training needs {gigabytes(needed)} of memory or more, and {gigabytes(machine.available)} of "
               f"{gigabytes(machine.memory)} are free. End other programs, or choose a smaller batch or smaller "
               "images.")


def gigabytes(count: float) -> str:
    """'1.4 GB', or '350 MB' below a tenth of one."""
    return f"{count / 1e9:.1f}\N{NO-BREAK SPACE}GB" if count >= 1e9 else f"{count / 1e6:.0f}\N{NO-BREAK SPACE}MB"


def _place(config: TrainConfig, cache: Path) -> Path:
    """Where the answer is kept; another backend of Keras, or another device, is another place."""
    where = [os.environ.get(key, "") for key in ("KERAS_BACKEND", "CUDA_VISIBLE_DEVICES")]
    told = [sketch(config).to_toml(), *where]
    return cache / "estimates" / f"{hashlib.sha256(repr(told).encode()).hexdigest()[:20]}.json"
