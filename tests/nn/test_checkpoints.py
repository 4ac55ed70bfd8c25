"""A kill between any two writes costs at most the checkpoint in the making."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from derm.nn import checkpoints
from derm.nn.checkpoints import Checkpoint


def checkpoint(epoch: int) -> Checkpoint:
    arrays = {"network": [np.full((2, 3), epoch, "float32"), np.arange(12)], "optimizer": [np.array(epoch)]}
    return Checkpoint(epoch, arrays, {"history": [{"epoch": epoch, "f1": None}], "best": 0.5})


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_was_saved_comes_back(tmp_path):
    checkpoints.save(tmp_path, checkpoint(3))
    found = checkpoints.latest(tmp_path)
    assert found.epoch == 3
    assert found.meta == checkpoint(3).meta
    assert set(found.arrays) == {"network", "optimizer"}
    for group, arrays in checkpoint(3).arrays.items():
        for ours, theirs in zip(found.arrays[group], arrays, strict=True):
            np.testing.assert_array_equal(ours, theirs)
            assert ours.dtype == theirs.dtype


def test_more_than_ten_arrays_keep_their_order(tmp_path):
    arrays = [np.array(index) for index in range(25)]
    checkpoints.write_arrays(tmp_path / "best.npz", {"network": arrays})
    assert [int(array) for array in checkpoints.read_arrays(tmp_path / "best.npz")["network"]] == list(range(25))
    assert names(tmp_path) == ["best.npz"]


def test_there_is_none_before_the_first(tmp_path):
    assert checkpoints.latest(tmp_path) is None
    assert checkpoints.latest(tmp_path / "absent") is None


def test_the_last_two_are_kept(tmp_path):
    for epoch in (1, 2, 9, 10):
        checkpoints.save(tmp_path, checkpoint(epoch))
    assert names(tmp_path) == ["00009", "00010"]
    assert checkpoints.latest(tmp_path).epoch == 10


def test_one_within_an_epoch_comes_after_the_epoch_before(tmp_path):
    for epoch, step in ((9, 0), (9, 30), (9, 120), (10, 0), (10, 5)):
        checkpoints.save(tmp_path, replace(checkpoint(epoch), step=step))
        found = checkpoints.latest(tmp_path)
        assert (found.epoch, found.step) == (epoch, step)
    assert len(names(tmp_path)) == 2


def test_an_unfinished_one_does_not_push_out_a_finished_one(tmp_path):
    checkpoints.save(tmp_path, checkpoint(1))
    (tmp_path / "00001.0000007").mkdir()
    checkpoints.save(tmp_path, checkpoint(2))
    assert names(tmp_path) == ["00001", "00002"]


@pytest.mark.parametrize("file", [".state.npz", "meta.json", "COMPLETE"])
def test_a_full_disk_leaves_those_before_and_nothing_else(tmp_path, monkeypatch, file):
    checkpoints.save(tmp_path, checkpoint(1))
    real = checkpoints._flush

    def full(open_file: object) -> None:
        if Path(open_file.name).name == file:
            raise OSError(28, "No space left on device")
        real(open_file)

    monkeypatch.setattr(checkpoints, "_flush", full)
    with pytest.raises(OSError, match="No space"):
        checkpoints.save(tmp_path, checkpoint(2))
    assert names(tmp_path) == ["00001"]
    assert checkpoints.latest(tmp_path).epoch == 1


def test_one_without_its_marker_does_not_count(tmp_path):
    checkpoints.save(tmp_path, checkpoint(1))
    checkpoints.save(tmp_path, checkpoint(2))
    (tmp_path / "00002" / "COMPLETE").unlink()
    assert checkpoints.latest(tmp_path).epoch == 1


@pytest.mark.parametrize("file", ["state.npz", "meta.json"])
@pytest.mark.parametrize("damage", ["half", "empty", "flipped", "gone"])
def test_a_damaged_one_is_passed_over(tmp_path, file, damage):
    checkpoints.save(tmp_path, checkpoint(1))
    checkpoints.save(tmp_path, checkpoint(2))
    path = tmp_path / "00002" / file
    content = path.read_bytes()
    middle = len(content) // 2
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes({"half": content[:middle], "empty": b"",
                          "flipped": content[:20] + b"\0\xff" * 20 + content[60:]}[damage])
    assert checkpoints.latest(tmp_path).epoch == 1
    (tmp_path / "00001" / file).write_bytes(b"")
    assert checkpoints.latest(tmp_path) is None


class Killed(BaseException):
    """Stands for SIGKILL."""


@pytest.mark.parametrize(("step", "count"), [("_flush", 1), ("replace", 1), ("_flush", 2), ("_flush", 3)])
def test_a_kill_between_any_two_writes(tmp_path, monkeypatch, step, count):
    """The arrays, their renaming, the table and the marker: before the last of them only the older one counts."""
    checkpoints.save(tmp_path, checkpoint(1))
    owner = os if step == "replace" else checkpoints
    real, calls = getattr(owner, step), iter(range(1, 10))

    def until(*arguments: object) -> None:
        if next(calls) == count:
            raise Killed
        real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(owner, step, until)
        with pytest.raises(Killed):
            checkpoints.save(tmp_path, checkpoint(2))
    # The marker itself holds nothing, so once it is there everything before it is whole.
    whole = (tmp_path / "00002" / "COMPLETE").exists()
    assert whole == (count == 3)
    assert checkpoints.latest(tmp_path).epoch == (2 if whole else 1)
    checkpoints.save(tmp_path, checkpoint(2))
    checkpoints.save(tmp_path, checkpoint(3))
    assert checkpoints.latest(tmp_path).epoch == 3
    assert names(tmp_path) == ["00002", "00003"]


def test_everything_is_on_the_disk_before_the_marker(tmp_path, monkeypatch):
    order: list[str] = []
    real = checkpoints._flush
    monkeypatch.setattr(checkpoints, "_flush", lambda file: (real(file), order.append(Path(file.name).name)))
    checkpoints.save(tmp_path, checkpoint(1))
    assert order == [".state.npz", "meta.json", "COMPLETE"]
