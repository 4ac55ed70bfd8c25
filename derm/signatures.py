"""What a photograph looks like, in 3 kB: two perceptual hashes and a thumbnail. Knows pictures; compares none.

Signatures are kept in one file of the cache folder, so that a photograph is decoded once, whatever list it is in.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import imagehash
import numpy as np
from PIL import Image, ImageOps

from derm import images
from derm.errors import DatasetError

SIDE = 32
SIGNATURE = np.dtype([("hash", "<u8"), ("mirrored", "<u8"), ("thumbnail", "u1", (SIDE, SIDE, 3))])
_VERSION = 2        # part of the file's name: raise it when a signature would come out differently
_AT_ONCE = 1000     # signatures written at a time: what an interruption can cost
_PATIENCE = 30      # seconds to wait while another process writes
_JPEG = b"\xff\xd8\xff"

Progress = Callable[[int, int], None]


def read(paths: Sequence[Path], *, cache: Path | None = None, progress: Progress | None = None) -> np.ndarray:
    """The signatures of the pictures, SIGNATURE [n]: pHash of the picture and of its mirror image, thumbnail.

    `cache` is a folder to keep them in; one that cannot be used costs time only. `progress` is called with
    (done, to do) as pictures are decoded. Raises `DatasetError` naming the files that cannot be.
    """
    keys = [_key(path) for path in paths]
    found = np.zeros(len(paths), SIGNATURE)
    file = cache / f"signatures-{_VERSION}.sqlite" if cache else None
    known = _recall(file, keys, found) if file else np.zeros(len(paths), dtype=bool)
    missing, bad = np.flatnonzero(~known), []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(missing), _AT_ONCE):
            some = missing[start:start + _AT_ONCE]
            signed = pool.map(lambda i: _signature(paths[i]), some)
            for done, (i, one) in enumerate(zip(some, signed, strict=True), start + 1):
                if one is None:
                    bad.append(i)
                else:
                    found[i] = one
                if progress:
                    progress(done, len(missing))
            if file:
                _keep(file, {keys[i]: found[i] for i in some if i not in bad})
    if bad:
        raise DatasetError("Files that are not readable photographs. Replace or remove them",
                           [str(paths[i]) for i in bad])
    return found


def _signature(path: Path) -> tuple[np.uint64, np.uint64, np.ndarray] | None:
    try:
        picture = _picture(path)
    except Exception:  # decoders fail on damaged bytes in every way there is
        return None
    thumbnail = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BOX))
    return _hash(picture), _hash(ImageOps.mirror(picture)), thumbnail


def _picture(path: Path) -> Image.Image:
    """Upright RGB. A JPEG is decoded at a fraction of its size, which is several times quicker."""
    with path.open("rb") as file:
        jpeg = file.read(len(_JPEG)) == _JPEG
    if not jpeg:
        return Image.fromarray(images.read(path).pixels)
    with Image.open(path, formats=("JPEG", "MPO")) as opened:
        opened.draft("RGB", (4 * SIDE, 4 * SIDE))
        return ImageOps.exif_transpose(opened).convert("RGB")


def _hash(picture: Image.Image) -> np.uint64:
    return np.packbits(imagehash.phash(picture).hash.ravel()).view(np.uint64)[0]


def _key(path: Path) -> bytes:
    """Changes with the file; that of a missing one is never kept."""
    try:
        stat = path.stat()
    except OSError:
        return b""
    said = f"{path.absolute()}\t{stat.st_size}\t{stat.st_mtime_ns}"
    return hashlib.blake2b(said.encode("utf-8", "surrogateescape"), digest_size=16).digest()


def _recall(file: Path, keys: Sequence[bytes], found: np.ndarray) -> np.ndarray:
    """Put the signatures that are kept into `found`; which those are, bool [n]."""
    known = np.zeros(len(keys), dtype=bool)
    if not file.is_file():
        return known
    try:
        with contextlib.closing(sqlite3.connect(file, timeout=_PATIENCE)) as store:
            for i, key in enumerate(keys):
                row = store.execute("SELECT signature FROM signatures WHERE key = ?", (key,)).fetchone()
                if row and len(row[0]) == SIGNATURE.itemsize:
                    found[i] = np.frombuffer(row[0], SIGNATURE)[0]
                    known[i] = True
    except sqlite3.OperationalError:  # locked, or on a disk that fails
        pass
    except sqlite3.DatabaseError:  # damaged: begun again
        with contextlib.suppress(OSError):
            file.unlink()
        known[:] = False
    return known


def _keep(file: Path, new: dict[bytes, np.void]) -> None:
    with contextlib.suppress(OSError, sqlite3.Error):
        file.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(file, timeout=_PATIENCE)) as store, store:
            store.execute("CREATE TABLE IF NOT EXISTS signatures (key BLOB PRIMARY KEY, signature BLOB)"
                          " WITHOUT ROWID")
            store.executemany("INSERT OR REPLACE INTO signatures VALUES (?, ?)",
                              [(key, one.tobytes()) for key, one in new.items()])
