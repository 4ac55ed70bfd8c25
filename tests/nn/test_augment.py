"""Each variation alone does what it says and no more. On tiny pictures with known answers."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from derm.nn import tone
from derm.nn.augment import Augment
from derm.nn.config import TrainConfig
from tests.nn.test_tone import TYPES, classes, measured, skin

STILL = {"crop_min": 1.0, "flips": False, "right_angles": False, "rotation": 0.0, "brightness": 0.0,
         "contrast": 0.0, "hue": 0.0, "mixup": 0.0, "cutmix": 0.0}
SIDE = 24
COUNT = 48
LUMINANCE = np.array([0.299, 0.587, 0.114])


def vary(images: np.ndarray, *, size: int = SIDE, targets: np.ndarray | None = None,
         partner: np.ndarray | None = None, **changes: object) -> tuple[np.ndarray, np.ndarray]:
    augment = Augment(TrainConfig(**{**STILL, **changes}), size=size)
    found = augment(images, np.eye(len(images), dtype="float32") if targets is None else targets, partner)
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


GREY = np.repeat(np.linspace(90, 150, COUNT).astype(np.uint8)[:, None], 3, axis=1)


def test_randaugment_changes_the_light_of_a_plain_picture_by_its_strength_or_not_at_all():
    """No turn or shear shows on it, no contrast and no saturation: brightness and steps of grey are left."""
    images, seeds = plain(GREY), range(4)
    batches = [vary(images, randaugment=1, randaugment_strength=1.0, seed=seed) for seed in seeds]
    found, targets = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    images = np.tile(images, (len(seeds), 1, 1, 1))
    ratio = found[:, 0, 0, 0] / images[:, 0, 0, 0]
    np.testing.assert_allclose(np.ptp(found, axis=(1, 2, 3)), 0, atol=0.01)
    np.testing.assert_array_equal(targets, np.tile(np.eye(COUNT), (len(seeds), 1)))
    seen = np.array([1.0, 0.55, 1.45])
    kind = np.abs(ratio[:, None] - seen).argmin(axis=1)
    stepped = (kind == 0) & (np.abs(ratio - 1) > 1e-4)
    np.testing.assert_allclose(ratio[~stepped], seen[kind[~stepped]], atol=1e-3)
    np.testing.assert_allclose(found[stepped, 0, 0, 0] % 16, 8, atol=1e-3)  # the middle of its step
    assert set(kind) == {0, 1, 2}
    assert 0 < stepped.mean() < 0.2
    assert (np.abs(ratio - 1) < 1e-4).mean() > 0.6


def test_randaugment_turns_shears_moves_and_zooms():
    """Red tells the column and green the row: about the middle, what they show is one affine map."""
    ramp = np.full((COUNT, SIDE, SIDE, 3), 100, np.uint8)
    ramp[..., 0], ramp[..., 1] = 60 + 4 * np.arange(SIDE), 60 + 4 * np.arange(SIDE)[:, None]
    found, _ = vary(ramp, randaugment=1, randaugment_strength=1.0)
    at = (found[..., :2] - 60) / 4
    middle = SIDE // 2
    matrix = np.stack([at[:, middle, middle] - at[:, middle, middle - 1],
                       at[:, middle, middle] - at[:, middle - 1, middle]], axis=2)
    centre = (at[:, middle, middle] + at[:, middle - 1, middle - 1]) / 2 - (SIDE - 1) / 2
    same_light = np.abs(found[:, middle, middle, 2] - 100) < 0.01
    cos, sin, far = np.cos(np.pi / 6), np.sin(np.pi / 6), 0.3 * SIDE
    kinds = {"nothing": ([[1, 0], [0, 1]], [0, 0]),
             **{f"turn {k}": ([[cos, -k * sin], [k * sin, cos]], [0, 0]) for k in (-1, 1)},
             **{f"across {k}": ([[1, k * 0.3], [0, 1]], [0, 0]) for k in (-1, 1)},
             **{f"down {k}": ([[1, 0], [k * 0.3, 1]], [0, 0]) for k in (-1, 1)},
             **{f"zoom {k}": ([[1.3**k, 0], [0, 1.3**k]], [0, 0]) for k in (-1, 1)},
             **{f"move {k}": ([[1, 0], [0, 1]], [k * far, 0]) for k in (-1, 1)},
             **{f"sink {k}": ([[1, 0], [0, 1]], [0, k * far]) for k in (-1, 1)}}
    errors = np.array([[max(np.abs(m - known).max(), np.abs(c - shift).max() / 5)
                        for known, shift in kinds.values()]
                       for m, c in zip(matrix[same_light], centre[same_light], strict=True)])
    assert errors.min(axis=1).max() < 0.05
    seen = {list(kinds)[index].split()[0] for index in errors.argmin(axis=1)}
    assert seen == {"nothing", "turn", "across", "down", "zoom", "move", "sink"}


def test_the_strength_of_randaugment_and_the_number_of_its_operations_count():
    images = pictures(low=90, high=160)

    def change(**options: float) -> float:
        return float(np.abs(vary(images, **options)[0] - images).mean())

    assert change(randaugment=3, randaugment_strength=0.0) < 0.01
    assert change(randaugment=1, randaugment_strength=0.2) > 1
    assert change(randaugment=3, randaugment_strength=0.2) > 1.3 * change(randaugment=1, randaugment_strength=0.2)


def drawn_types(count: int = COUNT) -> np.ndarray:
    """Plain skin of types I to VI in turn."""
    return plain(np.round(np.resize([skin(angle) for angle in TYPES], (count, 3))))


def test_colour_jitter_moves_skin_into_another_class_and_with_a_limit_none_by_more():
    images = drawn_types()
    jitter = {"brightness": 0.2, "contrast": 0.2, "hue": 0.02}
    held, targets = vary(images, **jitter, colour_limit=5.0)
    # `measured` is of whole levels, which is half a degree in dark skin.
    before, free, held = (keras.ops.convert_to_numpy(tone.angle(tone.to_lab(each[:, 0, 0].astype("float32"))))
                          for each in (images, vary(images, **jitter)[0], held))
    assert (classes(free) != classes(before)).mean() > 0.2
    assert np.abs(free - before).max() > 12
    drift = np.abs(held - before)
    assert drift.max() < 5.05
    assert np.median(drift) > 1.5
    np.testing.assert_array_equal(targets, np.eye(COUNT))


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_skin_tone_moves_the_asked_share_by_up_to_the_asked_angle(share):
    images = drawn_types()
    found, targets = vary(images, skin_tone=share, skin_tone_shift=15.0)
    moved = measured(found) - measured(images)
    chosen = (np.abs(found - images) > 0.01).any(axis=(1, 2, 3))
    assert 0.6 * share < chosen.mean() <= share * 1.4
    assert np.abs(moved).max() <= 16
    assert moved.min() < -9
    assert moved.max() > 9
    np.testing.assert_array_equal(targets, np.eye(COUNT))


def rare_batch() -> tuple[np.ndarray, np.ndarray]:
    """Skin, and for every other picture a partner: lighter skin with a black lesion in its middle; for the rest
    the picture itself."""
    images = drawn_types()
    partners = plain(np.broadcast_to(skin(62), (COUNT, 3))).copy()
    partners[:, 10:14, 10:14] = 20
    partners[::2] = images[::2]
    return images, partners


@pytest.mark.parametrize("rare", ["mixup", "paste"])
def test_only_pictures_with_a_partner_are_enriched_and_no_target(rare):
    images, partners = rare_batch()
    found, targets = vary(images, partner=partners, rare=rare)
    changed = (np.abs(found - images) > 0.01).any(axis=(1, 2, 3))
    assert not changed[::2].any()
    assert changed[1::2].mean() > 0.3
    np.testing.assert_array_equal(targets, np.eye(COUNT))


def test_a_rare_picture_is_blended_with_its_partner_and_keeps_the_larger_part():
    images = plain(np.repeat([[40, 40, 40]], COUNT, axis=0))
    found, _ = vary(images, partner=images + 200, rare="mixup")
    np.testing.assert_allclose(np.ptp(found, axis=(1, 2, 3)), 0)
    own = 1 - (found[:, 0, 0, 0] - 40) / 200
    assert own.min() >= 0.5
    assert own.min() < 0.6
    assert (own > 0.85).mean() > 0.3


def test_a_pasted_lesion_stands_alone_on_the_skin_it_is_pasted_on():
    """Darker than its surroundings; nothing of the partner's light skin comes along, and half are left alone."""
    images, partners = rare_batch()
    images, partners = images[1::2].astype(float), partners[1::2]
    found, _ = vary(images.astype(np.uint8), partner=partners, rare="paste")
    darker, lighter = (images - found).max(axis=(1, 2, 3)), (found - images).max(axis=(1, 2, 3))
    pasted = darker > 1
    assert 0.25 < pasted.mean() < 0.75
    assert np.median(darker[pasted]) > 30
    assert lighter.max() < 25
    outside = (np.abs(found - images) < 0.5).all(axis=3).mean(axis=(1, 2))
    assert outside[pasted].min() > 0.5


def test_a_lesion_is_pasted_on_skin_not_beside_it():
    images, partners = rare_batch()
    images[:, :, SIDE // 2 :] = 40, 90, 200
    changed = np.abs(vary(images, partner=partners, rare="paste")[0] - images).max(axis=3) > 20
    beside = changed[:, :, SIDE // 2 + 2 :].any(axis=(1, 2)).sum()
    assert changed[:, :, : SIDE // 2].any(axis=(1, 2)).sum() > 2 * beside
