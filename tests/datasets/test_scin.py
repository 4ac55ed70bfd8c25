import re

import pandas as pd
import pytest

from derm.datasets import scin
from derm.errors import DatasetError
from derm.schema import COLUMNS
from tests.datasets.fixtures import write_scin

FIRST = "-3205742176803893704"


@pytest.fixture
def root(tmp_path):
    return write_scin(tmp_path)


def edit(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def by_id(root):
    return scin.load(root).table.set_index("image_id")


def test_one_row_a_picture_grouped_by_case(root):
    dataset = scin.load(root)
    table = dataset.table
    assert tuple(table.columns[:len(COLUMNS)]) == COLUMNS
    assert table["image_id"].tolist() == ["-1001", "1002", "1003", "2001", "3001", "4001", "2001#2", "5001",
                                          "6001"]
    assert table["group_id"].tolist() == [FIRST] * 3 + ["9007199254740993", "-1"] + ["4471893250117653905"] * 2 + [
        "-9223372036854775808", "00123"]
    assert table["x_shot_type"].tolist()[:3] == ["CLOSE_UP", "AT_AN_ANGLE", "AT_DISTANCE"]
    assert dataset.problems == ()
    assert all((root / path).is_file() for path in table["path"].dropna())


def test_the_path_in_the_table_is_relative_to_the_folder_named(root):
    assert by_id(root).loc["1002", "path"] == "dataset/images/1002.png"
    assert by_id(root / "dataset").loc["1002", "path"] == "images/1002.png"
    assert scin.recognise(root)
    assert scin.recognise(root / "dataset")
    assert not scin.recognise(root / "dataset" / "images")


def test_condition_is_the_label_of_highest_weight(root):
    dataset = scin.load(root)
    table = dataset.table.set_index("image_id")
    assert table["condition"].astype("object").where(table["condition"].notna(), None).tolist() == [
        "eczema", "eczema", "eczema", "squamous-cell-carcinoma-or-in-situ", None, None, None,
        "bulliss-unheard-of-rash", "keratosis-pilaris"]
    assert dataset.unmapped == ("Bullis's unheard-of rash",)
    assert table.loc["1002", "partition3"] == "non-neoplastic"
    assert pd.isna(table.loc["5001", "partition3"])
    assert table["x_weight"].tolist()[2:5] == [0.67, 0.5, pd.NA]
    assert table["x_confidence"].tolist()[2:5] == [5.0, 4.0, pd.NA]
    assert table.loc["1002", "x_weighted_labels"] == "{'Eczema': 0.67, 'Psoriasis': 0.33}"
    assert table.loc[["3001", "4001"], "x_weighted_labels"].isna().all()


@pytest.mark.parametrize(("names", "confidences", "weights", "expected"), [
    ("['Tinea', 'Eczema']", "[3, 3]", "{'Tinea': 0.5, 'Eczema': 0.5}", ("Eczema", 0.5, 3)),
    ("['Tinea', 'Eczema']", "[4, 3]", "{'Tinea': 0.5, 'Eczema': 0.5}", ("Tinea", 0.5, 4)),
    ("['Tinea', 'Tinea']", "[2, 5]", "{'Tinea': 1.0}", ("Tinea", 1, 5)),
    ("['Nummular eczema']", "[2]", "{'Eczema': 1}", ("Eczema", 1, None)),
    ("", "", "", ("", None, None))])
def test_ties_go_to_confidence_then_to_the_name(names, confidences, weights, expected):
    cases = pd.DataFrame({
        "case_id": ["1"], "dermatologist_skin_condition_on_label_name": names,
        "dermatologist_skin_condition_confidence": confidences, "weighted_skin_condition_label": weights,
        **{f"dermatologist_gradable_for_skin_condition_{i}": "" for i in (1, 2, 3)}}, dtype="str")
    told = scin.scin_readers.conditions(cases)
    found = [told[name].item() for name in ("label", "x_weight", "x_confidence")]
    assert [None if pd.isna(value) else value for value in found] == list(expected)
    assert told["x_gradable"].isna().all()


def test_who_said_which_skin_type(root):
    table = by_id(root)
    assert table["fst"].tolist() == [3, 3, 3, 5, pd.NA, 1, 1, 6, pd.NA]
    assert table["fst_other"].tolist() == [2, 2, 2, 6, *[pd.NA] * 5]
    assert table["x_fst_self"].tolist() == [2, 2, 2, 6, pd.NA, pd.NA, pd.NA, pd.NA, 4]
    assert table["mst"].tolist()[2:5] == [3, 10, pd.NA]
    assert table["x_mst_india"].tolist()[2:5] == [2, 9, pd.NA]
    types = table[["fst", "fst_other", "x_fst_self", "mst", "x_mst_india"]].dtypes
    assert set(types.astype("str")) == {"Int8"}


@pytest.mark.parametrize(("old", "new", "fst", "other"), [
    ("YES,YES,YES,FST3,FST2,FST4", "YES,YES,YES,FST6,FST2,FST1", 2, 2),   # the median of three
    ("YES,YES,YES,FST3,FST2,FST4", "YES,YES,,FST3,FST2,", 3, 2),          # of two, the first
    ("YES,YES,YES,FST3,FST2,FST4", ",YES,YES,,FST4,FST2", 4, 2),          # the first is not the first column
    ("YES,YES,YES,FST3,FST2,FST4", "NO,YES,,FST3,FST2,", 2, pd.NA)])      # called ungradable
def test_skin_type_of_several_readers(root, old, new, fst, other):
    edit(root / "dataset" / "scin_labels.csv", old, new)
    assert by_id(root).loc["1002", ["fst", "fst_other"]].tolist() == [fst, other]


def test_yes_is_true_and_blank_is_missing_never_false(root):
    table = by_id(root)
    assert table["x_body_parts_arm"].tolist()[2:5] == [True, pd.NA, pd.NA]
    ticked = [name for name in table if str(table[name].dtype) == "boolean" and name != "x_gradable"]
    assert len(ticked) == 41
    assert not (table[ticked] == False).fillna(False).any(axis=None)  # noqa: E712
    assert table["x_age_group"].isna().tolist() == [False] * 3 + [True] * 6
    assert table["x_condition_duration"].isna().tolist() == [False] * 3 + [True] * 6
    assert table["x_sex"].tolist()[2:4] == ["female", "other_or_unspecified"]
    assert table["x_gradable"].tolist() == [True] * 4 + [False] + [True] * 4


def test_notes_are_computed(root):
    assert scin.load(root).notes == (
        "Cases without a label: 2 of 6; a dermatologist called 1 of them gradable.",
        "Pictures that appear more than once: 1, in 2 rows.",
        "Pictures that are not on disk: 1 of 9.")
    assert by_id(root)["path"].isna().tolist() == [False] * 7 + [True, False]


def test_a_case_that_the_labels_lack_is_kept(root):
    path = root / "dataset" / "scin_labels.csv"
    path.write_text("".join(line for line in path.read_text(encoding="utf-8").splitlines(keepends=True)
                            if not line.startswith(FIRST)), encoding="utf-8")
    assert by_id(root).loc["1002", ["condition", "fst"]].isna().all()


CASES, LABELS = "scin_cases.csv", "scin_labels.csv"
BREAKS = {  # file, what is replaced in it, by what, and what the error says
    "labels that are no literal": (LABELS, "{'Keratosis pilaris': 1.0}", "{oops", "labels of case 00123 cannot"),
    "labels that call a function": (LABELS, "{'Keratosis pilaris': 1.0}", "dict()", "labels of case 00123 cannot"),
    "a skin type 7": (LABELS, "FST5", "FST7", "label_1 must be 1 to 6.*'7'"),
    "a skin tone 11": (LABELS, "10.0", "11.0", "monk_skin_tone_label_us must be 1 to 10"),
    "an answer of a new kind": (CASES, "YES", "MAYBE", "must be True, False or blank.*'MAYBE'"),
    "two rows of a case": (LABELS, "\n-1,", "\n00123,", "cases with two rows.*00123"),
    "a missing column": (CASES, "image_2_path", "second_path", "image_2_path"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_one_clear_error(root, name):
    file, old, new, message = BREAKS[name]
    edit(root / "dataset" / file, old, new)
    with pytest.raises(DatasetError, match=re.compile(message, re.DOTALL)):
        scin.load(root)


def test_without_the_labels(root):
    (root / "dataset" / LABELS).unlink()
    with pytest.raises(DatasetError, match=r"scin_labels\.csv: not a readable"):
        scin.load(root)
