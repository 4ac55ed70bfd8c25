"""Pictures that are no photographs of skin, drawn: pages, screens, charts, X-rays, animals, scenes, patterns.

Knows how to draw; not networks or pages. Serves to measure how often a model that should decline does so. Only
a drawn hint of what people upload by mistake: a rate measured on these is not one on real pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

_SIDE = 256
_WORDS = ("please", "find", "attached", "letter", "of", "patient", "seen", "results", "blood", "count", "next",
          "appointment", "review", "dose", "signed", "invoice", "total", "amount", "due", "page", "file", "edit",
          "view", "history", "settings", "search", "share", "home", "back", "in", "the", "to")
Painter = Callable[[np.random.Generator], Image.Image]


def draw(kind: str, *, seed: int) -> np.ndarray:
    """A picture of one of KINDS, uint8 [256, 256, 3]; the same seed draws the same."""
    rng = np.random.default_rng([seed, *kind.encode()])
    return np.asarray(KINDS[kind](rng).convert("RGB"))


def _any(rng: np.random.Generator, low: int = 0, high: int = 256) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in rng.integers(low, high, 3))
    return red, green, blue


def _blank(colour: tuple[int, int, int]) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    picture = Image.new("RGB", (_SIDE, _SIDE), colour)
    return picture, ImageDraw.Draw(picture)


def _lines(pen: ImageDraw.ImageDraw, rng: np.random.Generator, box: tuple[int, int, int, int],
           ink: tuple[int, int, int], size: float) -> None:
    """Lines of words in a box (left, top, right, bottom)."""
    font = ImageFont.load_default(size)
    for y in range(box[1], box[3], round(1.5 * size)):
        words = " ".join(rng.choice(_WORDS, 12))
        pen.text((box[0], y), words[:max(3, int((box[2] - box[0]) / (0.52 * size)))], ink, font)


def _page(rng: np.random.Generator) -> Image.Image:
    """A letter or form: dark words on near-white paper, some with a table."""
    picture, pen = _blank(_any(rng, 232))
    margin = int(rng.integers(8, 40))
    _lines(pen, rng, (margin, 12, 230, 30), (20, 20, 30), 15)
    _lines(pen, rng, (margin, 42, 256 - margin, 244), _any(rng, 0, 70), float(rng.uniform(6, 12)))
    if rng.random() < 0.4:
        top = int(rng.integers(60, 160))
        pen.rectangle((margin, top, 256 - margin, top + 72), (250, 250, 250), (60, 60, 60))
        for step in range(1, 6):
            pen.line((margin, top + 12 * step, 256 - margin, top + 12 * step), (90, 90, 90))
            pen.line((margin + 36 * step, top, margin + 36 * step, top + 72), (90, 90, 90))
    return picture.rotate(float(rng.normal(0, 2)), fillcolor=_any(rng))


def _screen(rng: np.random.Generator) -> Image.Image:
    """A screenshot: bars, cards, buttons and words, light or dark."""
    dark = rng.random() < 0.5
    ground, ink = ((24, 26, 32), (220, 222, 228)) if dark else ((246, 247, 249), (32, 34, 40))
    picture, pen = _blank(ground)
    pen.rectangle((0, 0, 256, int(rng.integers(12, 34))), _any(rng))
    side = int(rng.integers(0, 80))
    pen.rectangle((0, 34, side, 256), _any(rng, 0, 90) if dark else _any(rng, 200))
    _lines(pen, rng, (4, 44, side, 240), ink, 7)
    for _ in range(rng.integers(2, 7)):
        x, y, w, h = (int(value) for value in rng.integers((side, 40, 30, 10), (210, 220, 120, 60)))
        pen.rounded_rectangle((x, y, x + w, y + h), 4, _any(rng), ink)
        _lines(pen, rng, (x + 4, y + 3, x + w, y + h), ink, 8)
    return picture


def _chart(rng: np.random.Generator) -> Image.Image:
    """Bars, lines or a pie beside axes and words."""
    picture, pen = _blank((255, 255, 255))
    values, kind = rng.uniform(20, 190, 8), rng.integers(3)
    for i, value in enumerate(values if kind == 0 else ()):
        pen.rectangle((34 + 26 * i, 220 - value, 52 + 26 * i, 220), _any(rng))
    for _ in range(4 if kind == 1 else 0):
        pen.line([(34 + 28 * i, 220 - y) for i, y in enumerate(rng.uniform(20, 190, 8))], _any(rng), 2)
    edges = np.cumsum(np.append(0, values)) / values.sum() * 360
    for start, end in pairwise(edges) if kind == 2 else ():
        pen.pieslice((50, 40, 210, 200), start, end, _any(rng))
    pen.line([(30, 20), (30, 220), (250, 220)], (40, 40, 40), 1)
    _lines(pen, rng, (40, 4, 220, 12), (30, 30, 30), 11)
    _lines(pen, rng, (34, 228, 250, 244), (60, 60, 60), 8)
    return picture


def _xray(rng: np.random.Generator) -> Image.Image:
    """Grey bones on black: a row of ribs about a spine, or the long bones of a limb."""
    picture, pen = _blank((8, 8, 8))
    pen.ellipse((20, 5, 236, 250), (50, 50, 50))
    if rng.random() < 0.5:
        pen.rectangle((120, 0, 138, 256), (150, 150, 150))
        for y in range(10, 240, int(rng.integers(20, 30))):
            for box in ((28, y, 128, y + 70), (130, y, 230, y + 70)):
                pen.arc(box, 180, 360, (140, 140, 140), int(rng.integers(5, 9)))
    else:
        for x in rng.integers(60, 200, rng.integers(2, 6)):
            pen.line((int(x), 0, int(x + rng.normal(0, 25)), 256), (165, 165, 165), int(rng.integers(9, 24)))
    grey = np.asarray(picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(1.5, 4)))), dtype=np.float32)
    grain = rng.normal(0, 7, (_SIDE, _SIDE, 1))
    return Image.fromarray(np.clip(grey + grain, 0, 255).astype(np.uint8))


def _scan(rng: np.random.Generator) -> Image.Image:
    """Ultrasound: a speckled fan on black."""
    y, x = np.mgrid[0:_SIDE, 0:_SIDE] / _SIDE
    angle, depth = np.arctan2(x - 0.5, y + 0.05), np.hypot(x - 0.5, y + 0.05)
    coarse = Image.fromarray(rng.random((24, 24)).astype(np.float32))
    soft = np.asarray(coarse.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC))
    bright = soft * rng.gamma(1.2, 0.8, (_SIDE, _SIDE)) * (np.abs(angle) < 0.6) * (depth < 0.98)
    return Image.fromarray((255 * np.clip(bright * rng.uniform(0.4, 0.8), 0, 1)).astype(np.uint8))


def _animal(rng: np.random.Generator) -> Image.Image:
    """A drawn animal's face, on a plain ground or in a meadow."""
    picture, pen = _blank(_any(rng, 80))
    if rng.random() < 0.5:
        pen.rectangle((0, 150, 256, 256), (60, int(rng.integers(110, 190)), 60))
    fur, x, y, r = _any(rng, 30), *(int(value) for value in rng.integers((100, 110, 50), (150, 150, 85)))
    for side in (-1, 1):
        ear = [(x + side * r, y - r // 3), (x + side * r * 0.8, y - 1.6 * r), (x + side * r // 5, y - r * 0.8)]
        pen.polygon(ear, fur, (20, 20, 20))
    pen.ellipse((x - r, y - r, x + r, y + r), fur, (20, 20, 20), 2)
    for side in (-1, 1):
        pen.ellipse((x + side * r // 2 - 9, y - 20, x + side * r // 2 + 9, y - 2), (255, 255, 255), (0, 0, 0))
        pen.ellipse((x + side * r // 2 - 4, y - 15, x + side * r // 2 + 4, y - 6), (10, 10, 10))
        for slope in (-10, 0, 10):
            pen.line((x + side * 8, y + 16, x + side * r * 1.3, y + 14 + slope), (20, 20, 20), 1)
    pen.polygon([(x - 8, y + 6), (x + 8, y + 6), (x, y + 16)], (200, 120, 130), (20, 20, 20))
    return picture


def _scene(rng: np.random.Generator) -> Image.Image:
    """Sky, hills, water and a house or trees."""
    picture, pen = _blank((0, 0, 0))
    high, low = np.array(_any(rng, 60, 200)) * (0.5, 0.8, 1.2), np.array(_any(rng, 150))
    for y in range(_SIDE):
        red, green, blue = (int(value) for value in np.clip(high + (low - high) * y / _SIDE, 0, 255))
        pen.line((0, y, _SIDE, y), (red, green, blue))
    for layer in range(4):
        ridge = 120 + 35 * layer + 18 * np.sin(np.arange(_SIDE) / rng.uniform(14, 50) + rng.uniform(0, 6))
        pen.polygon([(0, 256), *enumerate(ridge.tolist()), (256, 256)],
                    (int(rng.integers(10, 90)), int(rng.integers(70, 150)), int(rng.integers(20, 100))))
    for x, y, h in rng.integers((0, 150, 20), (256, 240, 60), (int(rng.integers(2, 9)), 3)).tolist():
        pen.rectangle((x - 3, y - h // 3, x + 3, y), (70, 45, 25))
        pen.polygon([(x - h // 3, y - h // 3), (x + h // 3, y - h // 3), (x, y - h)], (15, int(60 + h), 30))
    return picture


def _pattern(rng: np.random.Generator) -> Image.Image:
    """Bricks, stripes, a chessboard, a code of squares or coloured noise."""
    first, second = np.array(_any(rng)), np.array(_any(rng))
    y, x = np.mgrid[0:_SIDE, 0:_SIDE]
    step, kind = int(rng.integers(8, 40)), rng.integers(5)
    row = y // step
    mask = [(x % step < 3) | (y % step < 3), (x + y) // step % 2 == 0, (x // step + row) % 2 == 0,
            (y % step < 3) | ((x + row % 2 * step) % (2 * step) < 3),
            np.kron(rng.random((32, 32)) < 0.5, np.ones((8, 8), bool))][kind]
    if rng.random() < 0.15:
        return Image.fromarray(rng.integers(0, 256, (_SIDE, _SIDE, 3), dtype=np.uint8))
    return Image.fromarray(np.where(mask[..., None], first, second).astype(np.uint8))


KINDS: Mapping[str, Painter] = {
    "document": _page, "screenshot": _screen, "chart": _chart, "X-ray": _xray, "ultrasound": _scan,
    "animal": _animal, "landscape": _scene, "pattern": _pattern,
}
