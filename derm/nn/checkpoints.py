"""The state of a training run on disk, so that a kill at any moment costs at most one epoch.

Knows arrays, numbers and files; no Keras. A checkpoint is a numbered folder: state.npz, meta.json and,
written last, COMPLETE. A folder without that marker is as good as absent.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

_MARKER = "COMPLETE"
_KEEP = 2


@dataclass(frozen=True)
class Checkpoint:
    """What was saved after `epoch` epochs and `step` steps of the next: groups of arrays and a small table."""

    epoch: int
    arrays: Mapping[str, Sequence[np.ndarray]]
    meta: Mapping[str, Any]
    step: int = 0

    @property
    def name(self) -> str:
        """Its folder's: in the order of their names checkpoints are in the order of time."""
        return f"{self.epoch:05d}" + (f".{self.step:07d}" if self.step else "")


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write the checkpoint and drop all but the last two.

    `OSError`, when the disk is full say, leaves those that were there and nothing else.
    """
    target = folder / checkpoint.name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    try:
        _write(target, checkpoint)
    except OSError:
        shutil.rmtree(target, ignore_errors=True)
        raise
    kept = _complete(folder)[:_KEEP]
    for old in folder.iterdir():
        if old not in kept:
            shutil.rmtree(old, ignore_errors=True)


def latest(folder: Path) -> Checkpoint | None:
    """The newest complete checkpoint that can be read, or None. One that the disk has damaged is passed over."""
    for done in _complete(folder):
        try:
            meta = json.loads((done / "meta.json").read_text(encoding="utf-8"))
            epoch, _, step = done.name.partition(".")
            return Checkpoint(int(epoch), read_arrays(done / "state.npz"), meta, int(step or 0))
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):
            continue
    return None


def write_arrays(path: Path, groups: Mapping[str, Sequence[np.ndarray]]) -> None:
    """Groups of arrays as one .npz, whole or not at all."""
    flat = {f"{group}/{i}": array for group, arrays in groups.items() for i, array in enumerate(arrays)}
    part = path.with_name(f".{path.name}")
    try:
        with part.open("wb") as file:
            np.savez(file, **flat)  # type: ignore[arg-type]
            _flush(file)
        os.replace(part, path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def read_arrays(path: Path) -> dict[str, list[np.ndarray]]:
    """What `write_arrays` wrote."""
    groups: dict[str, dict[int, np.ndarray]] = {}
    # Opened here, because NumPy leaves a damaged file open.
    with path.open("rb") as file, np.load(file) as stored:
        for key in stored.files:
            group, _, index = key.partition("/")
            groups.setdefault(group, {})[int(index)] = stored[key]
    return {group: [arrays[i] for i in range(len(arrays))] for group, arrays in groups.items()}


def _write(target: Path, checkpoint: Checkpoint) -> None:
    write_arrays(target / "state.npz", checkpoint.arrays)
    with (target / "meta.json").open("w", encoding="utf-8") as file:
        json.dump(dict(checkpoint.meta), file)
        _flush(file)
    with (target / _MARKER).open("w", encoding="utf-8") as file:
        _flush(file)


def _complete(folder: Path) -> list[Path]:
    """The folders of complete checkpoints, the newest first."""
    return sorted((path.parent for path in folder.glob(f"*/{_MARKER}")), reverse=True)


def _flush(file: Any) -> None:
    """To the disk itself: the marker must not outlive what it vouches for."""
    file.flush()
    os.fsync(file.fileno())
