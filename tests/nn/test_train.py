"""A run from config to bundle, its refusals, and a kill in the middle. On drawn pictures, in seconds."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from derm import registry, samples
from derm.errors import ConfigError, DermError, JobError, ModelError
from derm.jobs.heart import Stopped
from derm.nn import config as configs
from derm.nn import train
from derm.nn.config import TrainConfig
from derm.nn.steps import StepLog
from derm.settings import PROJECT

TINY = {"backbone": "baseline", "weights": "none", "image_size": 32, "head_epochs": 1, "epochs": 3,
        "batch_size": 8, "rate": 3e-3, "mixup": 0.0}


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    from derm.settings import settings

    monkeypatch.setenv("DERM_CACHE", str(tmp_path_factory.mktemp("cache")))
    settings.cache_clear()
    yield
    settings.cache_clear()


def tiny(root: Path, **changes: object) -> TrainConfig:
    return TrainConfig(**{**TINY, "data": str(root), **changes})


@pytest.fixture(scope="module")
def learnt(drawn_root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A run that had time to learn the drawn pictures, and what it said."""
    lines: list[str] = []
    run = tmp_path_factory.mktemp("runs") / "learnt"
    gentle = {"crop_min": 0.9, "contrast": 0.05, "brightness": 0.05, "hue": 0.0, "dropout": 0.0}
    train.start(tiny(drawn_root, epochs=6, steps_per_epoch=40, label_smoothing=0.0, **gentle), run=run,
                say=lines.append)
    return run, lines


def test_a_run_leaves_a_whole_bundle(learnt):
    run, _ = learnt
    bundle = registry.read(run)
    assert registry.verify(bundle) == ()
    assert set(bundle.sha256) == set(registry.FILES)
    assert bundle.classes == ("acne", "eczema", "melanoma")
    assert bundle.partition3 == {"acne": "non-neoplastic", "eczema": "non-neoplastic", "melanoma": "malignant"}


def test_a_run_learns(learnt):
    rows = history(learnt[0])
    assert float(rows[-1]["loss"]) < 0.8 * float(rows[0]["loss"])
    assert float(rows[-1]["macro_f1"]) > 0.4  # three conditions; one named for all gives 0.17


def test_history_and_console_tell_of_skin_type_groups(learnt):
    run, lines = learnt
    rows = history(run)
    assert len(rows) == 7
    assert {"f1_I-II", "f1_III-IV", "f1_V-VI", "n_V-VI", "learning_rate", "images_per_second"} <= set(rows[0])
    assert "V-VI" in lines[0]
    assert "left" in lines[0]
    kinds = [json.loads(line)["kind"] for line in (run / "progress.jsonl").read_text().splitlines()]
    assert kinds.count("epoch") == 7
    assert json.loads((run / "status.json").read_text())["state"] == "finished"


def test_the_bundle_predicts_what_was_recorded(learnt, drawn_root):
    """The saved network, read back from disk, gives the recorded probabilities for the same pictures."""
    from derm import datasets, images, predictions
    from derm.nn.predict import Predictor

    bundle = registry.read(learnt[0])
    recorded = predictions.read(bundle.path("predictions.parquet"))
    paths = datasets.load(drawn_root).table.set_index("image_id")["path"]
    pixels = [images.fit(images.read(drawn_root / paths[name]).pixels, 32) for name in recorded["image_id"]]
    found = Predictor.load(bundle).probabilities(np.stack(pixels))
    np.testing.assert_allclose(found, recorded.filter(like="p:"), atol=1e-5)


def test_evaluate_measures_the_part_that_was_held_out(learnt, drawn_root):
    from derm import predictions
    from derm.errors import DatasetError
    from derm.nn import evaluation

    bundle = registry.read(learnt[0])
    recorded = predictions.read(bundle.path("predictions.parquet")).set_index("image_id")
    found = evaluation.predict_split(bundle, data=drawn_root, split="val").set_index("image_id")
    np.testing.assert_allclose(found.loc[recorded.index].filter(like="p:"), recorded.filter(like="p:"), atol=1e-5)
    train_part = evaluation.predict_split(bundle, data=drawn_root, split="train")
    assert len(train_part) == bundle.counts["train"]
    assert not set(train_part["image_id"]) & set(recorded.index)
    with pytest.raises(DatasetError, match="80/20"):
        evaluation.predict_split(bundle, data=drawn_root, split="test")


