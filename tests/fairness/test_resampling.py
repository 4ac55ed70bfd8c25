import numpy as np
import pytest
from scipy.stats import bootstrap as oracle

from derm.fairness import resampling
from derm.fairness.confusions import confusion, share
from derm.fairness.resampling import KINDS, MOST_CASES, Kinds, Replicates, bootstrap, kinds, thinned


def totals_of(found: Kinds, cells: int, *, n_boot: int, seed: int = 0) -> np.ndarray:
    """How often each cell is drawn, [n_boot, cells]."""
    measured = bootstrap(found, np.eye(cells), lambda totals: {str(i): totals[:, i] for i in range(cells)},
                         n_boot=n_boot, seed=seed)
    return np.stack([each.drawn for each in measured.values()], axis=1)


@pytest.mark.parametrize("counts", [[30, 5, 10, 55], [1, 0, 2, 1]], ids=["by kind", "by case"])
def test_resampled_counts_have_the_mean_and_spread_of_resampled_rows(counts: list[int]) -> None:
    n = sum(counts)
    drawn = totals_of(kinds(np.repeat(np.arange(4), counts), 4), 4, n_boot=20_000)
    assert (drawn.sum(axis=1) == n).all()
    p = np.array(counts) / n
    assert drawn.mean(axis=0) == pytest.approx(counts, abs=0.15)
    assert drawn.var(axis=0) == pytest.approx(n * p * (1 - p), rel=0.05)
    assert np.cov(drawn[:, 0], drawn[:, 3])[0, 1] == pytest.approx(-n * p[0] * p[3], rel=0.1)


def test_replicates_do_not_depend_on_how_much_is_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = kinds(np.repeat(np.arange(4), [30, 5, 10, 55]), 4)
    at_once = totals_of(found, 4, n_boot=50)
    monkeypatch.setattr(resampling, "_CELLS_AT_ONCE", 40)
    np.testing.assert_array_equal(totals_of(found, 4, n_boot=50), at_once)


def test_clusters_that_hold_the_same_are_of_one_kind() -> None:
    cells = np.array([0, 1, 1, 0, 2, 2, 0, 2])
    found = kinds(cells, 3, np.array([0, 0, 1, 1, 2, 3, 4, 0]))
    # {0, 1, 2}, {1, 0}, {2} twice and {0}
    as_pairs = sorted(zip(found.times.tolist(), found.holds.toarray().tolist(), strict=True))
    assert as_pairs == [(1, [1, 0, 0]), (1, [1, 1, 0]), (1, [1, 1, 1]), (2, [0, 0, 1])]


def test_clusters_are_drawn_as_a_whole() -> None:
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(40), rng.integers(1, 6, 40))
    cells = rng.integers(3, size=len(clusters))
    drawn = totals_of(kinds(cells, 3, clusters), 3, n_boot=8000)
    held = np.array([np.bincount(cells[clusters == i], minlength=3) for i in range(40)])
    by_hand = np.stack([held[rng.integers(40, size=40)].sum(axis=0) for _ in range(8000)])
    assert drawn.mean(axis=0) == pytest.approx(by_hand.mean(axis=0), rel=0.02)
    assert np.cov(drawn.T) == pytest.approx(np.cov(by_hand.T), rel=0.12, abs=1.5)


def test_many_cases_are_thinned_in_order() -> None:
    assert thinned(np.arange(MOST_CASES)[::-1])[0].tolist() == list(range(MOST_CASES))
    order = np.random.default_rng(0).permutation(10_000)
    cells, count = thinned(order)
    assert count == KINDS
    assert (np.diff(cells[order]) >= 0).all()
    assert set(np.bincount(cells)) == {40}


def test_corrected_percentiles_are_scipys_bca() -> None:
    x = np.random.default_rng(4).exponential(size=400)
    found = bootstrap(kinds(np.arange(400), 400), np.stack([x, np.ones(400)], axis=1),
                      lambda totals: {"log": np.log(totals[:, 0] / totals[:, 1])}, n_boot=20_000, seed=0)["log"]

    def interval(method: str) -> list[float]:
        return list(oracle((x,), lambda y, axis: np.log(np.mean(y, axis=axis)), method=method, n_resamples=20_000,
                           rng=1).confidence_interval)

    assert np.quantile(found.drawn, [0.025, 0.975]) == pytest.approx(interval("percentile"), abs=0.004)
    assert np.quantile(found.corrected, [0.025, 0.975]) == pytest.approx(interval("BCa"), abs=0.004)
    assert interval("percentile") != pytest.approx(interval("BCa"), abs=0.004)  # or nothing would be tested
    assert (np.argsort(found.corrected, kind="stable") == np.argsort(found.drawn, kind="stable")).all()


def test_undefined_replicates_stay_so_and_others_are_moved_among_themselves() -> None:
    drawn = np.append(np.random.default_rng(0).normal(size=200), [np.nan] * 20)
    found = Replicates(0.3, drawn, 50, 0.02).corrected
    assert np.isnan(found[200:]).all()
    assert np.isfinite(found[:200]).all()
    assert found[:200].min() >= drawn[:200].min()
    assert np.median(found[:200]) > np.median(drawn[:200])  # the replicates lie below the value


@pytest.mark.parametrize("replicates", [
    Replicates(np.nan, np.full(5, np.nan), 50, 0.0), Replicates(1.0, np.ones(5), 50, 0.0),
    Replicates(0.5, np.array([0.2, 0.8]), 1, 0.0), Replicates(0.5, np.empty(0), 9, 0.0)])
def test_what_does_not_vary_is_left(replicates: Replicates) -> None:
    np.testing.assert_array_equal(replicates.corrected, replicates.drawn)


def test_counts_are_those_of_a_bootstrap_over_photographs() -> None:
    rng = np.random.default_rng(5)
    truth, said = rng.integers(4, size=(2, 250))
    said = np.where(rng.random(250) < 0.6, truth, said)
    found = confusion(truth, said, 4, n_boot=4000)["accuracy"]
    picked = rng.integers(250, size=(4000, 250))
    by_hand = (truth == said)[picked].mean(axis=1)
    assert np.quantile(found.drawn, [0.025, 0.5, 0.975]) == pytest.approx(
        np.quantile(by_hand, [0.025, 0.5, 0.975]), abs=0.01)
    assert share(truth == said, n_boot=4000).drawn.std() == pytest.approx(by_hand.std(), rel=0.05)
