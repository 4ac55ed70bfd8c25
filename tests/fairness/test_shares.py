import numpy as np
import pytest

from derm.fairness.confusions import share
from derm.fairness.figure import proportions
from derm.fairness.shares import shares


def test_cells_are_wilsons_and_few_cases_have_none() -> None:
    hit = np.array([True] * 30 + [False] * 10 + [True] * 5)
    found = shares(hit, np.array([0] * 40 + [2] * 5), 3, clusters=np.arange(45))
    assert found["n"].tolist() == [40, 0, 5]
    assert found.loc[0, ["value", "low", "high"]].tolist() == pytest.approx(list(map(float, proportions(30, 40))))
    assert found.loc[1:, ["value", "low", "high"]].isna().all(axis=None)


def test_clusters_of_alike_cases_count_as_one() -> None:
    hit = np.repeat(np.array([True] * 30 + [False] * 10), 4)
    found = shares(hit, np.zeros(160, dtype=np.int64), 1, clusters=np.repeat(np.arange(40), 4)).iloc[0]
    assert found["n"] == 160
    assert (found["low"], found["high"]) == pytest.approx(tuple(float(x) for x in proportions(30, 40)[1:]))


def test_all_hit_in_clusters_is_as_sure_as_the_clusters_are_many() -> None:
    found = shares(np.ones(100, dtype=bool), np.zeros(100, dtype=np.int64), 1,
                   clusters=np.repeat(np.arange(25), 4)).iloc[0]
    assert found["low"] == pytest.approx(float(proportions(25, 25)[1]))


def test_clusters_of_unlike_cases_are_those_of_the_bootstrap() -> None:
    rng = np.random.default_rng(1)
    clusters = rng.integers(60, size=200)
    hit = rng.random(200) < rng.random(60)[clusters]
    cell = np.zeros(200, dtype=np.int64)
    found, expected = shares(hit, cell, 1, clusters=clusters).iloc[0], share(hit, clusters=clusters, n_boot=8000)
    figure = expected.figure()
    assert (found["low"], found["high"]) == pytest.approx((figure.low, figure.high), abs=0.01)


def test_alone_in_a_cluster_is_independent() -> None:
    hit = np.arange(60) % 3 == 0
    cell = np.arange(60) % 2
    one = shares(hit, cell, 2, clusters=np.arange(60))
    # The same cases beside a cell of clusters: theirs are not wider for that.
    clusters = np.append(np.arange(60), [99] * 4)
    two = shares(np.append(hit, [True] * 4), np.append(cell, [2] * 4), 3, clusters=clusters)
    assert two.loc[:1, "low"].to_list() == pytest.approx(one["low"].to_list(), abs=1e-12)
