"""The predictions table survives its files; what is missing stays missing; other people's files are understood or
refused in one sentence that names the cell."""

from __future__ import annotations

from pathlib import Path

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


def written(folder: Path, text: str, name: str = "theirs.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


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


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_table_comes_back_as_it_was(table, tmp_path, ending):
    """Ids stay text ("00123", "NA"), a missing skin type stays missing and the probabilities exact."""
    path = tmp_path / "new" / f"predictions.{ending}"
    predictions.write(path, table)
    found = predictions.load(path)
    pd.testing.assert_frame_equal(found.table, table)
    assert found.names == {}
    assert found.notes == ()


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_sets_and_abstentions_come_back_too(table, tmp_path, ending):
    path = tmp_path / f"predictions.{ending}"
    given = table.assign(abstained=[True, False, False],
                         prediction_set=["acne;basal-cell-carcinoma", "acne", None])
    predictions.write(path, given)
    found = predictions.read(path)
    assert found["abstained"].tolist() == [True, False, False]
    assert found["prediction_set"].tolist() == ["acne;basal-cell-carcinoma", "acne", pd.NA]


@pytest.mark.parametrize("name", ["table.xlsx", "table", "table.CSV", "table.parquet.gz"])
def test_another_ending_is_refused(table, tmp_path, name):
    with pytest.raises(ConfigError, match=r"\.parquet or \.csv") as refusal:
        predictions.write(tmp_path / name, table)
    assert name in str(refusal.value)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError):
        predictions.check_ending(tmp_path / name)


@pytest.mark.parametrize(("name", "content", "said"), [
    ("absent.parquet", None, "not a readable Parquet file"), ("absent.csv", None, "cannot be read"),
    ("bad.parquet", b"image_id,fst\n", "not a readable Parquet file"), ("bad.csv", b"\xff\xfe\0\0", "NUL"),
    ("empty.csv", b"", "an empty file"), ("header.csv", b"image_id,condition,predicted\n", "no rows"),
    ("sheet.csv", b"PK\x03\x04\xff\xfe\x00", "not a readable CSV file"),
    ("other.csv", b"image_id,fst\na,2\n", "no column says what the model predicted.*image_id, fst"),
])
def test_what_is_no_predictions_table_is_refused_by_name(tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError, match=rf"{name}: .*{said}"):
        predictions.read(tmp_path / name)


def test_a_folder_is_no_table(tmp_path):
    with pytest.raises(DatasetError, match="cannot be read"):
        predictions.read(tmp_path)


@pytest.mark.parametrize(("cell", "meant"), [
    ("V", 5), ("5.0", 5), ("5", 5), ("type v", 5), ("FST 5", 5), ("", pd.NA), ("-1", pd.NA), ("NA", pd.NA),
    ("nan", pd.NA), ("NONE_IDENTIFIED", pd.NA), ("unknown", pd.NA)])
def test_skin_types_as_people_write_them(tmp_path, cell, meant):
    path = written(tmp_path, f"image_id,fst,condition,predicted\n01,{cell},acne,acne\n02,1,NA,acne\n")
    found = predictions.read(path)
    assert found["fst"].tolist() == [meant, 1]
    assert found["fst"].dtype == "Int8"
    assert found["condition"].tolist() == ["acne", pd.NA]
    assert found["image_id"].tolist() == ["01", "02"]


@pytest.mark.parametrize("cell", ["7", "0", "2.5", "dark", "VII"])
def test_a_skin_type_that_is_none_is_refused_with_its_row(tmp_path, cell):
    path = written(tmp_path, f"image_id,fst,condition,predicted\na,1,acne,acne\nb,{cell},acne,acne\n")
    with pytest.raises(DatasetError, match=f"fst must be 1 to 6.*b: '{cell}'") as refusal:
        predictions.read(path)
    assert len(refusal.value.items) == 1


@pytest.mark.parametrize("cells", [("I-II", "V–VI"), ("12", "56"), ("1-2", "5-6")])
def test_skin_types_in_groups_of_two_are_kept_as_groups(tmp_path, cells):
    rows = "".join(f"{i},{cell},acne,acne\n" for i, cell in enumerate([*cells, ""]))
    found = predictions.load(written(tmp_path, f"image_id,skin_type,condition,predicted\n{rows}"))
    assert found.table["x_skin_group"].tolist() == ["I-II", "V-VI", pd.NA]
    assert found.table["fst"].isna().all()
    assert any("groups of two" in note for note in found.notes)


@pytest.mark.parametrize(("cell", "shown"), [
    ("-0.1", "-0.1"), ("1.2", "1.2"), ("NaN", "blank"), ("", "blank"), ("1e400", "inf"), ("-inf", "-inf")])
