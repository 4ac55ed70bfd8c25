import pandas as pd
import pytest

from derm.datasets import pad_ufes
from derm.errors import DatasetError
from tests.datasets.fixtures import write_pad_ufes


@pytest.fixture
def root(tmp_path):
    return write_pad_ufes(tmp_path)


def test_canonical_table(root):
    dataset = pad_ufes.load(root)
    table = dataset.table
    assert pad_ufes.recognise(root)
    assert table["image_id"].tolist()[:2] == ["PAT_46_881_939.png", "PAT_46_881_14.png"]
    assert table["group_id"].tolist() == ["PAT_46"] * 3 + ["PAT_1516"] * 2 + ["PAT_9", "PAT_77"]
    assert table["x_lesion_id"].tolist()[:3] == ["881", "881", "00882"]
    assert table["condition"].tolist() == [
        "basal-cell-carcinoma", "basal-cell-carcinoma", "melanoma", "melanocytic-nevus", "seborrheic-keratosis",
        "actinic-keratosis", "squamous-cell-carcinoma"]
    assert table["partition3"].tolist() == ["malignant"] * 3 + ["benign"] * 2 + ["malignant"] * 2
    assert table["split"].isna().all()
    assert (dataset.notes, dataset.unmapped, dataset.problems) == ((), (), ())
    assert all((root / path).is_file() for path in table["path"])


def test_misspelt_skin_type_with_decimals_and_blanks(root):
    table = pad_ufes.load(root).table
    assert table["fst"].tolist() == [3, 3, 2, pd.NA, pd.NA, 6, pd.NA]
    assert str(table["fst"].dtype) == "Int8"


def test_unknown_is_missing_and_no_is_no(root):
    table = pad_ufes.load(root).table
    assert table["x_itch"].tolist()[:1] == [True]
    assert table["x_hurt"].tolist()[:1] == [False]
    assert table["x_grew"].tolist()[2:4] == [pd.NA, False]     # UNK, False
    assert table["x_smoke"].tolist()[2:4] == [False, pd.NA]    # False, blank
    assert table["x_diameter_1"].tolist()[2:4] == [6.0, pd.NA]
    assert table["x_age"].tolist()[2:4] == [55.0, 8.0]
    assert table["x_background_mother"].tolist()[0] == "NA"    # a word, not a gap
    assert table["x_sex"].tolist()[2:6:3] == ["female", "male"]
    assert table["x_sex"].isna().tolist()[3:5] == [True, True]
    assert table["x_body_site"].tolist()[2:4] == ["neck", "arm"]


def test_pictures_in_parts(root):
    for i, path in enumerate(sorted((root / "images").iterdir())):
        folder = root / f"imgs_part_{1 + i % 3}" / f"imgs_part_{1 + i % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        path.rename(folder / path.name)
    dataset = pad_ufes.load(root)
    assert all((root / path).is_file() for path in dataset.table["path"])
    next((root / "imgs_part_1" / "imgs_part_1").iterdir()).unlink()
    assert pad_ufes.load(root).notes == ("Pictures that are not on disk: 1 of 7.",)


@pytest.mark.parametrize(("old", "new", "message"), [
    ("3.0,NECK", "7.0,NECK", r"fitspatrick must be 1 to 6.*PAT_46_881_939.png: '7.0'"),
    ("3.0,NECK", "3.5,NECK", "fitspatrick must be 1 to 6"),
    (",55,", ",old,", r"age must be a number or blank.*'old'"),
    (",UNK,", ",perhaps,", r"grew must be True, False or blank.*'perhaps'"),
    ("fitspatrick", "fitzpatrick", r"\(1 in all: fitspatrick\)"),
    ("PAT_46_881_14.png", "PAT_46_881_939.png", "two rows")])
def test_one_clear_error(root, old, new, message):
    text = (root / "metadata.csv").read_text(encoding="utf-8")
    assert old in text
    (root / "metadata.csv").write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(DatasetError, match=message):
        pad_ufes.load(root)


def test_a_new_code_is_listed(root):
    text = (root / "metadata.csv").read_text(encoding="utf-8")
    (root / "metadata.csv").write_text(text.replace(",SCC,", ",XYZ,"), encoding="utf-8")
    dataset = pad_ufes.load(root)
    assert dataset.unmapped == ("XYZ",)
    assert dataset.table["condition"].tolist()[-1] == "xyz"
