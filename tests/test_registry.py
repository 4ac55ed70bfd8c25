"""Bundles on disk; their networks' files are made by hand (see test_safety.py), no Keras."""

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from derm import registry
from derm.errors import ModelError
from derm.registry import Bundle


def network_file(*, units: int = 3) -> bytes:
    """The least that passes for a .keras file."""
    layers = [{"module": "keras.layers", "class_name": "InputLayer",
               "config": {"name": "image", "dtype": "uint8", "batch_shape": [None, 32, 32, 3]}},
              {"module": "keras.layers", "class_name": "Dense", "config": {"name": "logits", "units": units}}]
    config = {"module": "keras", "class_name": "Sequential", "config": {"layers": layers}}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("metadata.json", '{"keras_version": "3.0.0"}')
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", b"\x89HDF\r\n\x1a\n weights")
    return file.getvalue()


def describe(folder: Path, **changes: Any) -> Bundle:
    values: dict[str, Any] = {
        "folder": folder, "name": "tiny", "version": "1", "classes": ("acne", "eczema", "melanoma"),
        "partition3": {"acne": "non-neoplastic", "eczema": "non-neoplastic", "melanoma": "malignant"},
        "input_size": 32, "backbone": "MobileNetV2", "temperature": 1.2, "data_name": "drawn",
        "data_fingerprint": "abc", "licence": "Apache-2.0", "intended_use": "Tests only.",
        "keras_version": "3.0.0", "code_version": "0.1.0", "created": "2026-01-01",
        "figures": {"accuracy": {"value": 0.5, "low": 0.4, "high": 0.6, "n": 90},
                    "accuracy:V-VI": {"value": None, "low": None, "high": None, "n": 4}}}
    return Bundle(**(values | changes))


