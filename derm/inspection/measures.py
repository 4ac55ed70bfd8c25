"""What is measured of every picture of a data set, once: size, light, detail, colour. Knows files; judges nothing.

A picture is decoded as for training and for a diagnosis, so what is unreadable here is unreadable there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from derm import atomic, images
from derm.errors import ImageError
from derm.inspection import skintone

Progress = Callable[[int, int], None]
# The names up to entropy are cleanvision's.
NUMBERS = ("width", "height", "size", "aspect_ratio", "brightness_perc_5", "brightness_perc_99", "entropy",
           "detail", "colour", "ita")
_SIDE = 96              # light, entropy and colours are the same at this size
_VERSION = "1"          # part of the cache's key: change it when a measure would come out differently
_STAMP = ("bytes", "changed")


def measure(paths: Sequence[Path], *, cache: Path | None = None, progress: Progress | None = None) -> pd.DataFrame:
    """One row a path, in order: NUMBERS, Float64, and `reason`, text: why a file cannot be read, else missing.

    width and height are the file's, in pixels; size is the square root of their product and aspect_ratio the
    shorter by the longer; brightness (0..1) percentiles and entropy (bits) are cleanvision's; detail is
    `images.quality`'s; colour is how far the channels of a pixel lie apart (0..255, 99th percentile); ita is
    `skintone.angle`'s. All are missing for unreadable files.

    `cache` is a folder to keep them in: only files that are new or changed are then read. `progress` is called
    with (done, to do).
    """
    paths = [Path(path) for path in paths]
    stamps = pd.DataFrame([_stamp(path) for path in paths], columns=list(_STAMP), dtype="int64")
    file = cache / f"measures-{_key(paths)}.parquet" if cache else None
    known = _read(file, stamps) if file else stamps.iloc[:0]
    todo = [i for i in range(len(paths)) if i not in known.index]
    fresh = pd.DataFrame(_all([paths[i] for i in todo], progress), index=todo)
    table = pd.concat([part for part in (known, fresh) if len(part)] or [fresh]).sort_index()
    types = dict.fromkeys(NUMBERS, "Float64") | {"reason": "str"}
    table = table.reindex(columns=list(types)).astype(types)
    if file and todo:
        _write(file, table.join(stamps))
    return table


def _all(paths: list[Path], progress: Progress | None) -> list[dict[str, object]]:
    found = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for result in pool.map(_one, paths):
            found.append(result)
            if progress:
                progress(len(found), len(paths))
    return found


def _one(path: Path) -> dict[str, object]:
    # Imported here: it brings matplotlib along, which pages that measure nothing should not wait for.
    from cleanvision.issue_managers import image_property as cleanvision

    try:
        pixels = images.read(path).pixels
    except (ImageError, OSError) as error:
        return {"reason": str(error)}
    small = Image.fromarray(pixels)
    small.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX)
    colours = np.asarray(small)
    dark, bright = cleanvision.calc_percentile_brightness(small, [5, 99])
    width, height = _size(path, pixels)
    return {
        "width": width, "height": height, "size": (width * height) ** 0.5,
        "aspect_ratio": min(width, height) / max(width, height),
        "brightness_perc_5": dark, "brightness_perc_99": bright, "entropy": cleanvision.calc_entropy(small),
        "detail": images.quality(pixels).detail,
        "colour": np.percentile(np.ptp(np.moveaxis(colours, 2, 0), axis=0), 99),
        "ita": skintone.angle(colours),
    }


def _size(path: Path, pixels: np.ndarray) -> tuple[int, int]:
    """Width and height as stored; as read (at most 2,048) where Pillow alone does not know the format (HEIC)."""
    try:
        with Image.open(path) as file:
            return file.size
    except OSError:
        return pixels.shape[1], pixels.shape[0]


def _stamp(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:
        return -1, -1
    return stat.st_size, stat.st_mtime_ns


def _key(paths: list[Path]) -> str:
    names = "\n".join([_VERSION, *(str(path.absolute()) for path in paths)])
    return hashlib.sha256(names.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _read(file: Path, stamps: pd.DataFrame) -> pd.DataFrame:
    """The rows kept whose files have not changed since; none if the cache is absent or damaged."""
    try:
        kept = pd.read_parquet(file)
        same = (kept[list(_STAMP)].to_numpy() == stamps.to_numpy()).all(axis=1)
    except (OSError, ValueError, KeyError):
        return stamps.iloc[:0]
    return kept[same]


def _write(file: Path, table: pd.DataFrame) -> None:
    """A cache folder that cannot be written costs time, not the run."""
    with contextlib.suppress(OSError):
        atomic.write_bytes(file, table.to_parquet())
