"""Random variation of a batch, inside the graph, on the accelerator. Knows keras.ops; no files, no config file.

Everything geometric (crop, flips, right angles, rotation) is one affine transform and everything about
colour one 3 x 3 matrix per image, each pixel worked out once in one fused loop.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from derm.nn.config import TrainConfig

# RGB <-> YIQ (NTSC): turning the IQ plane changes hue and keeps luminance.
_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]], "float32")
_RGB = np.linalg.inv(_YIQ).astype("float32")
_ASPECT = math.log(4 / 3)


def _fused(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` with its arithmetic in one loop. JAX fuses the whole training step by itself; TensorFlow is
    asked to: measured on two cores, four times as fast as its own projective transform."""
    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    fused: Callable[..., Any] = tf.function(function, jit_compile=True, autograph=False)
    return fused


class Augment:
    """Random crops, turns, colour, mixup and cutmix as `config` asks.

    Called with images uint8 or float [B, S, S, 3] (0..255) and targets [B, classes]; returns images float32
    [B, size, size, 3] and targets, mixed where the images were. `seeds` holds the random state.
    """

    def __init__(self, config: TrainConfig, *, size: int) -> None:
        self.config = config
        self.size = size
        self.seeds = keras.random.SeedGenerator(config.seed)

    def __call__(self, images: Any, targets: Any) -> tuple[Any, Any]:
        """The varied batch."""
        count = ops.shape(images)[0]
        coordinates = _coordinates(*self._geometry(count), source=images.shape[1], size=self.size)
        images = _render(images, *coordinates, *self._colours(count))
        if self.config.mixup + self.config.cutmix == 0:
            return images, targets
        weight, share = self._shares(count)
        return _blend(images, weight), _blend(targets, share)

    def _uniform(self, shape: tuple[Any, ...], low: float = 0.0, high: float = 1.0) -> Any:
        return keras.random.uniform(shape, low, high, dtype="float32", seed=self.seeds)

    def _geometry(self, count: Any) -> tuple[Any, Any]:
        """[B, 2, 2] linear part and [B, 2] centre of the crop, in units of the picture's side."""
        c = self.config
        area = self._uniform((count,), c.crop_min, 1.0)
        aspect = ops.exp(self._uniform((count,), -_ASPECT, _ASPECT)) if c.crop_min < 1 else ops.ones_like(area)
        width = ops.minimum(ops.sqrt(area * aspect), 1.0)
        height = ops.minimum(ops.sqrt(area / aspect), 1.0)
        room = ops.stack([1 - width, 1 - height], axis=1)
        centre = (self._uniform((count, 2)) - 0.5) * room
        angle = self._uniform((count,), -1.0, 1.0) * math.radians(c.rotation)
        if c.right_angles:
            angle = angle + ops.floor(self._uniform((count,), 0.0, 4.0)) * (math.pi / 2)
        mirror = ops.where(self._uniform((count,)) < 0.5, -1.0, 1.0) if c.flips else ops.ones_like(area)
        cos, sin = ops.cos(angle), ops.sin(angle)
        first = ops.stack([cos * mirror * width, -sin * width], axis=1)
        second = ops.stack([sin * mirror * height, cos * height], axis=1)
        return ops.stack([first, second], axis=1), centre

    def _colours(self, count: Any) -> tuple[Any, Any]:
        """Hue, brightness and contrast: [B, 3, 3] from RGB to RGB, and [B] the share of the mean to add."""
        c = self.config
        gain = 1 + self._uniform((count, 1, 1), -c.brightness, c.brightness)
        contrast = 1 + self._uniform((count, 1, 1), -c.contrast, c.contrast)
        angle = self._uniform((count,), -1.0, 1.0) * (c.hue * 2 * math.pi)
        cos, sin, one, zero = ops.cos(angle), ops.sin(angle), ops.ones_like(angle), ops.zeros_like(angle)
        turn = ops.reshape(ops.stack([one, zero, zero, zero, cos, -sin, zero, sin, cos], axis=1), (-1, 3, 3))
        return gain * contrast * (_RGB @ turn @ _YIQ), ops.reshape(gain * (1 - contrast), (-1,))

    def _shares(self, count: Any) -> tuple[Any, Any]:
        """How much of each image stays when it is mixed with its neighbour in the (already shuffled) batch:
        pixel by pixel, [B, S or 1, S or 1, 1], and of the whole, [B, 1]."""
        c = self.config
        draw = self._uniform((count,))
        share = keras.random.beta((count,), c.mixup_alpha, c.mixup_alpha, seed=self.seeds)
        share = ops.where(draw < c.mixup, ops.maximum(share, 1 - share), 1.0)
        weight = ops.reshape(share, (-1, 1, 1, 1))
        if c.cutmix > 0:
            box = self._boxes(count, (draw >= c.mixup) & (draw < c.mixup + c.cutmix))
            weight = weight * (1 - box)
            share = share * (1 - ops.mean(box, axis=(1, 2, 3)))
        return weight, ops.expand_dims(share, 1)

    def _boxes(self, count: Any, chosen: Any) -> Any:
        """[B, S, S, 1]: 1 inside the box that is pasted over a chosen image, else 0."""
        side = ops.sqrt(self._uniform((count, 1), 0.05, 0.5)) * self.size
        start = self._uniform((count, 2)) * (self.size - side)
        at = ops.expand_dims(ops.arange(self.size, dtype="float32"), 0)
        inside = [(at >= start[:, i : i + 1]) & (at < start[:, i : i + 1] + side) for i in (0, 1)]
        box = ops.expand_dims(inside[0], 2) & ops.expand_dims(inside[1], 1)
        return ops.expand_dims(ops.cast(box & ops.reshape(chosen, (-1, 1, 1)), "float32"), 3)


