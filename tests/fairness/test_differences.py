import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep

from derm.fairness.differences import apart, holm, newcombe, p_value, standard_error
from derm.fairness.figure import Sample
from tests.fairness.made import share


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
@pytest.mark.parametrize(("hits_a", "n_a", "hits_b", "n_b"), [
    (56, 70, 48, 80), (10, 30, 10, 30), (0, 20, 0, 300), (30, 30, 0, 25), (25, 25, 40, 41), (3, 1000, 90, 100),
])
def test_the_interval_is_statsmodels(hits_a: int, n_a: int, hits_b: int, n_b: int, level: float) -> None:
    expected = confint_proportions_2indep(hits_a, n_a, hits_b, n_b, method="newcomb", alpha=1 - level)
    assert newcombe(share(hits_a, n_a), share(hits_b, n_b), level=level) == pytest.approx(expected, abs=1e-12)


def test_twice_the_variance_is_half_the_cases() -> None:
    assert newcombe(share(60, 80, effect=2), share(90, 100, effect=2)) == pytest.approx(
        newcombe(share(30, 40), share(45, 50)))


@pytest.mark.parametrize(("a", "b"), [(share(56, 70), share(48, 80)), (share(48, 80), share(56, 70)),
                                      (share(30, 30), share(9, 25)), (share(1, 200), share(0, 20))])
def test_p_is_where_the_interval_reaches_zero(a: Sample, b: Sample) -> None:
    p = p_value(a, b)
    low, high = newcombe(a, b, level=1 - p)
    assert 0 < p < 1
    assert (low if a.value > b.value else high) == pytest.approx(0, abs=1e-9)


def test_p_of_equals_is_one_and_of_a_gulf_is_hardly_above_zero() -> None:
    assert p_value(share(10, 20), share(20, 40)) == 1
    assert 0 < p_value(share(100_000, 100_000), share(0, 100_000)) < 1e-12


def test_what_is_no_proportion_is_compared_by_its_replicates() -> None:
    rng = np.random.default_rng(0)
    a, b = (Sample(mean, rng.normal(mean, 0.1, 4000), 50) for mean in (0.7, 0.4))
    value, low, high = apart(a, b, level=0.95)
    assert value == pytest.approx(0.3)
    assert (low, high) == pytest.approx((0.3 - 1.96 * 0.1414, 0.3 + 1.96 * 0.1414), abs=0.02)
    assert p_value(a, b) == pytest.approx(2 * 0.0169, abs=0.01)  # the normal tail at 0.3 / 0.1414
    assert p_value(a, a) == 1


def test_replicates_without_a_value_are_left_out() -> None:
    a = Sample(0.5, np.array([0.4, 0.5, np.nan, 0.6]), 50)
    b = Sample(0.1, np.array([0.1, 0.1, 0.1, np.nan]), 50)
    assert apart(a, b, level=0.95)[1:] == pytest.approx(np.quantile([0.3, 0.4], [0.025, 0.975]))


def test_nobody_hit_is_not_certain() -> None:
    assert standard_error(share(0, 20)) > 0.02


@pytest.mark.parametrize("p", [[0.01, 0.04, 0.03, 0.005], [0.5, 0.9], [0.02], [0.2, 0.2, 0.0001, 1.0], []])
def test_holm_is_statsmodels(p: list[float]) -> None:
    expected = list(multipletests(p, method="holm")[1]) if p else []
    assert holm(p) == pytest.approx(expected)
