"""What a config may say, what is refused and with which words, and that the page about it is complete."""

from __future__ import annotations

import re
from dataclasses import asdict, fields
from pathlib import Path

import pytest

from derm import registry
from derm.errors import ConfigError
from derm.nn import config as configs
from derm.nn.config import TrainConfig
from derm.settings import PROJECT, settings


@pytest.mark.parametrize(("key", "value", "allowed"), [
    ("rate", -1e-4, "a number above 0 up to 1"),
    ("rate", 0, "above 0"),
    ("rate", float("nan"), "above 0 up to 1"),
    ("rate", float("inf"), "above 0 up to 1"),
    ("rate", -float("inf"), "above 0 up to 1"),
    ("rate", "fast", "a number"),
    ("rate", True, "a number"),
    ("head_rate", 2, "up to 1"),
    ("batch_size", 0, "a whole number from 1 to 4096"),
    ("batch_size", 1.5, "a whole number"),
    ("batch_size", "32", "a whole number"),
    ("batch_size", True, "a whole number"),
    ("epochs", -1, "from 0 to 10000"),
    ("epochs", 10**400, "from 0 to 10000"),
    ("seed", -1, "from 0 to 2147483647"),
    ("steps_per_epoch", 10**7, "from 0 to 1000000"),
    ("dropout", 0.95, "from 0 to 0.9"),
    ("label_smoothing", 0.6, "from 0 to 0.5"),
    ("crop_min", 0.0, "from 0.05 to 1"),
    ("mixup_alpha", 0.0, "above 0 up to 10"),
    ("image_size", 31, "from 32 to 1024"),
    ("image_size", 7, "from 32 to 1024"),
    ("backbone", "vgg99", "expected one of resnet50, "),
    ("image_size", 2048, "from 0 to 1024"),
    ("optimizer", "sgd", "adamw, adam"),
    ("imbalance", "smote", "sqrt-sampling"),
    ("split", "50/50", "80/20, 80/10/10"),
    ("xla", True, "auto, on, off"),
    ("flips", 1, "true or false"),
    ("flips", "yes", "true or false"),
    ("backbone", 50, "text in quotes"),
    ("data", ["a"], "text in quotes"),
])
def test_a_bad_value_is_refused_naming_key_value_and_range(key, value, allowed):
    with pytest.raises(ConfigError, match=re.escape(allowed)) as refusal:
        configs.override(TrainConfig(), {key: value})
    assert refusal.value.key == key
    assert str(refusal.value).startswith(f"{key} = {value!r}")


@pytest.mark.parametrize(("values", "key", "words"), [
    ({"learning_rate": 0.1}, "learning_rate", "unknown key 'learning_rate'; expected one of data, split"),
    ({"mixup": 0.7, "cutmix": 0.4}, "mixup", "mixup + cutmix = 1.1"),
    ({"epochs": 0, "head_epochs": 0}, "epochs", "nothing to train"),
])
def test_what_does_not_fit_together_is_refused(values, key, words):
    with pytest.raises(ConfigError, match=re.escape(words)) as refusal:
        configs.override(TrainConfig(), values)
    assert refusal.value.key == key


@pytest.mark.parametrize("values", [
    {"mixup": 0.6, "cutmix": 0.4}, {"rate": 1}, {"crop_min": 1}, {"batch_size": 1}, {"image_size": 0},
    {"image_size": 32}, {"epochs": 0}, {"head_epochs": 0}, {"rotation": 180},
])
def test_the_ends_of_the_ranges_are_allowed(values):
    assert asdict(configs.override(TrainConfig(), values)).items() >= values.items()