def make(folder: Path, data: bytes | None = None, **changes: Any) -> Bundle:
    """A complete bundle in `folder`; `data` is its model.keras."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.keras").write_bytes(network_file() if data is None else data)
    (folder / "config.toml").write_text('backbone = "MobileNetV2"\n')
    (folder / "card.md").write_text("# Model card\n")
    return registry.write(folder, describe(folder, name=folder.name, **changes))


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    written = make(tmp_path / "tiny", counts={"train": 10}, split="80/20", environment={"python": "3.11"})
    assert registry.read(tmp_path / "tiny") == written
    assert set(written.sha256) == {"model.keras", "config.toml", "card.md"}
    assert registry.verify(written) == ()
    registry.check(written)
    assert len(list(written.folder.iterdir())) == 4  # no half-written file is left


def test_half_written_bundles_are_invisible(tmp_path: Path) -> None:
    make(tmp_path / "b")
    make(tmp_path / "a")
    make(tmp_path / "copying").folder.rename(tmp_path / ".copying")
    (tmp_path / "no-description").mkdir()
    (tmp_path / "half").mkdir()
    whole = (tmp_path / "a" / "bundle.json").read_text()
    (tmp_path / "half" / "bundle.json").write_text(whole[: len(whole) // 2])
    assert [bundle.name for bundle in registry.list_bundles(tmp_path)] == ["a", "b"]
    problem, = registry.unreadable(tmp_path)
    assert "half/bundle.json" in problem


def test_no_models_folder_lists_nothing_and_says_how_to_train(tmp_path: Path) -> None:
    missing = tmp_path / "models"
    assert registry.list_bundles(missing) == []
    with pytest.raises(ModelError, match="derm train --preset quick --data PATH"):
        registry.find(models=missing)


def test_the_default_is_the_one_named_else_the_first(tmp_path: Path) -> None:
    make(tmp_path / "b")
    make(tmp_path / "a")
    assert registry.find(models=tmp_path).name == "a"
    registry.set_default("b", models=tmp_path)
    assert registry.find(models=tmp_path).name == "b"
    assert registry.find("a", models=tmp_path).name == "a"


def test_an_unknown_name_lists_those_there_are(tmp_path: Path) -> None:
    make(tmp_path / "models" / "a")
    make(tmp_path / "elsewhere")
    for name in ("c", "../elsewhere", ""):
        with pytest.raises(ModelError, match="there are: a"):
            registry.find(name, models=tmp_path / "models")
    with pytest.raises(ModelError, match="there are: a"):
        registry.set_default("c", models=tmp_path / "models")


@pytest.mark.parametrize(("key", "value", "words"), [
    ("classes", None, "no key 'classes'"),
    ("sha256", None, "no key 'sha256'"),
    ("weight", 1, "unknown key 'weight'"),
    ("folder", "/etc", "unknown key 'folder'"),
    ("name", "../up", "name = "),
    ("version", 2, "expected a text"),
    ("classes", ["acne"], "two or more"),
    ("classes", ["acne", "acne"], "different"),
    ("partition3", {"acne": "bad"}, "benign, malignant, non-neoplastic"),
    ("partition3", {"acne": ["bad"]}, "benign, malignant, non-neoplastic"),
    ("input_size", 0, "above 0"),
    ("input_size", True, "above 0"),
    ("temperature", float("nan"), "above 0"),
    ("temperature", "1", "above 0"),
    ("figures", {"accuracy": {"value": 0.5}}, "value, low, high and n"),
    ("sha256", {"../other": "0" * 64, "model.keras": "0" * 64}, "sha256"),
    ("sha256", {"model.keras": "short"}, "sha256"),
    ("counts", {"train": "many"}, "whole numbers"),
    ("conformal", {"level": 0.9, "limits": {}}, "one of them for all"),
    ("conformal", {"level": 0.9, "limits": {"all": {"least": 1.5, "n": 9}}}, "one of them for all"),
    ("conformal", {"level": 90, "limits": {"all": {"least": 0.1, "n": 9}}}, "one of them for all"),
    ("sensitivity", {"acne": {"all": 0.5}}, "value, low, high and n"),
    ("training", {"acne": {"I-II": -1}}, "whole numbers from 0"),
    ("nonskin", {"document": 1.0}, "value, low, high and n"),
    ("members", ["a", "a"], "different names"),
    ("members", ["../a", "b"], "different names"),
    ("members", ["a", "b"], "an ensemble has none of its own"),
    ("sha256", {"card.md": "0" * 64}, "does not list model.keras"),
    ("vote", "loud", "soft, hard or nothing"),
    ("vote", "soft", "vote or weights do not go with members = none"),
    ("weights", [0.5, 0.6], "a sum of 1"),
    ("weights", [0.5, 0.5], "do not go with members"),
    ("member_sha256", {"a": "short"}, "a table of SHA-256s"),
    ("voters", [2, 1], "the fewest and the most"),
    ("voters", [1, 2], "more than the 0 members"),
    ("known_cases", 1.0, "a share from 0 to below 1"),
    ("known_width", 0, "a number above 0"),
])
def test_a_wrong_description_names_the_file_and_the_key(tmp_path: Path, key: str, value: object,
                                                        words: str) -> None:
    path = make(tmp_path / "a").path("bundle.json")
    table = json.loads(path.read_text()) | {key: value}
    path.write_text(json.dumps({k: v for k, v in table.items() if v is not None}))
    with pytest.raises(ModelError, match=words) as caught:
        registry.read(tmp_path / "a")
    assert str(path) in str(caught.value)
    assert key in str(caught.value) or words in str(caught.value)


@pytest.mark.parametrize("text", ["", "[1]", '{"name": ', "[" * 100_000],
                         ids=["empty", "list", "cut", "deep"])
def test_a_description_that_is_not_an_object(tmp_path: Path, text: str) -> None:
    make(tmp_path / "a").path("bundle.json").write_text(text)
    with pytest.raises(ModelError, match="JSON"):
        registry.find("a", models=tmp_path)


def test_a_bundle_that_does_not_say_how_wide_the_vote_is_answers_as_when_it_was_made(tmp_path: Path) -> None:
    path = make(tmp_path / "a", known_cases=0.4).path("bundle.json")
    table = json.loads(path.read_text())
    del table["known_width"]
    path.write_text(json.dumps(table))
    assert registry.read(tmp_path / "a").known_width == 0.03


def test_verify_names_every_missing_and_changed_file(tmp_path: Path) -> None:
    bundle = make(tmp_path / "a")
    bundle.path("card.md").unlink()
    bundle.path("config.toml").write_text("changed")
    problems = sorted(registry.verify(bundle))
    assert len(problems) == 2
    assert "card.md: missing" in problems[0]
    assert "config.toml: its SHA-256" in problems[1]
    registry.check(bundle)  # the network itself is sound


def truncated(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1:]


@pytest.mark.parametrize("damage", [truncated, flipped, lambda data: b""],
                         ids=["truncated", "flipped", "empty"])
def test_damage_is_told_by_the_hash(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    bundle = make(tmp_path / "a")
    path = bundle.path("model.keras")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ModelError, match="SHA-256"):
        registry.check(bundle)
    assert "SHA-256" in registry.verify(bundle)[0]
    assert len(registry.verify(bundle)) == 1


def test_a_sound_file_that_is_unsafe_or_of_another_model_is_told_apart_from_damage(tmp_path: Path) -> None:
    bundle = make(tmp_path / "a", network_file(units=21))
    with pytest.raises(ModelError, match="answers with 21 classes") as caught:
        registry.check(bundle)
    assert registry.verify(bundle) == (str(caught.value),)


def test_a_bundle_without_its_network_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model\.keras"):
        registry.write(tmp_path, describe(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_promote_copies_a_finished_run_whole(tmp_path: Path) -> None:
    run, models = tmp_path / "runs" / "r1", tmp_path / "models"
    source = make(run)
    (run / "log.txt").write_text("stays behind")
    promoted = registry.promote(run, "skin-1", models=models)
    assert promoted.name == "skin-1"
    assert promoted.sha256 == source.sha256
    assert registry.find("skin-1", models=models) == promoted
    assert registry.verify(promoted) == ()
    assert [path.name for path in models.iterdir()] == ["skin-1"]
    assert not (models / "skin-1" / "log.txt").exists()


@pytest.mark.parametrize("name", ["../out", "", ".hidden", "a/b", "a" * 65, "é"])
def test_promote_refuses_names_that_are_not_plain(tmp_path: Path, name: str) -> None:
    make(tmp_path / "run")
    with pytest.raises(ModelError, match="cannot name a model"):
        registry.promote(tmp_path / "run", name, models=tmp_path / "models")


def test_promote_leaves_nothing_behind_when_it_refuses(tmp_path: Path) -> None:
    models = tmp_path / "models"
    make(models / "taken")
    with pytest.raises(ModelError, match="exists already"):
        registry.promote(make(tmp_path / "run").folder, "taken", models=models)
    with pytest.raises(ModelError, match=r"bundle\.json"):
        registry.promote(tmp_path / "no-run", "new", models=models)
    (tmp_path / "run" / "card.md").write_text("changed since")
    with pytest.raises(ModelError, match="SHA-256"):
        registry.promote(tmp_path / "run", "new", models=models)
    assert [path.name for path in models.iterdir()] == ["taken"]


def test_promote_cleans_up_after_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    make(tmp_path / "run")
    monkeypatch.setattr(registry.shutil, "copyfile", full)
    with pytest.raises(ModelError, match="No space left"):
        registry.promote(tmp_path / "run", "new", models=tmp_path / "models")
    assert list((tmp_path / "models").iterdir()) == []


def test_the_registry_loads_neither_keras_nor_pandas() -> None:
    code = "import sys, derm.registry; sys.exit(bool({'keras', 'tensorflow', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_damaged_reference_is_told_before_anything_is_opened(tmp_path: Path) -> None:
    make(tmp_path / "a").path(registry.REFERENCE).write_bytes(b"features")
    bundle = registry.write(tmp_path / "a", describe(tmp_path / "a"))
    registry.check(bundle)
    bundle.path(registry.REFERENCE).write_bytes(b"other")
    with pytest.raises(ModelError, match=r"reference\.npz: its SHA-256"):
        registry.check(bundle)
