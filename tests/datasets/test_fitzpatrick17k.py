import hashlib
from types import SimpleNamespace

import pandas as pd
import pytest

from derm import datasets
from derm.datasets import fitzpatrick17k
from derm.errors import DatasetError
from derm.settings import PROJECT
from tests.datasets.fixtures import write_fitzpatrick17k


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(fitzpatrick17k, "settings", lambda: SimpleNamespace(data=None))
    return write_fitzpatrick17k(tmp_path / "fitzpatrick17k", images=True)


def test_canonical_table(root):
    dataset = datasets.load(root)
    table = dataset.table
    assert dataset.source.key == "fitzpatrick17k"
    assert table["condition"].tolist()[:3] == ["melanoma", "drug-induced-pigmentary-changes", "acne-vulgaris"]
    assert dataset.unmapped == ()
    assert table["partition3"].tolist()[:3] == ["malignant", "non-neoplastic", "non-neoplastic"]
    assert table["partition9"].tolist()[:2] == ["malignant-melanoma", "inflammatory"]
    assert table["fst"].tolist() == [1, pd.NA, 6, 3, 4, 5, 2, 5, 2]
    assert table["fst_other"].tolist()[:4] == [2, pd.NA, 5, pd.NA]
    assert table["image_id"].tolist()[-2:] == ["00000000000000000000000000000123",
                                               "1234567890123456789012345678e999"]
    assert table["group_id"].equals(table["image_id"])
    assert table["split"].isna().all()
    assert table["x_excluded"].tolist() == [False, False, True] + [False] * 6


def test_the_atlas_is_the_host_of_the_url(root):
    table = datasets.load(root).table
    assert table["x_source"].tolist()[:3] == ["DermaAmin", "DermaAmin", "Atlas Dermatologico"]
    assert table["x_source"].isna().tolist() == table["x_url"].isna().tolist() == [False] * 7 + [True] * 2
    assert table["x_url"][0].startswith("https://www.dermaamin.com/")


@pytest.mark.parametrize("folder", ["images", "data/finalfitz17k", "."])
def test_photographs_wherever_they_are_kept(root, folder):
    if folder != "images":
        (root / folder).mkdir(parents=True, exist_ok=True)
        for photograph in list((root / "images").iterdir()):
            photograph.rename(root / folder / photograph.name)
    dataset = datasets.load(root)
    paths = dataset.table["path"]
    assert paths.isna().tolist() == [False] * 7 + [True] * 2
    assert all(hashlib.md5((root / path).read_bytes()).hexdigest() == image_id
               for path, image_id in zip(paths[:7], dataset.table["image_id"], strict=False))
    assert "2 of 9" in dataset.notes[0]


def test_without_photographs(root):
    before = datasets.load(root).fingerprint
    for photograph in (root / "images").iterdir():
        photograph.unlink()
    dataset = datasets.load(root)
    assert dataset.table["path"].isna().all()
    assert "9 of 9" in dataset.notes[0]
    assert dataset.notes[1:] == ("fitzpatrick17k.csv has 9 of the 16,577 rows published.",)
    assert dataset.fingerprint != before


@pytest.mark.parametrize(("home", "data"), [("ajl", None), ("far/away", "far/away"), ("far/away/ajl", "far/away")])
def test_the_test_set_of_ajl_is_left_out(root, tmp_path, monkeypatch, home, data):
    first = datasets.load(root).table["image_id"][0]
    (tmp_path / home).mkdir(parents=True)
    (tmp_path / home / "test.csv").write_text(
        f"md5hash,fitzpatrick_scale,fitzpatrick_centaur,qc,ddi_scale\n{first},1,2,,12\n")
    monkeypatch.setattr(fitzpatrick17k, "settings", lambda: SimpleNamespace(data=data and tmp_path / data))
    dataset = datasets.load(root)
    assert dataset.table["x_excluded"].tolist() == [True, False, True] + [False] * 6
    assert "1 photographs of AJL's test set are left out of training." in dataset.notes


def test_a_strangers_test_set_does_not_matter(root, tmp_path):
    for name, text in (("one", "id,answer\n1,2\n"), ("two", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "test.csv").write_text(text)
    assert datasets.load(root).table["x_excluded"].sum() == 1


def test_an_id_that_climbs_out_is_refused(root):
    path = root / "fitzpatrick17k.csv"
    path.write_text(path.read_text().replace("00000000000000000000000000000123", "../../secret"))
    with pytest.raises(DatasetError, match=r"leave the data set's folder.*\.\./\.\./secret"):
        datasets.load(root)


def test_real_annotations(monkeypatch):
    monkeypatch.setattr(fitzpatrick17k, "settings", lambda: SimpleNamespace(data=None))
    root = PROJECT.parent / "shared" / "data" / "fitzpatrick17k"
    if not root.is_dir():
        pytest.skip(f"no annotations in {root}")
    dataset = datasets.load(root)
    table = dataset.table
    assert len(table) == 15350
    assert (len(dataset.classes), dataset.unmapped) == (114, ())
    assert (table["fst"].isna().sum(), table["fst_other"].isna().sum()) == (529, 1008)
    assert table["x_source"].value_counts(dropna=False).tolist() == [11702, 3607, 41]
    assert table["path"].isna().all()
