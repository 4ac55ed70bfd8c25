"""Drawn pictures of skin with a lesion, and a drawn data set in the shape of AJL 2025.

Knows how to draw; not networks or pages. Everything here is computed: no photograph and nobody's skin is in
it, so it serves to try the product and to test it, never to judge a model.
"""

from __future__ import annotations

import csv
import hashlib
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from derm.schema import SkinType

# Our own choice of a plain tone for each Fitzpatrick skin type.
SKIN_TONES: Mapping[SkinType, tuple[int, int, int]] = {
    SkinType.I: (234, 198, 178), SkinType.II: (224, 180, 151), SkinType.III: (208, 160, 126),
    SkinType.IV: (178, 126, 91), SkinType.V: (143, 97, 71), SkinType.VI: (110, 76, 61),
}


class _Canvas:
    """A picture in the making: float RGB [size, size, 3] and the coordinates 0..1 of its pixels."""

    def __init__(self, tone: tuple[int, int, int], size: int, rng: np.random.Generator) -> None:
        self.tone, self.size, self.rng = np.array(tone, float), size, rng
        self.y, self.x = np.mgrid[0:1:size * 1j, 0:1:size * 1j]
        self.rgb = np.ones((size, size, 3)) * self.tone

    def noise(self, cells: int) -> np.ndarray:
        """Soft noise [size, size], about -1..1, with `cells` bumps across the picture."""
        lattice = self.rng.uniform(-1, 1, (cells + 1, cells + 1)).astype(np.float32)
        image = Image.fromarray(lattice).resize((self.size, self.size), Image.Resampling.BICUBIC)
        return np.asarray(image, dtype=float)

    def blot(self, x: float, y: float, radius: float, *, stretch: float = 1.0, ragged: float = 0.0) -> np.ndarray:
        """Distance from the edge of a blot, in radii: 1 at its middle, 0 on its edge, negative outside."""
        turn = self.rng.uniform(0, np.pi)
        lobes = [(n, ragged / n**0.5 * self.rng.uniform(-1, 1), self.rng.uniform(0, 6)) for n in (2, 3, 5, 8)]
        distance = np.full((self.size, self.size), -9.0)
        # Most of a picture is far from a small spot: compute near it only.
        near = tuple(slice(max(0, int((at - 4 * radius) * self.size)), int((at + 4 * radius) * self.size) + 1)
                     for at in (y, x))
        dx, dy = self.x[near] - x, self.y[near] - y
        u, v = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
        angle = np.arctan2(v, u)
        edge = 1 + sum(depth * np.cos(n * angle + phase) for n, depth, phase in lobes)
        distance[near] = 1 - np.hypot(u / stretch, v * stretch) / (radius * edge)
        return distance

    def mix(self, colour: np.ndarray | Sequence[float], amount: np.ndarray) -> None:
        """Paint `colour` with `amount` 0..1 of it at each pixel."""
        rows, columns = np.flatnonzero(amount.any(axis=1)), np.flatnonzero(amount.any(axis=0))
        if len(rows):
            here = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
            self.rgb[here] += (np.asarray(colour, float) - self.rgb[here]) * np.clip(amount[here], 0, 1)[..., None]

    def light(self, amount: np.ndarray) -> None:
        """Make each pixel lighter or darker by a share of its own brightness."""
        self.rgb *= (1 + amount)[..., None]

    def redness(self, strength: float) -> np.ndarray:
        """Inflamed skin: pink on light skin, dusky brown-violet on dark."""
        return self.tone * (1 - strength * np.array([0.11, 0.36, 0.31])) + np.array([11.0, 0, 3]) * strength


def _soft(distance: np.ndarray, width: float) -> np.ndarray:
    """A mask 0..1 that rises over `width` radii at the edge of a blot."""
    return np.clip(distance / width + 0.5, 0, 1)


