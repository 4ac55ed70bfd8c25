import re
from pathlib import Path

import pandas as pd
import pytest

from derm import datasets
from derm.datasets import own
from derm.errors import DatasetError
from derm.schema import COLUMNS
from tests.conftest import blotches

TOML = """name = "Our clinic"
licence = "For this clinic only."
table = "rows.csv"
images = "photos"

[columns]
path = "file"
condition = "diagnosis"
fst = "skin type"
group_id = "patient"
age = "years"
sex = "sex"

[conditions]
"Dermatitis, atopic type" = "atopic-dermatitis"
"""
ROWS = """file,diagnosis,skin type,patient,years,sex,name
1.jpg,BCC,II,007,61,f,A. Person
sub\\2.png,"Dermatitis, atopic type",type 5,007,,m,B. Person
./3.jpg,Purple rash,FST4,,30.5,,C. Person
4.jpg,,unknown,NA,8,f,D. Person
"""


def draw(root: Path, *names: str) -> Path:
    for seed, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        blotches(seed, side=32).save(root / name)
    return root


def words(column: pd.Series) -> list[str]:
    return column.astype("str").fillna("").tolist()


@pytest.fixture
def clinic(tmp_path):
    root = draw(tmp_path / "clinic", "photos/1.jpg", "photos/sub/2.png", "photos/3.jpg", "photos/4.jpg")
    (root / "dataset.toml").write_text(TOML, encoding="utf-8")
    (root / "rows.csv").write_text(ROWS, encoding="utf-8")
    return root


def test_a_table_and_its_description(clinic):
    dataset = datasets.load(clinic)
    table = dataset.table
    assert list(table) == [*COLUMNS, "x_age", "x_sex", "x_excluded"]
    assert table["path"].tolist() == ["photos/1.jpg", "photos/sub/2.png", "photos/3.jpg", "photos/4.jpg"]
    assert table["image_id"].tolist() == table["path"].tolist()
    assert words(table["condition"]) == ["basal-cell-carcinoma", "atopic-dermatitis", "purple-rash", ""]
    assert words(table["partition3"]) == ["malignant", "non-neoplastic", "", ""]
    assert table["fst"].tolist() == [2, 5, 4, pd.NA]
    assert table["group_id"].tolist() == ["007", "007", "photos/3.jpg", "NA"]
    assert table["x_age"].tolist() == [61, pd.NA, 30.5, 8]
    assert table["x_sex"].isna().tolist() == [False, False, True, False]
    assert dataset.unmapped == ("Purple rash",)
    assert (dataset.name, dataset.source.licence) == ("Our clinic", "For this clinic only.")
    assert dataset.source.images == 4
    assert dataset.notes == ("Columns of rows.csv left out, as [columns] does not name them (1 in all: name).",)
    assert not dataset.problems


def test_the_same_from_parquet(clinic):
    from_csv = datasets.load(clinic)
    pd.read_csv(clinic / "rows.csv", dtype={"patient": "str"}, keep_default_na=False,
                na_values={"years": [""]}).to_parquet(clinic / "rows.parquet")
    (clinic / "dataset.toml").write_text(TOML.replace("rows.csv", "rows.parquet"))
    (clinic / "rows.csv").unlink()
    from_parquet = datasets.load(clinic / "rows.parquet")
    assert from_parquet.fingerprint == from_csv.fingerprint
    pd.testing.assert_frame_equal(from_parquet.table, from_csv.table)


def test_every_kind_of_column(clinic):
    (clinic / "dataset.toml").write_text("""table = "rows.csv"
[columns]
image_id = "id"
path = "id"
split = "set"
partition3 = "kind"
mst = "tone"
fst_self = "said"
source = "place"
x_camera = "camera"
qc = "note"
""")
    (clinic / "rows.csv").write_text("id;set;kind;tone;said;place;camera;note\n"
                                     "photos/1.jpg;Training;Non Neoplastic;10;VI;Ward 1;A;\n"
                                     "photos/3.jpg;TEST;;MST 3;;Ward 2;B;blurred\n")
    table = datasets.load(clinic).table
    assert table["split"].tolist() == ["train", "test"]
    assert words(table["partition3"]) == ["non-neoplastic", ""]
    assert table["mst"].tolist() == [10, 3]
    assert table["x_fst_self"].tolist() == [6, pd.NA]
    assert str(table["x_fst_self"].dtype) == "Int8"
    assert table["x_source"].tolist() == ["Ward 1", "Ward 2"]
    assert table["x_camera"].tolist() == ["A", "B"]
    assert words(table["qc"]) == ["", "blurred"]
    assert table["condition"].isna().all()


