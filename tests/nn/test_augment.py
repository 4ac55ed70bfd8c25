"""Each variation alone does what it says and no more. On tiny pictures with known answers."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from derm.nn.augment import Augment
from derm.nn.config import TrainConfig

STILL = {"crop_min": 1.0, "flips": False, "right_angles": False, "rotation": 0.0, "brightness": 0.0,
         "contrast": 0.0, "hue": 0.0, "mixup": 0.0, "cutmix": 0.0}
SIDE = 24
COUNT = 48
LUMINANCE = np.array([0.299, 0.587, 0.114])


def vary(images: np.ndarray, *, size: int = SIDE, targets: np.ndarray | None = None,
         **changes: object) -> tuple[np.ndarray, np.ndarray]:
    augment = Augment(TrainConfig(**{**STILL, **changes}), size=size)
    found = augment(images, np.eye(len(images), dtype="float32") if targets is None else targets)
    return tuple(keras.ops.convert_to_numpy(part) for part in found)


def pictures(count: int = COUNT, *, low: int = 0, high: int = 256, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, (count, SIDE, SIDE, 3), dtype=np.uint8)


def plain(colours: np.ndarray) -> np.ndarray:
    """A picture of one colour for each row of uint8 [n, 3]."""
    return np.broadcast_to(colours[:, None, None], (len(colours), SIDE, SIDE, 3)).astype(np.uint8)


@pytest.mark.parametrize("size", [SIDE, 21, 12, 36])
def test_without_any_variation_it_is_a_plain_resize_about_the_centre(size):
    images = pictures(4)
    found, targets = vary(images, size=size)
    expected = keras.ops.image.resize(images.astype("float32"), (size, size), interpolation="bilinear")
    np.testing.assert_allclose(found, expected, atol=0.01)
    np.testing.assert_array_equal(targets, np.eye(4))


def test_float_pictures_give_the_same():
    images = pictures(4)
    changes = {"size": 21, "rotation": 10.0, "crop_min": 0.6, "hue": 0.02}
    np.testing.assert_allclose(vary(images, **changes)[0], vary(images.astype("float32"), **changes)[0], atol=0.01)


def symmetries(image: np.ndarray) -> list[np.ndarray]:
    return [np.rot90(version, turns) for version in (image, image[:, ::-1]) for turns in range(4)]


@pytest.mark.parametrize(("changes", "expected"), [
    ({"flips": True, "right_angles": True}, set(range(8))), ({"right_angles": True}, {0, 1, 2, 3}),
    ({"flips": True}, {0, 4}), ({}, {0}),
])
def test_flips_and_right_angles_only_rearrange_the_pixels(changes, expected):
    images = pictures()
    found, _ = vary(images, **changes)
    seen = set()
    for image, varied in zip(images, found, strict=True):
        errors = [np.abs(varied - version).max() for version in symmetries(image.astype(float))]
        assert min(errors) < 0.05
        seen.add(int(np.argmin(errors)))
    assert seen == expected


@pytest.mark.parametrize("crop_min", [0.3, 0.8])
def test_a_crop_stays_inside_the_picture_and_shows_at_least_its_share(crop_min):
    """Red tells the column and green the row, so the borders of a crop can be read off its middle."""
    ramp = np.zeros((COUNT, SIDE, SIDE, 3), np.uint8)
    ramp[..., 0], ramp[..., 1] = np.arange(SIDE), np.arange(SIDE)[:, None]
    found, _ = vary(ramp, crop_min=crop_min, flips=True, right_angles=True)
    middle, after = SIDE // 2 - 1, SIDE // 2
    step = np.abs(found[:, after, after] - found[:, middle, middle])[:, :2]  # input pixels to an output pixel
    centre = (found[:, after, after] + found[:, middle, middle])[:, :2] / 2
    assert (centre - step * SIDE / 2 > -0.5 - 1e-3).all()
    assert (centre + step * SIDE / 2 < SIDE - 0.5 + 1e-3).all()
    # Cut to the picture, a long crop may show a little less than was drawn.
    assert (step.prod(axis=1) > crop_min * 0.86).all()
    assert step.prod(axis=1).min() < crop_min + 0.15
    assert (step.max(axis=1) / step.min(axis=1) < 4 / 3 + 1e-3).all()
    assert np.ptp(centre, axis=0).min() > 1


def test_a_rotation_is_mirrored_at_the_border_and_turns_about_the_centre():
    white = np.full((8, SIDE, SIDE, 3), 255, np.uint8)
    np.testing.assert_allclose(vary(white, rotation=180.0)[0], 255, atol=0.01)
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    rings = np.repeat((8 * np.hypot(x, y)).astype(np.uint8)[None, ..., None], 3, axis=3).repeat(8, axis=0)
    found, _ = vary(rings, rotation=180.0)
    inside = np.hypot(x, y) < SIDE / 2 - 1
    assert np.abs(found - rings)[:, inside].max() < 8


def test_rotation_stays_within_its_angle():
    half = np.zeros((COUNT, SIDE, SIDE, 3), np.uint8)
    half[:, :, SIDE // 2 :] = 200
    found, _ = vary(half, rotation=10.0)
    edge = (found[..., 0] < 100).sum(axis=2)  # dark pixels in each row: where the edge is
    tilt = np.degrees(np.arctan((edge[:, -3] - edge[:, 2]) / (SIDE - 5)))
    assert np.abs(tilt).max() <= 13
    assert tilt.max() > 4
    assert tilt.min() < -4


def test_brightness_multiplies_every_pixel_of_a_picture_alike():
    images = pictures(low=20, high=200)
    factors = vary(images, brightness=0.2)[0] / images
    each = factors[:, 0, 0, 0]
    np.testing.assert_allclose(factors, np.broadcast_to(each[:, None, None, None], factors.shape), rtol=1e-3)
    assert 0.8 <= each.min() < 0.9
    assert 1.1 < each.max() <= 1.2


def test_contrast_stretches_about_the_mean():
    images = pictures(low=80, high=160).astype(float)
    found, _ = vary(images.astype("float32"), contrast=0.2)
    np.testing.assert_allclose(found.mean(axis=(1, 2, 3)), images.mean(axis=(1, 2, 3)), rtol=1e-4)
    factors = found.std(axis=(1, 2, 3)) / images.std(axis=(1, 2, 3))
    assert 0.8 <= factors.min() < 0.9
    assert 1.1 < factors.max() <= 1.2 + 1e-4


def test_hue_keeps_luminance_and_grey_and_changes_colour():
    images = pictures(low=90, high=160)
    found, _ = vary(images, hue=0.1)
    np.testing.assert_allclose(found @ LUMINANCE, images @ LUMINANCE, atol=0.2)
    assert np.abs(found - images).max() > 10
    grey = np.repeat(images[..., :1], 3, axis=3)
    np.testing.assert_allclose(vary(grey, hue=0.1)[0], grey, atol=0.2)


def test_everything_together_stays_in_range():
    found, _ = vary(pictures(), brightness=1.0, contrast=1.0, hue=0.5, crop_min=0.05, rotation=180.0, flips=True,
                    right_angles=True, mixup=0.5, cutmix=0.5)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert found.min() >= 0
    assert found.max() <= 255
    assert np.ptp(found) > 200


def grey_levels() -> np.ndarray:
    """Grey pictures, each with its own level and far from its neighbour's."""
    levels = np.array([(97 * i) % 256 for i in range(COUNT)], np.uint8)
    return plain(np.repeat(levels[:, None], 3, axis=1))


