"""Near-duplicate photographs: the same shot, or the next of the same lesion. Knows pictures; no labels.

A perceptual hash proposes pairs, also of mirror images; comparing small thumbnails confirms them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path

import imagehash
import numpy as np
import pandas as pd
from PIL import Image, ImageOps
from scipy.ndimage import gaussian_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from derm.errors import DatasetError

# Chosen on the 4,087 AJL photographs by looking at the borderline pairs. Comparing every photograph with the
# others turned or flipped upside down, where nearly all pairs are chance, counts the false ones: 3 for each of
# 6 such orientations, against 188 upright pairs and 5 mirrored. Those link 356 photographs in 171 groups of at
# most 3; 65 of the 1,227 test photographs repeat a training one. Between a detail of 0.45 and 0.62 about one
# pair in eight is two lesions that look alike: an undetected repeat costs more than a needless group.
HASH_DISTANCE = 16          # of 64 bits
DIFFERENCE = 20.0           # mean absolute, of 255
DIFFERENCE_SAME_HASH = 30.0  # within SAME_HASH bits: recoloured copies
SAME_HASH = 8
DETAIL = 0.45               # correlation of the fine detail, best of small shifts
IDENTICAL = 1.0             # mean absolute difference below which flat pictures, without detail, are one
_SIDE = 32
_SHIFT = 3
_VERSION = "1"              # part of the cache's key: change it when a signature would come out differently
_ROWS = 256                 # hashes compared with all others at a time
_BATCH = 2048               # pairs confirmed at a time

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class _Signatures:
    hashes: np.ndarray      # uint64 [n]
    mirrored: np.ndarray    # uint64 [n], of the mirror images
    thumbnails: np.ndarray  # uint8 [n, 32, 32, 3]


def groups(paths: Sequence[Path], *, cache: Path | None = None, progress: Progress | None = None) -> np.ndarray:
    """Group numbers, int [n], equal for near-duplicates and whatever links them.

    `cache` is a folder for the signatures; `progress` is called with (done, total). Raises `DatasetError`
    naming the files that cannot be decoded.
    """
    found = pairs(paths, cache=cache, progress=progress)
    return merge(len(paths), found["a"].to_numpy(), found["b"].to_numpy())


def merge(count: int, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Group numbers, int [count], of things linked by the pairs (a[i], b[i])."""
    links = coo_array((np.ones(len(a), dtype=bool), (a, b)), shape=(count, count))
    return connected_components(links, directed=False)[1]


def pairs(paths: Sequence[Path], *, cache: Path | None = None,
          progress: Progress | None = None) -> pd.DataFrame:
    """Near-duplicate pairs, one row each: positions `a` < `b`, hash `distance` (bits), `mirrored`, mean
    absolute `difference` of the thumbnails (0..255) and correlation of their `detail`."""
    signatures = _signatures([Path(path) for path in paths], cache, progress)
    straight = _confirmed(signatures, mirror=False)
    found = pd.concat([straight, _confirmed(signatures, mirror=True)], ignore_index=True)
    return found.drop_duplicates(["a", "b"], ignore_index=True)


def _confirmed(signatures: _Signatures, *, mirror: bool) -> pd.DataFrame:
    other = signatures.mirrored if mirror else signatures.hashes
    a, b, distance = _candidates(signatures.hashes, other)
    first = signatures.thumbnails
    second = first[:, :, ::-1] if mirror else first
    difference = np.concatenate([np.abs(first[i].astype(np.int16) - second[j]).mean(axis=(1, 2, 3))
                                 for i, j in _batches(a, b)])
    close = difference <= np.where(distance <= SAME_HASH, DIFFERENCE_SAME_HASH, DIFFERENCE)
    a, b, distance, difference = a[close], b[close], distance[close], difference[close]
    detail = np.concatenate([_detail_correlation(first[i], second[j]) for i, j in _batches(a, b)])
    table = pd.DataFrame({"a": a, "b": b, "distance": distance, "mirrored": mirror, "difference": difference,
                          "detail": detail})
    return table[(detail >= DETAIL) | (difference <= IDENTICAL)]