def test_a_probability_that_is_none_is_refused_with_its_cell(tmp_path, cell, shown):
    path = written(tmp_path, f"image_id,condition,p:acne,p:eczema\na,acne,0.5,0.5\nb,acne,{cell},0.5\n")
    with pytest.raises(DatasetError, match="must be 0 to 1") as refusal:
        predictions.read(path)
    assert refusal.value.items == (f"b: p:acne = {shown}",)


@pytest.mark.parametrize("cell", ["high", "0,5"])
def test_a_probability_that_is_no_number_is_refused_with_its_cell(tmp_path, cell):
    path = written(tmp_path, f'image_id,condition,p:acne,p:eczema\na,acne,"{cell}",0.5\n')
    with pytest.raises(DatasetError, match=f"'{cell}' where a number is expected"):
        predictions.read(path)


def test_rows_that_do_not_add_up_to_one_are_named_and_divided_on_request(tmp_path):
    path = written(tmp_path, "image_id,condition,p:acne,p:eczema\na,acne,0.5,0.5\nb,acne,0.9,0.9\nc,acne,80,20\n")
    with pytest.raises(DatasetError, match="renormalise"):
        predictions.read(path)
    path.write_text(path.read_text().replace("c,acne,80,20\n", ""))
    with pytest.raises(DatasetError, match=r"must add up to 1.*--renormalise.*b: 1\.8"):
        predictions.read(path)
    path = written(tmp_path, "image_id,condition,p:acne,p:eczema\na,acne,0.5,0.5\nb,acne,0.9,0.9\nc,acne,80,20\n")
    found = predictions.load(path, renormalise=True)
    np.testing.assert_allclose(found.table[["p:acne", "p:eczema"]], [[0.5, 0.5], [0.5, 0.5], [0.8, 0.2]])
    assert any("2 of 3 rows" in note for note in found.notes)


@pytest.mark.parametrize("row", ["-0.1,1.1", "0,0", "NaN,1", "1e400,0"])
def test_not_everything_can_be_renormalised(tmp_path, row):
    path = written(tmp_path, f"image_id,condition,p:acne,p:eczema\na,acne,{row}\n")
    with pytest.raises(DatasetError, match="a: "):
        predictions.read(path, renormalise=True)


def test_what_rounding_leaves_adds_up(tmp_path):
    path = written(tmp_path, "image_id,condition,p:acne,p:eczema,p:keloid\na,acne,0.3333,0.3333,0.3333\n")
    assert predictions.load(path).notes == ()


def test_an_image_twice_is_refused(tmp_path):
    path = written(tmp_path, "image_id,condition,predicted\na,acne,acne\nb,acne,acne\na,acne,acne\n")
    with pytest.raises(DatasetError, match="image_id must be unique") as refusal:
        predictions.read(path)
    assert refusal.value.items == ("a",)


@pytest.mark.parametrize(("text", "said"), [
    ("image_id,condition,predicted\n,acne,acne\n", "1 rows have no image_id"),
    ("image_id,condition,predicted\na,acne,\n", "predicted is blank.*a"),
    ("image_id,condition,condition\na,acne,acne\n", "appear twice"),
    ("image_id,condition,p:acne,p:Acne\na,acne,0.5,0.5\n", "of one condition.*acne, Acne"),
    ("image_id,condition,predicted,abstained\na,acne,acne,maybe\n", "abstained must be.*a: 'maybe'"),
    ("image_id,condition,predicted\na,acne,acne,acne\n", "row 2"),
])
def test_one_clear_sentence(tmp_path, text, said):
    with pytest.raises(DatasetError, match=said):
        predictions.read(written(tmp_path, text))


def test_columns_in_another_order_are_the_same_table(table, tmp_path):
    predictions.write(tmp_path / "a.csv", table)
    predictions.write(tmp_path / "b.csv", table[table.columns[::-1]])
    found = predictions.read(tmp_path / "b.csv")
    pd.testing.assert_frame_equal(found[table.columns], predictions.read(tmp_path / "a.csv"))


@pytest.mark.parametrize("names", [
    ("filename", "Fitzpatrick Skin Type", "True label", "Prediction"), ("image", "skin_type", "y_true", "y_pred"),
    ("Image-Name", "fitzpatrick_scale", "label", "pred"), ("ISIC_ID", "FST", "ground_truth", "AI diagnosis"),
    ("md5hash", "phototype", "dx", "predicted_label")])
