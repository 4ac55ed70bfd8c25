import numpy as np
import pandas as pd
import pytest

from derm.explore.filters import choices, mask, ranges
from tests.explore.tables import explored

TABLE = explored({
    "condition": ["acne", "keloid", None, "acne"], "fst": [1, 5, 6, None], "split": ["train"] * 4,
    "x_sex": ["f", "m", "f", None], "x_url": ["p", "q", "r", "s"],
    "x_age": pd.array([10, 50, None, 70], dtype="Float64"),
    "x_itch": pd.array([True, None, False, True], dtype="boolean"),
    "flags": ["", "dark", "blurred;dark", None], "ita": [40, None, -20, 0],
    "duplicate": [True, False, None, False],
})


def test_choices_are_the_values_there_in_order_and_missing_last():
    assert choices(TABLE) == {
        "condition": ("acne", "keloid", "missing"), "fst": ("I", "V", "VI", "missing"),
        "flags": ("none", "blurred", "dark", "missing"), "duplicate": ("no", "yes", "missing"),
        "x_sex": ("f", "m", "missing"), "x_url": ("p", "q", "r", "s"), "x_itch": ("no", "yes", "missing")}


def test_free_text_is_no_choice():
    table = explored({"fst": [1, 2] * 150, "x_note": [f"note {row}" for row in range(300)],
                      "condition": [f"condition-{row}" for row in range(300)]})
    assert set(choices(table)) == {"condition", "fst"}  # conditions stay, however many


def test_ranges_are_those_of_the_known_numbers():
    assert ranges(TABLE) == {"x_age": (10.0, 70.0), "ita": (-20.0, 40.0)}
    assert ranges(TABLE.assign(x_age=pd.array([None] * 4, dtype="Float64"), ita=1.0)) == {}


@pytest.mark.parametrize(("chosen", "between", "rows"), [
    ({}, {}, [0, 1, 2, 3]),
    ({"condition": ["acne"]}, {}, [0, 3]),
    ({"condition": ["acne", "missing"]}, {}, [0, 2, 3]),
    ({"condition": []}, {}, [0, 1, 2, 3]),
    ({"fst": ["V", "VI"]}, {}, [1, 2]),
    ({"fst": ["missing"], "condition": ["acne"]}, {}, [3]),
    ({"flags": ["dark"]}, {}, [1, 2]),
    ({"flags": ["none", "blurred"]}, {}, [0, 2]),
    ({"flags": ["missing"]}, {}, [3]),
    ({"x_itch": ["yes"]}, {}, [0, 3]),
    ({"duplicate": ["no"]}, {}, [1, 3]),
    ({}, {"x_age": (20, 60)}, [1]),
    ({}, {"x_age": (50, 70)}, [1, 3]),
    ({}, {"x_age": (0, 100)}, [0, 1, 2, 3]),  # holds all: the row without an age stays
    ({"condition": ["acne"]}, {"x_age": (50, 70)}, [3]),
    # What an old URL may say.
    ({"condition": ["lupus"]}, {}, [0, 1, 2, 3]),
    ({"condition": ["lupus", "acne"]}, {}, [0, 3]),
    ({"fst": ["VII", "1", ""]}, {}, [0, 1, 2, 3]),
    ({"x_gone": ["a"], "x_sex": ["f"]}, {"x_gone": (0, 1), "condition": (0, 1), "x_sex": (0, 1)}, [0, 2]),
    ({"split": ["missing"], "x_sex": ["m"]}, {}, [1]),
])
def test_a_mask_keeps_what_was_chosen(chosen, between, rows):
    kept = mask(TABLE, chosen, between)
    assert kept.dtype == bool
    assert np.flatnonzero(kept).tolist() == rows


def test_an_empty_table_can_be_filtered():
    assert mask(TABLE.iloc[:0], {"fst": ["I"], "flags": ["dark"]}, {"x_age": (0, 1)}).tolist() == []
    assert choices(TABLE.iloc[:0]) == ranges(TABLE.iloc[:0]) == {}
