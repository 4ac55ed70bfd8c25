"""Small pictures for pages: thumbnails kept on disk, what two of them differ in. Knows pictures; no data sets.

A thumbnail is upright and free of metadata, for it is made from what `derm.images` lets through.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from functools import cache as remembered
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from derm import images

SIDE = 160
_QUALITY = 78           # about 5 kB at 160 pixels
_VERSION = "1"          # part of the cache's key: change it when a thumbnail would come out differently
_BLUR = 9               # pixels across that a blurred picture keeps: its colours, nothing to recognise
_END = b"\xff\xd9"      # what a whole JPEG ends with
_SHIFT = 0.12           # of a side: how far apart two photographs of one thing are looked for
_GAIN = 2.0             # differences are faint; shown this much stronger
_GREY, _WORDS = (125, 137, 138), (255, 255, 255)


def thumbnail(path: Path, *, side: int = SIDE, blur: bool = False, cache: Path | None = None) -> bytes:
    """The picture as a JPEG of at most `side` pixels each way; with `blur`, only its colours can be told.

    `cache` is a folder to keep it in; one that cannot be written costs time only. Raises `ImageError` for
    a file that is missing or no readable picture.
    """
    stored = _stored(path, f"{side} {blur}", cache) if cache else None
    if stored:
        with contextlib.suppress(OSError):
            if (data := stored.read_bytes()).endswith(_END):
                return data
    picture = Image.fromarray(images.read(path).pixels)
    picture.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=3.0)
    data = _jpeg(_blurred(picture) if blur else picture)
    if stored:
        _write(stored, data)
    return data


@remembered
def placeholder(words: str, *, side: int = SIDE) -> bytes:
    """A neutral square JPEG of `side` pixels that says `words`, a line each, in a picture's place."""
    picture = Image.new("RGB", (side, side), _GREY)
    font = ImageFont.load_default(side / 11)
    ImageDraw.Draw(picture).multiline_text((side / 2, side / 2), words, _WORDS, font, anchor="mm", align="center",
                                           spacing=side / 20)
    return _jpeg(picture)


def difference(first: bytes, second: bytes, *, mirrored: bool = False) -> bytes:
    """How two thumbnails differ, as a JPEG of the first's size: black where they are alike.

    The second is brought to the first's size, turned over if `mirrored`, and moved to where it fits best;
    what it then does not cover is grey.
    """
    a, b = _opened(first), _opened(second).resize(_opened(first).size, Image.Resampling.BICUBIC)
    left, right = np.asarray(a, np.float32), np.asarray(ImageOps.mirror(b) if mirrored else b, np.float32)
    # Where there is little detail the peak is chance, and not moving fits better.
    offsets = [(0, 0), _offset(left.mean(axis=2), right.mean(axis=2))]
    differences = [_apart(left, right, *offset) for offset in offsets]
    best = min(range(2), key=lambda i: differences[i].mean())
    shown = np.full(left.shape, _GREY, np.uint8)
    shown[_overlap(left.shape, *offsets[best])] = np.clip(_GAIN * differences[best], 0, 255).astype(np.uint8)
    return _jpeg(Image.fromarray(shown))


def _apart(a: np.ndarray, b: np.ndarray, down: int, across: int) -> np.ndarray:
    """Absolute difference of float [h, w, 3] `a` and `b` moved so, where both reach."""
    return np.abs(a[_overlap(a.shape, down, across)] - b[_overlap(b.shape, -down, -across)])


def _offset(a: np.ndarray, b: np.ndarray) -> tuple[int, int]:
    """Pixels (down, across) to move float [h, w] `b` by to fit `a`: the peak of their phase correlation.

    Kuglin and Hines 1975. Both fade out towards the edges, which would else correlate with themselves.
    """
    window = np.outer(np.hanning(a.shape[0]), np.hanning(a.shape[1]))
    cross = np.fft.rfft2((a - a.mean()) * window) * np.conj(np.fft.rfft2((b - b.mean()) * window))
    peaks = np.fft.irfft2(cross / np.maximum(np.abs(cross), 1e-9), s=a.shape)
    offsets = [np.rint(np.fft.fftfreq(n) * n).astype(int) for n in a.shape]
    near = [np.abs(offset) <= _SHIFT * len(offset) for offset in offsets]
    row, column = np.unravel_index(np.where(np.outer(*near), peaks, -np.inf).argmax(), peaks.shape)
    return int(offsets[0][row]), int(offsets[1][column])


def _overlap(shape: tuple[int, ...], down: int, across: int) -> tuple[slice, slice]:
    """What of an array of `shape` another of that shape covers when moved by so many pixels."""
    return (slice(max(0, down), shape[0] + min(0, down)), slice(max(0, across), shape[1] + min(0, across)))


def _blurred(picture: Image.Image) -> Image.Image:
    tiny = picture.copy()
    tiny.thumbnail((_BLUR, _BLUR), Image.Resampling.BOX)
    return tiny.resize(picture.size, Image.Resampling.BICUBIC)


def _opened(data: bytes) -> Image.Image:
    return Image.open(BytesIO(data)).convert("RGB")


def _jpeg(picture: Image.Image) -> bytes:
    file = BytesIO()
    picture.save(file, "JPEG", quality=_QUALITY, optimize=True)
    return file.getvalue()


def _stored(path: Path, how: str, cache: Path) -> Path | None:
    """Where the thumbnail of this content is kept; None for a file that cannot be looked at."""
    try:
        stat = path.stat()
    except OSError:
        return None
    said = f"{_VERSION}\t{how}\t{path.absolute()}\t{stat.st_size}\t{stat.st_mtime_ns}"
    digest = hashlib.sha256(said.encode()).hexdigest()[:32]
    return cache / "thumbnails" / digest[:2] / f"{digest}.jpg"


def _write(file: Path, data: bytes) -> None:
    """Whole or not at all."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=file.parent, suffix=".tmp", delete=False) as partial:
            partial.write(data)
        os.replace(partial.name, file)
