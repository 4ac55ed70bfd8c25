"""`derm data list` and `derm data fetch` as a person or a script uses them; the publishers are on the loopback."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from derm import cli, datasets
from derm.datasets import downloads
from derm.settings import PROJECT, settings
from tests.datasets import fixtures
from tests.datasets.publishers import point_at, put_fitzpatrick17k, put_pad_ufes, put_scin
from tests.web import Answer, Web, jpeg


@pytest.fixture
def web(monkeypatch):
    with Web() as site:
        point_at(site, monkeypatch)
        yield site


@pytest.fixture(autouse=True)
def at(tmp_path, monkeypatch):
    """A working folder of one's own, and no settings."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.delenv("DERM_DATA", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    settings.cache_clear()
    yield tmp_path / "work"
    settings.cache_clear()


def data_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERM_DATA", str(folder))
    settings.cache_clear()


def run(*arguments: object) -> int:
    """The exit status of `derm data ...`."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["data", *map(str, arguments)])
    return int(ended.value.code or 0)


def gone(folder: Path) -> list[dict[str, str]]:
    with (folder / "gone.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_what_arrived_and_what_is_gone(web, at, capsys):
    hashes = put_fitzpatrick17k(web)
    assert run("fetch", "fitzpatrick17k", "--accept-licence") == 1
    folder = at / "data" / "fitzpatrick17k"
    said = capsys.readouterr().out
    assert "6 files; 3 arrived, 0 were there before, 3 missing" in said
    assert "1 gone: 404 Not Found" in said
    assert "2 of 5 images" in said
    assert "CC BY-NC-SA" in said
    assert gone(folder) == [
        {"image_id": hashes[2], "url": f"{web.url}/atlas/dead.jpg", "reason": "gone: 404 Not Found"},
        {"image_id": hashes[3], "url": f"{web.url}/atlas/other.jpg",
         "reason": "wrong content: differs from the published hash"},
        {"image_id": hashes[4], "url": "", "reason": "gone: no address was published"}]
    assert run("fetch", "fitzpatrick17k", "--accept-licence", "--partial") == 0
    assert "0 arrived, 3 were there before" in capsys.readouterr().out


def test_complete_is_status_0_and_leaves_no_list_of_gone_ones(web, at, tmp_path, capsys):
    put_pad_ufes(web, fixtures.write_pad_ufes(tmp_path / "published"))
    (at / "to").mkdir()
    (at / "to" / "gone.csv").write_text("from an earlier call")
    assert run("fetch", "pad-ufes-20", "--accept-licence", "--to", "to") == 0
    assert not (at / "to" / "gone.csv").exists()
    assert "7 of 7 images" in capsys.readouterr().out
    assert run("fetch", "pad-ufes-20", "--accept-licence", "--sample", 3, "--to", "other") == 2
    assert "a sample would need all of it" in capsys.readouterr().err


def test_a_sample_is_complete_when_all_of_it_is_there(web, at, tmp_path):
    put_scin(web, fixtures.write_scin(tmp_path / "published"))
    web.put("/scin/dataset/images/5001.png", jpeg(1))  # the one picture that the fixture lacks
    assert run("fetch", "scin", "--accept-licence", "--sample", 3) == 0
    assert len(list((at / "data" / "scin" / "dataset" / "images").glob("*.png"))) == 3


def test_the_list_of_gone_ones_is_safe_in_a_spreadsheet(web, at, tmp_path):
    put_scin(web, fixtures.write_scin(tmp_path / "published"))
    web.put("/scin/dataset/images/-1001.png", Answer(status=410))
    assert run("fetch", "scin", "--accept-licence", "--to", "scin") == 1
    assert [(row["image_id"], row["reason"]) for row in gone(at / "scin")] == [
        ("'-1001", "gone: 410 Gone"), ("5001", "gone: 404 Not Found")]


@pytest.mark.parametrize(("home", "folder"), [
    (None, "data/scin"), ("mine", "mine/scin"), ("missing", "data/scin"), ("ajl", "data/scin")])
def test_where_it_goes(web, at, tmp_path, tiny_ajl, monkeypatch, home, folder):
    """Beside other data sets, never into one."""
    put_scin(web, fixtures.write_scin(tmp_path / "published"))
    (at / "mine").mkdir()
    if home:
        data_is(tiny_ajl if home == "ajl" else at / home, monkeypatch)
    run("fetch", "scin", "--accept-licence", "--sample", 1)
    assert datasets.detect(at / folder) == "scin"


@pytest.mark.parametrize(("arguments", "said"), [
    (("fetch", "atlas", "--accept-licence"), "No source 'atlas'; expected one of ajl"),
    (("fetch", "scin"), "The licence of SCIN must be accepted"),
    (("fetch", "scin", "--accept-licence", "--to", "{ajl}"), "holds AJL 2025 already"),
    (("fetch", "scin", "--accept-licence"), "404 Not Found"),
])
def test_bad_input_is_one_sentence_and_status_2(web, tiny_ajl, capsys, arguments, said):
    assert run(*(argument.format(ajl=tiny_ajl) for argument in arguments)) == 2
    errors = capsys.readouterr().err
    assert said in errors
    assert len(errors.strip().splitlines()) == 1


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "status"), [("y\n", 1), ("n\n", 2)])
def test_the_licence_is_asked_for(web, at, monkeypatch, capsys, answer, status):
    put_fitzpatrick17k(web)
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    assert run("fetch", "fitzpatrick17k") == status
    assert "Do you accept it?" in capsys.readouterr().out
    assert bool(web.asked) == (at / "data").exists() == (status == 1)


@pytest.mark.parametrize("key", ["ddi", "ajl"])
def test_what_cannot_be_fetched_comes_with_its_steps(web, monkeypatch, capsys, key):
    monkeypatch.setenv("PATH", "")
    assert run("fetch", key, "--accept-licence") == 2
    said = capsys.readouterr().out
    assert all(step in said for step in datasets.ADAPTERS[key].source.how)
    assert web.asked == []


@pytest.mark.skipif(os.name != "posix", reason="the stand-in for Kaggle's client is a shell script")
def test_ajl_comes_through_kaggles_client_if_it_is_there(at, monkeypatch, capsys):
    client = at / "bin" / "kaggle"
    client.parent.mkdir()
    client.write_text("#!/bin/sh\nexit 1\n")
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{client.parent}:{os.environ['PATH']}")
    assert run("fetch", "ajl", "--accept-licence") == 2
    assert "Have you accepted the competition's rules" in capsys.readouterr().err


def test_an_interrupt_says_how_to_go_on_and_the_next_call_does(web, at, tmp_path):
    published = fixtures.write_scin(tmp_path / "published")
    put_scin(web, published)
    picture = next((published / "dataset" / "images").iterdir())
    body = picture.read_bytes()
    page = f"/scin/dataset/images/{picture.name}"
    web.put(page, Answer(body, hold=0), Answer(body))
    # A process started by a script in the background ignores SIGINT, and so would its children.
    script = ("import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
              f"from derm.datasets import downloads\ndownloads.SCIN = {web.url + '/scin/'!r}\n"
              "from derm import cli\ncli.main(['data', 'fetch', 'scin', '--accept-licence', '--to', 'scin'])")
    child = subprocess.Popen([sys.executable, "-c", script], cwd=at, stdout=subprocess.PIPE, text=True,
                             env=os.environ | {"PYTHONPATH": str(PROJECT)})
    until = time.monotonic() + 60
    while not any(asked.path == page for asked in web.asked) and time.monotonic() < until:
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    said, _ = child.communicate(timeout=60)
    web.release.set()
    assert child.returncode == 130
    assert "Stopped. Run the same command again to go on." in said
    run("fetch", "scin", "--accept-licence", "--to", "scin")
    assert (at / "scin" / "dataset" / "images" / picture.name).read_bytes() == body


def test_the_list_fits_80_columns_and_says_what_is_on_disk(at, tiny_ajl, monkeypatch, capsys):
    fixtures.write_scin(at / "data" / "mine")
    data_is(tiny_ajl, monkeypatch)
    assert run("list") == 0
    said = capsys.readouterr().out
    assert all(len(line) <= 80 for line in said.splitlines() if "://" not in line and str(at.parent) not in line)
    assert f"{tiny_ajl}: 5 of 5 images" in " ".join(said.split())
    assert f"{Path('data') / 'mine'}: " in said
    for key, adapter in datasets.ADAPTERS.items():
        assert f"{key}: {adapter.source.name}" in said
    assert "derm data fetch fitzpatrick17k" in said


def test_the_list_as_json(at, tiny_ajl, monkeypatch, capsys):
    (tiny_ajl / "test" / "test" / "c2.jpg").unlink()
    data_is(tiny_ajl, monkeypatch)
    assert run("list", "--json") == 0
    known = {entry["key"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert set(known) == set(datasets.ADAPTERS)
    assert known["ajl"]["on_disk"] == [{"folder": str(tiny_ajl), "rows": 5, "images": 4, "problem": None}]
    assert known["scin"]["get"] == ["derm data fetch scin"]
    assert known["ddi"]["on_disk"] == []
    assert {"name", "licence", "homepage", "skin_type", "images"} <= set(known["ddi"])


def test_sources_that_call_themselves_fetchable_have_a_plan():
    assert {key for key, adapter in datasets.ADAPTERS.items() if adapter.source.fetchable} == set(downloads.PLANS)
