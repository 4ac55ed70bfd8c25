"""The colour of skin in a photograph as an angle (ITA), and the skin type it suggests. Knows pixels; no files.

The individual typology angle (Chardon et al. 1991, Int. J. Cosmet. Sci. 13:191-208) is
arctan((L* - 50) / b*) in degrees: about 60 for very light skin, below -30 for very dark. Groh et al. (2021, CVPR
Workshops) compared it with the annotated types of Fitzpatrick17k; this is their measurement with two changes.

Their skin mask also asks for brightness (red at least 95, luma at least 80), which throws dark skin out: on the
AJL 2025 photographs it keeps less than a fifth of the picture in 21 % of type VI, against 6 % of type II, and
what it keeps is the lightest part. Chroma alone (Chai and Ngan 1999, IEEE Trans. Circuits Syst. Video Technol.
9:551-564) treats the types alike (4.5 % and 3.4 %), with median angles of 53, 31, 24, 9, -3 and -22 for the
annotated types I to VI. And the angle is the median over the pixels kept, which a lesion or a highlight moves
less than a mean.
"""

from __future__ import annotations

import numpy as np

LIMITS = (
    "The angle is measured from the colours of the photograph. Light, flash, white balance, camera and later "
    "editing shift it, as do the lesion, redness, tan, make-up, hair, clothes and a skin-coloured background. "
    "It describes the colour in one picture, not the person: Fitzpatrick skin type is about how skin reacts to "
    "the sun, and colour is not type. Use it to find pictures worth a second look and to see differences between "
    "sources, never to fill in a missing skin type.")
LEAST_SKIN = 0.1   # of the pixels; with less the colour is as likely that of something else
# Angles above these are type I to V; the others VI. Kinyanjui et al. (2019, NeurIPS Fair ML for Health), the first
# of the two scales in the Fitzpatrick17k paper; its second was fitted to that data's own annotations.
THRESHOLDS = (55.0, 41.0, 28.0, 19.0, 10.0)

_CB, _CR = (77, 127), (133, 173)
# sRGB to XYZ (IEC 61966-2-1), each row divided by the white point D65, 2 degrees: white becomes (1, 1, 1).
_TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
                    [0.0193339, 0.1191920, 0.9503041]])
_TO_XYZ /= _TO_XYZ.sum(axis=1, keepdims=True)


def angle(pixels: np.ndarray) -> float:
    """The median individual typology angle, in degrees, of the skin in a photograph uint8 [h, w, 3] (sRGB).

    NaN if less than LEAST_SKIN of it has the chroma of skin. A hundred pixels a side are enough.
    """
    skin = pixels[skin_mask(pixels)]
    if len(skin) < LEAST_SKIN * pixels.shape[0] * pixels.shape[1]:
        return float("nan")
    lab = to_lab(skin)
    return float(np.median(np.degrees(np.arctan2(lab[:, 0] - 50, lab[:, 2]))))


def estimate_type(angles: np.ndarray) -> np.ndarray:
    """The Fitzpatrick skin type 1 to 6 that each angle, float [n], suggests by THRESHOLDS; NaN stays NaN."""
    angles = np.asarray(angles, dtype=np.float64)
    kept = np.where(np.isnan(angles), np.inf, angles)
    types = 6.0 - np.searchsorted(THRESHOLDS[::-1], kept, side="left")
    return np.where(np.isnan(angles), np.nan, types)


def skin_mask(pixels: np.ndarray) -> np.ndarray:
    """Which pixels of uint8 [..., 3] have the chroma of skin (YCbCr as in JPEG), bool [...]."""
    rgb = pixels.astype(np.float32)
    luma = rgb @ np.array([0.299, 0.587, 0.114], np.float32)
    cb = 128 + 0.564 * (rgb[..., 2] - luma)
    cr = 128 + 0.713 * (rgb[..., 0] - luma)
    return (cb >= _CB[0]) & (cb <= _CB[1]) & (cr >= _CR[0]) & (cr <= _CR[1])


def to_lab(pixels: np.ndarray) -> np.ndarray:
    """CIELAB (D65) of sRGB uint8 [..., 3], float64 [..., 3]: L* 0 to 100, a*, b* (CIE 15:2004)."""
    level = np.arange(256) / 255
    linear = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    xyz = linear[pixels] @ _TO_XYZ.T
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)
