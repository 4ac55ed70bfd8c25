"""Somebody else's file and its labels: what is refused before Keras, and what kind of model it becomes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from derm import importing, registry, sandbox
from derm.errors import ModelError
from tests.test_safety import changed, network, with_layer, zipped

LABELS = importing.read_labels(b"acne\nweird rash\nmelanoma\n")
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def outside(*, dtype: str = "float32", shape: tuple[int | None, ...] = (None, 32, 32, 3)) -> bytes:
    return changed("image", dtype=dtype, batch_shape=list(shape))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "theirs.keras"
    path.write_bytes(outside())
    return path


@pytest.fixture
def adopting(monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, Any]]:
    """The process apart writes a network as ours are, whatever it is given; returns the tasks it got."""
    tasks: list[Mapping[str, Any]] = []

    def run(task: Mapping[str, Any], folder: Path, **_: object) -> dict[str, Any]:
        tasks.append(task)
        Path(task["target"]).write_bytes(zipped(network()))
        return {"weights": 1234, "answers": []}

    monkeypatch.setattr(sandbox, "run", run)
    return tasks


def test_labels_become_slugs_and_unknown_ones_are_kept() -> None:
    found = importing.read_labels("\ufeffLabel\nBasal Cell Carcinoma\n\"Weird, rash\"\n\n  naevus \n".encode())
    assert found.given == ("Basal Cell Carcinoma", "Weird, rash", "naevus")
    assert found.slugs[:2] == ("basal-cell-carcinoma", "weird-rash")
    assert found.unmapped == ("Weird, rash",)


@pytest.mark.parametrize(("data", "said"), [
    (b"acne\n", "1 labels"), (b"", "0 labels"), (b"acne,0\neczema,1\n", "several columns"),
    (b"Acne\nacne\n", "'Acne' and 'acne' are the same condition"), (b"\xff\xfe\x00", "UTF-8"),
    (b"acne\n" + b"x" * 300, "none longer")])
def test_what_is_no_list_of_labels_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        importing.read_labels(data, called="labels.txt")


@pytest.mark.parametrize(("data", "said"), [
    (with_layer("Lambda"), "can run code"), (b"\x80pickle", "pickle"), (b"nothing", "not a readable Keras file"),
    (outside(shape=(None, None, None, 3)), "expected one of uint8 or float32"),
    (outside(shape=(None, 32, 64, 3)), "expected one of"), (outside(dtype="int64"), "expected one of"),
    (zipped(network(), keras="99.0"), "newer")])
def test_a_file_that_may_not_be_opened_is_refused_under_its_own_name(data: bytes, said: str,
                                                                     tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=said) as refused:
        importing.check_file(path, called="theirs.keras")
    assert str(refused.value).startswith("theirs.keras: ")


@pytest.mark.parametrize("limit", ["MAX_BYTES", "MAX_UNPACKED"])
def test_a_large_file_is_refused_before_it_is_opened(limit: str, file: Path,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, limit, 100)
    with pytest.raises(ModelError, match="at most"):
        importing.check_file(file)


def test_it_becomes_a_model_without_figures_that_says_where_it_came_from(
        file: Path, tmp_path: Path, adopting: list[Mapping[str, Any]]) -> None:
    found = importing.bring(file, labels=LABELS, name="theirs", scaling="0..1", models=tmp_path / "models",
                            now=NOW)
    (task,) = adopting
    assert (task["scaling"], task["classes"]) == ("0..1", 3)
    bundle = registry.find("theirs", models=tmp_path / "models")
    assert bundle == found.bundle
    assert registry.verify(bundle) == ()
    assert bundle.classes == ("acne", "weird-rash", "melanoma")
    assert (bundle.figures, bundle.input_size, bundle.version) == ({}, 32, "2026.01.02")
    assert "weird-rash" not in bundle.partition3
    assert bundle.environment["imported SHA-256"] == found.sha256 == registry.sha256(file)
    assert any("weird rash" in note for note in found.notes)
    assert importing.NOT_MEASURED in found.notes
    assert importing.NOT_MEASURED in bundle.path("card.md").read_text()


@pytest.mark.parametrize(("dtype", "scaling", "said"), [
    ("float32", None, "no scaling is named"), ("float32", "0..2", "'0..2'"), ("uint8", "0..1", "takes bytes")])
def test_the_scaling_is_asked_for_where_it_is_needed(dtype: str, scaling: str | None, said: str, file: Path,
                                                     tmp_path: Path, adopting: list[object]) -> None:
    file.write_bytes(outside(dtype=dtype))
    with pytest.raises(ModelError, match=said):
        importing.bring(file, labels=LABELS, name="theirs", scaling=scaling, models=tmp_path / "models")
    assert not adopting


def _fails(task: Mapping[str, Any], folder: Path, **_: object) -> dict[str, Any]:
    raise ModelError("theirs.keras: needs more memory")


def _lies(task: Mapping[str, Any], folder: Path, **_: object) -> dict[str, Any]:
    Path(task["target"]).write_bytes(with_layer("Lambda"))
    return {"weights": 1}


@pytest.mark.parametrize(("run", "said"), [(_fails, "memory"), (_lies, "can run code")])
def test_nothing_is_left_of_one_that_fails(run: Callable[..., Any], said: str, file: Path, tmp_path: Path,
                                           monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "run", run)
    with pytest.raises(ModelError, match=said):
        importing.bring(file, labels=LABELS, name="theirs", scaling="0..1", models=tmp_path / "models")
    assert not list(tmp_path.glob("models/*"))


def test_a_name_that_is_taken_is_said_before_any_work(file: Path, tmp_path: Path, adopting: list[object]) -> None:
    (tmp_path / "models" / "theirs").mkdir(parents=True)
    with pytest.raises(ModelError, match="exists already"):
        importing.bring(file, labels=LABELS, name="theirs", scaling="0..1", models=tmp_path / "models")
    assert not adopting


def test_markup_in_labels_and_names_stays_text(tmp_path: Path, adopting: list[object]) -> None:
    file = tmp_path / "[a](http:evil).keras"
    file.write_bytes(outside())
    labels = importing.read_labels(b"acne `*\n![x](http://evil)\nmelanoma\n")
    bundle = importing.bring(file, labels=labels, name="theirs", scaling="0..1", models=tmp_path / "models").bundle
    for line in bundle.path("card.md").read_text().splitlines():
        assert "(http" not in line or line.count("`") == 2


@pytest.mark.slow
def test_a_network_larger_than_the_memory_allowed_is_refused_in_time(tmp_path: Path) -> None:
    config = json.dumps(network()).replace('"units": 7', '"units": 3000000000')
    (tmp_path / "huge.keras").write_bytes(zipped(json.loads(config)))
    (tmp_path / "work").mkdir()
    with pytest.raises(ModelError):
        sandbox.run({"do": "adopt", "source": str(tmp_path / "huge.keras"), "target": str(tmp_path / "x.keras"),
                     "scaling": "0..1", "classes": 3}, tmp_path / "work", subject="huge.keras", memory=2 * 2**30)
