"""The predictions table survives its files; what is missing stays missing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from derm import predictions
from derm.errors import ConfigError, DatasetError

CLASSES = ("acne", "basal-cell-carcinoma")
PROBABILITIES = np.array([[0.25, 0.75], [1 / 3, 2 / 3], [1.0, 0.0]])


@pytest.fixture
def table() -> pd.DataFrame:
    rows = pd.DataFrame({
        "image_id": ["00123", "NA", "c,2"], "group_id": ["00123", "NA", "007"], "split": ["val", "val", None],
        "fst": pd.array([1, 6, None], dtype="Int8"), "condition": pd.Categorical(["acne", None, "acne"]),
        "x_age": [1, 2, 3],
    }, index=[7, 3, 5])
    return predictions.table(rows, classes=CLASSES, probabilities=PROBABILITIES)


def test_the_table_has_the_keys_and_a_column_per_class(table):
    assert list(table.columns) == ["image_id", "group_id", "split", "fst", "condition", "p:acne",
                                   "p:basal-cell-carcinoma"]
    assert table.index.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(table.filter(like="p:"), PROBABILITIES)
    assert table["fst"].tolist() == [1, 6, pd.NA]


def test_keys_that_are_not_known_are_missing():
    found = predictions.table(pd.DataFrame({"image_id": ["a"]}), classes=CLASSES, probabilities=PROBABILITIES[:1])
    assert found.loc[0, ["group_id", "split", "fst", "condition"]].isna().all()
    assert found["fst"].dtype == "Int8"


def test_no_images_make_an_empty_table(tmp_path):
    found = predictions.table(pd.DataFrame({"image_id": []}), classes=CLASSES, probabilities=np.empty((0, 2)))
    predictions.write(tmp_path / "none.csv", found)
    assert len(predictions.read(tmp_path / "none.csv")) == 0


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_table_comes_back_as_it_was(table, tmp_path, ending):
    """Ids stay text ("00123", "NA"), a missing skin type stays missing and the probabilities exact."""
    path = tmp_path / "new" / f"predictions.{ending}"
    predictions.write(path, table)
    pd.testing.assert_frame_equal(predictions.read(path), table)


@pytest.mark.parametrize("blank", ["", "NA", "nan", "-1"])
def test_a_missing_skin_type_of_someone_elses_csv_is_missing_and_never_0(tmp_path, blank):
    path = tmp_path / "theirs.csv"
    path.write_text(f"image_id,group_id,split,fst,condition,p:acne\n01,,val,{blank},,1\n02,g,NA,5.0,acne,1\n")
    found = predictions.read(path)
    assert found["fst"].tolist() == [pd.NA, 5]
    assert found["condition"].tolist() == [pd.NA, "acne"]
    assert found["image_id"].tolist() == ["01", "02"]
    assert found.loc[0, "group_id"] is pd.NA


@pytest.mark.parametrize("name", ["table.xlsx", "table", "table.CSV", "table.parquet.gz"])
def test_another_ending_is_refused(table, tmp_path, name):
    with pytest.raises(ConfigError, match=r"\.parquet or \.csv") as refusal:
        predictions.write(tmp_path / name, table)
    assert name in str(refusal.value)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError):
        predictions.check_ending(tmp_path / name)


@pytest.mark.parametrize(("name", "content"), [
    ("absent.parquet", None), ("absent.csv", None), ("bad.parquet", b"image_id,fst\n"),
    ("bad.csv", b"\xff\xfe\0\0"), ("empty.csv", b""), ("text.csv", b"image_id,fst\na,dark\n"),
])
def test_what_is_no_table_is_refused_by_name(tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError, match=f"{name}: cannot be read"):
        predictions.read(tmp_path / name)
