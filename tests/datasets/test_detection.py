import os
import re
from pathlib import Path

import pytest

from derm import datasets
from derm.errors import ConfigError, DatasetError
from tests.conftest import blotches
from tests.datasets import fixtures


def write_ajl(root: Path) -> Path:
    from derm import samples

    return samples.write_dataset(root)


def write_own(root: Path) -> Path:
    for seed, name in enumerate(("acne/1.jpg", "eczema/2.jpg")):
        (root / name).parent.mkdir(parents=True)
        blotches(seed, side=32).save(root / name)
    return root


WRITERS = {
    "fitzpatrick17k": lambda root: fixtures.write_fitzpatrick17k(root, images=True), "scin": fixtures.write_scin,
    "ddi": fixtures.write_ddi, "pad-ufes-20": fixtures.write_pad_ufes, "ham10000": fixtures.write_ham10000,
    "own": write_own,
}


@pytest.fixture(scope="module")
def everything(tmp_path_factory, drawn_root):
    """A folder of data sets by key. Shared by the module: read it, do not change it."""
    home = tmp_path_factory.mktemp("data")
    (home / "ajl").symlink_to(drawn_root)
    for key, write in WRITERS.items():
        write(home / key)
    return home


def test_every_data_set_is_known_for_what_it_is(everything):
    found = datasets.on_disk(everything)
    assert found == [(key, everything / key) for key in sorted(datasets.ADAPTERS)]
    for key, root in found:
        dataset = datasets.load(root)
        assert dataset.source.key == key
        assert dataset.table["image_id"].is_unique
        assert dataset.table["path"].notna().any()
        assert dataset.root == root
        assert all((root / path).is_file() for path in dataset.table["path"].dropna())


def test_one_data_set_on_disk(everything):
    assert datasets.on_disk(everything / "ddi") == [("ddi", everything / "ddi")]
    assert datasets.on_disk(everything / "none") == []


def test_the_wrong_adapter_says_which_is_right(everything):
    for right in datasets.ADAPTERS:
        for wrong in datasets.ADAPTERS.keys() - {right}:
            with pytest.raises(DatasetError, match=f"this looks like .*: use --adapter {right}"):
                datasets.load(everything / right, adapter=wrong)
    with pytest.raises(DatasetError, match=r"not HAM10000; this looks like PAD-UFES-20: use --adapter pad-u"):
        datasets.load(everything / "pad-ufes-20", adapter="ham10000")


def test_nothing_known(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DatasetError, match=r"no known data set; found notes\.txt\. Expected one of AJL 2025, "):
        datasets.load(tmp_path)
    with pytest.raises(DatasetError, match=r"no train\.csv; found notes\.txt"):
        datasets.load(tmp_path, adapter="ajl")
    with pytest.raises(ConfigError, match="No adapter 'skin'; expected one of ajl, "):
        datasets.load(tmp_path, adapter="skin")


@pytest.mark.parametrize(("key", "name"), [
    ("ajl", "train.csv"), ("ajl", "test.csv"), ("pad-ufes-20", "metadata.csv"), ("ddi", "ddi_metadata.csv"),
    ("fitzpatrick17k", "fitzpatrick17k.csv"), ("ham10000", "HAM10000_metadata.csv")])
def test_a_file_stands_for_its_folder(everything, key, name):
    path = everything / key / name
    assert datasets.detect(path) == key
    assert datasets.load(path).root == path.parent
    assert datasets.on_disk(path) == [(key, path.parent)]


def test_a_broken_file_is_named(tmp_path):
    root = fixtures.write_pad_ufes(tmp_path / "pad")
    (root / "metadata.csv").write_bytes(b"PK\x03\x04\xff\xfe")
    for adapter in (None, "pad-ufes-20"):
        with pytest.raises(DatasetError, match=r"metadata\.csv: not a readable CSV file"):
            datasets.load(root, adapter=adapter)
    assert datasets.on_disk(tmp_path) == []


def forbid(monkeypatch, folder):
    """Make the folder one that this process may not read: tests may run as root, who may read all."""
    def guarded(do):
        def refuse(path=".", *args, **options):
            if Path(os.fspath(path)).is_relative_to(folder):
                raise PermissionError(13, "Permission denied", str(path))
            return do(path, *args, **options)
        return refuse
    for name in ("scandir", "listdir", "stat"):
        monkeypatch.setattr(os, name, guarded(getattr(os, name)))


@pytest.mark.parametrize("locked", [".", "images"])
def test_a_folder_that_may_not_be_read(tmp_path, monkeypatch, locked):
    root = fixtures.write_ddi(tmp_path / "ddi")
    forbid(monkeypatch, root / locked)
    with pytest.raises(DatasetError, match=r"ddi.*: cannot be read \(Permission denied\)\. Ask its owner"):
        datasets.load(root)


def test_a_locked_neighbour_hides_nothing(tmp_path, monkeypatch):
    write_own(tmp_path / "mine")
    (tmp_path / "lost+found").mkdir()
    forbid(monkeypatch, tmp_path / "lost+found")
    assert datasets.on_disk(tmp_path) == [("own", tmp_path / "mine")]


@pytest.mark.parametrize("key", sorted(WRITERS))
def test_other_files_and_loops_among_the_pictures(tmp_path, key):
    root = WRITERS[key](tmp_path / key)
    before = datasets.load(root)
    for folder in {(root / path).parent for path in before.table["path"].dropna()}:
        (folder / "Thumbs.db").write_bytes(b"\xff\xfe")
        (folder / ".DS_Store").touch()
        (folder / "notes.txt").write_text("not a picture")
        (folder / "round").symlink_to(root)
        (folder / "round and round.jpg").symlink_to(folder / "round and round.jpg")
    after = datasets.load(root)
    assert after.fingerprint == before.fingerprint
    assert after.table["path"].equals(before.table["path"])
    assert datasets.on_disk(tmp_path) == [(key, root)]


@pytest.mark.parametrize(("key", "file"), [
    ("fitzpatrick17k", "fitzpatrick17k.csv"), ("ddi", "ddi_metadata.csv"), ("pad-ufes-20", "metadata.csv"),
    ("ham10000", "HAM10000_metadata.csv")])
@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd"])
def test_image_names_stay_inside(tmp_path, key, file, name):
    root = WRITERS[key](tmp_path / key)
    image_id = datasets.load(root).table["image_id"][0]
    text = (root / file).read_text()
    (root / file).write_text(text.replace(image_id, name))
    with pytest.raises(DatasetError, match=f"leave the data set's folder.*{re.escape(name)}"):
        datasets.load(root)


def test_problems_wait_where_they_are_asked_for(tiny_ajl):
    (tiny_ajl / "train/train/acne/NA.jpg").rename(tiny_ajl / "train/train/keloid/NA.jpg")
    (tiny_ajl / "test/test/c2.jpg").unlink()
    (tiny_ajl / "test/test/Thumbs.db").touch()
    dataset = datasets.load(tiny_ajl, strict=False)
    disagrees, missing = map(str, dataset.problems)
    assert "(1 in all: train/train/keloid/NA.jpg is acne)" in disagrees
    assert "(2 in all: test/test/c2.jpg, train/train/acne/NA.jpg)" in missing
    assert dataset.table["path"].isna().tolist() == [False, False, True, False, True]
    assert dataset.notes == ("Files left out, as they are not photographs (1 in all: test/test/Thumbs.db).",)
    with pytest.raises(DatasetError, match="disagrees"):
        datasets.load(tiny_ajl)
