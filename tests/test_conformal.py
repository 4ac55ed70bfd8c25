"""Prediction sets hold what they promise, on each group and on cases not seen."""

from __future__ import annotations

import numpy as np
import pytest

from derm import conformal
from derm.conformal import ALL, Limit


def made(n: int, *, seed: int, shares: dict[str, float], classes: int = 8) -> tuple[np.ndarray, ...]:
    """Cases of groups on which a model is unequally good: probabilities, truth, groups."""
    rng = np.random.default_rng(seed)
    groups = rng.choice(list(shares), n).astype(object)
    truth = rng.integers(classes, size=n)
    logits = rng.normal(0, 1, (n, classes))
    logits[np.arange(n), truth] += np.array([shares[name] for name in groups])
    p = np.exp(logits)
    return p / p.sum(axis=1, keepdims=True), truth, groups


SKILL = {"I-II": 2.0, "III-IV": 1.5, "V-VI": 0.3}


@pytest.mark.parametrize("n", [1500, 6000])
def test_each_group_is_covered(n):
    """At 500 and more calibration cases a group: new cases of each group, over 40 draws, at least 88 %."""
    covered: dict[str, list[float]] = {name: [] for name in SKILL}
    for seed in range(40):
        limits = conformal.fit(*made(n, seed=seed, shares=SKILL))
        assert min(limits[name].n for name in SKILL) > 400
        p, truth, groups = made(3000, seed=1000 + seed, shares=SKILL)
        held = conformal.sets(p, limits, groups)[np.arange(3000), truth]
        for name in SKILL:
            covered[name].append(float(held[groups == name].mean()))
    for name, found in covered.items():
        assert 0.88 <= np.mean(found) <= 0.92, name
        assert np.mean(np.array(found) >= 0.84) == 1, name


def test_one_limit_for_all_would_leave_a_group_out():
    """The simulation can fail: without groups the model's weak group is covered far too seldom."""
    p, truth, groups = made(6000, seed=0, shares=SKILL)
    pooled = {ALL: conformal.fit(p, truth, groups)[ALL]}
    held = conformal.sets(p, pooled, groups)[np.arange(6000), truth]
    assert held[groups == "V-VI"].mean() < 0.85
    assert held.mean() == pytest.approx(0.9, abs=0.01)


def test_out_of_fold_sets_are_what_new_cases_see():
    p, truth, groups = made(3000, seed=3, shares=SKILL)
    held = conformal.out_of_fold(p, truth, groups, np.arange(3000))[np.arange(3000), truth]
    for name in SKILL:
        assert held[groups == name].mean() == pytest.approx(0.9, abs=0.02)
    again = conformal.out_of_fold(p, truth, groups, np.arange(3000))[np.arange(3000), truth]
    assert (held == again).all()


def test_clusters_share_a_fold():
    """Copies of a case must not set the limit for each other: alone in its fold, a case sees no copy of itself."""
    p = np.array([[0.9, 0.1]] * 40 + [[0.4, 0.6]] * 10)
    truth, groups = np.zeros(50, dtype=int), np.full(50, "I-II", dtype=object)
    apart = conformal.out_of_fold(p, truth, groups, np.arange(50))
    together = conformal.out_of_fold(p, truth, groups, np.array([*range(40), *[99] * 10]))
    assert apart[40:, 0].all()
    assert not together[40:, 0].any()


def test_small_groups_are_pooled():
    p, truth, groups = made(260, seed=0, shares={"I-II": 2.0, "V-VI": 2.0})
    groups[:90], groups[90:] = "V-VI", "I-II"
    limits = conformal.fit(p, truth, groups)
    assert set(limits) == {ALL, "I-II"}
    assert (limits[ALL].n, limits["I-II"].n) == (260, 170)
    assert conformal.limit(limits, "V-VI") == conformal.limit(limits, None) == limits[ALL]
    assert "V-VI" in conformal.fit(p, truth, groups, least=90)


@pytest.mark.parametrize(("n", "expected"), [
    (8, 0.0),    # the 9th smallest of 8 scores is not there: every condition stays possible
    (9, 0.1),    # the largest of 9 scores, 0.9
    (19, 0.15),  # the 18th smallest of 19
])
def test_the_limit_is_the_rank_that_theory_wants(n, expected):
    right = np.linspace(1, 0.1, n)
    p = np.stack([right, 1 - right], axis=1)
    found = conformal.fit(p, np.zeros(n, dtype=int), np.full(n, "I-II", dtype=object))[ALL]
    assert found.least == pytest.approx(expected)


def test_a_condition_the_model_does_not_know_is_never_covered():
    p = np.full((20, 2), 0.5)
    assert conformal.fit(p, np.full(20, -1), np.full(20, "I-II", dtype=object))[ALL].least == 0


def test_a_set_is_never_empty_and_too_large_beyond_half():
    p = np.array([[0.4, 0.3, 0.2, 0.1]])
    group = np.array(["I-II"], dtype=object)
    sizes = {least: conformal.sets(p, {ALL: Limit(least, 9)}, group) for least in (0.9, 0.25, 0.15, 0.0)}
    assert [int(held.sum()) for held in sizes.values()] == [1, 2, 3, 4]
    assert [bool(conformal.too_large(held)[0]) for held in sizes.values()] == [False, False, True, True]