def _coordinates(matrix: Any, centre: Any, *, source: int, size: int) -> tuple[Any, Any]:
    """Where each output pixel lies in the input: x and y, each [B, size, size], in input pixels."""
    # Pixel p lies at p - (side - 1) / 2 from the centre, in the output as in the input.
    out = (ops.arange(size, dtype="float32") - (size - 1) / 2) * (source / size)
    middle = ops.expand_dims(centre * source + (source - 1) / 2, 2)
    along_x, along_y = matrix[:, :, :1] * out, matrix[:, :, 1:] * out + middle
    both = ops.expand_dims(along_x, 2) + ops.expand_dims(along_y, 3)
    return both[:, 0], both[:, 1]


@_fused
def _render(images: Any, x: Any, y: Any, colours: Any, towards_mean: Any) -> Any:
    """The pictures seen at `x` and `y`, recoloured, float32 in 0..255."""
    moved = _sample(images, x, y)
    mean = ops.mean(moved, axis=(1, 2, 3))
    offset = ops.reshape(towards_mean * mean, (-1, 1, 1, 1))
    # Spelt out, because a matrix product of depth three is slower and cannot be fused with the rest.
    mixed = [moved[..., k : k + 1] * ops.reshape(colours[:, :, k], (-1, 1, 1, 3)) for k in range(3)]
    return ops.clip(mixed[0] + mixed[1] + mixed[2] + offset, 0.0, 255.0)


def _sample(images: Any, x: Any, y: Any) -> Any:
    """Bilinear interpolation at `x` and `y`, each [B, H, W]; mirrored beyond the border."""
    count, height, width = ops.shape(images)[0], images.shape[1], images.shape[2]
    left, top = ops.floor(x), ops.floor(y)
    columns = [_mirrored(left, width), _mirrored(left + 1, width)]
    first = ops.reshape(ops.arange(count, dtype="int32") * (height * width), (-1, 1, 1))
    rows = [first + _mirrored(top, height) * width, first + _mirrored(top + 1, height) * width]
    pixels = ops.reshape(images, (-1, 3))
    right, down = ops.expand_dims(x - left, 3), ops.expand_dims(y - top, 3)
    upper, lower = [(1 - right) * ops.cast(ops.take(pixels, row + columns[0], axis=0), "float32")
                    + right * ops.cast(ops.take(pixels, row + columns[1], axis=0), "float32") for row in rows]
    return (1 - down) * upper + down * lower


def _mirrored(at: Any, side: int) -> Any:
    """Whole numbers as int32 indices in 0..side - 1, mirrored at the border (c b a | a b c | c b a)."""
    at = ops.cast(at, "int32")
    at = ops.where(at < 0, -1 - at, at)
    at = ops.where(at >= side, 2 * side - 1 - at, at)
    return ops.clip(at, 0, side - 1)


@_fused
def _blend(values: Any, share: Any) -> Any:
    """Each entry of the batch with `share` of its own and the rest of its neighbour's."""
    return share * values + (1 - share) * ops.roll(values, 1, axis=0)
