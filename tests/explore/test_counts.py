import numpy as np
import pandas as pd
import pytest

from derm.explore import counts
from derm.explore.counts import ANY, Gap, Overview, coverage, distribution, gaps, histogram, missingness, sentence
from derm.fairness.figure import Figure, proportion
from tests.explore.tables import counted, explored

SKEWED = counted({("acne", 1): 30, ("acne", 4): 25, ("acne", 6): 40, ("acne", None): 2,
                  ("dermatofibroma", 2): 21, ("dermatofibroma", 3): 24, (None, 5): 9})


def test_overview_counts_what_there_is_and_what_is_known():
    table = SKEWED.assign(flags=pd.Categorical([""] * 100 + ["dark"] * 40 + [None] * 11),
                          duplicate=pd.array([True] * 6 + [False] * 140 + [None] * 5, dtype="boolean"))
    assert counts.overview(table) == Overview(151, 2, proportion(149, 151), proportion(49, 149), 6, 40)


@pytest.mark.parametrize("columns", [{}, {"flags": [None, None], "duplicate": [None, None]}])
def test_overview_does_not_call_unmeasured_none(columns):
    found = counts.overview(explored({"condition": ["acne", None], **columns}))
    assert (found.images, found.conditions, found.duplicates, found.flagged) == (2, 1, None, None)
    assert found.dark == Figure(None, None, None, 0)


def test_published_groups_count_as_known_skin_type():
    found = counts.overview(explored({"x_skin_group": ["V-VI"] * 10 + ["I-II"] * 30 + [None] * 10}))
    assert (found.known_fst, found.dark) == (proportion(40, 50), proportion(10, 40))


def test_distribution_of_a_scale_has_every_step_and_missing_last():
    found = distribution(SKEWED, "fst")
    assert found["value"].tolist() == ["I", "II", "III", "IV", "V", "VI", "Missing"]
    assert found["n"].tolist() == [30, 21, 24, 25, 9, 40, 2]
    figure = proportion(9, 151)
    assert found.loc[4, ["share", "low", "high"]].tolist() == pytest.approx(
        [figure.value, figure.low, figure.high])


@pytest.mark.parametrize(("columns", "column", "expected"), [
    ({"condition": ["b", "a", "b"]}, "condition", {"a": 1, "b": 2}),
    ({"condition": ["b", None]}, "condition", {"b": 1, "Missing": 1}),
    ({"fst": [6, None]}, "group", {"I-II": 0, "III-IV": 0, "V-VI": 1, "Missing": 1}),
    ({"mst": [10]}, "mst", {**{str(tone): 0 for tone in range(1, 10)}, "10": 1}),
    ({"fst": [1]}, "x_sex", {"Missing": 1}),
    ({"x_itch": pd.array([True, None], dtype="boolean")}, "x_itch", {"yes": 1, "Missing": 1}),
])
def test_distribution_leaves_out_what_is_not_there(columns, column, expected):
    found = distribution(explored(columns), column)
    assert dict(zip(found["value"], found["n"], strict=True)) == expected
    assert found[["share", "low", "high"]].isna().all(axis=None)  # fewer than twenty rows


def test_coverage_has_every_cell_and_no_row_without_a_picture():
    table = SKEWED[SKEWED["condition"] != "acne"]
    found = coverage(table).pivot(index="row", columns="column", values="n")
    assert found.loc["dermatofibroma", ["I", "II", "III", "V"]].tolist() == [0, 21, 24, 0]
    assert found.loc["Missing", "V"] == 9
    assert list(found.index) == ["Missing", "dermatofibroma"]
    assert "Missing" not in found.columns  # no skin type is missing here
    by_group = coverage(SKEWED, columns="group")
    assert by_group["column"].unique().tolist() == ["I-II", "III-IV", "V-VI", "Missing"]
    assert by_group["n"].sum() == coverage(SKEWED)["n"].sum() == len(SKEWED)


@pytest.mark.parametrize(("cells", "found"), [
    ({1: 30, 2: 30, 3: 30, 4: 30, 5: 30, 6: 30}, []),
    ({1: 30, 3: 30}, [Gap("acne", "V-VI", 0), Gap("acne", "II", 0), Gap("acne", "IV", 0)]),
    ({1: 30, 3: 30, 5: 30}, [Gap("acne", "II", 0), Gap("acne", "IV", 0), Gap("acne", "VI", 0)]),
    ({1: 30, 2: 30, 3: 30, 4: 30, 5: 19}, [Gap("acne", "V-VI", 19, ("VI",))]),
    ({1: 30, 2: 30, 3: 30, 4: 30, 5: 19, 6: 3}, [Gap("acne", "VI", 3), Gap("acne", "V", 19)]),
    ({1: 8, 3: 3}, [Gap("acne", "V-VI", 0), Gap("acne", "I-VI", 11)]),
    ({None: 50}, [Gap("acne", "I-VI", 0)]),
])
def test_gaps_of_one_condition(cells, found):
    # Plenty of another, so that a gap is this condition's own.
    table = counted({("acne", fst): n for fst, n in cells.items()} | {("other", fst): 20 for fst in range(1, 7)})
    assert gaps(coverage(table)) == found


