import pandas as pd
import pytest

from derm.datasets import ham10000
from derm.errors import DatasetError
from tests.datasets.fixtures import write_ham10000


@pytest.mark.parametrize("extension", [".csv", "", ".tab"])
@pytest.mark.parametrize("dataset_column", [True, False])
def test_canonical_table(tmp_path, extension, dataset_column):
    root = write_ham10000(tmp_path, extension=extension, dataset=dataset_column)
    dataset = ham10000.load(root)
    table = dataset.table
    assert ham10000.recognise(root)
    assert table["group_id"].tolist()[:3] == ["HAM_0000118", "HAM_0000118", "HAM_0002730"]
    assert table["image_id"].is_unique
    assert table["condition"].tolist() == [
        "benign-keratosis", "benign-keratosis", "melanocytic-nevus", "melanoma",
        "actinic-keratosis-or-bowen-disease", "basal-cell-carcinoma", "dermatofibroma", "vascular-lesion"]
    assert table["partition3"].tolist() == ["benign"] * 3 + ["malignant"] * 3 + ["benign"] * 2
    assert {path.split("/")[0] for path in table["path"]} == {"HAM10000_images_part_1", "HAM10000_images_part_2"}
    assert all((root / path).is_file() for path in table["path"])
    assert ("x_source" in table) == dataset_column
    assert (dataset.unmapped, dataset.problems) == ((), ())


def test_there_is_no_skin_type_and_it_says_so(tmp_path):
    dataset = ham10000.load(write_ham10000(tmp_path))
    assert dataset.table[["fst", "fst_other", "mst"]].isna().all(axis=None)
    assert dataset.notes == ("No skin type is recorded.",)
    assert dataset.source.skin_type == "none recorded"


def test_unknown_is_missing_and_zero_is_zero(tmp_path):
    table = ham10000.load(write_ham10000(tmp_path)).table
    assert table["x_age"].tolist()[1:4] == [80.0, 0.0, pd.NA]
    assert table["x_sex"].isna().tolist() == [False] * 3 + [True] + [False] * 4
    assert table["x_body_site"].isna().tolist() == [False] * 3 + [True] + [False] * 4
    assert table["x_dx_type"].tolist()[2:4] == ["follow_up", "histo"]


def test_without_pictures(tmp_path):
    root = write_ham10000(tmp_path)
    for path in root.glob("*/*.jpg"):
        path.unlink()
    dataset = ham10000.load(root)
    assert dataset.table["path"].isna().all()
    assert dataset.notes[-1] == "Pictures that are not on disk: 8 of 8."


def test_another_datasets_metadata_is_refused(tmp_path):
    (tmp_path / "HAM10000_metadata.csv").write_text("isic_id,diagnosis\nISIC_1,nevus\n", encoding="utf-8")
    assert not ham10000.recognise(tmp_path)
    with pytest.raises(DatasetError, match="lesion_id"):
        ham10000.load(tmp_path)