def test_without_pictures(clinic):
    (clinic / "dataset.toml").write_text('table = "rows.csv"\n[columns]\nimage_id = "patient"\n')
    (clinic / "rows.csv").write_text("patient,skin type\n1,II\n2,\n")
    dataset = datasets.load(clinic)
    assert dataset.table["path"].isna().all()
    assert dataset.name == "clinic"
    assert not dataset.problems


def test_pictures_and_rows_that_do_not_meet(clinic):
    (clinic / "photos/3.jpg").unlink()
    (clinic / "photos/new.jpg").touch()
    (clinic / "photos/Thumbs.db").touch()
    with pytest.raises(DatasetError, match=r"named in rows\.csv are missing.*\(1 in all: photos/3\.jpg\)"):
        datasets.load(clinic)
    dataset = datasets.load(clinic, strict=False)
    assert dataset.table["path"].isna().tolist() == [False, False, True, False]
    assert dataset.notes[-1] == ("Files left out, as they are not in the table "
                                 "(2 in all: photos/Thumbs.db, photos/new.jpg).")


TOLD = {
    "not TOML": ('name = "', "dataset.toml: not valid TOML"),
    "unknown key": ('title = "x"', r"unknown in the file; expected one of name, licence, .*\(1 in all: title\)"),
    "unknown column": (TOML.replace("fst =", "fitzpatrick ="),
                       r"unknown in \[columns\]; expected one of image_id, .*body_site, x_\.\.\. .*fitzpatrick\)"),
    "exclusion by the back door": (TOML.replace("sex = ", "x_excluded = "), r"\(1 in all: x_excluded\)"),
    "not text": ("table = 3", r"table = 3; expected text in quotes"),
    "a number for a column": ('table = "rows.csv"\n[columns]\npath = 1', r"\[columns\] path = 1; expected text"),
    "no section": ('columns = "file"', r"columns = 'file'; expected a section \[columns\]"),
    "no table file": (TOML.replace("rows.csv", "row.csv"),
                      "table = 'row.csv' is not there; found dataset.toml, photos, rows.csv"),
    "no folder": (TOML.replace('"photos"', '"fotos"'), "images = 'fotos' is not a folder; found dataset.toml"),
    "table elsewhere": (TOML.replace('"rows.csv"', '"../rows.csv"'), "table = '../rows.csv'; expected a place in"),
    "images elsewhere": (TOML.replace('"photos"', '"/etc"'), "images = '/etc'; expected a place in this folder"),
    "columns of no table": ('[columns]\npath = "file"', r"\[columns\] without a table"),
    "neither path nor id": ('table = "rows.csv"\n[columns]\nfst = "skin type"', "must say which column is path"),
    "column that is not there": (TOML.replace('"years"', '"age"'),
                                 r"columns are missing; found file, diagnosis, skin type.*\(1 in all: age\)"),
    "slug with blanks": (TOML.replace("atopic-derm", "Atopic derm"), "'Atopic dermatitis'; expected small"),
    "condition that is not there": (TOML.replace('"Derm', '"derm'),
                                    r"names that are not there; found .*BCC.*\(1 in all: dermatitis, atopic"),
}


@pytest.mark.parametrize("name", TOLD)
def test_what_dataset_toml_may_not_say(clinic, name):
    text, message = TOLD[name]
    (clinic / "dataset.toml").write_text(text)
    with pytest.raises(DatasetError, match=re.compile(message, re.DOTALL)):
        datasets.load(clinic)


CELLS = {
    "skin type": ("type 5", "VII", r"fst must be 1 to 6.*\(1 in all: photos/sub/2\.png: 'VII'\)"),
    "a range": ("type 5", "V-VI", "2.png: 'V-VI'"),
    "age": ("30.5", "thirty", r"x_age must be a number.*photos/3\.jpg: 'thirty'"),
    "climbs": ("4.jpg", "../rows.csv", r"leave the data set's folder.*\(1 in all: \.\./rows\.csv\)"),
    "absolute": ("4.jpg", "/etc/passwd", "leave the data set's folder"),
    "a drive": ("4.jpg", "C:\\4.jpg", "leave the data set's folder"),
    "twice": ("4.jpg", "1.jpg", r"two rows.*\(1 in all: photos/1\.jpg\)"),
    "twice, two labels": ("./3.jpg", "1.jpg", "photos/1.jpg: basal-cell-carcinoma and purple-rash"),
    "no file name": ("4.jpg", "", "1 rows have no image id"),
}


