"""The temperature is found again on logits that were made with a known one."""

from __future__ import annotations

import numpy as np
import pytest

from derm.nn import calibrate


def simulated(temperature: float, *, count: int = 6000, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are `temperature` times too large for the labels drawn from them."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (count, classes))
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)  # a draw from softmax(logits)
    return logits * temperature, labels


@pytest.mark.parametrize("known", [0.25, 0.7, 1.0, 1.8, 6.0])
def test_a_known_temperature_is_recovered(known):
    assert calibrate.temperature(*simulated(known)) == pytest.approx(known, rel=0.05)


def test_it_is_the_best_there_is():
    logits, labels = simulated(2.5)
    found = calibrate.temperature(logits, labels)

    def loss(t: float) -> float:
        return -np.log(calibrate.probabilities(logits, t)[np.arange(len(labels)), labels]).mean()

    assert loss(found) <= min(loss(found * factor) for factor in (0.9, 0.99, 1.01, 1.1)) + 1e-9


def test_beside_a_vote_a_known_temperature_is_recovered():
    rng = np.random.default_rng(3)
    logits, share = rng.normal(0, 2, (6000, 5)), 0.4
    vote = rng.dirichlet(np.full(5, 0.3), 6000)
    truth = calibrate.probabilities(logits, 1.0, vote, share=share)
    labels = (truth.cumsum(axis=1) > rng.random((6000, 1))).argmax(axis=1)
    assert calibrate.temperature(2.5 * logits, labels, vote, share=share) == pytest.approx(2.5, rel=0.1)
    assert calibrate.temperature(2.5 * logits, labels) != pytest.approx(2.5, rel=0.1)


def test_a_vote_has_its_share():
    logits, vote = np.array([[np.log(9), 0.0], [0.0, 0.0]]), np.array([[0.0, 1.0], [1.0, 0.0]])
    found = calibrate.probabilities(logits, 1.0, vote, share=0.4)
    np.testing.assert_allclose(found, [[0.54, 0.46], [0.7, 0.3]])
    np.testing.assert_array_equal(calibrate.probabilities(logits, 1.0, vote), calibrate.probabilities(logits, 1.0))


def test_answers_that_are_all_right_or_all_wrong_stay_within_the_search():
    logits = 10 * np.eye(4)
    assert 0.05 <= calibrate.temperature(logits, np.arange(4)) < 1
    assert 10 < calibrate.temperature(logits, np.array([1, 2, 3, 0])) <= 20


@pytest.mark.parametrize("temperature", [0.1, 1.0, 5.0])
def test_probabilities_sum_to_one_and_keep_the_order(temperature):
    logits = np.random.default_rng(1).normal(0, 30, (50, 21)).astype("float32")
    found = calibrate.probabilities(logits, temperature)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_array_equal(found.argmax(axis=1), logits.argmax(axis=1))


def test_probabilities_of_two_classes_by_hand():
    np.testing.assert_allclose(calibrate.probabilities(np.array([[np.log(9), 0.0]]), 2.0), [[0.75, 0.25]])
