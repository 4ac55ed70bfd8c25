"""A run from config to bundle, its refusals, and a kill in the middle. On drawn pictures, in seconds."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from derm import datasets, registry, samples
from derm.errors import ConfigError, DermError, JobError, ModelError
from derm.jobs.heart import Stopped
from derm.nn import train
from derm.nn.config import read
from derm.nn.material import prepare
from derm.settings import PROJECT
from tests.nn.conftest import assert_same, history, stop_at, tiny

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture(scope="module")
def learnt(drawn_root: Path, own_cache: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A run that had time to learn the drawn pictures, and what it said."""
    lines: list[str] = []
    run = tmp_path_factory.mktemp("runs") / "learnt"
    gentle = {"crop_min": 0.9, "contrast": 0.05, "brightness": 0.05, "hue": 0.0, "dropout": 0.0}
    train.start(tiny(drawn_root, epochs=6, steps_per_epoch=40, label_smoothing=0.0, answer_size=40, **gentle),
                run=run, say=lines.append)
    return run, lines


def test_a_run_starts_from_an_earlier_model(learnt, drawn_root, tmp_path):
    before, _ = learnt
    config = tiny(drawn_root, weights=str(before / registry.NETWORK), head_epochs=1, epochs=0, steps_per_epoch=1)
    run = train.start(config, run=tmp_path / "after", say=lambda _: None)
    trunks = [keras.saving.load_model(folder / registry.NETWORK).get_layer("conv2").get_weights()
              for folder in (before, run)]
    assert all(np.array_equal(*pair) for pair in zip(*trunks, strict=True))
    assert read(run / "config.toml").weights == before.name


def test_a_run_does_not_start_from_a_model_that_learnt_what_it_holds_out(learnt, drawn_root, tmp_path):
    before, _ = learnt
    with pytest.raises(ConfigError, match=r"weights = .* photographs held out here may have taught learnt"):
        train.start(tiny(drawn_root, weights=str(before), seed=1), run=tmp_path / "after")
    assert not (tmp_path / "after").exists()


def test_a_condition_without_a_photograph_that_can_be_used_is_named(drawn_root, tmp_path):
    table = datasets.load(drawn_root).table
    left = tmp_path / "left.csv"
    table.loc[table["condition"] == "melanoma", ["image_id"]].to_csv(left, index=False)
    lines: list[str] = []
    run = train.start(tiny(drawn_root, exclude=str(left), epochs=0, steps_per_epoch=1), run=tmp_path / "two",
                      say=lines.append)
    assert lines[0] == "Left out, as no photograph of theirs can be used: melanoma."
    assert registry.read(run).classes == ("acne", "eczema")


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
    """The saved network, read back from disk, gives the recorded probabilities for the same pictures, of the size
    that answers were to have."""
    from derm import datasets, images, predictions
    from derm.nn.predict import Predictor

    bundle = registry.read(learnt[0])
    assert bundle.input_size == 40
    recorded = predictions.read(bundle.path("predictions.parquet"))
    paths = datasets.load(drawn_root).table.set_index("image_id")["path"]
    pixels = [images.fit(images.read(drawn_root / paths[name]).pixels, 40) for name in recorded["image_id"]]
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


