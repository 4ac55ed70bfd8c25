"""What is fetched for each source, from a site on the loopback in the shape of its publisher's."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from derm import datasets
from derm.datasets import downloads
from derm.download.fetch import ARRIVED, THERE
from derm.download.hosts import GONE, WRONG, Manners
from derm.errors import DatasetError
from tests.datasets import fixtures
from tests.datasets.publishers import DBW86T, point_at, put_fitzpatrick17k, put_ham10000, put_pad_ufes, put_scin
from tests.web import Web

QUICK = Manners(tries=2, backoff=0, timeout=(2, 5))


@pytest.fixture
def web(monkeypatch):
    with Web() as site:
        point_at(site, monkeypatch)
        yield site


def test_fitzpatrick17k_names_its_images_by_their_md5_and_checks_it(web, tmp_path):
    hashes = put_fitzpatrick17k(web)
    outcomes = downloads.download("fitzpatrick17k", tmp_path, manners=QUICK)
    assert [o.state for o in outcomes] == [ARRIVED, ARRIVED, ARRIVED, GONE, WRONG, GONE]
    assert [o.reason for o in outcomes[3:]] == ["404 Not Found", "differs from the published hash",
                                                "no address was published"]
    assert sorted(p.stem for p in (tmp_path / "images").glob("*.jpg")) == sorted(hashes[:2])
    dataset = datasets.load(tmp_path)
    assert dataset.source.key == "fitzpatrick17k"
    assert dataset.table["path"].notna().sum() == 2
    again = downloads.download("fitzpatrick17k", tmp_path, manners=QUICK)
    assert [o.state for o in again] == [THERE, THERE, THERE, GONE, WRONG, GONE]


def test_a_sample_is_chosen_by_its_seed_among_those_with_an_address(web, tmp_path):
    put_fitzpatrick17k(web)

    def chosen(seed: int, number: int) -> list[str]:
        outcomes = downloads.download("fitzpatrick17k", tmp_path / f"{seed}-{number}", sample=number, seed=seed,
                                      manners=QUICK)
        return [o.wanted.path for o in outcomes[1:]]

    assert len(chosen(0, 2)) == 2
    assert len({tuple(chosen(seed, 2)) for seed in range(6)}) > 1
    assert chosen(3, 2) == chosen(3, 2)
    assert len(chosen(0, 99)) == 4


def test_scin_lies_on_disk_as_in_its_bucket(web, tmp_path):
    published = fixtures.write_scin(tmp_path / "published")
    put_scin(web, published)
    outcomes = downloads.download("scin", tmp_path / "got", manners=QUICK)
    assert sum(o.on_disk for o in outcomes) == 9
    assert [(o.wanted.path, o.state) for o in outcomes if not o.on_disk] == [("dataset/images/5001.png", GONE)]
    assert datasets.detect(tmp_path / "got") == "scin"
    assert (datasets.load(tmp_path / "got", strict=False).fingerprint
            == datasets.load(published, strict=False).fingerprint)


ARCHIVED = pytest.mark.parametrize(("key", "write", "put", "pictures"), [
    ("ham10000", fixtures.write_ham10000, put_ham10000, "HAM10000_images_part_1"),
    ("pad-ufes-20", fixtures.write_pad_ufes, put_pad_ufes, "images"),
])


@ARCHIVED
def test_archives_are_checked_unpacked_and_removed(web, tmp_path, key, write, put, pictures):
    published = write(tmp_path / "published")
    put(web, published)
    got = tmp_path / "got"
    stages = []

    def stage(title, files, size):
        stages.append((title, files, size))
        return downloads.silent(title, files, size)

    outcomes = downloads.download(key, got, manners=QUICK, stage=stage)
    assert {o.state for o in outcomes} == {ARRIVED}
    assert list(got.rglob("*.zip")) == []
    assert any((got / pictures).iterdir())
    assert datasets.load(got, strict=False).fingerprint == datasets.load(published, strict=False).fingerprint
    archived = next(stage for stage in stages if stage[0] == "Archives")
    assert archived[1:] == (2, sum(o.wanted.size for o in outcomes[1:]))
    asked = len(web.asked)
    assert {o.state for o in downloads.download(key, got, manners=QUICK)} == {THERE}
    listings = 1 if key == "ham10000" else 2
    assert len(web.asked) == asked + listings
    # A picture lost since: its archive is fetched again, and only that.
    next((got / pictures).glob("*.*g")).unlink()
    states = [o.state for o in downloads.download(key, got, manners=QUICK)]
    assert sorted(states) == [ARRIVED, THERE, THERE]
    assert datasets.load(got, strict=False).fingerprint == datasets.load(published, strict=False).fingerprint


@ARCHIVED
def test_a_sample_of_archives_is_refused_before_anything_large_is_read(web, tmp_path, key, write, put, pictures):
    put(web, write(tmp_path / "published"))
    with pytest.raises(DatasetError, match=f"{key} is published as 2 archives .* Leave out --sample"):
        downloads.download(key, tmp_path / "got", sample=3, manners=QUICK)
    assert not (tmp_path / "got").exists()


@pytest.mark.parametrize(("listing", "said"), [
    (b"<html>Maintenance</html>", "not laid out as expected"),
    (b'{"status": "ERROR"}', "not laid out as expected"),
    (b'{"data": [{"dataFile": {"filename": "x.txt"}}]}', "lists no file like HAM10000_metadata"),
    (b'{"data": [{"dataFile": {"filename": "HAM10000_metadata.tab", "id": 9}}]}', "lists no file like HAM10000_i"),
    (b'{"data": [{"dataFile": {"filename": "HAM10000_metadata.tab"}}]}', "not laid out as expected"),
])
def test_a_listing_that_changed_is_one_sentence(web, tmp_path, listing, said):
    web.put(DBW86T, listing)
    with pytest.raises(DatasetError, match=said):
        downloads.download("ham10000", tmp_path, manners=QUICK)


def test_without_its_table_nothing_is_fetched_and_a_wrong_table_is_not_kept(web, tmp_path):
    with pytest.raises(DatasetError, match=r"fitzpatrick17k\.csv: 404 Not Found"):
        downloads.download("fitzpatrick17k", tmp_path, manners=QUICK)
    web.put("/fitzpatrick17k.csv", b"<html>Please log in</html>")
    with pytest.raises(DatasetError, match=r"fitzpatrick17k\.csv"):
        downloads.download("fitzpatrick17k", tmp_path, manners=QUICK)
    assert not (tmp_path / "fitzpatrick17k.csv").exists()


def fake_kaggle(path: Path, *, status: int = 0, archive: Path | None = None) -> str:
    """A client that notes its arguments and leaves an archive in the folder after -p."""
    copy = f'cp "{archive}" "$6/bttai-ajl-2025.zip"' if archive else ""
    path.write_text(f'#!/bin/sh\necho "$@" >> "{path}.log"\n{copy}\nexit {status}\n')
    path.chmod(0o755)
    return str(path)


@pytest.mark.skipif(os.name != "posix", reason="the stand-in for Kaggle's client is a shell script")
def test_ajl_comes_through_kaggles_own_client(tiny_ajl, tmp_path):
    archive = tmp_path / "published.zip"
    with zipfile.ZipFile(archive, "w") as whole:
        for file in sorted(p for p in tiny_ajl.rglob("*.*") if p.suffix in (".csv", ".jpg")):
            whole.write(file, file.relative_to(tiny_ajl))
    got = tmp_path / "with space" / "ajl"
    client = fake_kaggle(tmp_path / "kaggle", archive=archive)
    downloads.download_ajl(got, client)
    assert len(datasets.load(got).table) == 5
    assert not (got / "bttai-ajl-2025.zip").exists()
    downloads.download_ajl(got, client)
    assert len(Path(f"{client}.log").read_text().splitlines()) == 1
    with pytest.raises(DatasetError, match="ended with status 1"):
        downloads.download_ajl(tmp_path / "other", fake_kaggle(tmp_path / "broken", status=1))
