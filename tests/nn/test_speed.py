"""Seconds a photograph, by a clock of our own."""

from __future__ import annotations

from itertools import cycle

import pytest

from derm.nn import speed


class Counted:
    """Stands in for a model: counts what it is asked."""

    asked = 0

    def diagnose(self, pixels: object) -> None:
        self.asked += 1


def test_the_median_is_of_whole_diagnoses_after_a_first_one_that_does_not_count() -> None:
    model, ticks = Counted(), cycle([0.0, 1.0, 1.0, 4.0])  # takes 1, 3, 1, 3 ...
    def clock() -> float:
        return next(ticks)

    found = speed.seconds(model, runs=20, clock=clock)
    assert model.asked == 21
    assert (found.value, found.low, found.high, found.n) == (2.0, 1.0, 3.0, 20)


@pytest.mark.parametrize(("n", "low", "high"), [(20, 6, 15), (6, 1, 6), (100, 40, 61)])
def test_the_interval_lies_between_the_ranks_of_the_binomial_table(n: int, low: int, high: int) -> None:
    found = speed.median(range(1, n + 1))
    assert (found.value, found.low, found.high) == ((n + 1) / 2, low, high)


def test_five_measurements_are_too_few_for_an_interval() -> None:
    found = speed.median([1.0] * 5)
    assert (found.value, found.low, found.high, found.n) == (None, None, None, 5)
