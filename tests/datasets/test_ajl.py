import re
from pathlib import Path

import pandas as pd
import pytest

from derm import datasets, registry
from derm.datasets import ajl
from derm.errors import ConfigError, DatasetError
from derm.schema import COLUMNS, PARTITIONS


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_canonical_table(tiny_ajl):
    dataset = datasets.load(tiny_ajl)
    table = dataset.table
    assert list(table.columns) == [*COLUMNS, "x_ddi_scale", "x_excluded"]
    assert table["image_id"].tolist() == ["a0", "00123", "NA", "b1", "c2"]
    assert table["group_id"].tolist() == table["image_id"].tolist()
    assert dataset.classes == ("acne", "keloid", "melanoma") == tuple(table["condition"].cat.categories)
    assert table["condition"].tolist()[:4] == ["melanoma", "acne", "acne", "keloid"]
    assert table["partition3"].tolist()[:4] == ["malignant", "non-neoplastic", "non-neoplastic", "benign"]
    assert tuple(table["partition3"].cat.categories) == PARTITIONS
    assert table["split"].tolist() == ["train"] * 4 + ["test"]
    assert table["x_excluded"].tolist() == [False, False, True, False, False]
    assert all((dataset.root / path).is_file() for path in table["path"])


def test_missing_is_missing(tiny_ajl):
    table = datasets.load(tiny_ajl).table
    assert str(table["fst"].dtype) == str(table["mst"].dtype) == "Int8"
    assert table["fst"].tolist() == [1, pd.NA, 6, 4, 3]
    assert table["fst_other"].tolist() == [2, pd.NA, pd.NA, 5, pd.NA]
    assert table["mst"].isna().all()
    assert table["qc"].isna().tolist() == [True, False, False, True, True]
    assert table["x_ddi_scale"].isna().tolist() == [False, True, False, False, False]
    assert table.loc[4, ["condition", "partition3", "partition9"]].isna().all()


def test_further_columns_are_kept(tiny_ajl):
    csv = tiny_ajl / "test.csv"
    csv.write_text("md5hash,fitzpatrick_scale,fitzpatrick_centaur,qc,ddi_scale,site\nc2,3,-1,,34,arm\n")
    assert datasets.load(tiny_ajl).table["x_site"].tolist()[-1] == "arm"


def test_without_a_test_set(tiny_ajl):
    (tiny_ajl / "test.csv").unlink()
    (tiny_ajl / "test/test/c2.jpg").unlink()
    assert datasets.load(tiny_ajl).table["split"].unique().tolist() == ["train"]


def test_fingerprint_follows_labels_skin_types_and_files(tiny_ajl):
    first = datasets.load(tiny_ajl).fingerprint
    assert datasets.load(tiny_ajl).fingerprint == first
    edit(tiny_ajl / "train.csv", "b1,4,", "b1,5,")
    second = datasets.load(tiny_ajl).fingerprint
    with (tiny_ajl / "test/test/c2.jpg").open("ab") as file:
        file.write(b"more")
    assert len({first, second, datasets.load(tiny_ajl).fingerprint}) == 3


