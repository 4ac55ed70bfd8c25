import numpy as np
import pandas as pd
import pytest

from derm.explore.codes import GROUP, coded, joint, numbers, numeric
from tests.explore.tables import explored


@pytest.mark.parametrize(("column", "values", "said"), [
    ("fst", [1, None, 6], ["I", None, "VI"]),
    ("x_fst_self", [2, 3, None], ["II", "III", None]),
    ("mst", [10, 1, None], ["10", "1", None]),
    ("condition", ["b", None, "a"], ["b", None, "a"]),
    ("x_itch", pd.array([True, None, False], dtype="boolean"), ["yes", None, "no"]),
    ("x_excluded", [True, False, False], ["yes", "no", "no"]),
    ("x_year", pd.array([2020.0, None, 2021.0], dtype="Float64"), ["2020", None, "2021"]),
    ("duplicate", [True, None, False], ["yes", None, "no"]),
    (GROUP, [None, None, None], [None, None, None]),
])
def test_a_value_keeps_its_name(column, values, said):
    table = explored({column: values})
    known = coded(table, column)
    assert [None if code < 0 else known.names[code] for code in known.codes] == said
    assert known.counts.sum() == 3
    assert known.counts[-1] == said.count(None)


def test_an_absent_column_is_all_missing():
    known = coded(explored({"fst": [1, 2]}), "x_source")
    assert known.counts.tolist() == [2]


def test_a_group_comes_from_the_type_and_else_from_the_group_published():
    table = explored({"fst": [1, 4, None, None], "x_skin_group": ["V-VI", "III-IV", "V-VI", None]})
    known = coded(table, GROUP)
    assert [known.names[code] if code >= 0 else None for code in known.codes] == ["I-II", "III-IV", "V-VI", None]


@pytest.mark.parametrize("seed", range(3))
def test_joint_counts_are_pandas_own(seed):
    rng = np.random.default_rng(seed)
    table = explored({"condition": rng.choice(["a", "b", "c"], 300), "fst": rng.choice([1, 2, 5, None], 300)})
    counts = joint(coded(table, "condition"), coded(table, "fst"))
    expected = pd.crosstab(table["condition"], table["fst"].astype("Float64").fillna(7.0))
    expected = expected.reindex(columns=[1, 2, 3, 4, 5, 6, 7], fill_value=0)
    assert counts[:-1].tolist() == expected.to_numpy().tolist()
    assert counts[-1].sum() == 0


@pytest.mark.parametrize("count", [126, 127, 128])  # pandas numbers up to 126 categories by int8
def test_no_category_is_one_too_many_for_its_code(count):
    names = [f"c{number:03}" for number in range(count)]
    known = coded(explored({"condition": [*names, None]}), "condition")
    assert known.counts.tolist() == [1] * (count + 1)


def test_numbers_are_found_and_missing_ones_are_nan():
    table = explored({"x_age": pd.array([1.5, None, np.inf], dtype="Float64"), "x_sex": ["f", "m", "f"],
                      "x_fst_self": [1, 2, 3], "x_itch": pd.array([True] * 3, dtype="boolean"), "ita": [1, 2, 3]})
    assert numeric(table) == ["x_age", "ita"]
    assert np.isnan(numbers(table, "x_age")).tolist() == [False, True, True]
