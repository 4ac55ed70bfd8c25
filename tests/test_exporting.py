"""A model taken along: each kind of file, and what has none."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from derm import exporting, registry, sandbox
from derm.errors import ModelError
from derm.registry import NETWORK, Bundle
from tests.predictions import bundle as make
from tests.predictions import made_up
from tests.test_safety import changed


def model(folder: Path, **values: Any) -> Bundle:
    """A bundle that is whole: its network is one, as far as can be told without Keras."""
    bundle = make(folder, made_up(n=40))
    bundle.path(NETWORK).write_bytes(changed("logits", units=4))
    bundle.path("card.md").write_text(f"# Card of {folder.name}\n")
    return registry.write(folder, replace(bundle, **values))


@pytest.fixture
def ours(tmp_path: Path) -> Bundle:
    return model(tmp_path / "models" / "ours")


def ensemble(models: Path) -> Bundle:
    members = [model(models / name) for name in ("a", "b")]
    (models / "both").mkdir()
    return registry.write(models / "both", replace(
        members[0], name="both", folder=models / "both", members=("a", "b"), vote="soft",
        member_sha256={one.name: one.sha256[NETWORK] for one in members}))


def test_the_network_the_card_and_the_predictions_are_as_they_are(ours: Bundle) -> None:
    assert exporting.content(ours, "keras") == ours.path(NETWORK).read_bytes()
    assert exporting.content(ours, "card") == b"# Card of ours\n"
    table = pd.read_csv(io.BytesIO(exporting.content(ours, "csv")))
    assert len(table) == 40
    assert {"image_id", "fst", "condition", "p:acne"} <= set(table)


@pytest.mark.parametrize(("kind", "name"), [("keras", "ours-1.0.keras"), ("onnx", "ours-1.0.onnx"),
                                            ("csv", "ours-1.0.predictions.csv"), ("card", "ours-1.0.card.md")])
def test_files_are_named_by_model_and_version(kind: str, name: str, ours: Bundle) -> None:
    assert exporting.filename(ours, kind) == name


def test_onnx_gets_the_network_and_what_its_answers_mean(ours: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks: list[Mapping[str, Any]] = []

    def run(task: Mapping[str, Any], folder: Path, **_: object) -> dict[str, Any]:
        tasks.append(task)
        Path(task["target"]).write_bytes(b"onnx")
        return {}

    monkeypatch.setattr(sandbox, "run", run)
    assert exporting.content(ours, "onnx") == b"onnx"
    assert tasks[0]["source"] == str(ours.path(NETWORK))
    assert tasks[0]["properties"]["classes"] == '["acne", "keloid", "melanoma", "seborrheic-keratosis"]'
    assert tasks[0]["properties"]["temperature"] == "1.0"


def test_an_ensemble_goes_with_its_members_and_comes_back_whole(tmp_path: Path) -> None:
    both = ensemble(tmp_path / "models")
    data = exporting.content(both, "keras")
    assert exporting.filename(both, "keras").endswith(".zip")
    zipfile.ZipFile(io.BytesIO(data)).extractall(tmp_path / "elsewhere")
    again = registry.find("both", models=tmp_path / "elsewhere")
    assert registry.verify(again) == ()
    assert [one.name for one in registry.members(again)] == ["a", "b"]
    with pytest.raises(ModelError, match=r"one by one") as refused:
        exporting.content(both, "onnx")
    assert "a, b" in str(refused.value)


@pytest.mark.parametrize(("kind", "lost", "said"), [
    ("keras", NETWORK, "missing"), ("onnx", NETWORK, "missing"), ("pdf", None, "expected one of keras, onnx")])
def test_what_is_damaged_or_unknown_is_refused(kind: str, lost: str | None, said: str, ours: Bundle) -> None:
    if lost:
        ours.path(lost).unlink()
    with pytest.raises(ModelError, match=said):
        exporting.content(ours, kind)


@pytest.mark.parametrize(("kind", "name", "said"), [("csv", "predictions.parquet", "no recorded predictions"),
                                                    ("card", "card.md", "no model card")])
def test_what_a_model_does_not_have_is_said(kind: str, name: str, said: str, ours: Bundle) -> None:
    ours.path(name).unlink()
    with pytest.raises(ModelError, match=said):
        exporting.content(registry.write(ours.folder, ours), kind)


def test_it_is_written_where_asked_or_refused(ours: Bundle, tmp_path: Path) -> None:
    path = exporting.write(ours, "card", tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "ours-1.0.card.md"
    assert path.read_bytes() == b"# Card of ours\n"
    with pytest.raises(ModelError, match="another folder"):
        exporting.write(ours, "card", path)