def test_other_peoples_names_are_guessed_and_told(tmp_path, names):
    path = written(tmp_path, ";".join(names) + "\na;V;BCC;Basal Cell Carcinoma\nb;II;mel;nv\n")
    found = predictions.load(path)
    assert list(found.table.columns) == ["image_id", "fst", "condition", "predicted"]
    assert found.names == dict(zip(names, found.table.columns, strict=True))
    assert found.table["fst"].tolist() == [5, 2]
    assert found.table["condition"].tolist() == ["basal-cell-carcinoma", "melanoma"]
    assert found.table["predicted"].tolist() == ["basal-cell-carcinoma", "melanocytic-nevus"]
    said = " ".join(found.notes)
    assert all(repr(name) in said for name in (*names, "BCC", "mel", "nv"))


@pytest.mark.parametrize(("columns", "classes"), [
    ("prob_Acne,prob_Basal cell carcinoma", ["p:acne", "p:basal-cell-carcinoma"]),
    ("p_acne,p_eczema", ["p:acne", "p:eczema"]), ("Probability: A,Probability: B", ["p:a", "p:b"]),
    ("MEL,NV", ["p:melanoma", "p:melanocytic-nevus"]), ("malignant,benign", ["p:malignant", "p:benign"])])
def test_probabilities_under_other_names(tmp_path, columns, classes):
    found = predictions.load(written(tmp_path, f"image_id,condition,{columns}\na,acne,0.25,0.75\n"))
    assert [name for name in found.table if name.startswith("p:")] == classes
    assert found.table[classes].to_numpy().tolist() == [[0.25, 0.75]]
    assert any("probabilities" in note for note in found.notes)


def test_p_value_is_no_probability_of_a_condition(tmp_path):
    found = predictions.load(written(tmp_path, "image_id,condition,predicted,p_value,p_rank\na,acne,acne,0.1,3\n"))
    assert "p_value" in found.table
    assert not any(name.startswith("p:") for name in found.table)


def test_what_is_there_by_name_is_not_guessed_again(tmp_path):
    found = predictions.load(written(tmp_path, "image_id,condition,label,predicted\na,acne,wrong,acne\n"))
    assert found.table["condition"].tolist() == ["acne"]
    assert found.table["label"].tolist() == ["wrong"]
    assert found.names == {}


def test_columns_and_labels_can_be_named_by_hand(tmp_path):
    path = written(tmp_path, "nr,tone,truth,answer,Gruppe\n1,III,1,0,x\n2,II,0,0,y\n")
    rename = {"nr": "image_id", "tone": "fst", "answer": "predicted", "1": "malignant", "0": "benign"}
    found = predictions.load(path, rename=rename)
    assert found.table["fst"].tolist() == [3, 2]
    assert found.table["condition"].tolist() == ["malignant", "benign"]
    assert found.table["predicted"].tolist() == ["benign", "benign"]
    assert list(found.notes) == ["Columns guessed from their names: 'truth' as condition."]


@pytest.mark.parametrize(("rename", "said"), [
    ({"colour": "fst"}, "no column and no condition is called so.*image_id.*colour"),
    ({"a1": "predicted"}, "several columns are the same one of ours.*predicted, a1")])
def test_a_name_that_fits_nothing_is_refused(tmp_path, rename, said):
    path = written(tmp_path, "image_id,condition,predicted,a1\na,acne,acne,acne\n")
    with pytest.raises(DatasetError, match=said):
        predictions.load(path, rename=rename)


def test_rows_without_a_name_are_numbered(tmp_path):
    found = predictions.load(written(tmp_path, "condition,predicted\nacne,acne\nacne,eczema\n"))
    assert found.table["image_id"].tolist() == ["row 1", "row 2"]
    assert any("numbered" in note for note in found.notes)


def test_further_columns_are_numbers_or_categories(tmp_path):
    found = predictions.read(written(tmp_path, "image_id,condition,predicted,Age,ward,site_code,empty\n"
                                               "a,acne,acne,41,x,007,\nb,acne,acne,,,012,\n"))
    assert found["x_age"].tolist()[0] == 41
    assert np.isnan(found["x_age"].tolist()[1])
    assert found["ward"].cat.categories.tolist() == ["x"]
    assert found["site_code"].tolist() == ["007", "012"]
    assert found["empty"].isna().all()


def test_a_large_file_is_read_in_pieces(tmp_path):
    """More than one block of the reader; the 5 million rows are in docs/performance.md."""
    rows = 60_000
    ids = [f"image-{i:060d}" for i in range(rows)]
    pd.DataFrame({"image_id": ids, "fst": np.arange(rows) % 6 + 1, "condition": "acne",
                  "p:acne": np.linspace(0, 1, rows), "p:eczema": 1 - np.linspace(0, 1, rows)}
                 ).to_csv(tmp_path / "large.csv", index=False)
    assert (tmp_path / "large.csv").stat().st_size > 2**22
    found = predictions.read(tmp_path / "large.csv")
    assert found["image_id"].tolist() == ids
    np.testing.assert_array_equal(found["p:acne"], np.linspace(0, 1, rows))