def _skin(canvas: _Canvas) -> None:
    """Light from one side with a sheen, mottling, fine lines, often a few freckles or hairs."""
    rng, turn = canvas.rng, canvas.rng.uniform(0, 2 * np.pi)
    slope = (canvas.x - 0.5) * np.cos(turn) + (canvas.y - 0.5) * np.sin(turn)
    canvas.light(rng.uniform(0.1, 0.35) * (slope - 0.1) + 0.05 * canvas.noise(3) + 0.03 * canvas.noise(9))
    canvas.light(0.05 * canvas.noise(60) + 0.07 * canvas.noise(110))
    sheen = np.clip(canvas.blot(0.5 + 0.4 * np.cos(turn), 0.5 + 0.4 * np.sin(turn), 0.3, stretch=1.4), 0, 1)
    canvas.mix((255, 246, 236), 0.3 * sheen * (1 + 0.3 * canvas.noise(50)))
    for _ in range(rng.integers(0, 14)):
        x, y = rng.uniform(0, 1, 2)
        canvas.mix(canvas.tone * 0.62, 0.6 * _soft(canvas.blot(x, y, rng.uniform(0.004, 0.012), ragged=0.3), 0.8))
    for _ in range(rng.integers(0, 3) * 9):
        canvas.mix(canvas.tone * 0.3, 0.7 * _hair(canvas, turn + rng.normal(0, 0.35)))


def _hair(canvas: _Canvas, turn: float) -> np.ndarray:
    """A mask 0..1 of one thin, bent line."""
    x, y, bend, length = *canvas.rng.uniform(0, 1, 2), canvas.rng.uniform(-1.5, 1.5), canvas.rng.uniform(0.04, 0.1)
    along = (canvas.x - x) * np.cos(turn) + (canvas.y - y) * np.sin(turn)
    across = (canvas.y - y) * np.cos(turn) - (canvas.x - x) * np.sin(turn) - bend * along**2
    return np.clip(1.5 - np.abs(across) / 0.0022, 0, 1) * (np.abs(along) < length)


def _cloth(canvas: _Canvas) -> None:
    """The sheet beside an arm: a straight edge with a shadow, so that pictures differ as photographs do."""
    turn, reach = canvas.rng.uniform(0, 2 * np.pi), canvas.rng.uniform(0.32, 0.46)
    across = (canvas.x - 0.5) * np.cos(turn) + (canvas.y - 0.5) * np.sin(turn)
    bow = 0.25 * ((canvas.y - 0.5) * np.cos(turn) - (canvas.x - 0.5) * np.sin(turn)) ** 2
    beyond = across + bow - reach
    canvas.light(-0.45 * np.clip(1 + beyond / 0.16, 0, 1) ** 2)
    colour = np.array([(66, 106, 128), (92, 128, 112), (176, 180, 184), (58, 66, 92)][canvas.rng.integers(4)])
    canvas.mix(colour, _soft(beyond, 0.012))


def _acne(canvas: _Canvas) -> None:
    rng = canvas.rng
    for _ in range(rng.integers(14, 26)):
        x, y, radius = *rng.uniform(0.1, 0.9, 2), rng.uniform(0.018, 0.045)
        canvas.mix(canvas.redness(0.7), 0.55 * _soft(canvas.blot(x, y, radius * 1.9, ragged=0.1), 1.2))
        bump = canvas.blot(x, y, radius, ragged=0.08)
        canvas.mix(canvas.redness(1.3), _soft(bump, 0.3))
        canvas.light(0.22 * _soft(canvas.blot(x - radius * 0.3, y - radius * 0.35, radius * 0.4), 1.0))
        if rng.random() < 0.35:
            canvas.mix((236, 222, 178), 0.85 * _soft(canvas.blot(x, y, radius * 0.4), 0.6))


def _melanoma(canvas: _Canvas) -> None:
    rng = canvas.rng
    x, y, radius = *rng.uniform(0.4, 0.6, 2), rng.uniform(0.16, 0.25)
    patch = canvas.blot(x, y, radius, stretch=rng.uniform(1.05, 1.3), ragged=0.28) + 0.06 * canvas.noise(24)
    inside = _soft(patch, 0.07)
    canvas.mix(canvas.redness(0.5), 0.4 * _soft(patch + 0.3, 0.5))
    depth = min(1.0, canvas.tone.mean() / 130)  # darker on dark skin, where it must still stand out
    canvas.mix(np.array([92, 54, 36]) * depth, inside)
    for colour, cells in (((34, 22, 20), 5), ((66, 64, 84), 7), ((18, 13, 13), 9)):
        canvas.mix(np.array(colour) * depth, inside * np.clip(1.8 * canvas.noise(cells), 0, 0.9))
    canvas.light(inside * (0.3 * canvas.noise(64)))  # the pigment network


