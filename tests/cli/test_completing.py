"""`derm models complete`: what it hands on, and what it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from derm import cli
from derm.registry import Bundle
from tests.bundles import make_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp("models") / "old")


def test_complete_hands_on_the_bundle_and_the_data(bundle, monkeypatch, capsys, tmp_path):
    from derm.nn import remake

    asked: list[tuple[str, Path | None]] = []

    def complete(old: Bundle, *, data: Path | None) -> Bundle:
        asked.append((old.name, data))
        return replace(old)

    monkeypatch.setattr(remake, "complete", complete)
    with pytest.raises(SystemExit) as end:
        cli.main(["models", "complete", str(bundle.folder), "--data", str(tmp_path)])
    assert end.value.code == 0
    assert asked == [("old", tmp_path)]
    assert "card.md" in capsys.readouterr().out


def test_a_bundle_without_its_config_says_so(bundle, capsys, tmp_path):
    with pytest.raises(SystemExit) as end:
        cli.main(["models", "complete", str(bundle.folder), "--data", str(tmp_path)])
    assert end.value.code == 2
    assert "config.toml: cannot be read" in capsys.readouterr().err
