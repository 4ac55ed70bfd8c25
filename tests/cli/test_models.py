"""`derm models` as a person or a script uses it, in one process, without any network being opened."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from derm import promotion, registry, sandbox
from derm.fairness import metrics
from derm.registry import NETWORK
from derm.settings import settings
from tests.cli.test_commands import run
from tests.predictions import bundle as make
from tests.predictions import made_up
from tests.test_safety import changed, network, zipped


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Two models, `ours` the default; `worse` is worse on V-VI."""
    folder = tmp_path / "models"
    for name, dark in (("ours", 0.8), ("worse", 0.2)):
        _model(folder / name, dark=dark)
    registry.set_default("ours", models=folder)
    monkeypatch.setenv("DERM_MODELS", str(folder))
    settings.cache_clear()
    yield folder
    settings.cache_clear()


def _model(folder: Path, *, dark: float) -> None:
    table = made_up(n=600, dark=dark)
    bundle = make(folder, table)
    bundle.path(NETWORK).write_bytes(changed("logits", units=4))
    bundle.path("card.md").write_text(f"# Card of {folder.name}\n")
    registry.write(folder, replace(bundle, figures=metrics.figures(table, n_boot=50)))


def test_list_says_how_good_each_is_and_names_a_damaged_one(models: Path,
                                                            capsys: pytest.CaptureFixture[str]) -> None:
    (models / "broken").mkdir()
    (models / "broken" / "bundle.json").write_text("{")
    (models / "half").mkdir()
    assert run("models", "list") == run("models") == 0
    said = capsys.readouterr()
    assert said.out.count("accuracy 0.") == 4
    assert "n = 600" in said.out
    assert "broken" in said.err
    assert "half" not in said.out + said.err
    assert run("models", "list", "--json") == run("models", "--json") == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first == second
    assert [(one["name"], one["members"]) for one in first] == [("ours", []), ("worse", [])]


def test_a_worse_model_becomes_the_default_only_with_a_reason(models: Path,
                                                              capsys: pytest.CaptureFixture[str]) -> None:
    assert run("models", "default", "worse") == 2
    assert "skin types V-VI" in capsys.readouterr().err
    assert registry.default() == "ours"
    assert run("models", "default", "worse", "--override", "A demonstration.") == 0
    assert registry.default() == "worse"
    bundle = registry.find("worse")
    assert "A demonstration." in bundle.override
    assert "A demonstration." in bundle.path("card.md").read_text()
    assert registry.verify(bundle) == ()
    assert run("models", "default", "ours") == 0
    assert registry.find("ours").override == ""


def test_a_worse_run_is_added_only_with_a_reason(models: Path, tmp_path: Path,
                                                 capsys: pytest.CaptureFixture[str]) -> None:
    _model(tmp_path / "run", dark=0.2)
    assert run("models", "add", tmp_path / "run", "--name", "new") == 2
    assert "V-VI" in capsys.readouterr().err
    assert run("models", "add", tmp_path / "run", "--name", "new", "--override", "To show it.", "--default") == 0
    assert registry.find().name == "new"
    assert "To show it." in registry.find().override


def test_the_default_stays_and_others_go(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("models", "remove", "ours") == 2
    assert "default" in capsys.readouterr().err
    assert run("models", "remove", "worse") == 0
    assert [one.name for one in registry.list_bundles()] == ["ours"]
    assert run("models", "remove", "worse") == 2


def test_card_and_export(models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("models", "card", "ours") == 0
    assert capsys.readouterr().out == "# Card of ours\n"
    assert run("models", "export", "ours", "--to", tmp_path / "out", "--as", "csv") == 0
    written = Path(capsys.readouterr().out.strip())
    assert written.is_file()
    assert written.parent == tmp_path / "out"
    assert run("models", "export", "ours", "--to", tmp_path / "out", "--as", "pdf") == 2
    assert "keras, onnx, csv, card" in capsys.readouterr().err


def test_import_says_what_one_must_know(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                        capsys: pytest.CaptureFixture[str]) -> None:
    def adopted(task: Mapping[str, Any], folder: Path, **_: object) -> dict[str, Any]:
        Path(task["target"]).write_bytes(zipped(network()))
        return {"weights": 1}

    monkeypatch.setattr(sandbox, "run", adopted)
    file, labels = tmp_path / "theirs.keras", tmp_path / "labels.txt"
    file.write_bytes(changed("image", dtype="float32"))
    arguments = ("models", "import", file, "--classes", labels, "--name", "theirs")
    assert run(*arguments) == 2
    labels.write_text("acne\nweird rash\nmelanoma\n")
    assert run(*arguments) == 2
    said = capsys.readouterr().err
    assert "labels.txt: cannot be read" in said
    assert "no scaling is named" in said
    assert run(*arguments, "--scaling", "-1..1") == 0
    said = capsys.readouterr().out
    assert registry.sha256(file) in said
    assert "weird rash" in said
    assert "Not measured here" in said
    assert run("models", "default", "theirs") == 2
    assert promotion.compare(registry.find("theirs"), registry.find("ours")).unmeasured
