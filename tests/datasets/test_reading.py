import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from derm import exclusions
from derm.datasets.reading import files, has_columns, header, listing, read, read_csv
from derm.errors import DatasetError
from derm.settings import PROJECT

TEXT = "id,label,fst\n00123,NA,-1\nb, naïve ,\n"
CELLS = {"id": ["00123", "b"], "label": ["NA", "naïve"], "fst": ["-1", ""]}

READABLE = {
    "UTF-8": TEXT.encode(),
    "byte order mark": TEXT.encode("utf-8-sig"),
    "UTF-16 as Excel writes it": TEXT.replace(",", "\t").encode("utf-16"),
    "UTF-16, the other end first": b"\xfe\xff" + TEXT.encode("utf-16-be"),
    "semicolons": TEXT.replace(",", ";").encode(),
    "tabs": TEXT.replace(",", "\t").encode(),
    "Windows lines": TEXT.replace("\n", "\r\n").encode(),
    "old Mac lines": TEXT.replace("\n", "\r").encode(),
    "quotes": TEXT.replace("00123", '"00123"').replace("label", '"label"').encode(),
    "blank lines and a spaced header": TEXT.replace("id,label", "\n id , label ").replace("\nb", "\n\nb").encode(),
    "no last line break": TEXT.rstrip().encode(),
    "a column without a name, as pandas writes": "\n".join(
        f"{first},{line}" for first, line in zip(("", 0, 1), TEXT.splitlines(), strict=True)).encode(),
}


@pytest.mark.parametrize("name", READABLE)
def test_however_it_is_written(tmp_path, name):
    path = tmp_path / "rows.csv"
    path.write_bytes(READABLE[name])
    frame = read_csv(path, required=("id", "fst"))
    assert frame.to_dict("list") == CELLS
    assert set(map(str, frame.dtypes)) == {"str"}
    assert set(header(path)) >= set(CELLS)
    assert has_columns(path, ("label", "id"))
    assert not has_columns(path, ("id", "Label"))


@pytest.mark.parametrize(("text", "cells"), [
    ('a,b\n1,"two\nlines"\n2,"say ""x"""\n', {"a": ["1", "2"], "b": ["two\nlines", 'say "x"']}),
    ('a,b\n1,5" wide\n2,x\n', {"a": ["1", "2"], "b": ['5" wide', "x"]}),
    ('"age, years";sex\n1;f\n', {"age, years": ["1"], "sex": ["f"]}),
    ("size;note\n4,0;red, dry\n", {"size": ["4,0"], "note": ["red, dry"]}),
    ("only\n1\n", {"only": ["1"]}),
])
def test_quotes_and_separators_within_cells(tmp_path, text, cells):
    (tmp_path / "rows.csv").write_text(text, encoding="utf-8", newline="")
    assert read_csv(tmp_path / "rows.csv", required=()).to_dict("list") == cells


def test_only_what_is_required(tmp_path):
    (tmp_path / "rows.csv").write_text("id,patient_name,fst\n1,Somebody,2\n")
    assert list(read_csv(tmp_path / "rows.csv", required=("fst", "id"), only=True)) == ["id", "fst"]


BAD = {
    "empty": (b"", "rows.csv: an empty file"),
    "empty but for a mark": (b"\xef\xbb\xbf", "rows.csv: an empty file"),
    "blank lines": (b"\n\n\n", "rows.csv: an empty file"),
    "a header only": (b"id,fst\n", "a header but no rows"),
    "an archive": (b"PK\x03\x04\xff\xfe\x00id,fst", "not a readable CSV file"),
    "zeros after a crash": (b"id,fst\n1,2\n" + bytes(4096), "NUL bytes"),
    "half a UTF-16 file": (TEXT.encode("utf-16")[:-1], "not a readable CSV file"),
    "Latin-1": ("id,fst\nnaïve,2\n".encode("latin-1"), "not a readable CSV file .*UTF-8"),
    "repeated columns": (b"id,fst,site,fst, site\n1,2,3,4,5\n",
                         r"columns that appear twice.*\(2 in all: fst, site\)"),
    "missing columns": (b"image,label\n1,2\n", r"found image, label.*\(2 in all: id, fst\)"),
    "too many cells": (b"id,fst\n1,2\n3,4,5\n", r"row 3 \(the header is row 1\) has 3 cells; the header has 2"),
    "too few cells": (b"id,fst\n1,2\n3,4\n\n5\n", r"row 4 \(the header is row 1\) has 1 cells"),
    "ragged after a quoted line break": (b'id,fst\n"1\n",2\n3,4,5\n', "row 3 "),
    "ragged in a long file": (b"id,fst\n" + b"12345,2\n" * 10**6 + b"3\n", "row 1000002 "),
    "a comma that needs quotes": (b"id,fst\n1,2\n3,4, or 5\n", "',' in it belongs in quotation marks"),
    "an open quotation mark": (b'id,fst\n1,2\n3,"4\n5,6\n7,8\n', "row 3 opens a quotation mark"),
}


@pytest.mark.parametrize("name", BAD)
def test_one_clear_error(tmp_path, name):
    data, message = BAD[name]
    (tmp_path / "rows.csv").write_bytes(data)
    with pytest.raises(DatasetError, match=re.compile(message, re.DOTALL)) as caught:
        read_csv(tmp_path / "rows.csv", required=("id", "fst"))
    assert len(str(caught.value)) < 500


