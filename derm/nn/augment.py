"""Random variation of a batch, inside the graph, on the accelerator. Knows keras.ops; no files, no config file.

Everything geometric (crop, flips, right angles, rotation, RandAugment's share) is one affine transform and
everything about colour one 3 x 3 matrix per image, each pixel worked out once in one fused loop. What is done to
skin alone is in `tone`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from derm.nn import tone
from derm.nn.config import TrainConfig

# RGB <-> YIQ (NTSC): turning the IQ plane changes hue and keeps luminance.
_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]], "float32")
_RGB = np.linalg.inv(_YIQ).astype("float32")
_ASPECT = math.log(4 / 3)
# RandAugment's operations (Cubuk et al. 2020) and how far each goes at full strength: radians, shares of the side,
# the logarithm of a factor, relative changes, levels. Solarising, equalising and stretching to the full range are
# left out, because they make colours that no skin has, and the changes of colour go half as far. Zoom stands for
# sharpness, which would need the neighbours of each pixel.
_OPERATIONS = {"nothing": 0.0, "turn": math.radians(30), "shear across": 0.3, "shear down": 0.3,
               "move across": 0.3, "move down": 0.3, "zoom": math.log(1.3),
               "brightness": 0.45, "contrast": 0.45, "saturation": 0.45, "posterise": 16.0}


def _fused(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` with its arithmetic in one loop. JAX fuses the whole training step by itself; TensorFlow is
    asked to: measured on two cores, four times as fast as its own projective transform."""
    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    fused: Callable[..., Any] = tf.function(function, jit_compile=True, autograph=False)
    return fused


class Augment:
    """Random crops, turns, colour, skin tone, RandAugment, mixup and cutmix as `config` asks.

    Called with images uint8 or float [B, S, S, 3] (0..255) and targets [B, classes]; returns images float32
    [B, size, size, 3] and targets, mixed where the images were. `partner`, like the images, holds for each image
    of a rare condition another of the same one, with which it is enriched first, and for all others the image
    itself. `seeds` holds the random state.
    """

    def __init__(self, config: TrainConfig, *, size: int) -> None:
        self.config = config
        self.size = size
        self.seeds = keras.random.SeedGenerator(config.seed)

    def __call__(self, images: Any, targets: Any, partner: Any = None) -> tuple[Any, Any]:
        """The varied batch."""
        c, count = self.config, ops.shape(images)[0]
        if partner is not None:
            images = self._enriched(images, partner)
        amounts = self._operations(count) if c.randaugment else {}
        matrix, centre = self._geometry(count)
        if amounts:
            matrix, centre = _turned(matrix, centre, amounts)
        coordinates = _coordinates(matrix, centre, source=images.shape[1], size=self.size)
        images = _render(images, *coordinates, *self._colours(count, amounts), limit=c.colour_limit,
                         degrees=self._tone(count) if c.skin_tone else None, coarse=amounts.get("posterise"))
        if c.mixup + c.cutmix == 0:
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

    def _colours(self, count: Any, amounts: dict[str, Any]) -> tuple[Any, Any]:
        """Hue, brightness, contrast and saturation: [B, 3, 3] from RGB to RGB, and [B] the share of the mean to
        add."""
        c = self.config
        gain = 1 + self._uniform((count, 1, 1), -c.brightness, c.brightness)
        contrast = 1 + self._uniform((count, 1, 1), -c.contrast, c.contrast)
        angle = self._uniform((count,), -1.0, 1.0) * (c.hue * 2 * math.pi)
        cos, sin, one, zero = ops.cos(angle), ops.sin(angle), ops.ones_like(angle), ops.zeros_like(angle)
        if amounts:
            gain = gain * (1 + ops.reshape(amounts["brightness"], (-1, 1, 1)))
            contrast = contrast * (1 + ops.reshape(amounts["contrast"], (-1, 1, 1)))
            cos, sin = cos * (1 + amounts["saturation"]), sin * (1 + amounts["saturation"])
        turn = ops.reshape(ops.stack([one, zero, zero, zero, cos, -sin, zero, sin, cos], axis=1), (-1, 3, 3))
        return gain * contrast * (_RGB @ turn @ _YIQ), ops.reshape(gain * (1 - contrast), (-1,))

    def _operations(self, count: Any) -> dict[str, Any]:
        """How much of each operation every image gets, each [B]: `randaugment` drawn for each, at full strength
        one way or the other. They all go into one transform, so their order does not matter."""
        c, shape = self.config, (count, self.config.randaugment)
        drawn = ops.floor(self._uniform(shape, 0.0, len(_OPERATIONS)))
        sign = ops.where(self._uniform(shape) < 0.5, -1.0, 1.0)
        return {name: ops.clip(ops.sum(ops.where(drawn == number, sign, 0.0), axis=1), -1.0, 1.0)
                * (c.randaugment_strength * most) for number, (name, most) in enumerate(_OPERATIONS.items())}

    def _tone(self, count: Any) -> Any:
        """Degrees by which each image's skin is made lighter, [B]; 0: left alone."""
        c = self.config
        degrees = self._uniform((count,), -c.skin_tone_shift, c.skin_tone_shift)
        return ops.where(self._uniform((count,)) < c.skin_tone, degrees, 0.0)

    def _enriched(self, images: Any, partner: Any) -> Any:
        """Images blended with their partners, or with a lesion of theirs; [B, S, S, 3] of the same type."""
        count, size = ops.shape(images)[0], images.shape[1]
        if self.config.rare == "mixup":
            # Beta(1/2, 1/2), the larger part the image's own: half of them keep 85 % or more of it.
            own = ops.sin(self._uniform((count, 1, 1, 1), 0.25, 0.5) * math.pi) ** 2
            return _mixture(images, partner, own)
        radius = self._uniform((count, 1, 2), 0.15, 0.3)
        places = ops.floor((radius + self._uniform((count, 4, 2)) * (1 - 2 * radius)) * size)
        # Half of the images stay as they are, so that photographs themselves are seen too.
        partner = ops.where(self._uniform((count, 1, 1, 1)) < 0.5, partner, images)
        return _pasted(images, partner, places, radius[:, 0] * size)

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


