"""Random variation of a batch, inside the graph, on the accelerator. Knows keras.ops; no files, no config file.

Everything geometric (crop, flips, right angles, rotation) is one affine transform and everything about
colour one 3 x 3 matrix per image: measured on two cores, several times faster than a chain of layers.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from derm.nn.config import TrainConfig

# RGB <-> YIQ (NTSC): turning the IQ plane changes hue and keeps luminance.
_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]], "float32")
_RGB = np.linalg.inv(_YIQ).astype("float32")
_ASPECT = math.log(4 / 3)


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
        images = self._recolour(self._move(images))
        if self.config.mixup + self.config.cutmix > 0:
            return self._mix(images, targets)
        return images, targets

    def _uniform(self, shape: tuple[Any, ...], low: float = 0.0, high: float = 1.0) -> Any:
        return keras.random.uniform(shape, low, high, dtype="float32", seed=self.seeds)

    def _sign(self, count: Any) -> Any:
        return ops.where(self._uniform((count,)) < 0.5, -1.0, 1.0)

    def _move(self, images: Any) -> Any:
        """One affine transform per image, from output pixels to input pixels, mirrored at the border."""
        side = images.shape[1]
        matrix, centre = self._geometry(ops.shape(images)[0])
        scale = side / self.size
        linear = matrix * scale
        # Pixel p of the output lies at p - (size - 1) / 2 from the centre; the same holds for the input.
        half_out, half_in = (self.size - 1) / 2, (side - 1) / 2
        shift = centre * side + half_in - ops.sum(linear, axis=2) * half_out
        zero = ops.zeros_like(shift[:, 0])
        rows = ops.stack([linear[:, 0, 0], linear[:, 0, 1], shift[:, 0],
                          linear[:, 1, 0], linear[:, 1, 1], shift[:, 1], zero, zero], axis=1)
        moved = ops.image.affine_transform(images, rows, interpolation="bilinear", fill_mode="reflect",
                                           data_format="channels_last")
        # The op returns as large a picture as it was given; what was asked for is its corner.
        return ops.cast(moved[:, : self.size, : self.size], "float32")

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
        mirror = self._sign(count) if c.flips else ops.ones_like(area)
        cos, sin = ops.cos(angle), ops.sin(angle)
        first = ops.stack([cos * mirror * width, -sin * width], axis=1)
        second = ops.stack([sin * mirror * height, cos * height], axis=1)
        return ops.stack([first, second], axis=1), centre

    def _recolour(self, images: Any) -> Any:
        """Hue, brightness and contrast (about the picture's mean) as one matrix and one offset."""
        c = self.config
        if c.brightness == c.contrast == c.hue == 0:
            return images
        count = ops.shape(images)[0]
        gain = 1 + self._uniform((count, 1), -c.brightness, c.brightness)
        contrast = 1 + self._uniform((count, 1), -c.contrast, c.contrast)
        mean = ops.mean(images, axis=(1, 2, 3), keepdims=True)
        offset = ops.reshape(gain * (1 - contrast), (-1, 1, 1, 1)) * mean
        factor = ops.reshape(gain * contrast, (-1, 1, 1, 1))
        if c.hue > 0:
            images = self._turn_hue(images, count)
        return ops.clip(images * factor + offset, 0.0, 255.0)

    def _turn_hue(self, images: Any, count: Any) -> Any:
        angle = self._uniform((count,), -1.0, 1.0) * (self.config.hue * 2 * math.pi)
        cos, sin, one = ops.cos(angle), ops.sin(angle), ops.ones_like(angle)
        zero = ops.zeros_like(angle)
        turn = ops.reshape(ops.stack([one, zero, zero, zero, cos, -sin, zero, sin, cos], axis=1), (-1, 3, 3))
        matrix = ops.transpose(_RGB @ turn @ _YIQ, (0, 2, 1))
        flat = ops.reshape(images, (count, self.size * self.size, 3))
        return ops.reshape(ops.matmul(flat, matrix), ops.shape(images))

    def _mix(self, images: Any, targets: Any) -> tuple[Any, Any]:
        """Each image with the next one of the (already shuffled) batch: mixup, cutmix or left alone."""
        c = self.config
        count = ops.shape(images)[0]
        other, other_targets = ops.roll(images, 1, axis=0), ops.roll(targets, 1, axis=0)
        draw = self._uniform((count,))
        keep = keras.random.beta((count,), c.mixup_alpha, c.mixup_alpha, seed=self.seeds)
        keep = ops.where(draw < c.mixup, ops.maximum(keep, 1 - keep), 1.0)
        weight = ops.reshape(keep, (-1, 1, 1, 1))
        if c.cutmix > 0:
            box, outside = self._boxes(count, (draw >= c.mixup) & (draw < c.mixup + c.cutmix))
            keep = keep * outside
            weight = weight * (1 - box)
        images = weight * images + (1 - weight) * other
        share = ops.expand_dims(keep, 1)
        return images, share * targets + (1 - share) * other_targets

    def _boxes(self, count: Any, chosen: Any) -> tuple[Any, Any]:
        """[B, S, S, 1] 1 inside the pasted box, and [B] the share of the picture left outside it."""
        side = ops.sqrt(self._uniform((count, 1), 0.05, 0.5)) * self.size
        start = self._uniform((count, 2)) * (self.size - side)
        at = ops.expand_dims(ops.arange(self.size, dtype="float32"), 0)
        inside = [(at >= start[:, i : i + 1]) & (at < start[:, i : i + 1] + side) for i in (0, 1)]
        box = ops.expand_dims(inside[0], 2) & ops.expand_dims(inside[1], 1)
        box = ops.cast(box & ops.reshape(chosen, (-1, 1, 1)), "float32")
        return ops.expand_dims(box, 3), 1 - ops.mean(box, axis=(1, 2))
