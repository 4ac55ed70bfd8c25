import numpy as np
import pytest
from PIL import Image

from derm import samples
from derm.inspection import skintone
from derm.schema import SkinType


@pytest.mark.parametrize(("colour", "lab"), [
    ((255, 255, 255), (100, 0, 0)),
    ((0, 0, 0), (0, 0, 0)),
    ((255, 0, 0), (53.24, 80.09, 67.20)),    # the primaries of sRGB, as published for D65
    ((0, 0, 255), (32.30, 79.19, -107.86)),
    ((128, 128, 128), (53.59, 0, 0)),
])
def test_lab(colour, lab):
    assert skintone.to_lab(np.array(colour, np.uint8)) == pytest.approx(lab, abs=0.02)


def test_angle_by_hand():
    """(208, 160, 126) is (0.6308, 0.3515, 0.2086) in linear light, so Y is 0.4006 and Z / Zn 0.2318, their cube
    roots 0.7372 and 0.6143, L* = 69.51 and b* = 24.58: arctan(19.51 / 24.58) is 38.44 degrees."""
    skin = np.full((20, 20, 3), (208, 160, 126), np.uint8)
    lightness, _, yellow = skintone.to_lab(skin[0, 0])
    assert (lightness, yellow) == pytest.approx((69.51, 24.58), abs=0.02)
    assert skintone.angle(skin) == pytest.approx(38.44, abs=0.02)


@pytest.mark.parametrize(("of_ten", "measured"), [(1, True), (0, False)])
def test_too_little_skin_is_missing(of_ten, measured):
    picture = np.full((10, 10, 3), (30, 90, 200), np.uint8)
    picture[:of_ten] = (208, 160, 126)
    assert np.isfinite(skintone.angle(picture)) == measured


def test_the_background_does_not_count():
    picture = np.full((10, 10, 3), (255, 255, 255), np.uint8)
    picture[:5] = (110, 76, 61)
    assert skintone.angle(picture) == pytest.approx(skintone.angle(picture[:5]))


@pytest.mark.parametrize("skin", list(SkinType))
def test_dark_skin_is_skin(skin):
    tone = np.array(samples.SKIN_TONES[skin])
    shades = np.rint(np.multiply.outer([0.6, 0.8, 1.0], tone)).astype(np.uint8)
    assert skintone.skin_mask(shades).all()


@pytest.mark.parametrize("kind", samples.KINDS)
def test_the_lighter_the_skin_the_larger_the_angle(kind):
    pictures = {skin: Image.fromarray(samples.draw(kind, skin=skin, seed=3, size=256)) for skin in SkinType}
    angles = [skintone.angle(np.asarray(picture.resize((96, 96)))) for picture in pictures.values()]
    assert np.isfinite(angles).all()
    assert (np.diff(angles) < 0).all()


def test_estimated_types():
    angles = np.array([90, 55.1, 55, 41, 28.5, 28, 19, 10.1, 10, -40, np.nan])
    assert skintone.estimate_type(angles).tolist()[:-1] == [1, 1, 2, 3, 3, 4, 5, 5, 6, 6]
    assert np.isnan(skintone.estimate_type(angles)[-1])
