"""What is refused before a run has a process: one sentence, at once, and without Keras."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import namedtuple
from dataclasses import replace

import pytest

from derm import jobs
from derm.errors import ConfigError, DatasetError, DermError, JobError, ModelError
from derm.jobs import checks
from derm.nn import config as configs
from derm.nn.config import TrainConfig


@pytest.mark.parametrize(("changes", "error", "words"), [
    ({"weights": "absent.weights.h5"}, ModelError, "weights = 'absent.weights.h5': no such file"),
    ({"backbone": "baseline"}, ModelError, "no published weights"),
    ({"data": "absent"}, ConfigError, "data = 'absent': no such folder"),
    ({"exclude": "absent.csv"}, ConfigError, "= 'absent.csv': cannot be read"),
    ({"split_file": "absent.csv"}, ConfigError, "= 'absent.csv': cannot be read"),
    ({"metadata": "x_shoe_size"}, DermError, "x_shoe_size"),
    ({"gpus": 3}, JobError, "gpus = 3; there is 1 to use here"),
])
def test_what_is_missing_is_refused_at_the_start(runs, config, changes, error, words):
    with pytest.raises(error, match=words):
        jobs.start(replace(config, **changes), name="one", runs=runs)
    assert not runs.exists()


@pytest.mark.parametrize(("text", "words"), [
    ('backbone = "vgg99"\n', "backbone = 'vgg99'; expected one of resnet50, "),
    ('backbone = "inceptionv3"\nimage_size = 64\n', "image_size = 64; inceptionv3 needs at least 75 pixels"),
    ("answer_size = 7\n", "answer_size = 7; mobilenetv2 needs at least 32 pixels"),
    ("epochs = 0\nhead_epochs = 0\n", "nothing to train"),
])
def test_what_no_backbone_can_do_is_no_config(tmp_path, text, words):
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(ConfigError, match=words):
        configs.read(tmp_path / "mine.toml")


def test_a_folder_that_is_no_data_set(runs, config, tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("doctor")
    with pytest.raises(DatasetError, match=r"no known data set; found dear\.txt"):
        jobs.start(replace(config, data=str(tmp_path / "letters")), name="one", runs=runs)


def test_a_split_of_other_data(runs, config, tmp_path):
    (tmp_path / "split.csv").write_text("image_id,split,group\nnobody,train,a\n")
    with pytest.raises(DatasetError, match="nobody"):
        jobs.start(replace(config, split_file=str(tmp_path / "split.csv")), name="one", runs=runs)


def test_no_room_for_the_decoded_photographs(runs, config, monkeypatch, tmp_path):
    """What the cache holds already may be they, so that much is not asked for again."""
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9 - 1000, 1000))
    with pytest.raises(DatasetError, match=r"the decoded photographs need 0\.0 GB and 0\.0 GB is free; make room"):
        checks.check(replace(config, image_size=64))
    pixels = tmp_path / "cache" / "pixels"
    pixels.mkdir(parents=True)
    (pixels / "a.uint8").write_bytes(bytes(35 * 3 * 73 * 73))
    checks.check(replace(config, image_size=64))


def test_a_run_that_may_begin(config, runs):
    checks.check(replace(config, backbone="baseline", weights="none"))


def test_nobody_waits_for_keras():
    code = "import sys; import derm.jobs.checks; print({'keras', 'tensorflow', 'jax'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          check=True).stdout.strip() == "set()"


def test_a_config_knows_its_sides():
    assert (TrainConfig().side, TrainConfig(image_size=96).side) == (224, 96)
