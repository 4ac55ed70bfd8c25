"""Tiny training runs on drawn pictures, and what they leave."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from derm import registry
from derm.jobs.heart import Heart
from derm.nn import averaging, train
from derm.nn.config import TrainConfig
from derm.nn.material import Material, prepare
from derm.nn.steps import StepLog
from derm.registry import Bundle
from derm.settings import settings

TINY = {"backbone": "baseline", "weights": "none", "image_size": 32, "head_epochs": 1, "epochs": 3,
        "batch_size": 8, "rate": 3e-3, "mixup": 0.0}


@pytest.fixture(scope="module")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DERM_CACHE", str(tmp_path_factory.mktemp("cache")))
        settings.cache_clear()
        yield
    settings.cache_clear()


def tiny(root: Path, **changes: object) -> TrainConfig:
    return TrainConfig(**{**TINY, "data": str(root), **changes})


@pytest.fixture(scope="module")
def material(drawn_root: Path, own_cache: None) -> Material:
    """What a tiny run learns from."""
    return prepare(tiny(drawn_root))


@pytest.fixture(scope="module")
def finished(drawn_root: Path, own_cache: None, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """What a run of one step left."""
    return finished_run(drawn_root, tmp_path_factory.mktemp("runs") / "whole")


def finished_run(root: Path, run: Path, **changes: object) -> Bundle:
    train.start(tiny(root, epochs=0, steps_per_epoch=1, **changes), run=run, say=lambda line: None)
    return registry.read(run)


class Learn:
    """Trains a tiny run, or goes on with it where the folder is there, without making a bundle of it."""

    def __init__(self, root: Path, material: Material) -> None:
        self._root, self._material = root, material

    def network(self, run: Path, *, say: object = lambda _: None, **changes: object) -> keras.Model:
        run.mkdir(exist_ok=True)
        with Heart(run) as heart:
            return train.learn(tiny(self._root, **changes), self._material, heart, say)

    def __call__(self, run: Path, **options: object) -> list[np.ndarray]:
        return averaging.values(self.network(run, **options).weights)


@pytest.fixture
def learn(drawn_root: Path, material: Material) -> Learn:
    return Learn(drawn_root, material)


def stop_at(monkeypatch: pytest.MonkeyPatch, *moments: tuple[int, int]) -> None:
    """Whatever trains is asked to stop at these moments, (epoch, steps done), each of them once."""
    real, left = StepLog.on_train_batch_end, set(moments)

    def asked(log: StepLog, batch: int, logs: object = None) -> None:
        if (now := (log.epoch, log.done + 1)) in left:
            left.remove(now)
            log._log.heart.ask()
        real(log, batch, logs)

    monkeypatch.setattr(StepLog, "on_train_batch_end", asked)


def assert_same(run: Path, other: Path) -> None:
    """Both runs tell of the same epochs."""
    for ours, theirs in zip(history(run), history(other), strict=True):
        assert ours.keys() == theirs.keys()
        for key in ours.keys() - {"seconds", "images_per_second"}:
            assert ours[key] == theirs[key] or float(ours[key]) == pytest.approx(float(theirs[key]), rel=1e-3), key


def history(run: Path) -> list[dict[str, str]]:
    with (run / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))
