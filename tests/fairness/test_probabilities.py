import numpy as np
import pytest

from derm.fairness.probabilities import calibration_error, mean
from derm.fairness.resampling import MOST_CASES


def test_calibration_error_by_hand() -> None:
    # 30 at 0.9 of which 24 right, 10 at 0.5 of which 7 right: (|27 - 24| + |5 - 7|) / 40
    confidence = np.array([0.9] * 30 + [0.5] * 10)
    right = np.array([True] * 24 + [False] * 6 + [True] * 7 + [False] * 3)
    figure = calibration_error(confidence, right).figure()
    assert figure.value == pytest.approx(0.125)
    assert figure.low < figure.value < figure.high


@pytest.mark.parametrize(("said", "n"), [(0.8, 60), (0.8, 200), (0.65, 60)])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(said: float, n: int) -> None:
    """Always `said` sure and right 65 times in 100, also where that is no error at all."""
    rng = np.random.default_rng(0)
    figures = [calibration_error(np.full(n, said), rng.random(n) < 0.65, n_boot=300, seed=seed).figure()
               for seed in range(300)]
    held = [figure.low <= said - 0.65 + 1e-9 and said - 0.65 - 1e-9 <= figure.high for figure in figures]
    assert 0.92 <= np.mean(held) <= 0.99


@pytest.mark.parametrize("n", [50, 200, 1000])
def test_a_calibrated_model_may_be_so_however_few_the_cases(n: int) -> None:
    """Chance alone makes an error of 0.13 of 50 cases and of 0.03 of 1,000: neither is evidence of one."""
    rng = np.random.default_rng(1)
    low, value = [], []
    for seed in range(100):
        confidence = rng.uniform(0.2, 1, n)
        figure = calibration_error(confidence, rng.random(n) < confidence, n_boot=300, seed=seed).figure()
        low.append(figure.low)
        value.append(figure.value)
        assert figure.low <= figure.value <= figure.high
    assert np.mean(np.array(low) < 0.005) >= 0.9
    assert np.mean(value) == pytest.approx(1 / np.sqrt(n), rel=0.35)


def test_certainty_of_one_falls_into_the_last_bin() -> None:
    assert calibration_error(np.ones(20), np.ones(20, dtype=bool)).value == 0


@pytest.mark.parametrize("n", [400, 3 * MOST_CASES])
def test_a_mean_and_its_replicates(n: int) -> None:
    values = np.random.default_rng(0).exponential(size=n)
    found = mean(values, n_boot=2000)
    assert found.value == pytest.approx(values.mean())
    assert found.drawn.std() == pytest.approx(values.std() / np.sqrt(n), rel=0.1)
    assert found.n == n


def test_no_case_has_no_mean_and_no_error() -> None:
    nothing = np.zeros(0)
    assert np.isnan(mean(nothing, n_boot=3).value)
    assert np.isnan(calibration_error(nothing, nothing.astype(bool), n_boot=3).value)


def test_replicates_of_two_groups_are_independent() -> None:
    rng = np.random.default_rng(2)
    a, b = (calibration_error(rng.uniform(0.5, 1, 200), rng.random(200) < 0.6, seed=(0, group)).drawn
            for group in (0, 1))
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.1
