"""Every image decoded once: a memory-mapped uint8 array on disk. Knows files and pixels; no Keras."""

from __future__ import annotations

import hashlib
import math
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from derm import images
from derm.errors import DatasetError, ImageError

# Part of the key: raise it when `images.fit` or `images.decode` changes what it returns.
_VERSION = 1


def pixels(paths: Sequence[Path], *, size: int, folder: Path, quiet: bool = False) -> np.ndarray:
    """The pictures as a read-only memory map, uint8 [n, size, size, 3], decoded in parallel on first use.

    The file in `folder` is named by the paths, sizes and times of the pictures and by `size`, so a changed
    picture is decoded anew. Raises `DatasetError` naming the pictures that cannot be read, or if the disk is
    too full.
    """
    shape = (len(paths), size, size, 3)
    file = folder / f"{_key(paths, size)}.uint8"
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        _check_room(folder, math.prod(shape))
        part = file.with_suffix(f".{os.getpid()}.part")
        try:
            target = np.memmap(part, dtype=np.uint8, mode="w+", shape=shape)
            _decode_all(paths, target, quiet=quiet)
            target.flush()
            os.replace(part, file)
        finally:
            part.unlink(missing_ok=True)
    return np.memmap(file, dtype=np.uint8, mode="r", shape=shape)


def _key(paths: Sequence[Path], size: int) -> str:
    digest = hashlib.sha256(f"{_VERSION} {size}".encode())
    for path in paths:
        facts = path.stat()
        digest.update(f"{path.name} {facts.st_size} {facts.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:32]


def _check_room(folder: Path, needed: int) -> None:
    # Writing to a memory map on a full disk is no error that can be caught: it ends the process.
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DatasetError(f"{folder}: the decoded photographs need {needed / 1e9:.1f} GB and "
                           f"{free / 1e9:.1f} GB is free; make room, or name another folder with DERM_CACHE.")


def _decode_all(paths: Sequence[Path], target: np.ndarray, *, quiet: bool) -> None:
    size = target.shape[1]
    broken: list[str] = []

    def one(index: int) -> None:
        try:
            target[index] = images.fit(images.read(paths[index]).pixels, size)
        except ImageError as error:
            broken.append(str(error))

    columns = (TextColumn("Decoding photographs"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # Pillow lets go of the interpreter lock while it decodes, so threads are enough.
    with ThreadPoolExecutor(os.cpu_count()) as pool, Progress(*columns, disable=quiet) as progress:
        for _ in progress.track(pool.map(one, range(len(paths))), total=len(paths)):
            pass
    if broken:
        raise DatasetError("Some photographs cannot be read; replace or remove them:", sorted(broken))