def _eczema(canvas: _Canvas) -> None:
    rng = canvas.rng
    for _ in range(rng.integers(3, 6)):
        x, y, radius = *rng.uniform(0.15, 0.85, 2), rng.uniform(0.14, 0.26)
        patch = canvas.blot(x, y, radius, stretch=1.2, ragged=0.25) + 0.22 * canvas.noise(14)
        canvas.mix(canvas.redness(0.85), 0.75 * _soft(patch, 0.7))
        scales = np.clip(2.4 * (canvas.noise(42) + 0.6 * canvas.noise(90)) - 0.9, 0, 1)
        canvas.mix(canvas.tone * 0.35 + 152, 0.75 * scales * _soft(patch - 0.1, 0.6))
    canvas.light(0.05 * canvas.noise(90))


def _basal_cell_carcinoma(canvas: _Canvas) -> None:
    rng = canvas.rng
    x, y, radius = *rng.uniform(0.4, 0.6, 2), rng.uniform(0.13, 0.19)
    nodule = canvas.blot(x, y, radius, ragged=0.08)
    canvas.light(-0.2 * _soft(canvas.blot(x + radius * 0.18, y + radius * 0.22, radius * 1.15), 0.4))
    canvas.mix(canvas.tone * 0.86 + np.array([30, 16, 20]), _soft(nodule, 0.3))
    canvas.light(0.16 * np.exp(-((nodule - 0.3) / 0.16) ** 2) - 0.14 * _soft(nodule - 0.65, 0.4))
    for _ in range(7):  # the fine vessels that cross a pearly edge
        turn, bend = rng.uniform(0, 2 * np.pi), rng.uniform(-3, 3)
        along = (canvas.x - x) * np.cos(turn) + (canvas.y - y) * np.sin(turn)
        across = (canvas.y - y) * np.cos(turn) - (canvas.x - x) * np.sin(turn)
        vessel = np.abs(across - bend * along**2 - 0.008 * np.sin(90 * along)) < 0.0035
        canvas.mix((168, 46, 52), 0.7 * (vessel & (along > 0.02)) * _soft(nodule - 0.05, 0.2))
    canvas.mix((255, 246, 238), 0.55 * _soft(canvas.blot(x - radius * 0.4, y - radius * 0.42, radius * 0.16), 0.9))


def _keloid(canvas: _Canvas) -> None:
    rng = canvas.rng
    x, y, radius = *rng.uniform(0.42, 0.58, 2), rng.uniform(0.15, 0.2)
    turn = rng.bit_generator.state  # the same turn for the scar, its shadow and its shine
    scar = canvas.blot(x, y, radius, stretch=1.5, ragged=0.22)
    rng.bit_generator.state = turn
    shadow = canvas.blot(x + 0.02, y + 0.03, radius * 1.08, stretch=1.5, ragged=0.22)
    rng.bit_generator.state = turn
    shine = canvas.blot(x - 0.02, y - 0.03, radius * 0.5, stretch=1.5, ragged=0.22)
    canvas.light(-0.35 * _soft(shadow, 0.4))
    canvas.mix(canvas.redness(0.8), _soft(scar, 0.08))
    canvas.light(0.18 * np.clip(scar, 0, 1))
    canvas.light(0.32 * _soft(shine + 0.15 * canvas.noise(12), 0.9))


KINDS: Mapping[str, Callable[[_Canvas], None]] = {
    "acne": _acne, "melanoma": _melanoma, "eczema": _eczema,
    "basal-cell-carcinoma": _basal_cell_carcinoma, "keloid": _keloid,
}


