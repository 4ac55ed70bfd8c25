import pandas as pd
import pytest

from derm.datasets.columns import absent, answers, known, numbers, places
from derm.errors import DatasetError


def frame(*cells: str) -> pd.DataFrame:
    return pd.DataFrame({"id": [f"row {i}" for i in range(len(cells))], "a": pd.Series(cells, dtype="str")})


def test_answers_keep_blank_apart_from_no():
    said = answers(frame("YES", "no", "True", "False", "1", "0", "", "UNK"), "a", ids="id")
    assert said.tolist() == [True, False, True, False, True, False, pd.NA, pd.NA]
    with pytest.raises(DatasetError, match=r"a must be True, False or blank.*\(1 in all: row 1: 'maybe'\)"):
        answers(frame("yes", "maybe"), "a", ids="id")


def test_numbers_keep_zero_apart_from_blank():
    assert numbers(frame("0", "", "-1.5"), "a", ids="id").tolist() == [0, pd.NA, -1.5]
    with pytest.raises(DatasetError, match=r"a must be a number or blank.*\(1 in all: row 0: '5 mm'\)"):
        numbers(frame("5 mm", "5"), "a", ids="id")


def test_known():
    assert known(frame("UNK", "ARM", "")["a"], "UNK").tolist() == ["", "ARM", ""]


def test_pictures_are_found_by_name_in_whatever_folder():
    sizes = {"a/1.png": 9, "b/1.png": 9, "2.png": 9, "metadata.csv": 9}
    found = places(pd.Series(["2.png", "1.png", "3.png", "../2.png"]), sizes)
    assert found.tolist()[:2] == ["2.png", "a/1.png"]
    assert found.isna().tolist() == [False, False, True, True]
    assert absent(found) == ("Pictures that are not on disk: 2 of 4.",)
    assert absent(found[:2]) == ()
