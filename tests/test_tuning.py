"""What a search may choose from, what is refused, and how its table reads. Nothing is trained."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from derm import tuning
from derm.errors import ConfigError, JobError
from derm.nn import config as configs
from derm.nn.config import TrainConfig
from derm.tuning import Range, Search

TABLE = """trial,state,macro_f1,low,high,n,epochs_done,seconds,reason,rate,imbalance
1,finished,0.5,0.4,0.6,80,9,12.5,,0.001,none
2,pruned,,,,,3,4.0,,0.01,focal
3,failed,,,,,0,1.0,The GPU ran out of memory.,0.1,none
4,finished,0.625,0.5,0.75,80,9,12.5,,0.002,sqrt-sampling
5,running,,,,,,,,0.003,none
"""
SPACE = {"rate": Range(1e-3, 1e-1, log=True), "imbalance": ("none", "focal", "sqrt-sampling")}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A search of nine trials, five of them begun."""
    (tmp_path / "search.json").write_text(Search(9, SPACE).to_json())
    (tmp_path / "trials.csv").write_text(TABLE)
    configs.save(TrainConfig(data=str(tmp_path)), tmp_path)
    return tmp_path


@pytest.mark.parametrize("config", [
    TrainConfig(), TrainConfig(backbone="baseline"), TrainConfig(cutmix=0.7, mixup=0.3),
    TrainConfig(backbone="inceptionv3")])
def test_what_is_searched_unless_told_otherwise_can_be_had(config):
    found = tuning.space(config, [])
    assert found["batch_size"] == (16, 32, 64)
    assert found["rate"] == Range(1e-4, 2e-3, log=True)
    assert set(found) == {"batch_size", "rate", "weight_decay", "label_smoothing", "crop_min", "mixup", "dropout",
                          "train_from", "imbalance"}
    assert found["train_from"][0] == "all"


@pytest.mark.parametrize(("text", "key", "choices"), [
    ("rate=1e-5..1e-2", "rate", Range(1e-5, 1e-2, log=True)),
    ("dropout = 0 .. 0.3", "dropout", Range(0.0, 0.3)),
    ("weight_decay=0..0.1", "weight_decay", Range(0.0, 0.1)),  # nothing to draw a logarithm from
    ("epochs=3..9", "epochs", Range(3, 9)),
    ("batch_size=8,16", "batch_size", (8, 16)),
    ("imbalance=focal,none", "imbalance", ("focal", "none")),
    ("flips=true,false", "flips", (True, False)),
    ("mixup=0.5", "mixup", (0.5,)),
])
def test_a_space_of_the_command_line(text, key, choices):
    assert tuning.space(TrainConfig(), [text])[key] == choices


@pytest.mark.parametrize(("text", "words"), [
    ("rate", "expected key=low..high or key=a,b,c"),
    ("rate=", "expected key=low..high or key=a,b,c"),
    ("learning_rate=1..2", "'learning_rate' cannot be searched; expected one of backbone"),
    ("fold=1,2", "'fold' cannot be searched"),
    ("rate=1e-3..1e-4", "expected two numbers, the smaller first"),
    ("rate=nan..1", "expected two numbers, the smaller first"),
    ("rate=a..b", "expected two numbers"),
    ("epochs=1.5..3", "expected two numbers"),
    ("imbalance=none..focal", "expected two numbers"),
    ("rate=1..2..3", "expected two numbers"),
    ("rate=0.1..7", "rate = 7.0; expected a number above 0 up to 1"),
    ("batch_size=16,none", "batch_size = 'none'"),
    ("imbalance=smote,none", "imbalance = 'smote'"),
    ("backbone=vgg99,mobilenetv2", "backbone = 'vgg99'"),
])
def test_what_cannot_be_searched_is_said(text, words):
    with pytest.raises(ConfigError, match=re.escape(words)):
        tuning.space(TrainConfig(), [text])


def test_a_search_reads_back_the_same(folder):
    assert tuning.read(folder) == Search(9, SPACE)
    assert tuning.is_search(folder)
    assert not tuning.is_search(folder / "absent")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"trials": 3, "space": {"rate": {"lowest": 1}}}'])
def test_a_damaged_search_says_so(folder, text):
    (folder / "search.json").write_text(text)
    with pytest.raises(JobError, match="cannot be read"):
        tuning.read(folder)


def test_the_table_of_trials(folder):
    found = tuning.trials(folder)
    assert list(found["state"]) == ["finished", "pruned", "failed", "finished", "running"]
    assert list(found["imbalance"]) == ["none", "focal", "none", "sqrt-sampling", "none"]
    assert found["macro_f1"].isna().tolist() == [False, True, True, False, True]
    assert tuning.best(folder) == 4
    assert tuning.left(folder) == 5
    assert [tuning.told(row) for _, row in found.iterrows()] == [
        "macro F1 0.50 [0.40-0.60], n = 80", "ended early, after 3 epochs: it fell behind",
        "failed: The GPU ran out of memory.", "macro F1 0.62 [0.50-0.75], n = 80", "running"]
    assert tuning.line(found.iloc[3], of=tuning.read(folder)).endswith("(rate 0.002, imbalance sqrt-sampling)")


def test_before_the_first_trial_the_table_is_empty(folder):
    (folder / "trials.csv").unlink()
    assert tuning.trials(folder).empty
    assert (tuning.best(folder), tuning.left(folder), tuning.settle(folder)) == (None, 9, None)
    with pytest.raises(JobError, match="not a search"):
        tuning.trials(folder / "absent")


def test_too_few_photographs_have_no_figure(folder):
    (folder / "trials.csv").write_text(TABLE.replace("0.5,0.4,0.6,80", "0.5,,,7"))
    assert tuning.told(tuning.trials(folder).iloc[0]) == "macro F1 too few (n = 7)"


def test_the_best_becomes_a_config_that_says_how_it_was_chosen(folder):
    begun = configs.read(folder / "config.toml")
    (folder / "split.csv").write_text("image_id,split\n")
    tried = configs.override(begun, {"rate": 0.002, "split_file": str(folder / "split.csv")})
    tuning.trial_folder(folder, 4).mkdir(parents=True)
    (tuning.trial_folder(folder, 4) / "config.toml").write_text(tried.to_toml())
    path = tuning.settle(folder)
    assert configs.read(path) == tried
    assert 'split_file = "split.csv"' in path.read_text()  # the folder may be moved
    assert "too good" in path.read_text()
    assert "Trial 4 of 5" in path.read_text()


@pytest.mark.parametrize(("changes", "space", "named"), [
    ({"epochs": 9}, SPACE, "epochs"),
    ({}, {**SPACE, "rate": Range(1e-3, 1e-2, log=True)}, "--space rate"),
    ({}, {**SPACE, "mixup": (0.5,)}, "--space mixup"),
])
def test_a_search_goes_on_only_as_it_was_begun(folder, changes, space, named):
    with pytest.raises(JobError, match=re.escape(f"({named})")):
        tuning.go_on(folder, TrainConfig(data=str(folder), **changes), Search(20, space))
    tuning.go_on(folder, TrainConfig(data=str(folder)), Search(20, SPACE))
    assert tuning.left(folder) == 16


def test_who_lists_runs_waits_neither_for_keras_nor_for_optuna():
    code = "import sys; import derm.tuning, derm.jobs; print({'keras', 'optuna', 'pandas'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