BREAKS = {
    "no train.csv": (lambda root: (root / "train.csv").rename(root / "labels.csv"),
                     "no train.csv; found labels.csv, test, test.csv, train. Name the AJL folder as published"),
    "another set's train.csv": (lambda root: (root / "train.csv").write_text("lesion_id,image_id,dx\nH1,I1,mel\n"),
                                r"columns are missing; found lesion_id, .*\(8 in all: md5hash, "),
    "missing column": (lambda root: edit(root / "train.csv", ",qc,", ",quality,"), r"\(1 in all: qc\)"),
    "missing column in test.csv": (lambda root: edit(root / "test.csv", "ddi_scale", "ddi"),
                                   r"test.csv.*\(1 in all: ddi_scale\)"),
    "empty file": (lambda root: (root / "train.csv").write_text(""), "train.csv: an empty file"),
    "binary file": (lambda root: (root / "train.csv").write_bytes(b"PK\xff\xfe"), "not a readable CSV file"),
    "too many cells": (lambda root: edit(root / "train.csv", ",,12", ",,12,7,7"),
                       r"train.csv: row 2 \(the header is row 1\) has 10 cells; the header has 8"),
    "only a header": (lambda root: (root / "test.csv").write_text(
        "md5hash,fitzpatrick_scale,fitzpatrick_centaur,qc,ddi_scale\n"), "no rows"),
    "skin type 7": (lambda root: edit(root / "train.csv", "b1,4,", "b1,7,"),
                    r"fitzpatrick_scale.*\(1 in all: b1: '7'\)"),
    "skin type 0": (lambda root: edit(root / "train.csv", "a0,1,2", "a0,1,0"), r"fitzpatrick_centaur.*a0: '0'"),
    "skin type in words": (lambda root: edit(root / "train.csv", "b1,4,", "b1,IV,"), "b1: 'IV'"),
    "no label": (lambda root: edit(root / "train.csv", ",keloid,", ",,"), r"without a label.*\(1 in all: b1\)"),
    "unknown partition": (lambda root: edit(root / "train.csv", "dermal,benign", "dermal,harmless"), "harmless"),
    "repeated id": (lambda root: edit(root / "train.csv", "a0,1,2", "b1,1,2"),
                    r"unique; .*two labels.*\(1 in all: b1: melanoma and keloid\)"),
    "id in train and test": (lambda root: edit(root / "test.csv", "c2", "a0"),
                             r"unique; .*two rows.*\(1 in all: a0\)"),
    "blank id": (lambda root: edit(root / "train.csv", "a0,1,2", ",1,2"), "1 rows have no image id"),
    "missing image": (lambda root: (root / "train/train/acne/NA.jpg").unlink(),
                      r"missing.*\(1 in all: train/train/acne/NA.jpg\)"),
    "missing test image": (lambda root: (root / "test/test/c2.jpg").unlink(), r"\(1 in all: test/test/c2.jpg\)"),
    "wrong folder": (lambda root: (root / "train/train/acne/NA.jpg").rename(root / "train/train/keloid/NA.jpg"),
                     r"disagrees.*\(1 in all: train/train/keloid/NA.jpg is acne\)"),
    "label that climbs out": (lambda root: edit(root / "train.csv", ",keloid,", ",../../test/test,"),
                              r"leave the data set's folder.*\(1 in all: train/train/../../test/test/b1.jpg\)"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_one_clear_error(tiny_ajl, name):
    damage, message = BREAKS[name]
    damage(tiny_ajl)
    with pytest.raises(DatasetError, match=re.compile(message, re.DOTALL)):
        datasets.load(tiny_ajl, adapter="ajl")


def test_names_the_first_five_and_the_count(tiny_ajl):
    rows = "".join(f"z{i},1,1,acne,inflammatory,non-neoplastic,,12\n" for i in range(7))
    with (tiny_ajl / "train.csv").open("a", encoding="utf-8") as file:
        file.write(rows)
    with pytest.raises(DatasetError, match=r"7 in all: (\S+, ){5}\.\.\.") as caught:
        datasets.load(tiny_ajl)
    assert len(caught.value.items) == 7


def test_load_by_name(tiny_ajl, tmp_path_factory):
    dataset = datasets.load(tiny_ajl, adapter="ajl")
    assert dataset.name == dataset.source.name == "AJL 2025"
    assert dataset.problems == dataset.notes == dataset.unmapped == ()
    with pytest.raises(ConfigError, match=r"No adapter 'ham'; expected one of ajl") as caught:
        datasets.load(tiny_ajl, adapter="ham")
    assert caught.value.key == "adapter"
    nowhere = tmp_path_factory.mktemp("empty")
    for root, found in ((nowhere, "an empty folder"), (nowhere / "none", "no such folder")):
        with pytest.raises(DatasetError, match=found):
            datasets.load(root)
        with pytest.raises(DatasetError, match=found):
            ajl.load(root)


def test_drawn_pictures_are_an_ajl_folder(drawn_root):
    dataset = datasets.load(drawn_root)
    assert dataset.classes == ("acne", "eczema", "melanoma")
    assert set(dataset.table["split"]) == {"train", "test"}


def test_real_folder(ajl_root):
    dataset = datasets.load(ajl_root)
    table = dataset.table
    assert table["split"].value_counts().to_dict() == {"train": 2860, "test": 1227}
    assert len(dataset.classes) == 21
    assert table["fst"].isna().sum() == 144
    assert table["x_excluded"].sum() == 5
    assert dataset.fingerprint == registry.find().data_fingerprint  # the model that ships is of this very data
    assert not dataset.notes
