import numpy as np
import pandas as pd
import pytest

from derm.explore.compare import compare, distance
from tests.explore.tables import counted, explored


def test_shares_and_differences_of_both_are_newcombes():
    # 56 of 70 and 48 of 80: Newcombe 1998, Statistics in Medicine 17:873-890, table II (a), method 10.
    a = counted({("acne", 1): 48, ("keloid", 1): 32})
    b = counted({("acne", 1): 56, ("keloid", 1): 14})
    row = compare(a, b, "condition").set_index("value").loc["acne"]
    assert row[["n_a", "n_b", "share_a", "share_b"]].tolist() == [48, 56, 0.6, 0.8]
    assert row[["difference", "diff_low", "diff_high"]].tolist() == pytest.approx([0.2, 0.0524, 0.3339], abs=5e-5)
    assert row["low_a"] < 0.6 < row["high_a"]


@pytest.mark.parametrize(("a", "b", "column", "expected"), [
    ({"condition": ["z", "a"]}, {"condition": ["m", None]}, "condition",
     {"a": (1, 0), "z": (1, 0), "m": (0, 1), "Missing": (0, 1)}),
    ({"fst": [6]}, {"condition": ["a"]}, "fst",
     {**dict.fromkeys(["I", "II", "III", "IV", "V"], (0, 0)), "VI": (1, 0), "Missing": (0, 1)}),
    ({"x_sex": ["f"]}, {"fst": [1, 2]}, "x_sex", {"f": (1, 0), "Missing": (0, 2)}),
])
def test_a_value_of_either_is_there_with_its_count_in_both(a, b, column, expected):
    found = compare(explored(a), explored(b), column)
    assert dict(zip(found["value"], zip(found["n_a"], found["n_b"], strict=True), strict=True)) == expected
    assert found["value"].tolist() == list(expected)
    assert found["difference"].isna().all()  # both are too few


def test_distance_is_none_for_the_same_and_one_for_strangers():
    a, b = counted({("acne", 1): 60, ("keloid", 1): 40}), counted({("lupus", 1): 50})
    assert distance(compare(a, a, "condition")).value == 0
    apart = distance(compare(a, b, "condition"))
    assert (apart.value, apart.high, apart.n) == (1, 1, 150)
    found = distance(compare(a, counted({("acne", 1): 30, ("keloid", 1): 70}), "condition"))
    assert found.value == pytest.approx(0.3)
    assert 0.15 < found.low < 0.3 < found.high < 0.45
    assert distance(compare(a, counted({("acne", 1): 19}), "condition")).value is None


def test_differences_cover_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(100):
        hits = rng.binomial(200, [0.2, 0.3])
        a, b = (pd.DataFrame({"condition": pd.Categorical(["acne"] * hit + ["keloid"] * (200 - hit))})
                for hit in hits)
        row = compare(a, b, "condition").iloc[0]
        held += row["diff_low"] <= 0.1 <= row["diff_high"]
    assert held >= 90