@pytest.mark.parametrize("name", CELLS)
def test_cells_that_cannot_be_meant(clinic, name):
    old, new, message = CELLS[name]
    assert old in ROWS
    (clinic / "rows.csv").write_text(ROWS.replace(old, new))
    with pytest.raises(DatasetError, match=re.compile(message, re.DOTALL)):
        datasets.load(clinic, strict=False)


def test_an_unknown_split_is_refused(clinic):
    (clinic / "dataset.toml").write_text(TOML.replace('sex = "sex"', 'split = "sex"'))
    with pytest.raises(DatasetError, match=r"split must be train, val, test or blank.*\(2 in all: f, m\)"):
        datasets.load(clinic)


def test_a_folder_for_each_condition(tmp_path):
    root = draw(tmp_path / "mine", "BCC/1.jpg", "BCC/more/2.JPG", "Purple rash/3.png", "stray.jpg", ".trash/4.jpg")
    (root / "BCC/Thumbs.db").write_bytes(b"not a picture")
    (root / "BCC/notes.txt").touch()
    (root / "loop").symlink_to(root)
    dataset = datasets.load(root)
    table = dataset.table
    assert table["image_id"].tolist() == table["path"].tolist() == [
        "stray.jpg", "BCC/1.jpg", "BCC/more/2.JPG", "Purple rash/3.png"]
    assert dataset.classes == ("basal-cell-carcinoma", "purple-rash")
    assert words(table["condition"]) == ["", "basal-cell-carcinoma", "basal-cell-carcinoma", "purple-rash"]
    assert dataset.unmapped == ("Purple rash",)
    assert table["split"].isna().all()
    assert table["fst"].isna().all()
    assert dataset.name == "mine"
    assert dataset.notes == ("Files left out, as they are not pictures (2 in all: BCC/Thumbs.db, BCC/notes.txt).",)


def test_folders_that_are_a_split(tmp_path):
    root = draw(tmp_path, "Train/acne/1.jpg", "Train/eczema/2.jpg", "valid/acne/3.jpg", "test/eczema/4.jpg")
    table = datasets.load(root).table
    assert table["split"].tolist() == ["train", "train", "test", "val"]
    assert table["condition"].tolist() == ["acne", "eczema", "eczema", "acne"]


def test_folders_with_a_description(tmp_path):
    root = draw(tmp_path, "all/kind 1/1.jpg", "all/kind 2/2.jpg", "other/3.jpg")
    (root / "dataset.toml").write_text('name = "Kinds"\nimages = "all"\n[conditions]\n"kind 1" = "acne"\n')
    dataset = datasets.load(root)
    assert dataset.table["path"].tolist() == ["all/kind 1/1.jpg", "all/kind 2/2.jpg"]
    assert words(dataset.table["condition"]) == ["acne", "kind-2"]
    assert dataset.unmapped == ("kind 2",)


@pytest.mark.parametrize(("names", "known"), [
    (("acne/1.jpg", "eczema/2.jpg"), True),
    (("train/acne/1.jpg", "train/eczema/2.jpg"), True),
    (("images/1.jpg",), False),                       # one folder: not a condition each
    (("ham/part_1/1.jpg", "pad/images/1.jpg"), False),  # a folder of data sets
    (("acne/1.jpg", "eczema/2.jpg", "labels.csv"), False),
    (("ddi/1.jpg", "ddi/metadata.csv", "acne/2.jpg"), False),
    (("1.jpg", "2.jpg"), False),
])
def test_which_folders_are_recognised(tmp_path, names, known):
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert own.recognise(tmp_path) is known
    assert not own.recognise(tmp_path / "none")


def test_no_folders_of_conditions(tmp_path):
    draw(tmp_path, "1.jpg")
    with pytest.raises(DatasetError, match=r"no pictures in folders named after conditions; found 1\.jpg"):
        datasets.load(tmp_path, adapter="own")
