"""Near-duplicate photographs: the same shot, or the next of the same lesion. Knows pictures; no labels.

A perceptual hash proposes pairs, also of mirror images; comparing small thumbnails confirms them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from derm import signatures
from derm.signatures import SIDE, Progress

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
_SHIFT = 3
_ROWS, _COLUMNS = 32, 4096  # hashes compared at a time: their differences, 1 MB, stay in a core's cache
_BATCH = 1024               # pairs confirmed at a time


def groups(paths: Sequence[Path], *, cache: Path | None = None, progress: Progress | None = None) -> np.ndarray:
    """Group numbers, int [n], equal for near-duplicates and whatever links them.

    `cache` is a folder for the signatures; `progress` is called with (done, to do). Raises `DatasetError`
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
    return compare(signatures.read([Path(path) for path in paths], cache=cache, progress=progress))


def compare(signed: np.ndarray) -> pd.DataFrame:
    """`pairs` of signatures. Every two are compared, both ways round, but never held all at once: needs little
    more memory than the signatures and the pairs found."""
    found = pd.concat([_compare(signed, mirror=False), _compare(signed, mirror=True)], ignore_index=True)
    return found.drop_duplicates(["a", "b"], ignore_index=True)


def _compare(signed: np.ndarray, *, mirror: bool) -> pd.DataFrame:
    hashes = np.ascontiguousarray(signed["hash"])
    others = np.ascontiguousarray(signed["mirrored"]) if mirror else hashes
    first = signed["thumbnail"]
    second = first[:, :, ::-1] if mirror else first

    def strip(start: int) -> list[tuple[np.ndarray, ...]]:
        return [_confirmed(first, second, *some) for some in _candidates(hashes, others, start)]

    columns = {"a": np.intp, "b": np.intp, "distance": np.uint8, "mirrored": bool, "difference": float,
               "detail": np.float32}
    # NumPy lets go of the interpreter lock within its loops, so threads are enough.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = [part for parts in pool.map(strip, range(0, len(hashes), _ROWS)) for part in parts if len(part[0])]
    empty = tuple(np.empty(0) for _ in range(5))
    a, b, distance, difference, detail = (np.concatenate(column) for column in zip(empty, *parts, strict=True))
    table = pd.DataFrame({"a": a, "b": b, "distance": distance, "mirrored": mirror, "difference": difference,
                          "detail": detail}).astype(columns)
    return table.sort_values(["a", "b"], ignore_index=True)


def _candidates(hashes: np.ndarray, others: np.ndarray,
                start: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Positions a < b, a from `start` for _ROWS, with hashes[a] within HASH_DISTANCE bits of others[b], and that
    distance; at most _BATCH at a time."""
    rows = hashes[start:start + _ROWS, None]
    bits = np.empty((len(rows), _COLUMNS), np.uint64)
    distance, near = np.empty(bits.shape, np.uint8), np.empty(bits.shape, bool)
    held: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for column in range(start, len(others), _COLUMNS):
        width = min(_COLUMNS, len(others) - column)
        np.bitwise_xor(rows, others[column:column + width], out=bits[:, :width])
        np.bitwise_count(bits[:, :width], out=distance[:, :width])
        np.less_equal(distance[:, :width], HASH_DISTANCE, out=near[:, :width])
        near[:, width:] = False
        if column == start:
            near &= ~np.tri(*near.shape, dtype=bool)
        row, within = np.divmod(np.flatnonzero(near), _COLUMNS)
        held.append((start + row, column + within, distance[row, within]))
        # A few at a time would take longer to hand over than to confirm.
        if sum(len(a) for a, *_ in held) >= _BATCH or column + _COLUMNS >= len(others):
            a, b, bits_apart = (np.concatenate(each) for each in zip(*held, strict=True))
            for i in range(0, len(a), _BATCH):
                yield a[i:i + _BATCH], b[i:i + _BATCH], bits_apart[i:i + _BATCH]
            held.clear()


def _confirmed(first: np.ndarray, second: np.ndarray, a: np.ndarray, b: np.ndarray,
               distance: np.ndarray) -> tuple[np.ndarray, ...]:
    """What is left of the candidates: a, b, distance, difference and detail."""
    difference = np.abs(first[a].astype(np.int16) - second[b]).mean(axis=(1, 2, 3))
    close = difference <= np.where(distance <= SAME_HASH, DIFFERENCE_SAME_HASH, DIFFERENCE)
    a, b, distance, difference = a[close], b[close], distance[close], difference[close]
    detail = np.ones(len(a), np.float32)
    differ = difference > 0  # thousands of one placeholder picture are not worth correlating
    if differ.any():
        detail[differ] = _detail_correlation(first[a[differ]], second[b[differ]])
    same = (detail >= DETAIL) | (difference <= IDENTICAL)
    return a[same], b[same], distance[same], difference[same], detail[same]


def _detail_correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Correlation, float [n], of two uint8 [n, 32, 32, 3] without their broad light and colour, at the best
    shift of up to _SHIFT pixels; two photographs of one lesion are rarely taken from the same spot."""
    size = SIDE + 2 * _SHIFT
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
