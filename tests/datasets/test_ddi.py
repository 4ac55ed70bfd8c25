import pandas as pd
import pytest

from derm.datasets import ddi
from derm.errors import DatasetError
from tests.datasets.fixtures import write_ddi


@pytest.mark.parametrize("old", [False, True])
def test_canonical_table(tmp_path, old):
    root = write_ddi(tmp_path, old=old)
    dataset = ddi.load(root)
    table = dataset.table.set_index("image_id")
    assert ddi.recognise(root)
    assert list(table.index) == ["000001.png", "000002.png", "000003.png", "000123.png", "000005.png"]
    assert set(table["split"]) == {"test"}
    assert table[["fst", "fst_other", "mst"]].isna().all(axis=None)
    assert table["x_skin_group"].tolist() == ["V-VI", "V-VI", "III-IV", "I-II", "I-II"]
    assert table["condition"].tolist() == ["melanoma-in-situ", "mycosis-fungoides", "seborrheic-keratosis",
                                           "melanocytic-nevus", "an-unheard-of-lump"]
    assert table.loc["000003.png", "x_disease"] == "seborrheic-keratosis-irritated"
    assert table["x_malignant"].tolist() == [True, True, False, False, False]
    assert dataset.unmapped == ("an-unheard-of-lump",)
    assert (dataset.notes, dataset.problems) == ((), ())
    assert all((root / path).is_file() for path in table["path"])


@pytest.mark.parametrize(("disease", "malignant", "expected"), [
    ("melanocytic-nevi", "False", "benign"), ("folliculitis", "False", "non-neoplastic"),
    ("actinic-keratosis", "False", None),     # the table says malignant, the publisher not
    ("melanocytic-nevi", "True", "malignant"), ("an-unheard-of-lump", "True", "malignant"),
    ("an-unheard-of-lump", "False", None), ("melanocytic-nevi", "", "benign")])
def test_the_publisher_has_the_word_on_malignancy(tmp_path, disease, malignant, expected):
    root = write_ddi(tmp_path)
    (root / "ddi_metadata.csv").write_text(
        f"DDI_ID,DDI_file,skin_tone,malignant,disease\n1,000001.png,12,{malignant},{disease}\n", encoding="utf-8")
    found = ddi.load(root).table["partition3"].item()
    assert (None if pd.isna(found) else found) == expected


def test_missing_pictures_are_counted(tmp_path):
    root = write_ddi(tmp_path)
    (root / "images" / "000002.png").unlink()
    dataset = ddi.load(root)
    assert dataset.table["path"].isna().tolist() == [False, True, False, False, False]
    assert dataset.notes == ("Pictures that are not on disk: 1 of 5.",)
    assert dataset.problems == ()


@pytest.mark.parametrize(("old", "new", "message"), [
    (",34,", ",35,", r"skin_tone must be 12, 34, 56 or blank.*000003.png: '35'"),
    (",True,mela", ",perhaps,mela", r"malignant must be True, False or blank.*'perhaps'"),
    (",malignant,", ",benign,", r"no column 'malignant' or 'malignancy\(malig=1\)'"),
    ("DDI_file", "file", "DDI_file"),
    ("000002.png", "000001.png", "two labels")])
def test_one_clear_error(tmp_path, old, new, message):
    path = write_ddi(tmp_path) / "ddi_metadata.csv"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(DatasetError, match=message):
        ddi.load(tmp_path)
