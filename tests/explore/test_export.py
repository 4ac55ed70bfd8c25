import csv
import io

import pandas as pd
import pytest

from derm.explore.export import csv_bytes
from tests.explore.tables import explored


def cells(table: pd.DataFrame) -> list[list[str]]:
    return list(csv.reader(io.StringIO(csv_bytes(table).decode(), newline="")))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx", '=HYPERLINK("a","b")'])
@pytest.mark.parametrize("dtype", ["str", "category", "object"])
def test_no_cell_and_no_header_is_a_formula(text, dtype):
    table = pd.DataFrame({"plain": ["a"], text: pd.Series([text], dtype=dtype)})
    assert cells(table) == [["plain", f"'{text}"], ["a", f"'{text}"]]


def test_no_formula_starts_a_row_from_within_a_cell():
    assert cells(pd.DataFrame({"x": ["a\r=1+1", "b\n=1+1"]})) == [["x"], ["a\r=1+1"], ["b\n=1+1"]]


def test_numbers_and_harmless_text_stay_as_they_are():
    table = explored({"condition": ["acne", None], "fst": [5, None], "ita": [-12.5, None],
                      "x_note": ["a=b, \"c\"", "Zoë"], "duplicate": [True, None]})
    header, first, second = cells(table)
    first, second = dict(zip(header, first, strict=True)), dict(zip(header, second, strict=True))
    assert (first["condition"], first["fst"], first["ita"], first["x_note"]) == ("acne", "5", "-12.5", 'a=b, "c"')
    assert (second["condition"], second["fst"], second["ita"], second["x_note"]) == ("", "", "", "Zoë")
    assert second["duplicate"] == ""


def test_missing_text_is_an_empty_cell_and_not_a_word():
    for dtype in ("str", "category", "object"):
        table = pd.DataFrame({"x": pd.Series(["=a", None], dtype=dtype), "y": ["p", "q"]})
        assert cells(table)[2] == ["", "q"]


def test_text_that_has_its_apostrophe_already_is_left_alone():
    assert cells(pd.DataFrame({"x": pd.Categorical(["=a", "'=a"])})) == [["x"], ["'=a"], ["'=a"]]


def test_no_rows_and_no_columns():
    assert cells(explored({"fst": [1]}).iloc[:0])[0][0] == "image_id"
    assert csv_bytes(pd.DataFrame()).strip() in (b"", b'""')
