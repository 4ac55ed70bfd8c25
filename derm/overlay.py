"""A heat map on a photograph. Knows pixels and colours; not networks or pages.

Heat is shown twice, by colour and by opacity: where the network did not look, the skin stays visible.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

# Lightness, chroma and hue (OKLCh) along the map. Lightness rises evenly from a dark blue to a light yellow, so
# that its order survives colour blindness and grey print; the hue goes by teal and green, because skin of every
# tone is orange and inflamed skin pink.
_CONTROL = np.array([
    # heat, lightness, chroma, hue in degrees
    (0.00, 0.28, 0.12, 275),
    (0.25, 0.44, 0.11, 250),
    (0.50, 0.61, 0.10, 200),
    (0.75, 0.78, 0.15, 150),
    (1.00, 0.95, 0.19, 108),
])


def _srgb(lightness: np.ndarray, chroma: np.ndarray, hue: np.ndarray) -> np.ndarray:
    """OKLCh -> sRGB uint8 [n, 3]; the matrices are those of B. Ottosson, 'A perceptual color space', 2020."""
    a, b = chroma * np.cos(np.radians(hue)), chroma * np.sin(np.radians(hue))
    to_lms = np.array([[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728],
                       [1, -0.0894841775, -1.2914855480]])
    to_rgb = np.array([[4.0767416621, -3.3077115913, 0.2309699292], [-1.2684380046, 2.6097574011, -0.3413193965],
                       [-0.0041960863, -0.7034186147, 1.7076147010]])
    linear = np.clip((np.stack([lightness, a, b], axis=-1) @ to_lms.T) ** 3 @ to_rgb.T, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(encoded * 255).astype(np.uint8)


def _colour_map() -> np.ndarray:
    heat = np.linspace(0, 1, 256)
    return _srgb(*(np.interp(heat, _CONTROL[:, 0], _CONTROL[:, column]) for column in (1, 2, 3)))


COLOUR_MAP = _colour_map()  # uint8 [256, 3], from no heat to the most


def blend(pixels: np.ndarray, heatmap: np.ndarray, *, opacity: float = 0.5) -> np.ndarray:
    """The photograph uint8 [H, W, 3] under a heat map float [h, w] of 0..1, brought to its size (bicubic).

    A pixel of heat 1 is covered by `opacity` (0..1), one of heat 0 not at all.
    """
    small = Image.fromarray(np.rint(np.clip(heatmap, 0, 1) * 255).astype(np.uint8))
    heat = small.resize((pixels.shape[1], pixels.shape[0]), Image.Resampling.BICUBIC)
    cover = heat.point([round(level * opacity) for level in range(256)])
    heat.putpalette(COLOUR_MAP.tobytes())
    return np.asarray(Image.composite(heat.convert("RGB"), Image.fromarray(pixels), cover))