def test_a_file_is_read_over_the_defaults(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('# mine\nbackbone = "resnet50"\nepochs = 4\nflips = false\nwarmup_epochs = 2\n')
    read = configs.read(file)
    assert (read.backbone, read.epochs, read.flips, read.warmup_epochs) == ("resnet50", 4, False, 2)
    assert read.batch_size == TrainConfig().batch_size


@pytest.mark.parametrize(("content", "words"), [
    (b"epochs = 4\nrate = = 3\n", "line 2"),
    (b"epochs = 4\nepochs = 5\n", "line 2"),
    (b"data = \xff\xfe\n", "not valid TOML"),
    (b"[train]\nepochs = 4\n", "unknown key 'train'"),
    (b"rate = nan\n", "rate = nan"),
    (b"rate = inf\n", "rate = inf"),
])
def test_a_broken_file_is_refused_with_its_line(tmp_path, content, words):
    file = tmp_path / "mine.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=re.escape(words)):
        configs.read(file)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=re.escape("absent.toml: cannot be read (No such file")):
        configs.read(tmp_path / "absent.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        configs.read(tmp_path)


@pytest.mark.parametrize("config", [
    TrainConfig(), configs.preset("quick"),
    TrainConfig(rate=1e-7, warmup_epochs=0.5, flips=False, weight_decay=0),
    TrainConfig(data='C:\\données "neu" \U0001f9b4\t\n', weights="it's.h5"),
])
def test_to_toml_reads_back_the_same(tmp_path, config):
    (tmp_path / "config.toml").write_text(config.to_toml(), encoding="utf-8")
    assert configs.read(tmp_path / "config.toml") == config


@pytest.mark.parametrize(("texts", "values"), [
    (["epochs=5"], {"epochs": 5}),
    (["rate = 1e-3", "flips=false"], {"rate": 1e-3, "flips": False}),
    (["backbone=resnet50"], {"backbone": "resnet50"}),
    (['backbone="resnet50"'], {"backbone": "resnet50"}),
    (["split=80/10/10"], {"split": "80/10/10"}),
    (["data=/a=b/c"], {"data": "/a=b/c"}),
    (["epochs=5", "epochs=6"], {"epochs": 6}),
    ([], {}),
])
def test_assignments_of_the_command_line(texts, values):
    assert configs.parse_assignments(texts) == values


@pytest.mark.parametrize(("text", "words"), [
    ("epochs", "--set epochs: expected key=value"), ("epochs=many", "epochs = 'many'"),
    ("epochs=1.5", "epochs = 1.5"), ("rate=nan", "rate = nan"), ("epoch=5", "unknown key 'epoch'"),
    ("epochs=", "epochs = ''"),
])
def test_a_bad_assignment_is_refused(text, words):
    with pytest.raises(ConfigError, match=re.escape(words)):
        configs.override(TrainConfig(), configs.parse_assignments([text]))


def test_presets():
    assert configs.preset("default") == TrainConfig(known_cases=0.5)
    quick = configs.preset("quick")
    assert quick.epochs < TrainConfig().epochs
    assert quick.image_size == 128
    with pytest.raises(ConfigError, match="preset = 'slow'; expected one of quick, default"):
        configs.preset("slow")


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("DERM_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_the_data_folder_is_the_configs_or_the_settings(no_settings, monkeypatch, tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with pytest.raises(ConfigError, match="no data folder; name one with --data PATH") as refusal:
        configs.data_folder(TrainConfig())
    assert refusal.value.key == "data"
    monkeypatch.setenv("DERM_DATA", str(tmp_path / "one"))
    settings.cache_clear()
    assert configs.data_folder(TrainConfig()) == tmp_path / "one"
    assert configs.data_folder(TrainConfig(data=str(tmp_path / "two"))) == tmp_path / "two"


def test_a_missing_data_folder_is_named(no_settings, tmp_path):
    with pytest.raises(ConfigError, match=re.escape(f"data = '{tmp_path / 'three'}': no such folder")):
        configs.data_folder(TrainConfig(data=str(tmp_path / "three")))


def test_the_page_about_training_names_every_key_with_its_default():
    page = (PROJECT / "docs" / "training.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| `([^`]*)` \|", page, flags=re.MULTILINE))
    lines = dict(line.split(" = ", 1) for line in TrainConfig().to_toml().splitlines())
    assert rows == lines
    assert list(rows) == [spec.name for spec in fields(TrainConfig)]


def test_lists_in_a_file_are_relative_to_it(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('exclude = "lists/out.csv"\nsplit_file = "/elsewhere/split.csv"\n')
    read = configs.read(file)
    assert (read.exclude, read.split_file) == (str(tmp_path / "lists" / "out.csv"), "/elsewhere/split.csv")


@pytest.mark.parametrize("key", list(configs.LISTS))
def test_a_list_that_cannot_be_read_is_refused(tmp_path, key):
    with pytest.raises(ConfigError, match=rf"^{key} = 'absent.csv': cannot be read \(No such file") as refusal:
        configs.save(TrainConfig(**{key: "absent.csv"}), tmp_path)
    assert refusal.value.key == key


def test_a_bundle_takes_the_lists_along():
    assert tuple(configs.LISTS.values()) == registry.LISTS