def _batches(a: np.ndarray, b: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(a[i:i + _BATCH], b[i:i + _BATCH]) for i in range(0, max(len(a), 1), _BATCH)]


def _candidates(hashes: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions a < b with hashes[a] within HASH_DISTANCE bits of other[b], and that distance."""
    parts = [(np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0, np.uint8))]
    for start in range(0, len(hashes), _ROWS):
        distance = np.bitwise_count(hashes[start:start + _ROWS, None] ^ other[None, start:])
        a, b = np.nonzero(np.triu(distance <= HASH_DISTANCE, 1))
        parts.append((a + start, b + start, distance[a, b]))
    a, b, distance = (np.concatenate(column) for column in zip(*parts, strict=True))
    return a, b, distance


def _detail_correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Correlation, float [n], of two uint8 [n, 32, 32, 3] without their broad light and colour, at the best
    shift of up to _SHIFT pixels; two photographs of one lesion are rarely taken from the same spot."""
    size = _SIDE + 2 * _SHIFT
    spectra = []
    for thumbnails in (first, second):
        detail = thumbnails.astype(np.float32)
        detail -= gaussian_filter(detail, (0, 2, 2, 0))
        detail -= detail.mean(axis=(1, 2), keepdims=True)
        detail /= np.maximum(np.sqrt((detail**2).sum(axis=(1, 2, 3), keepdims=True)), 1e-3)
        spectra.append(np.fft.rfft2(detail, s=(size, size), axes=(1, 2)))
    correlation = np.fft.irfft2((spectra[0] * spectra[1].conj()).sum(axis=3), s=(size, size), axes=(1, 2))
    shifts = np.arange(-_SHIFT, _SHIFT + 1)
    return correlation[:, shifts[:, None], shifts].max(axis=(1, 2))


def _signatures(paths: list[Path], cache: Path | None, progress: Progress | None) -> _Signatures:
    file = cache / f"signatures-{_key(paths)}.npz" if cache else None
    if file and (known := _read(file)):
        return known
    computed = _compute(paths, progress)
    if file:
        _write(file, computed)
    return computed


def _compute(paths: list[Path], progress: Progress | None) -> _Signatures:
    hashes = np.empty((2, len(paths)), np.uint64)
    thumbnails = np.empty((len(paths), _SIDE, _SIDE, 3), np.uint8)
    bad = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for i, result in enumerate(pool.map(_signature, paths)):
            if result is None:
                bad.append(str(paths[i]))
            else:
                hashes[0, i], hashes[1, i], thumbnails[i] = result
            if progress:
                progress(i + 1, len(paths))
    if bad:
        raise DatasetError("Files that are not readable photographs. Replace or remove them", bad)
    return _Signatures(hashes[0], hashes[1], thumbnails)


def _signature(path: Path) -> tuple[np.uint64, np.uint64, np.ndarray] | None:
    try:
        with Image.open(path) as file:
            file.draft("RGB", (4 * _SIDE, 4 * _SIDE))
            picture = ImageOps.exif_transpose(file).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    thumbnail = np.asarray(picture.resize((_SIDE, _SIDE), Image.Resampling.BOX))
    return _hash(picture), _hash(ImageOps.mirror(picture)), thumbnail


def _hash(picture: Image.Image) -> np.uint64:
    return np.packbits(imagehash.phash(picture).hash.ravel()).view(np.uint64)[0]


def _key(paths: list[Path]) -> str:
    digest = hashlib.sha256(_VERSION.encode())
    for path in paths:
        try:
            stat = path.stat()
        except OSError:
            continue  # decoding will name it
        digest.update(f"{path.absolute()}\t{stat.st_size}\t{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _read(file: Path) -> _Signatures | None:
    try:
        with file.open("rb") as stream, np.load(stream) as arrays:
            return _Signatures(**{f.name: arrays[f.name] for f in fields(_Signatures)})
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None  # absent or damaged: computed again


def _write(file: Path, signatures: _Signatures) -> None:
    """Whole or not at all; a cache folder that cannot be written costs time, not the run."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=file.parent, suffix=".npz", delete=False) as partial:
            np.savez(partial, **{f.name: getattr(signatures, f.name) for f in fields(_Signatures)})
        os.replace(partial.name, file)
