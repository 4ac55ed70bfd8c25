"""Known cases like a photograph, and whether it is like any: on made-up features."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from derm import support
from derm.support import Reference


def flat(n: int, *, seed: int, channels: int = 200) -> np.ndarray:
    """Features that vary along a few directions only, far from the origin."""
    rng = np.random.default_rng(seed)
    directions = np.random.default_rng(channels).normal(0, 1, (5, channels))
    return 10 + rng.normal(0, 1, (n, 5)) @ directions + rng.normal(0, 0.05, (n, channels))


def views(n: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    return flat(n, seed=seed), flat(n, seed=seed + 1000, channels=150)


@pytest.fixture(scope="module")
def reference() -> Reference:
    deep, middle = views(400, seed=0)
    near, like = support.spaces(deep, middle)
    apart = support.residuals(near, like, *views(300, seed=1))
    none = np.array([""] * 400, dtype=object)
    return Reference(near, like, support.widths(apart), 1.0, support.points(near, deep), none, none,
                     np.ones(400, np.int8), none, np.ones(400, np.int64), np.arange(400, dtype=np.int32))


def test_what_lies_outside_in_either_view_is_far(reference):
    limit = support.limit(support.distance(reference, *views(500, seed=2)))
    deep, middle = views(200, seed=3)
    assert (support.distance(reference, deep, middle) > limit).mean() == pytest.approx(support.DECLINED, abs=0.025)
    for seen in ((deep[:, ::-1], middle), (deep, middle[:, ::-1]), (deep[:, ::-1], middle[:, ::-1])):
        assert (support.distance(reference, *seen) > limit).mean() == 1


def test_both_views_count_alike_whatever_their_scale():
    deep, middle = views(300, seed=0)
    near, like = support.spaces(deep, middle)
    apart = support.residuals(near, like, *views(300, seed=1))
    spread = np.quantile(apart / support.widths(apart), [0.16, 0.84], axis=0)
    np.testing.assert_allclose(spread[1] - spread[0], 1)


def test_the_middle_view_does_not_see_brightness(reference):
    deep, middle = views(20, seed=4)
    expected = support.distance(reference, deep, middle)
    np.testing.assert_allclose(support.distance(reference, deep, 7 * middle), expected)


def test_axes_are_orthonormal_and_no_more_than_can_be():
    deep, middle = support.spaces(*views(400, seed=0))
    assert deep.axes.shape == (support.DEEP_AXES, 200)
    assert middle.axes.shape == (support.MIDDLE_AXES, 150)
    np.testing.assert_allclose(deep.axes @ deep.axes.T, np.eye(support.DEEP_AXES), atol=1e-2)
    few, narrow = support.spaces(flat(4, seed=0), flat(100, seed=0, channels=3))
    assert (len(few.axes), len(narrow.axes)) == (3, 2)


def test_the_limit_of_cases_not_seen_declines_about_as_many():
    distances = np.random.default_rng(0).gamma(9, 0.01, 2000)
    found = support.unlike_out_of_fold(distances, np.arange(2000))
    assert found.mean() == pytest.approx(support.DECLINED, abs=0.005)
    assert (found == support.unlike_out_of_fold(distances, np.arange(2000))).all()
    assert not support.unlike_out_of_fold(distances, np.zeros(2000)).any()  # one cluster: nothing to go by


def test_nearest_first(reference):
    deep, _ = views(400, seed=0)
    found = support.nearest(reference, deep[7], count=5)
    alike = deep @ deep[7] / np.linalg.norm(deep, axis=1)
    assert found[0] == 7
    assert found.tolist() == np.argsort(-alike)[:5].tolist()


def test_each_known_case_speaks_for_its_condition_the_more_the_more_alike(reference):
    classes = ("acne", "eczema", "melanoma")
    said = np.array([classes[i % 2] for i in range(400)], dtype=object)
    known = replace(reference, conditions=said)
    deep, _ = views(600, seed=5)
    found = support.vote(known, deep, classes)
    unit = deep / np.linalg.norm(deep, axis=1, keepdims=True)
    weights = np.exp(unit @ known.directions.T / support.WIDTH)
    expected = np.stack([weights[:, said == name].sum(axis=1) for name in classes], axis=1)
    np.testing.assert_allclose(found, expected / weights.sum(axis=1, keepdims=True), atol=1e-4)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert not found[:, 2].any()
    np.testing.assert_allclose(support.vote(known, deep[:1], classes), found[:1], atol=1e-6)
    assert support.vote(known, deep[:0], classes).shape == (0, 3)


def test_of_a_known_case_neither_it_nor_its_group_speaks(reference):
    classes = ("acne", "eczema", "melanoma")
    known = replace(reference, image_ids=np.array([f"i{i}" for i in range(400)], dtype=object),
                    conditions=np.array(["melanoma"] * 2 + ["acne"] * 398, dtype=object),
                    groups=np.array([0, 0, *range(1, 399)], np.int32))
    deep, _ = views(400, seed=0)
    found = support.vote(known, deep[:3], classes)
    assert found[0, 2] > 0
    asked = support.vote(known, deep[:3], classes, ["i0", "another", "i2"])
    assert asked[0, 2] == 0
    np.testing.assert_allclose(asked[1], found[1])
    rest = replace(known, **{name: getattr(known, name)[np.arange(400) != 2] for name in (
        "points", "image_ids", "conditions", "groups")})
    np.testing.assert_allclose(asked[2:], support.vote(rest, deep[2:3], classes), atol=1e-6)
    alike = replace(known, groups=np.zeros(400, np.int32))  # somebody has to speak
    np.testing.assert_allclose(support.vote(alike, deep[:1], classes, ["i0"]), found[:1])


def test_what_is_kept_of_points_is_hardly_less(reference):
    steps, step = support.stepped(reference.points)
    assert steps.dtype == np.int8
    np.testing.assert_allclose(steps * step, reference.points, atol=step / 2 + 1e-9)
    kept = replace(reference, points=steps * step)
    assert (kept.directions * reference.directions).sum(axis=1).min() > 0.999
    assert support.stepped(np.zeros((2, 3)))[1] > 0
