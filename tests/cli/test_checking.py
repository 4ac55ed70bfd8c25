"""`derm data check` and `derm data card` as a person or a script uses them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from derm import cli
from derm.settings import settings
from tests.datasets.fixtures import write_ddi, write_fitzpatrick17k, write_ham10000, write_pad_ufes, write_scin

KEYS = {"name", "adapter", "root", "images", "on_disk", "conditions", "fst", "missing", "quality", "unreadable",
        "duplicates", "unmapped", "notes", "errors", "warnings"}


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERM_CACHE", str(tmp_path_factory.mktemp("cache")))
    settings.cache_clear()
    yield
    settings.cache_clear()


def run(*arguments: object) -> int:
    """The exit status of `derm data ...`."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["data", *(str(argument) for argument in arguments)])
    return int(ended.value.code or 0)


def test_check_prints_one_table(drawn_root, capsys):
    assert run("check", drawn_root) == 0
    said = capsys.readouterr()
    text = " ".join(said.out.split())
    for part in ("AJL 2025 (ajl)", "40 (36 train, 4 test), 40 on disk", "Skin type known 0.93 [0.80-0.97], n = 40",
                 "Scale v Centaur the same in 0.68 [0.51-0.80], at most one apart in 1.00 [0.91-1.00], n = 37",
                 "No picture on V-VI none: every condition has some",
                 "Under 20 on V-VI melanoma 3, acne 4, eczema 4", "condition 4",
                 "warning Wrongly labelled, says the publisher (1 in all:", "0 errors, 1 warning."):
        assert part in text
    assert said.err == ""


def test_check_json_has_stable_keys(drawn_root, capsys):
    assert run("check", drawn_root, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == KEYS
    assert found["adapter"] == "ajl"
    assert found["images"] == found["on_disk"] == 40
    assert found["conditions"] == {"acne": 12, "eczema": 12, "melanoma": 12}
    assert found["fst"]["known"]["n"] == 40
    assert sum(found["fst"]["types"].values()) == 40
    assert found["fst"]["agreement"][0]["title"] == "Scale v Centaur"
    assert found["missing"]["condition"] == 4
    assert set(found["duplicates"]) == {"pairs", "groups", "images", "across_splits", "conflicting"}
    assert found["errors"] == []


def test_errors_end_with_status_1(tiny_ajl, capsys):
    (tiny_ajl / "train/train/melanoma/a0.jpg").write_bytes(b"nothing")
    assert run("check", tiny_ajl) == 1
    assert "ERROR" in capsys.readouterr().out
    assert run("check", tiny_ajl, "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["unreadable"] == ["a0"]
    assert len(found["errors"]) == 1


def test_without_pictures_they_are_not_measured(tmp_path, capsys):
    write_fitzpatrick17k(tmp_path)
    run("check", tmp_path)
    assert capsys.readouterr().out.count("not measured: no picture is on disk") == 2
    run("check", tmp_path, "--json")
    found = json.loads(capsys.readouterr().out)
    assert found["on_disk"] == 0
    assert found["quality"] is found["duplicates"] is None


@pytest.mark.parametrize("write", [write_scin, write_ddi, write_pad_ufes, write_ham10000])
def test_every_source_can_be_checked_and_described(tmp_path, capsys, write):
    write(tmp_path)
    assert run("check", tmp_path) == 0
    assert run("card", tmp_path) == 0
    assert "## Who is missing" in capsys.readouterr().out


@pytest.mark.parametrize("as_json", [False, True])
def test_what_is_no_data_set_is_an_error_too(tmp_path, capsys, as_json):
    assert run("check", tmp_path, *["--json"] * as_json) == 1
    said = capsys.readouterr()
    if as_json:
        found = json.loads(said.out)
        assert set(found) == KEYS
        assert "no known data set" in found["errors"][0]
    else:
        assert said.out == ""
        assert "no known data set" in said.err


def test_an_unknown_adapter_is_status_2(tiny_ajl, capsys):
    assert run("check", tiny_ajl, "--adapter", "nobody") == 2
    assert "No adapter 'nobody'" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "begins"), [("card.md", "# Datasheet: AJL"), ("sub/card.html", "<!doctype")])
def test_card_is_written(drawn_root, tmp_path: Path, capsys, name, begins):
    assert run("card", drawn_root, "--out", tmp_path / name) == 0
    assert (tmp_path / name).read_text(encoding="utf-8").startswith(begins)
    assert str(tmp_path / name) in capsys.readouterr().out


def test_card_is_printed(drawn_root, capsys):
    assert run("card", drawn_root) == 0
    assert capsys.readouterr().out.startswith("# Datasheet: AJL 2025\n")


def test_names_in_brackets_are_no_markup(tiny_ajl, capsys):
    (tiny_ajl / "train/train/acne/[red]x.db").write_bytes(b"x")
    assert run("check", tiny_ajl) == 0
    assert "[red]x.db" in capsys.readouterr().out
