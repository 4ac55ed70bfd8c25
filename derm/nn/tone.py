"""Skin colour inside the graph: sRGB and CIELAB, where the skin is, its angle (ITA), and how to move it.

Knows keras.ops and batches of pictures float32 [B, S, S, 3] (sRGB, 0..255); no files and no random draws. The same
formulas for a single photograph in NumPy are in `derm.inspection.skintone`.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from derm.inspection.skintone import LEAST_SKIN

# sRGB to XYZ (IEC 61966-2-1), each row divided by the white point D65, 2 degrees: white becomes (1, 1, 1).
_TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
                    [0.0193339, 0.1191920, 0.9503041]])
_TO_XYZ /= _TO_XYZ.sum(axis=1, keepdims=True)
_FROM_XYZ = np.linalg.inv(_TO_XYZ).astype("float32")
_TO_XYZ = _TO_XYZ.astype("float32")
# XYZ, raised to a third, to L* + 16, a* and b* (CIE 15:2004), and back.
_TO_LAB = np.array([[0, 116, 0], [500, -500, 0], [0, 200, -200]], "float32")
_FROM_LAB = np.linalg.inv(_TO_LAB).astype("float32")
_BLACK = np.array([16, 0, 0], "float32")
# Angles that skin is not moved beyond: with b* near 0 it would be grey, far below it blue.
_LIGHTEST, _DARKEST = 80.0, -75.0


class Skin(NamedTuple):
    """Of each picture: the mean colour of its skin [B, 3] (sRGB, 0..255), the share of the picture that looks like
    skin [B], and how much of each pixel's surroundings does, [B, S, S, 1]."""

    colour: Any
    share: Any
    near: Any


def mixed(colours: Any, matrix: Any) -> Any:
    """[..., 3] colours times a matrix [..., 3, 3]. Spelt out, because a matrix product of depth three is slower
    and cannot be fused with the rest."""
    parts = [colours[..., k : k + 1] * matrix[..., k] for k in range(3)]
    return parts[0] + parts[1] + parts[2]


def to_lab(colours: Any) -> Any:
    """CIELAB (D65) of sRGB float32 [..., 3] in 0..255: L* 0 to 100, a*, b*."""
    level = colours / 255
    linear = ops.where(level <= 0.04045, level / 12.92, _power((ops.maximum(level, 0.0) + 0.055) / 1.055, 2.4))
    xyz = mixed(linear, _TO_XYZ)
    root = ops.where(xyz > 216 / 24389, _power(ops.maximum(xyz, 1e-6), 1 / 3), (24389 / 27 * xyz + 16) / 116)
    return mixed(root, _TO_LAB) - _BLACK


def to_rgb(lab: Any) -> Any:
    """sRGB in 0..255 of CIELAB (D65) float32 [..., 3]; what a screen cannot show is clipped."""
    root = mixed(lab + _BLACK, _FROM_LAB)
    xyz = ops.where(root > 6 / 29, root * root * root, (116 * root - 16) * (27 / 24389))
    linear = ops.clip(mixed(xyz, _FROM_XYZ), 0.0, 1.0)
    level = ops.where(linear <= 0.0031308, 12.92 * linear,
                      1.055 * _power(ops.maximum(linear, 1e-6), 1 / 2.4) - 0.055)
    return 255 * level


def angle(lab: Any) -> Any:
    """Individual typology angle, arctan((L* - 50) / b*), in degrees (Chardon et al. 1991), [...] of [..., 3]."""
    return ops.arctan2(lab[..., 0] - 50, lab[..., 2]) * (180 / math.pi)