def draw(kind: str, *, skin: str | int, seed: int = 0, size: int = 512) -> np.ndarray:
    """A drawn picture uint8 [size, size, 3] of `kind` (a key of `KINDS`) on skin type `skin` ('IV' or 4).

    The same arguments give the same picture; another seed gives another place, light and shape.
    """
    fst = SkinType[skin] if isinstance(skin, str) else SkinType(skin)
    canvas = _Canvas(SKIN_TONES[fst], size, np.random.default_rng([seed, zlib.crc32(kind.encode()), fst]))
    _skin(canvas)
    KINDS[kind](canvas)
    if canvas.rng.random() < 0.5:
        _cloth(canvas)
    grain = canvas.rng.normal(0, 2.0, (size, size, 1))
    return np.clip(np.rint(canvas.rgb + grain), 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Sample:
    """A drawn picture to try the product with; its title says that it is drawn."""

    title: str
    kind: str
    skin: SkinType
    seed: int

    def draw(self, size: int = 512) -> np.ndarray:
        """The picture, uint8 [size, size, 3]."""
        return draw(self.kind, skin=self.skin, seed=self.seed, size=size)


SAMPLES = (
    Sample("Drawn: dark patch, type II skin", "melanoma", SkinType.II, 1),
    Sample("Drawn: dark patch, type VI skin", "melanoma", SkinType.VI, 5),
    Sample("Drawn: red spots, type I skin", "acne", SkinType.I, 0),
    Sample("Drawn: scaly patches, type V skin", "eczema", SkinType.V, 4),
)

# label -> nine-partition and three-partition label, as published with AJL 2025.
_PARTITIONS = {
    "acne": ("inflammatory", "non-neoplastic"), "eczema": ("inflammatory", "non-neoplastic"),
    "keloid": ("inflammatory", "non-neoplastic"), "melanoma": ("malignant-melanoma", "malignant"),
    "basal-cell-carcinoma": ("malignant-epidermal", "malignant"),
}
_TRAIN_COLUMNS = ("md5hash", "fitzpatrick_scale", "fitzpatrick_centaur", "label", "nine_partition_label",
                  "three_partition_label", "qc", "ddi_scale")
_TEST_COLUMNS = tuple(column for column in _TRAIN_COLUMNS if "label" not in column)


def write_dataset(root: Path, *, per_class: int = 12, classes: Sequence[str] = ("acne", "eczema", "melanoma"),
                  test: int = 4, duplicates: int = 0, seed: int = 0, size: int = 96) -> Path:
    """A folder of drawn pictures in the shape of AJL 2025; returns `root`.

    Skin types go round I to VI; every tenth picture has none recorded (-1). The last training row is drawn as
    another class and marked '3 Wrongly labelled'. `duplicates` adds that many brightened, re-encoded copies of
    the first training pictures under ids of their own. A picture's id is the MD5 of its file, as published.
    """
    train: list[dict[str, object]] = []
    test_rows: list[dict[str, object]] = []
    for label in classes:
        for i in range(per_class):
            wrong = label == classes[-1] and i == per_class - 1
            kind, own_seed = (classes[0], seed + 20_000) if wrong else (label, seed + i)
            qc = "3 Wrongly labelled" if wrong else "1 Diagnostic" if i % 5 == 0 else ""
            pixels = draw(kind, skin=i % 6 + 1, seed=own_seed, size=size)
            image_ids = [_save(pixels, root / "train" / "train" / label)]
            if len(train) < 2 * duplicates:
                brighter = np.minimum(pixels * 1.06, 255).astype(np.uint8)
                image_ids.append(_save(brighter, root / "train" / "train" / label, quality=75))
            train += [_row(image_id, len(train) + k, i % 6 + 1, label, qc) for k, image_id in enumerate(image_ids)]
    for i in range(test):
        pixels = draw(classes[i % len(classes)], skin=i % 6 + 1, seed=seed + 10_000 + i, size=size)
        test_rows.append(_row(_save(pixels, root / "test" / "test"), i, i % 6 + 1, "", ""))
    _write_table(root / "train.csv", _TRAIN_COLUMNS, train)
    _write_table(root / "test.csv", _TEST_COLUMNS, test_rows)
    return root


def _save(pixels: np.ndarray, folder: Path, *, quality: int = 92) -> str:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    image_id = hashlib.md5(buffer.getvalue()).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{image_id}.jpg").write_bytes(buffer.getvalue())
    return image_id


def _row(image_id: str, place: int, fst: int, label: str, qc: str) -> dict[str, object]:
    nine, three = _PARTITIONS.get(label, ("", ""))
    recorded = place % 10 != 9
    return {"md5hash": image_id, "fitzpatrick_scale": fst if recorded else -1,
            "fitzpatrick_centaur": min(fst + place % 2, 6) if recorded else -1, "label": label,
            "nine_partition_label": nine, "three_partition_label": three, "qc": qc,
            "ddi_scale": ("12", "34", "56")[(fst - 1) // 2] if recorded else -1}


def _write_table(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
