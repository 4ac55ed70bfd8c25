import numpy as np
import pytest
from scipy.stats import binomtest
from statsmodels.stats.proportion import proportion_confint

from derm.fairness.figure import TOO_FEW, Figure, Sample, percentile, proportion, proportions


@pytest.mark.parametrize(("figure", "text"), [
    (Figure(0.614, 0.57, 0.649, 572), "0.61 [0.57-0.65], n = 572"),
    (Figure(0.5, 0.4, 0.6, 12345), "0.50 [0.40-0.60], n = 12,345"),
    (Figure(None, None, None, 7), "too few (n = 7)"),
    (Figure(None, None, None, 30), "undefined (n = 30)"),
])
def test_a_figure_is_never_written_without_n(figure: Figure, text: str) -> None:
    assert str(figure) == text


# 81 of 263 and 15 of 148: Newcombe 1998, Statistics in Medicine 17:857-872, table I, method 3.
@pytest.mark.parametrize(("hits", "n", "low", "high"), [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605),
                                                        (0, 20, 0.0, 0.1611), (29, 29, 0.8830, 1.0)])
def test_wilson_interval_is_the_published_one(hits: int, n: int, low: float, high: float) -> None:
    figure = proportion(hits, n)
    assert (figure.value, figure.low, figure.high) == pytest.approx((hits / n, low, high), abs=5e-5)


def test_many_wilson_intervals_at_once_are_scipys() -> None:
    hits, n = np.array([[0, 7, 29], [5, 20, 100]]), np.array([[20, 21, 29], [19, 400, 1000]])
    share, low, high = proportions(hits, n, level=0.9)
    for at in np.ndindex(hits.shape):
        expected = binomtest(int(hits[at]), int(n[at])).proportion_ci(0.9, method="wilson")
        if n[at] < TOO_FEW:
            assert np.isnan([share[at], low[at], high[at]]).all()
        else:
            assert (share[at], low[at], high[at]) == pytest.approx((hits[at] / n[at], *expected))
    assert low[0, 0] == 0
    assert high[0, 2] == 1


@pytest.mark.parametrize(("hits", "n"), [(0, 20), (7, 20), (33, 40), (571, 571)])
def test_a_proportions_sample_has_statsmodels_wilson_interval(hits: int, n: int) -> None:
    figure = Sample(hits / n, np.full(5, 0.5), n, hits).figure(0.9)
    assert (figure.low, figure.high) == pytest.approx(proportion_confint(hits, n, 0.1, method="wilson"))


def test_a_design_effect_is_fewer_cases() -> None:
    found = Sample(0.7, np.empty(0), 100, 70, design_effect=2.5).figure()
    assert (found.value, found.n) == (0.7, 100)
    assert (found.low, found.high) == pytest.approx(proportion_confint(28, 40, method="wilson"))


def test_percentiles_of_what_is_defined() -> None:
    drawn = np.append(np.arange(101) / 100, [np.nan] * 50)
    assert Sample(0.5, drawn, 30).figure(0.9) == Figure(0.5, pytest.approx(0.05), pytest.approx(0.95), 30)
    assert Sample(0.5, np.full(9, np.nan), 30).figure() == Figure(None, None, None, 30)


@pytest.mark.parametrize("sample", [Sample(np.nan, np.full(9, np.nan), 30), Sample(0.5, np.full(9, 0.4), 19),
                                    Sample(np.nan, np.full(9, np.nan), 0, 0), Sample(0.5, np.full(9, 0.5), 18, 9)])
def test_undefined_or_too_few_is_no_value(sample: Sample) -> None:
    assert sample.figure() == Figure(None, None, None, sample.n)


def test_perfect_is_not_certain() -> None:
    # Nothing varies in any bootstrap sample of 30 right answers: that is not to know the truth.
    assert percentile(1.0, np.ones(100), 30).low == pytest.approx(proportion_confint(30, 30, method="wilson")[0])
    assert percentile(0.0, np.zeros(100), 30).high == pytest.approx(proportion_confint(0, 30, method="wilson")[1])
    assert percentile(3.0, np.full(100, 3.0), 30) == Figure(3.0, 3.0, 3.0, 30)