def _turned(matrix: Any, centre: Any, amounts: dict[str, Any]) -> tuple[Any, Any]:
    """The geometry after RandAugment's turn, shear, zoom and move."""
    cos, sin = ops.cos(amounts["turn"]), ops.sin(amounts["turn"])
    across, down = amounts["shear across"], amounts["shear down"]
    rows = [ops.stack([cos - sin * down, cos * across - sin], axis=1),
            ops.stack([sin + cos * down, sin * across + cos], axis=1)]
    linear = ops.reshape(ops.exp(amounts["zoom"]), (-1, 1, 1)) * ops.stack(rows, axis=1)
    move = ops.stack([amounts["move across"], amounts["move down"]], axis=1)
    return ops.matmul(matrix, linear), centre + ops.sum(matrix * ops.expand_dims(move, 1), axis=2)


@_fused
def _render(images: Any, x: Any, y: Any, colours: Any, towards_mean: Any, *, limit: float, degrees: Any,
            coarse: Any) -> Any:
    """The pictures seen at `x` and `y`, recoloured, float32 in 0..255. What is 0 or None costs nothing."""
    moved = _sample(images, x, y)
    offset = ops.expand_dims(towards_mean * ops.mean(moved, axis=(1, 2, 3)), 1)
    if limit or degrees is not None:
        skin = tone.find_skin(moved)
    if limit:
        colours, offset = tone.limited(colours, offset, skin, limit=limit)
    varied = tone.changed(moved, ops.reshape(colours, (-1, 1, 1, 3, 3)), ops.reshape(offset, (-1, 1, 1, 1)))
    if degrees is not None:
        varied = tone.shifted(varied, skin._replace(colour=tone.changed(skin.colour, colours, offset)), degrees)
    return varied if coarse is None else _posterised(varied, coarse)


def _posterised(pictures: Any, coarse: Any) -> Any:
    """Pictures in steps of `coarse` levels, [B]; to the middle of a step, so that the tone stays the same."""
    step = ops.reshape(ops.abs(coarse), (-1, 1, 1, 1))
    return ops.where(step >= 1, (ops.floor(pictures / ops.maximum(step, 1.0)) + 0.5) * step, pictures)


@_fused
def _mixture(images: Any, partner: Any, own: Any) -> Any:
    """`own` of each image and the rest of its partner; an image that is its own partner stays to the bit."""
    mixture = own * ops.cast(images, "float32") + (1 - own) * ops.cast(partner, "float32")
    return ops.cast(ops.round(mixture), images.dtype)


@_fused
def _pasted(images: Any, partner: Any, places: Any, radius: Any) -> Any:
    """Images with the middle of their partners, an ellipse of `radius` [B, 2] pixels (down, across) with a soft
    edge, at that of the `places` [B, n, 2] with the most skin around it; a partner of itself stays to the bit.

    What is pasted takes on the colour it meets at its edge (a gradient-domain paste, Perez et al. 2003, to its
    first approximation): a disc of light skin around a lesion on dark skin would give it away.
    """
    own, size = ops.cast(images, "float32"), images.shape[1]
    centre = _amid_skin(own, places)
    off = ops.arange(size, dtype="float32") - ops.expand_dims(centre, 2)
    down, across = ops.expand_dims(off[:, 0], 2), ops.expand_dims(off[:, 1], 1)
    # The sum with zeros makes both [B, S, S].
    patch = _sample(partner, across + size // 2 + 0 * down, down + size // 2 + 0 * across)
    high, wide = (ops.reshape(radius[:, i], (-1, 1, 1)) for i in (0, 1))
    far = ops.sqrt((down / high) ** 2 + (across / wide) ** 2)
    weight = ops.expand_dims(ops.clip(2 - 2 * far, 0.0, 1.0), 3)
    edge = weight * (1 - weight)
    lift = ops.sum(edge * (own - patch), axis=(1, 2)) / ops.maximum(ops.sum(edge, axis=(1, 2)), 1e-3)
    weight = weight * ops.cast(ops.any(ops.not_equal(images, partner), axis=(1, 2, 3), keepdims=True), "float32")
    pasted = own + weight * (patch + ops.reshape(lift, (-1, 1, 1, 3)) - own)
    return ops.cast(ops.clip(ops.round(pasted), 0, 255), images.dtype)


def _amid_skin(pictures: Any, places: Any) -> Any:
    """That of the `places` [B, n, 2] of each picture around which there is most skin, [B, 2]."""
    size = pictures.shape[1]
    near = ops.reshape(tone.find_skin(pictures).near, (-1, size * size))
    here = ops.cast(places[:, :, 0] * size + places[:, :, 1], "int32")
    best = ops.argmax(ops.take_along_axis(near, here, axis=1), axis=1)
    return ops.take_along_axis(places, ops.reshape(best, (-1, 1, 1)), axis=1)[:, 0]


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
