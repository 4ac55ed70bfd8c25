"""A run's process that learns nothing, in every other respect a real one: it counts its steps, and keeps the
count in real checkpoints. `python -m tests.jobs.standin FOLDER`; the environment's STANDIN says what befalls it.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from derm.jobs import heart as hearts
from derm.jobs import worker
from derm.jobs.heart import Heart, Stopped
from derm.nn import checkpoints
from derm.nn import config as configs


def train(folder: Path, *, heart: Heart, say: Callable[[str], None]) -> Path:
    """Count to epochs x steps, an epoch a checkpoint; `attempts.txt` gets a line an attempt."""
    config = configs.read(folder / "config.toml")
    saved = checkpoints.latest(folder / "checkpoints")
    epoch, step, count = 0, 0, np.zeros(200_000)
    if saved:
        epoch, step, count = saved.epoch, saved.step, saved.arrays["count"][0]
    with (folder / "attempts.txt").open("a") as file:
        file.write(f"{os.getpid()} {epoch} {step} {int(count[0])}\n")
    befall(os.environ.get("STANDIN", ""), heart)
    heart.tell(doing="training", epochs=config.epochs)
    with heart.gently():
        while epoch < config.epochs:
            while step < config.steps_per_epoch:
                time.sleep(config.rate)
                count, step = count + 1, step + 1
                if heart.is_asked:
                    save(folder, epoch, step, count)
                    raise Stopped
            epoch, step = epoch + 1, 0
            save(folder, epoch, step, count)
            heart.tell(epoch=epoch)
    (folder / "counted.txt").write_text(str(int(count[0])))
    (folder / "bundle.json").write_text("{}")
    return folder


def save(folder: Path, epoch: int, step: int, count: np.ndarray) -> None:
    """One array, a megabyte and a half."""
    checkpoints.save(folder / "checkpoints", checkpoints.Checkpoint(epoch, {"count": [count]}, {}, step))


def befall(what: str, heart: Heart) -> None:
    """One of the ways in which runs go wrong."""
    if what == "memory":
        resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
        np.ones(2**30)
    elif what == "gpu":
        raise RuntimeError("INTERNAL: Failed to synchronize: CUDA_ERROR_LAUNCH_FAILED: unspecified launch failure")
    elif what == "abort":
        print("F cuda_driver: Check failed: status == CUDA_ERROR_ILLEGAL_ADDRESS", file=sys.stderr, flush=True)
        os.abort()
    elif what == "bug":
        raise KeyError("a mistake")
    elif what == "still":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif what == "deaf":
        hearts._PATIENCE = 1.0
        with heart.gently():
            time.sleep(600)
    elif what == "reading":
        time.sleep(600)
    elif what:
        raise ValueError(json.dumps(what))


if __name__ == "__main__":
    sys.exit(worker.main(sys.argv[1:], train=train))