@pytest.mark.parametrize("mixup", [1.0, 0.5])
def test_mixup_mixes_targets_as_it_mixes_pixels(mixup):
    images = grey_levels()
    found, targets = vary(images, mixup=mixup)
    np.testing.assert_allclose(np.ptp(found, axis=(1, 2, 3)), 0, atol=0.01)
    levels = images[:, 0, 0, 0].astype(float)
    np.testing.assert_allclose(found[:, 0, 0, 0], targets @ levels, atol=0.05)
    own = np.diagonal(targets)
    np.testing.assert_allclose(targets.sum(axis=1), 1, atol=1e-5)
    assert own.min() >= 0.5
    assert 0.5 * mixup < (own < 1).mean() <= min(1, 1.5 * mixup)


def test_cutmix_pastes_one_box_and_its_share_of_the_target():
    images = grey_levels()
    found, targets = vary(images, cutmix=1.0)
    levels = images[:, 0, 0, 0].astype(float)
    own = np.abs(found[..., 0] - levels[:, None, None]) < 0.05
    assert (own | (np.abs(found[..., 0] - np.roll(levels, 1)[:, None, None]) < 0.05)).all()
    np.testing.assert_allclose(np.diagonal(targets), own.mean(axis=(1, 2)), atol=1e-5)
    np.testing.assert_allclose(targets.sum(axis=1), 1, atol=1e-5)
    for outside in own:
        rows, columns = np.where(~outside)
        assert len(rows) == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
        assert 0.02 < len(rows) / SIDE**2 < 0.56


def test_mixup_and_cutmix_share_the_batch():
    found, targets = vary(grey_levels(), mixup=0.3, cutmix=0.3)
    boxed = np.ptp(found, axis=(1, 2, 3)) > 1
    mixed = ~boxed & (np.diagonal(targets) < 1)
    assert 5 < boxed.sum() < 25
    assert 5 < mixed.sum() < 25
    assert (boxed | mixed).sum() < COUNT
    np.testing.assert_allclose(found.mean(axis=(1, 2, 3)), targets @ grey_levels()[:, 0, 0, 0], atol=0.05)


def test_the_seed_decides():
    images, targets = pictures(8), np.eye(8, dtype="float32")

    def two_batches(seed: int) -> np.ndarray:
        augment = Augment(TrainConfig(seed=seed), size=21)
        return np.stack([keras.ops.convert_to_numpy(augment(images, targets)[0]) for _ in range(2)])

    first = two_batches(1)
    np.testing.assert_array_equal(first, two_batches(1))
    assert np.abs(first[0] - first[1]).max() > 1
    assert np.abs(first - two_batches(2)).max() > 1
