"""Real processes that do little: see `standin`."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from derm import jobs
from derm.jobs import control
from derm.nn.config import TrainConfig
from derm.settings import PROJECT, settings


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for runs, whose processes are stand-ins and end with the test."""
    monkeypatch.setattr(control, "WORKER", ("-m", "tests.jobs.standin"))
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    monkeypatch.setenv("DERM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DERM_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    settings.cache_clear()
    yield tmp_path / "runs"
    for run in jobs.list_runs(tmp_path / "runs"):
        if (run.is_live and run.pid != os.getpid()) or control._hangs(run):
            control._kill(run.pid)
    settings.cache_clear()


@pytest.fixture
def config(drawn_root: Path) -> TrainConfig:
    """Two hundred steps of 20 ms, in 40 epochs."""
    return TrainConfig(data=str(drawn_root), epochs=40, head_epochs=0, steps_per_epoch=5, rate=0.02)


def small(root: Path, **changes: object) -> TrainConfig:
    """A real training of a tiny network on drawn pictures, a few tenths of a second an epoch."""
    return TrainConfig(**{"data": str(root), "backbone": "baseline", "weights": "none", "image_size": 32,
                          "head_epochs": 1, "epochs": 400, "batch_size": 8, "steps_per_epoch": 10, "rate": 3e-3,
                          "mixup": 0.0, **changes})


def until(holds: Callable[[], object], *, seconds: float = 30) -> None:
    """Wait for something to be true."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def state(name: str, runs: Path) -> str:
    """Of the run now."""
    return jobs.find(name, runs=runs).state


def kill(name: str, runs: Path) -> None:
    """SIGKILL, as the system or an operator does it; returns when the process is no more."""
    process = psutil.Process(jobs.find(name, runs=runs).pid)
    process.kill()
    with contextlib.suppress(psutil.NoSuchProcess):
        process.wait(10)


def attempts(folder: Path) -> list[list[int]]:
    """Process, epoch, step and count at the start of each attempt."""
    path = folder / "attempts.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    return [[int(word) for word in line.split()] for line in lines]
