"""The heat map on the photograph: in place, and readable on every skin, also by colour-blind people."""

import numpy as np
import pytest

from derm import overlay, samples

# Linear sRGB as a person without green cones sees it (Machado, Oliveira, Fernandes 2009, severity 1).
DEUTERANOPIA = np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                         [-0.011820, 0.042940, 0.968881]])
NORMAL = np.eye(3)


def lab(rgb: np.ndarray, sight: np.ndarray = NORMAL) -> np.ndarray:
    """sRGB 0..255 [..., 3] -> CIE L*a*b* (D65)."""
    c = np.asarray(rgb, float) / 255
    linear = np.clip(np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ sight.T, 0, 1)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    t = linear @ to_xyz.T / (0.9505, 1, 1.089)
    x, y, z = np.moveaxis(np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def blended(tone: tuple[int, int, int], heat: float) -> np.ndarray:
    return overlay.blend(np.full((8, 8, 3), tone, np.uint8), np.full((2, 2), heat, np.float32))[4, 4]


@pytest.mark.parametrize("sight", [NORMAL, DEUTERANOPIA], ids=["normal sight", "deuteranopia"])
@pytest.mark.parametrize("skin", samples.SKIN_TONES, ids=lambda fst: fst.name)
def test_hot_regions_stand_out_from_the_skin_and_from_warm_ones(skin: int, sight: np.ndarray) -> None:
    """A colour difference of 2 is just noticeable, of 10 plain at a glance."""
    tone = samples.SKIN_TONES[skin]
    hot, warm, bare = (lab(blended(tone, heat), sight) for heat in (1.0, 0.5, 0.0))
    np.testing.assert_array_equal(bare, lab(np.array(tone), sight))
    assert np.linalg.norm(hot - bare) > 25
    assert np.linalg.norm(warm - bare) > 10
    assert np.linalg.norm(hot - warm) > 25


@pytest.mark.parametrize("sight", [NORMAL, DEUTERANOPIA], ids=["normal sight", "deuteranopia"])
def test_the_colour_map_rises_evenly_in_lightness(sight: np.ndarray) -> None:
    assert overlay.COLOUR_MAP.shape == (256, 3)
    assert overlay.COLOUR_MAP.dtype == np.uint8
    steps = np.diff(lab(overlay.COLOUR_MAP[::15], sight)[:, 0])  # 17 steps: above the rounding to 8 bits
    assert steps.min() > 3
    assert steps.max() < 7


def test_opacity_follows_the_heat() -> None:
    pixels = samples.draw("acne", skin="III", size=40)
    heat = np.linspace(0, 1, 40, dtype=np.float32)[None].repeat(40, 0)
    result = overlay.blend(pixels, heat)
    assert result.shape == pixels.shape
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result[:, 0], pixels[:, 0])
    expected = pixels[:, -1] * 0.5 + overlay.COLOUR_MAP[255] * 0.5
    assert np.abs(result[:, -1] - expected).max() <= 1.5
    np.testing.assert_array_equal(overlay.blend(pixels, heat, opacity=0), pixels)
    covered = overlay.blend(pixels, np.ones((7, 7)), opacity=1)
    assert (covered == overlay.COLOUR_MAP[255]).all()


def test_a_small_map_covers_the_whole_photograph_smoothly() -> None:
    pixels = np.full((90, 210, 3), 128, np.uint8)
    heat = np.zeros((3, 7))
    heat[0, 6] = 1
    changed = np.abs(overlay.blend(pixels, heat).astype(int) - 128).sum(axis=2)
    assert changed[:15, 195:].mean() > 50
    assert changed[60:].max() == 0
    assert changed[:, :120].max() == 0
    assert np.abs(np.diff(changed.astype(int), axis=1)).max() < 30  # no blocks


def test_heat_outside_0_to_1_is_cut_off_and_the_photograph_is_not_changed() -> None:
    pixels = np.full((8, 8, 3), 90, np.uint8)
    result = overlay.blend(pixels, np.array([[-1.0, 2.0]]))
    np.testing.assert_array_equal(result[0, 0], [90, 90, 90])
    np.testing.assert_array_equal(result[0, 7], overlay.blend(pixels, np.ones((1, 1)))[0, 0])
    assert (pixels == 90).all()