def test_a_folder_or_nothing_in_its_place(tmp_path):
    for path in (tmp_path, tmp_path / "none.csv"):
        with pytest.raises(DatasetError, match="not a readable CSV file"):
            read_csv(path, required=())
        assert not has_columns(path, ("id",))


def test_an_unreadable_file_is_not_the_wrong_file(tmp_path):
    (tmp_path / "rows.csv").write_bytes(b"")
    with pytest.raises(DatasetError, match="an empty file"):
        has_columns(tmp_path / "rows.csv", ("id",))


def test_an_exclusion_list_saved_by_a_spreadsheet(tmp_path):
    (tmp_path / "list.csv").write_bytes("image_id\treason\n00123\tblurred\n".encode("utf-16"))
    assert exclusions.read(tmp_path / "list.csv").to_dict("list") == {"image_id": ["00123"], "reason": ["blurred"]}


def test_parquet(tmp_path):
    path = tmp_path / "rows.parquet"
    pd.DataFrame({"id": ["00123", " b "], "fst": [4.0, None], "mst": pd.array([3, None], dtype="Int8"),
                  "ok": [True, None], "site": pd.Categorical(["arm", None])}).to_parquet(path)
    assert read(path, required=("id",)).to_dict("list") == {
        "id": ["00123", "b"], "fst": ["4", ""], "mst": ["3", ""], "ok": ["true", ""], "site": ["arm", ""]}
    assert list(read(path, required=("fst",), only=True)) == ["fst"]
    assert header(path) == ("id", "fst", "mst", "ok", "site")
    with pytest.raises(DatasetError, match=r"found id, fst, .*\(1 in all: age\)"):
        read(path, required=("age",))


@pytest.mark.parametrize(("write", "message"), [
    (lambda path: path.write_bytes(b"id,fst\n1,2\n"), "not a readable Parquet file"),
    (lambda path: pd.DataFrame({"id": [[1], [2]]}).to_parquet(path), "not a Parquet file of plain columns"),
    (lambda path: pd.DataFrame({"id": []}).to_parquet(path), "no rows"),
])
def test_parquet_that_is_not_a_table(tmp_path, write, message):
    write(tmp_path / "rows.parquet")
    with pytest.raises(DatasetError, match=message):
        read(tmp_path / "rows.parquet", required=("id",))


MEASURE = """
import resource, sys
from pathlib import Path
from derm.datasets.reading import read_csv

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

before = peak()
frame = read_csv(Path(sys.argv[1]), required=("image_id",))
print(len(frame), peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in other units")
@pytest.mark.slow
def test_memory_is_that_of_the_text(tmp_path):
    path, rows = tmp_path / "rows.csv", 1_000_000
    with path.open("w") as file:
        file.write("image_id,path,dx,fst,patient,site,age,sex\n")
        file.writelines(f"{i:08d},photos/{i:08d}.jpg,basal cell carcinoma,{i % 6 + 1},P{i // 3:07d},lower arm,"
                        f"{i % 90},F\n" for i in range(rows))
    done = subprocess.run([sys.executable, "-c", MEASURE, str(path)], cwd=PROJECT, capture_output=True, text=True,
                          check=True, timeout=120)
    read_rows, growth = map(int, done.stdout.split())
    assert read_rows == rows
    assert growth < 3.5 * os.path.getsize(path) / 2**20  # ours 2.8 times; pandas' own reader takes more than 4


def test_files_below_a_folder(tmp_path):
    for name in ("b/x.jpg", "a/inner/y.PNG", "z.txt", ".hidden", ".git/config"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"123")
    assert files(tmp_path) == {"z.txt": 3, "a/inner/y.PNG": 3, "b/x.jpg": 3}
    assert files(tmp_path / "none") == {}
    assert files(Path(f"{tmp_path}/")) == files(tmp_path)


def test_links_are_followed_once(tmp_path):
    (tmp_path / "data/acne").mkdir(parents=True)
    (tmp_path / "data/acne/a.jpg").write_bytes(b"1")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/b.jpg").write_bytes(b"12")
    for link, target in (("acne/loop", tmp_path / "data"), ("again", tmp_path / "data/acne"),
                         ("linked", tmp_path / "elsewhere"), ("itself", tmp_path / "data/itself"),
                         ("acne/nowhere.jpg", tmp_path / "none.jpg"), ("acne/self.jpg", Path("self.jpg"))):
        (tmp_path / "data" / link).symlink_to(target)
    assert files(tmp_path / "data") == {"acne/a.jpg": 1, "linked/b.jpg": 2}


def test_what_is_no_file_is_passed_over(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")  # opening it would wait for ever
    assert files(tmp_path) == {}


def test_a_folder_that_may_not_be_read(tmp_path, monkeypatch):
    def scandir(path):
        raise PermissionError(13, "Permission denied", str(path))
    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(PermissionError):
        files(tmp_path)


def test_listing(tmp_path):
    assert listing(tmp_path / "none") == "no such folder"
    assert listing(tmp_path) == "an empty folder"
    for name in "fedcba":
        (tmp_path / name).touch()
    assert listing(tmp_path) == "a, b, c, d, e"
