import re

import pandas as pd
import pytest

from derm.datasets.table import canonical, fingerprint, mark_missing, scale, spelled_out
from derm.errors import DatasetError
from derm.schema import COLUMNS, PARTITIONS


def rows(**columns: list) -> pd.DataFrame:
    usual = {"image_id": ["a", "b"], "path": ["a.jpg", "photos/b.jpg"], "condition": ["acne", "eczema"]}
    return pd.DataFrame({**usual, **columns})


def test_columns_and_types():
    table = canonical(rows(x_site=["arm", ""], x_age=pd.array([30, None], dtype="Float64"),
                           x_excluded=[True, False], x_itch=pd.array([True, None], dtype="boolean"), other=[1, 2]))
    assert list(table) == [*COLUMNS, "x_site", "x_age", "x_excluded", "x_itch"]
    assert {name: str(kind) for name, kind in table.dtypes.items()} == {
        **dict.fromkeys(("image_id", "path", "group_id"), "str"),
        **dict.fromkeys(("condition", "partition3", "partition9", "split", "qc", "x_site"), "category"),
        **dict.fromkeys(("fst", "fst_other", "mst"), "Int8"),
        "x_age": "Float64", "x_excluded": "bool", "x_itch": "boolean"}
    assert table["x_site"].isna().tolist() == [False, True]
    assert tuple(table["partition3"].cat.categories) == PARTITIONS
    assert table[["group_id", "fst", "split"]].isna().all(axis=None)


BAD = {
    "two rows with one id": (rows(image_id=["a", "a"], condition=["acne", "acne"]),
                             r"these have two rows\. Remove .*\(1 in all: a\)"),
    "an id with and without a label": (rows(image_id=["a", "a"], condition=["acne", ""]), r"these have two rows"),
    "an id with two labels": (rows(image_id=["a", "a"]), r"these have two labels\. Keep .*a: acne and eczema\)"),
    "no id": (rows(image_id=["a", ""]), "1 rows have no image id"),
    "unknown partition": (rows(partition3=["benign", "harmless"]), "harmless"),
    "climbs": (rows(path=["a.jpg", "../b.jpg"]), r"leave the data set's folder.*\(1 in all: \.\./b\.jpg\)"),
    "climbs within": (rows(path=["a.jpg", "photos/../../b.jpg"]), "leave"),
    "climbs in Windows": (rows(path=["a.jpg", "photos\\..\\..\\b.jpg"]), "leave"),
    "ends in ..": (rows(path=["a.jpg", "photos/.."]), "leave"),
    "absolute": (rows(path=["/etc/passwd", "b.jpg"]), r"\(1 in all: /etc/passwd\)"),
    "a drive": (rows(path=["C:\\photos\\a.jpg", "b.jpg"]), "leave"),
    "a NUL": (rows(path=["a.jpg\0.txt", "b.jpg"]), "leave"),
    "an id that climbs": (rows(image_id=["../a", "b"], path=["", ""]), r"\(1 in all: \.\./a\)"),
}


@pytest.mark.parametrize("name", BAD)
def test_one_clear_error(name):
    frame, message = BAD[name]
    with pytest.raises(DatasetError, match=re.compile(message, re.DOTALL)):
        canonical(frame)


@pytest.mark.parametrize("path", ["a..b.jpg", "..a.jpg", "a../b.jpg", "12:30/a.jpg", "C:a", "naïve photo.jpg"])
def test_odd_names_are_names(path):
    assert canonical(rows(path=[path, "b.jpg"]))["path"][0] == path


def test_scale():
    frame = pd.DataFrame({"id": list("abcde"), "fst": ["1", "-1", "", "6.0", "3"]})
    assert scale(frame, "fst", ids="id").tolist() == [1, pd.NA, pd.NA, 6, 3]
    for wrong in ("0", "7", "2.5", "IV", "inf", "-2"):
        with pytest.raises(DatasetError, match=rf"fst must be 1 to 6.*\(1 in all: b: '{re.escape(wrong)}'\)"):
            scale(frame.assign(fst=["1", wrong, "", "2", "3"]), "fst", ids="id")
    assert scale(frame.assign(mst=["1", "2", "3", "4", "10"]), "mst", ids="id", highest=10).tolist()[-1] == 10


@pytest.mark.parametrize(("written", "read"), [
    ("II", "2"), ("vi", "6"), ("type 3", "3"), ("Type IV", "4"), ("FST4", "4"), ("fst_5", "5"), ("4.0", "4"),
    ("Fitzpatrick skin type II", "2"), ("MST 10", "10"), ("Monk Skin Tone: 7", "7"), ("-1", "-1"), ("", ""),
    ("unknown", ""), ("N/A", ""), ("II-III", "II-III"), ("type X", "type X"), ("dark", "dark"), ("0", "0"),
    ("2.5", "2.5"),
])
def test_skin_types_as_people_write_them(written, read):
    assert spelled_out(pd.Series([written])).tolist() == [read]


def test_fingerprint():
    table = canonical(rows(fst=[1, None]))
    sizes = {"a.jpg": 10, "photos/b.jpg": 20}
    # SHA-256 of "a\tacne\t1\ta.jpg\t10\nb\teczema\t\tphotos/b.jpg\t20"
    assert fingerprint(table, sizes) == (
        "1d3136dfa13e21024415378ae6040a98eb5ea44f6e4023480b5ee15f33c6d096")
    assert fingerprint(table[::-1], sizes) == fingerprint(table, sizes)
    changed = [fingerprint(table, {}), fingerprint(table, sizes | {"a.jpg": 11}),
               fingerprint(table.assign(fst=[2, None]), sizes), fingerprint(table.assign(path=None), sizes)]
    assert len({fingerprint(table, sizes), *changed}) == 5


def test_fingerprint_of_more_rows_than_are_hashed_at_once(monkeypatch):
    table = canonical(pd.DataFrame({"image_id": [f"é{i}" for i in range(25)], "path": None, "condition": "acne"}))
    whole = fingerprint(table, {})
    monkeypatch.setattr("derm.datasets.table._AT_ONCE", 10)
    assert fingerprint(table, {}) == whole


def test_pictures_that_are_not_on_disk():
    table, lost = mark_missing(canonical(rows()), {"a.jpg": 1})
    assert lost == ["photos/b.jpg"]
    assert table["path"].isna().tolist() == [False, True]
