"""A run's life, as it tells of it."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path

import pytest

from derm.errors import DatasetError, JobError
from derm.jobs import heart as hearts
from derm.jobs import status
from derm.jobs.heart import Heart, Stopped
from tests.jobs.conftest import until


def told(folder: Path) -> dict[str, object]:
    return json.loads((folder / "status.json").read_text())


def lived(folder: Path, error: BaseException | None) -> None:
    """A run that ends with this error."""
    with Heart(folder) as heart:
        assert told(folder)["state"] == "running"
        heart.tell(epoch=2, seconds_left=5.0, device="GPU-1a2b")
        if error:
            raise error


def stopped(folder: Path) -> None:
    """A run that is asked to stop, and hears it."""
    with Heart(folder) as heart, heart.gently():
        heart.check()
        (folder / "stop").touch()
        heart.wait(30)


@pytest.mark.parametrize(("error", "state", "reason"), [
    (None, "finished", ""),
    (Stopped(), "stopped", ""),
    (KeyboardInterrupt(), "stopped", ""),
    (DatasetError("no pictures here. Look elsewhere."), "failed", "no pictures here. Look elsewhere."),
    (MemoryError("Unable to allocate 8 GiB"), "failed", "The machine ran out of memory."),
    (OSError(28, "No space left on device"), "failed", "The disk is full."),
    (RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate"), "failed",
     "The GPU ran out of memory."),
    (ValueError("a mistake\nof two lines"), "failed", "ValueError: a mistake"),
])
def test_the_end_of_the_block_is_the_runs(tmp_path, error, state, reason):
    with pytest.raises(type(error)) if error else contextlib.nullcontext():
        lived(tmp_path, error)
    found = told(tmp_path)
    assert (found["state"], found["reason"], found["epoch"], found["seconds_left"]) == (state, reason, 2, None)
    assert not list(tmp_path.glob("stop"))


def test_it_beats_by_itself_and_the_time_left_runs_down(tmp_path, monkeypatch):
    monkeypatch.setattr(hearts, "_EVERY", 0.05)
    with Heart(tmp_path) as heart:
        heart.tell(seconds_left=100.0)
        first = told(tmp_path)
        until(lambda: told(tmp_path)["seconds_left"] < 99.9)
        assert told(tmp_path)["beat"] > first["beat"]


def test_nobody_else_may_be_the_run(tmp_path):
    with Heart(tmp_path), pytest.raises(JobError, match="another process"), Heart(tmp_path):
        pass
    with Heart(tmp_path):
        pass


def test_a_wish_to_stop_is_heard_and_then_forgotten(tmp_path, monkeypatch):
    monkeypatch.setattr(hearts, "_EVERY", 0.02)
    (tmp_path / "status.json").write_text(json.dumps({"state": "queued", "created": 17.0, "turn": 4}))
    with pytest.raises(Stopped):
        stopped(tmp_path)
    found = told(tmp_path)
    assert (found["state"], found["created"], found["turn"]) == ("stopped", 17.0, 4)
    assert not (tmp_path / "stop").exists()


def test_a_disk_without_room_does_not_end_the_heartbeat(tmp_path, monkeypatch):
    monkeypatch.setattr(hearts, "_EVERY", 0.02)
    beats: list[float] = []

    def full(*_: object) -> None:
        beats.append(time.monotonic())
        raise OSError(28, "No space left on device")

    with Heart(tmp_path) as heart:
        real = status.write
        monkeypatch.setattr(status, "write", full)
        until(lambda: len(beats) > 3)
        with pytest.raises(OSError, match="No space"):
            heart.tell(epoch=1)
        monkeypatch.setattr(status, "write", real)
    assert told(tmp_path)["state"] == "finished"


def test_what_a_kill_left_is_swept(tmp_path):
    litter = tmp_path / f".{'0a' * 16}"
    litter.touch()
    with Heart(tmp_path):
        assert not litter.exists()