def test_what_is_flagged_is_left_out(drawn_root):
    from derm import datasets
    from derm.nn.material import labelled_rows

    dataset = datasets.load(drawn_root)
    kept, every = labelled_rows(dataset), labelled_rows(dataset, exclude_flagged=False)
    assert len(every) - len(kept) == int(dataset.table["x_excluded"].sum()) > 0
    assert set(every["split"]) == {"train"}


def test_resume_of_a_finished_run_is_refused(learnt):
    with pytest.raises(JobError, match="finished already"):
        train.resume(learnt[0])


def test_a_run_folder_is_not_overwritten(learnt, drawn_root):
    with pytest.raises(JobError, match="exists already"):
        train.start(tiny(drawn_root), run=learnt[0])


@pytest.mark.parametrize(("changes", "error", "named"), [
    ({"data": "no/such/folder"}, ConfigError, "no/such/folder"),
    ({"backbone": "vgg99"}, ConfigError, "vgg99"),
    ({"train_from": "block_99"}, ConfigError, "block_99"),
    ({"backbone": "inceptionv3", "image_size": 40}, ConfigError, "75"),
    ({"weights": "absent.weights.h5"}, ModelError, "absent.weights.h5"),
    ({"xla": "on", "mixup": 0.5}, ConfigError, "xla"),
])
def test_refused_before_any_work(drawn_root, tmp_path, changes, error, named):
    with pytest.raises(error, match=named):
        train.start(tiny(drawn_root, **changes), run=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_resume_after_the_data_changed_is_refused(tmp_path):
    root = samples.write_dataset(tmp_path / "data")
    run = tmp_path / "run"
    kill_after(run, root, "epoch", 1)
    samples.write_dataset(tmp_path / "data2", seed=5)
    root.rename(tmp_path / "old")
    (tmp_path / "data2").rename(root)
    with pytest.raises(DermError, match=r"data changed since the run run was started: \d+ photographs? .* \("):
        train.resume(run)


@pytest.mark.parametrize("wait", [0.0, 0.05])
def test_a_killed_run_resumes_as_if_nothing_had_happened(drawn_root, tmp_path, wait):
    """SIGKILL, twice, at moments that a seed chose; the end is that of a run left in peace."""
    run = tmp_path / "killed"
    kill_after(run, drawn_root, "epoch", 1, wait + random.Random(1).random() * 0.2)
    kill_after(run, drawn_root, "epoch", 3, wait, resume=True)
    train.resume(run, say=lambda _: None)
    peaceful = tmp_path / "peaceful"
    train.start(tiny(drawn_root), run=peaceful, say=lambda _: None)
    assert registry.verify(registry.read(run)) == ()
    assert [row["epoch"] for row in history(run)] == ["1", "2", "3", "4"]
    for ours, theirs in zip(history(run), history(peaceful), strict=True):
        assert float(ours["loss"]) == pytest.approx(float(theirs["loss"]), rel=1e-3)
        assert ours["learning_rate"] == theirs["learning_rate"]


def test_a_run_stopped_within_an_epoch_resumes_as_if_nothing_had_happened(drawn_root, tmp_path, monkeypatch):
    """Stopped after the second step of the first epoch of fine-tuning, and the first of the last."""
    run, peaceful = tmp_path / "stopped", tmp_path / "peaceful"
    config = tiny(drawn_root, epochs=2, steps_per_epoch=4)
    train.start(config, run=peaceful, say=lambda _: None)
    real = StepLog.on_train_batch_end

    def asked(log: StepLog, batch: int, logs: object = None) -> None:
        if (log.epoch, log.done) in ((2, 1), (3, 0)) and not log.first:
            log._log.heart.ask()
        real(log, batch, logs)

    monkeypatch.setattr(StepLog, "on_train_batch_end", asked)
    with pytest.raises(Stopped):
        train.start(config, run=run, say=lambda _: None)
    assert json.loads((run / "status.json").read_text())["state"] == "stopped"
    assert [path.name for path in sorted((run / "checkpoints").iterdir())] == ["00001", "00001.0000002"]
    with pytest.raises(Stopped):
        train.resume(run, say=lambda _: None)
    train.resume(run, say=lambda _: None)
    for ours, theirs in zip(history(run), history(peaceful), strict=True):
        assert float(ours["loss"]) == pytest.approx(float(theirs["loss"]), rel=1e-3)
        assert float(ours["val_loss"]) == pytest.approx(float(theirs["val_loss"]), rel=1e-3)
        assert ours["learning_rate"] == theirs["learning_rate"]


@pytest.mark.parametrize("imbalance", configs.IMBALANCE)
def test_each_imbalance_option_trains(drawn_root, tmp_path, imbalance):
    changes = {"imbalance": imbalance, "epochs": 1, "head_epochs": 0, "steps_per_epoch": 2}
    train.start(tiny(drawn_root, **changes), run=tmp_path / "run", say=lambda _: None)
    assert np.isfinite(float(history(tmp_path / "run")[0]["loss"]))


def test_plateau_lowers_the_rate_and_early_stopping_keeps_the_best(drawn_root, tmp_path):
    # A rate so small that nothing improves.
    config = tiny(drawn_root, schedule="plateau", plateau_patience=1, rate=1e-12, head_epochs=0, epochs=9,
                  early_stopping=3, steps_per_epoch=1)
    lines: list[str] = []
    train.start(config, run=tmp_path / "run", say=lines.append)
    rows = history(tmp_path / "run")
    assert len(rows) == 4
    assert float(rows[-1]["learning_rate"]) < float(rows[0]["learning_rate"])
    assert "kept epoch 1" in lines[-1]


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_two_steps_on_each_backend(drawn_root, tmp_path, backend):
    """The same script; with JAX nothing imports TensorFlow."""
    code = ("import atexit, sys; from derm.cli import main\n"
            "atexit.register(lambda: print('TensorFlow' if sys.modules.get('tensorflow') else 'no TensorFlow'))\n"
            "main(sys.argv[1:])")
    config = tmp_path / "tiny.toml"
    config.write_text(tiny(drawn_root, epochs=1, steps_per_epoch=1).to_toml())
    done = subprocess.run([sys.executable, "-c", code, "train", str(config), "--run", str(tmp_path / "run")],
                          env=environment(KERAS_BACKEND=backend), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(history(tmp_path / "run")) == 2
    assert registry.verify(registry.read(tmp_path / "run")) == ()
    assert done.stdout.splitlines()[-1] == ("TensorFlow" if backend == "tensorflow" else "no TensorFlow")


def history(run: Path) -> list[dict[str, str]]:
    with (run / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(PROJECT), "TF_CPP_MIN_LOG_LEVEL": "3", **more}


def kill_after(run: Path, root: Path, kind: str, count: int, wait: float = 0.0, *, resume: bool = False) -> None:
    """Start a real process, SIGKILL it `wait` seconds after it told of its `count`th `kind`."""
    config = run.parent / "tiny.toml"
    config.write_text(tiny(root).to_toml())
    arguments = ["--resume", str(run)] if resume else [str(config), "--run", str(run)]
    process = subprocess.Popen([sys.executable, "-m", "derm.nn.train", *arguments], env=environment(),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    progress, deadline = run / "progress.jsonl", time.monotonic() + 120
    try:
        while not progress.exists() or progress.read_text().count(f'"kind": "{kind}"') < count:
            assert process.poll() is None, f"ended by itself with {process.returncode}"
            assert time.monotonic() < deadline, "made no progress"
            time.sleep(0.01)
        time.sleep(wait)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (run / registry.DESCRIPTION).exists(), "it was killed too late to show anything"