def test_evaluate_gives_what_members_of_other_folds_recorded(learnt, drawn_root, tmp_path):
    """The whole has learnt from each of these photographs: asked anew it would know the answers."""
    import shutil

    from derm import ensembles, predictions
    from derm.nn import evaluation

    recorded = predictions.read(learnt[0] / "predictions.parquet")
    halves = {"a": recorded[: len(recorded) // 2], "b": recorded[len(recorded) // 2:]}
    for name, table in halves.items():
        shutil.copytree(learnt[0], tmp_path / name)
        predictions.write(tmp_path / name / "predictions.parquet", table)
        registry.write(tmp_path / name, replace(registry.read(tmp_path / name), name=name))
    made = ensembles.make(["a", "b"], name="both", models=tmp_path)
    assert made.voters == (1, 1)
    found = evaluation.predict_split(made, data=drawn_root, split="val").set_index("image_id")
    kept = predictions.read(made.path("predictions.parquet")).set_index("image_id")
    assert set(found.index) == set(kept.index)
    np.testing.assert_array_equal(found.loc[kept.index].filter(like="p:"), kept.filter(like="p:"))


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


def test_skin_types_that_the_config_counts_on_have_to_be_there(drawn_root, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=r"at most 4 photographs .* and 20 are needed"):
        train.start(tiny(drawn_root, early_metric="worst-group"), run=tmp_path / "run")
    alike = prepare(tiny(drawn_root))
    alike.train.groups[:] = "V-VI"
    monkeypatch.setattr(train, "prepare", lambda _: alike)
    with pytest.raises(ConfigError, match="have skin type V-VI; two groups"):
        train.start(tiny(drawn_root, group_weighting="dro"), run=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_rare_conditions_that_the_config_counts_on_have_to_be_there(drawn_root, tmp_path):
    with pytest.raises(ConfigError, match=r"has \d+ training photographs or more, none fewer than rare_below = 2"):
        train.start(tiny(drawn_root, rare="mixup", rare_below=2), run=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_resume_after_the_data_changed_is_refused(tmp_path, monkeypatch):
    root, run = samples.write_dataset(tmp_path / "data"), tmp_path / "run"
    stop_at(monkeypatch, (1, 1))
    with pytest.raises(Stopped):
        train.start(tiny(root), run=run, say=lambda _: None)
    samples.write_dataset(tmp_path / "data2", seed=5)
    root.rename(tmp_path / "old")
    (tmp_path / "data2").rename(root)
    with pytest.raises(DermError, match=r"data changed since the run run was started: \d+ photographs? .* \("):
        train.resume(run)


@pytest.mark.slow
def test_a_killed_run_resumes_as_if_nothing_had_happened(drawn_root, tmp_path, learn):
    """SIGKILL, twice, at moments that a seed chose; the end is that of a run left in peace."""
    run, wait = tmp_path / "killed", random.Random(1).random() * 0.2
    kill_after(run, drawn_root, "epoch", 1, wait)
    kill_after(run, drawn_root, "epoch", 3, wait, resume=True)
    train.resume(run, say=lambda _: None)
    learn(tmp_path / "peaceful")
    assert registry.verify(registry.read(run)) == ()
    assert [row["epoch"] for row in history(run)] == ["1", "2", "3", "4"]
    assert_same(run, tmp_path / "peaceful")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_memory_is_flat_over_epochs(drawn_root, tmp_path, backend):
    """From the twentieth epoch to the hundredth a process grows by less than half a megabyte an epoch. Memory
    moves in steps of 20 MB, as the allocator takes it; with JAX the last thirty epochs were seen to take none."""
    code = ("import psutil, sys; from pathlib import Path; from derm.nn import config, train\n"
            "say = lambda line: line.startswith('epoch') and print('rss', psutil.Process().memory_info().rss)\n"
            "train.start(config.read(Path(sys.argv[1])), run=Path(sys.argv[2]), say=say)")
    config = tmp_path / "tiny.toml"
    config.write_text(tiny(drawn_root, epochs=100, head_epochs=0, steps_per_epoch=2).to_toml())
    done = subprocess.run([sys.executable, "-c", code, str(config), str(tmp_path / "run")],
                          env=environment(KERAS_BACKEND=backend), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    used = [int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("rss")]
    assert (used[-1] - used[19]) / 80 < 0.5 * 2**20


@pytest.mark.parametrize("backend", [pytest.param("tensorflow", marks=pytest.mark.slow), "jax"])
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


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(PROJECT), "TF_CPP_MIN_LOG_LEVEL": "3", **more}


def kill_after(run: Path, root: Path, kind: str, count: int, wait: float = 0.0, *, resume: bool = False) -> None:
    """Start a real process, SIGKILL it `wait` seconds after it told of its `count`th `kind`."""
    config = run.parent / "tiny.toml"
    config.write_text(tiny(root).to_toml())
    arguments = ["--resume", str(run)] if resume else [str(config), "--run", str(run)]
    process = subprocess.Popen([sys.executable, "-m", "derm.nn.train", *arguments], env=environment(),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    progress, deadline = run / "progress.jsonl", time.monotonic() + 300
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
