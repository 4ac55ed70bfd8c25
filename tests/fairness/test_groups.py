import numpy as np
import pandas as pd
import pytest

from derm.errors import DatasetError
from derm.fairness.groups import NOT_RECORDED, assign, choices, compared, skin_type_group


@pytest.mark.parametrize("fst", [pd.Series([1.0, 4.0, float("nan"), 6.0]),
                                 pd.Series([1, 4, -1, 6]),
                                 pd.Series([1, 4, None, 6], dtype="Int8"),
                                 pd.Series([1, 4, 0, 6], dtype="category")])
def test_skin_type_columns_as_people_have_them(fst: pd.Series) -> None:
    assert skin_type_group(fst).tolist() == ["I-II", "III-IV", "not recorded", "V-VI"]


def table(**columns: object) -> pd.DataFrame:
    return pd.DataFrame(columns)


FST = pd.array([1, 2, 4, 6, None], dtype="Int8")
SIX = ["I", "II", "III", "IV", "V", "VI"]


@pytest.mark.parametrize(("by", "column", "groups", "categories"), [
    ("fst", FST, ["I", "II", "IV", "VI", NOT_RECORDED], [*SIX, NOT_RECORDED]),
    ("fst", pd.array([1, 6], dtype="Int8"), ["I", "VI"], SIX),
    ("fst", [np.nan, np.nan], [NOT_RECORDED] * 2, [*SIX, NOT_RECORDED]),
    ("mst", [1, 3, 4, 7, 10], ["1-3", "1-3", "4-6", "7-10", "7-10"], ["1-3", "4-6", "7-10"]),
    ("x_sex", ["male", "female", None, " "], ["male", "female", NOT_RECORDED, NOT_RECORDED],
     ["female", "male", NOT_RECORDED]),
    ("x_size", pd.Categorical(["small", "large"], ["none", "small", "large"]), ["small", "large"],
     ["small", "large"]),
    ("x_itch", pd.array([True, False, None], dtype="boolean"), ["yes", "no", NOT_RECORDED],
     ["no", "yes", NOT_RECORDED]),
    ("x_age", [3, 18, 39.5, 60, 91, None, -1], ["0-17", "18-39", "18-39", "60-79", "80 and over", NOT_RECORDED,
     NOT_RECORDED], ["0-17", "18-39", "60-79", "80 and over", NOT_RECORDED]),
    ("x_site", [2, 10, 2], ["2", "10", "2"], ["2", "10"]),
    ("x_mm", [*range(1, 13)], ["under 3.75"] * 3 + ["3.75 to under 6.5"] * 3 + ["6.5 to under 9.25"] * 3
     + ["9.25 and over"] * 3, ["under 3.75", "3.75 to under 6.5", "6.5 to under 9.25", "9.25 and over"]),
])
def test_groups_of_a_column(by: str, column: object, groups: list[str], categories: list[str]) -> None:
    found = assign(table(**{by: column}), by)
    assert found.tolist() == groups
    assert found.cat.categories.tolist() == categories
    assert found.cat.ordered


def test_three_skin_type_groups_fall_back_on_the_publishers() -> None:
    rows = table(fst=FST, x_skin_group=["V-VI", None, None, None, "III-IV"])
    assert assign(rows, "fst3").tolist() == ["I-II", "I-II", "III-IV", "V-VI", "III-IV"]
    assert assign(rows[["x_skin_group"]], "fst3").tolist() == ["V-VI", *[NOT_RECORDED] * 3, "III-IV"]


def test_intersections_are_those_that_occur_with_the_missing_last() -> None:
    rows = table(fst=FST, x_sex=["f", "m", "f", None, "m"]).set_index(pd.Index([7, 3, 5, 1, 9]))
    found = assign(rows, ["fst3", "x_sex"])
    assert found.cat.categories.tolist() == ["I-II x f", "I-II x m", "III-IV x f", "V-VI x not recorded",
                                             "not recorded x m"]
    assert found[9] == "not recorded x m"
    assert [compared(name) for name in found.cat.categories] == [True, True, True, False, False]


@pytest.mark.parametrize("by", ["x_sex", "fst3", []])
def test_a_column_that_is_not_there_is_named(by: str | list[str]) -> None:
    with pytest.raises(DatasetError, match="fst" if by == "fst3" else "x_sex" if by else "no column"):
        assign(table(condition=["acne"]), by)


def test_choices_are_what_can_be_compared() -> None:
    n = 120
    rows = table(image_id=[str(i) for i in range(n)], fst=[1, 6] * 60, split=["val"] * n, x_sex=["f", None] * 60,
                 x_source=["a", "b"] * 60, x_note=[f"note {i}" for i in range(n)], x_age=np.linspace(0, 90, n),
                 prediction_set=["acne", "eczema"] * 60, **{"p:acne": [0.1, 0.9] * 60})
    assert list(choices(rows)) == ["fst3", "fst", "x_source", "x_age"]
    assert choices(rows)["fst3"] == "Skin type, in three groups"
    assert choices(table(fst=[None, None])) == {}