def find_skin(pictures: Any) -> Skin:
    """Where pictures look like skin. From one pixel in each square, enough for a mean and a soft edge."""
    size = pictures.shape[1]
    few = pictures[:, :: max(1, size // 56), :: max(1, size // 56)]
    weight = _like_skin(to_lab(few))
    share = ops.mean(weight, axis=(1, 2, 3))
    colour = ops.mean(few * weight, axis=(1, 2)) / ops.maximum(ops.expand_dims(share, 1), 1e-6)
    spread = _spread(few.shape[1], size)
    near = ops.matmul(ops.matmul(spread.T, weight[..., 0]), spread)
    return Skin(colour, share, ops.expand_dims(near, 3))


def changed(colours: Any, matrix: Any, offset: Any) -> Any:
    """matrix x + offset of colours x [..., 3], within 0..255."""
    return ops.clip(mixed(colours, matrix) + offset, 0.0, 255.0)


def limited(matrix: Any, offset: Any, skin: Skin, *, limit: float) -> tuple[Any, Any]:
    """A change of colour, x -> matrix x + offset ([B, 3, 3] and [B, 1]), held back where needed, so that the angle
    of the skin moves by no more than `limit` degrees. Without skin it stays what it is."""
    parts = np.linspace(0, 1, 33, dtype="float32")[:, None]
    change, offset = ops.expand_dims(matrix - np.eye(3, dtype="float32"), 1), ops.expand_dims(offset, 1)
    colour = ops.expand_dims(skin.colour, 1)
    after = changed(colour, parts[..., None] * change + np.eye(3, dtype="float32"), parts * offset)
    drift = ops.abs(angle(to_lab(after)) - angle(to_lab(colour)))
    kept = (drift <= limit) | ops.expand_dims(skin.share < LEAST_SKIN, 1)
    held = ops.expand_dims(ops.max(ops.where(kept, parts[:, 0], 0.0), axis=1), 1)
    return ops.expand_dims(held, 2) * change[:, 0] + np.eye(3, dtype="float32"), held * offset[:, 0]


def shifted(pictures: Any, skin: Skin, degrees: Any) -> Any:
    """Pictures whose skin is lighter or darker by `degrees` of its angle, [B]; the rest stays as it is.

    The skin's mean colour turns about L* = 50, b* = 0, which is how L* and b* of skin go together, and all skin is
    moved as far as the mean: what is darker or redder than the skin around it remains so by as much.
    """
    mean = to_lab(skin.colour)
    now = angle(mean)
    # Only towards the ends, never back from beyond them.
    then = ops.clip(now + degrees, ops.minimum(now, _DARKEST), ops.maximum(now, _LIGHTEST)) * (math.pi / 180)
    radius = ops.sqrt((mean[:, 0] - 50) ** 2 + mean[:, 2] ** 2)
    move = ops.stack([50 + radius * ops.sin(then) - mean[:, 0], ops.zeros_like(now),
                      radius * ops.cos(then) - mean[:, 2]], axis=1)
    chosen = ops.reshape((degrees != 0) & (skin.share >= LEAST_SKIN), (-1, 1, 1, 1))
    lab = to_lab(pictures)
    weight = ops.clip(2.5 * skin.near - 1, 0.0, 1.0) * _maybe_skin(lab)
    moved = to_rgb(lab + weight * ops.reshape(move, (-1, 1, 1, 3)))
    # A difference added, not one of two chosen: XLA makes that twice as fast, and the rest stays to the bit.
    return pictures + ops.where(chosen & (weight > 0), moved - pictures, 0.0)


def _power(values: Any, exponent: float) -> Any:
    """Of positive values. On two cores it made `shifted` 1.7 times as fast as `ops.power` did."""
    return ops.exp(exponent * ops.log(values))


def _like_skin(lab: Any) -> Any:
    """0..1, [..., 1]: skin of any type is a little redder and yellower than grey, and not loud.

    On 534 of the AJL 2025 training photographs, 89 of each type, what `skintone.skin_mask` keeps has, but for a
    hundredth at either end, a chroma of 5 to 46 and a hue of 2 to 91 degrees.
    """
    a, b = lab[..., 1:2], lab[..., 2:3]
    return (ops.clip(a / 5, 0.0, 1.0) * ops.clip(b / 5, 0.0, 1.0)
            * ops.clip((65 - ops.sqrt(a * a + b * b)) / 15, 0.0, 1.0))


def _maybe_skin(lab: Any) -> Any:
    """0..1, [..., 1]: less strict, for pixels amid skin, where a grey one is a highlight, a hair or a lesion; only
    what is blue or green is something else."""
    return ops.clip((lab[..., 1:2] + 10) / 8, 0.0, 1.0) * ops.clip((lab[..., 2:3] + 14) / 8, 0.0, 1.0)


def _spread(few: int, size: int) -> np.ndarray:
    """[few, size]: makes `few` points of a side `size`, smoothed by a bell of a thirtieth of it."""
    distance = (np.arange(size) + 0.5) / size - (np.arange(few)[:, None] + 0.5) / few
    bell = np.exp(-0.5 * (30 * distance) ** 2)
    return (bell / bell.sum(axis=0)).astype("float32")