def test_gaps_by_group_are_those_of_groups():
    table = counted({("acne", 1): 30, ("acne", 3): 30, ("other", 1): 20, ("other", 4): 20, ("other", 5): 20})
    assert gaps(coverage(table, columns="group")) == [Gap("acne", "V-VI", 0)]


def test_worst_gaps_come_first_and_what_all_lack_is_said_once():
    table = counted({("acne", 1): 90, ("acne", 3): 2, ("keloid", 2): 30, ("keloid", 3): 19, ("lupus", 1): 70})
    assert gaps(coverage(table)) == [
        Gap(ANY, "V-VI", 0), Gap(ANY, "IV", 0), Gap("lupus", "III-IV", 0), Gap("acne", "II", 0),
        Gap("lupus", "II", 0), Gap("keloid", "I", 0), Gap("acne", "III-IV", 2, ("IV",)),
        Gap("keloid", "III-IV", 19, ("IV",))]


def test_no_picture_is_no_gap():
    assert gaps(coverage(explored({"condition": ["acne"]}).iloc[:0])) == []
    assert gaps(coverage(counted({(None, 1): 3}))) == []


@pytest.mark.parametrize(("gap", "text"), [
    (Gap("dermatofibroma", "V-VI", 0), "No picture of dermatofibroma on FST V-VI."),
    (Gap("kaposi-sarcoma", "VI", 3), "Only 3 pictures of Kaposi sarcoma on FST VI (under 20)."),
    (Gap("b-cell-lymphoma", "VI", 2), "Only 2 pictures of B cell lymphoma on FST VI (under 20)."),
    (Gap("lyme-disease", "I", 1), "Only 1 picture of Lyme disease on FST I (under 20)."),
    (Gap("basal-cell-carcinoma", "I-VI", 12), "Only 12 pictures of basal cell carcinoma on FST I-VI (under 20)."),
    (Gap("acne", "V-VI", 11, ("VI",)), "Only 11 pictures of acne on FST V-VI (under 20), none on VI."),
    (Gap("acne", "I-VI", 0), "No picture of acne with a known skin type."),
    (Gap(ANY, "V-VI", 0), "No picture on FST V-VI."),
    (Gap(ANY, "V-VI", 2), "Only 2 pictures on FST V-VI (under 20)."),
])
def test_a_gap_in_words(gap, text):
    assert sentence(gap) == text


def test_missingness_counts_the_missing_and_sets_yes_or_blank_apart():
    table = explored({"fst": [1, None, None, None] * 10, "condition": ["acne", "acne", "acne", None] * 10,
                      "x_itch": pd.array([True, None, None, None] * 10, dtype="boolean"),
                      "x_smoker": pd.array([True, False, None, None] * 10, dtype="boolean")})
    found = missingness(table).set_index("column")
    assert "image_id" not in found.index
    assert found.loc[["fst", "condition", "x_itch", "path"], "missing"].tolist() == [30, 10, 30, 40]
    figure = proportion(30, 40)
    assert found.loc["fst", ["n", "share", "low", "high"]].tolist() == pytest.approx(
        [40, figure.value, figure.low, figure.high])
    assert found.index[found["yes_or_blank"]].tolist() == ["x_itch"] == [found.index[-1]]
    assert found["missing"].iloc[:-1].is_monotonic_decreasing


@pytest.mark.parametrize(("values", "bins", "edges", "n"), [
    ([0.5, 1.0, 2.5, None], 2, [0.5, 1.5, 2.5], [2, 1]),
    ([1, 2, 2, 3], 20, [1, 2, 3, 4], [1, 2, 1]),               # whole numbers: one a bin
    ([0, 9, 10, 19, 20], 2, [0, 11, 22], [3, 2]),
    ([5, 5], 20, [5, 6], [2]),
    ([None, None], 20, [], []),
])
def test_histogram_bins_hold_what_lies_in_them(values, bins, edges, n):
    found = histogram(explored({"x_age": pd.array(values, dtype="Float64")}), "x_age", bins)
    assert [*found["low"], *found["high"][-1:]] == edges
    assert found["n"].tolist() == n


def test_histogram_of_one_fraction_and_of_an_absent_column():
    found = histogram(explored({"ita": [0.3, 0.3]}), "ita")
    assert found["n"].sum() == 2
    assert histogram(explored({"fst": [1]}), "ita").empty


def test_every_figure_of_no_rows_is_empty_not_an_error():
    nothing = SKEWED.iloc[:0]
    assert counts.overview(nothing).known_fst.n == 0
    assert distribution(nothing, "fst")["n"].sum() == 0
    assert distribution(nothing, "condition").empty
    assert coverage(nothing).empty
    assert missingness(nothing)["share"].isna().all()


def test_counts_of_real_photographs_are_pandas_own(ajl_root):
    from derm import datasets

    table = datasets.load(ajl_root).table
    found = coverage(table)
    cells = found.set_index(["row", "column"])["n"]
    assert cells["acne", "II"] == ((table["condition"] == "acne") & (table["fst"] == 2)).sum()
    assert cells["dermatofibroma", "V"] == cells["dermatofibroma", "VI"] == 0
    assert sentence(gaps(found)[0]) == "No picture of dermatofibroma on FST V-VI."
    assert np.array_equal(distribution(table, "fst")["n"][:6], table["fst"].value_counts().sort_index())
