"""A search, trial by trial: what it draws, ends early, survives and leaves. Most trainings are stand-ins."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from derm import cli, jobs, samples, tuning
from derm.errors import ConfigError, JobError
from derm.jobs.heart import Heart, Stopped
from derm.nn import config as configs
from derm.nn import finish, tune
from derm.nn.config import TrainConfig
from derm.settings import PROJECT, settings
from derm.tuning import Range, Search

TINY = {"backbone": "baseline", "weights": "none", "image_size": 32, "head_epochs": 1, "epochs": 3,
        "steps_per_epoch": 1}
SPACE = {"rate": Range(1e-4, 1e-1, log=True), "batch_size": (4, 8), "epochs": Range(2, 3)}


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Cache and runs of its own."""
    monkeypatch.setenv("DERM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DERM_RUNS", str(tmp_path / "runs"))
    settings.cache_clear()
    yield tmp_path / "runs"
    settings.cache_clear()


@pytest.fixture
def begin(own: Path, drawn_root: Path) -> Callable[..., Path]:
    """Makes the folder of a search."""
    def begin(name: str = "one", *, trials: int = 4, **changes: object) -> Path:
        folder = own / name
        folder.mkdir(parents=True)
        configs.save(TrainConfig(**{**TINY, "data": str(drawn_root), **changes}), folder)
        (folder / "search.json").write_text(Search(trials, SPACE).to_json())
        return folder

    return begin


@pytest.fixture
def learn(monkeypatch: pytest.MonkeyPatch) -> Callable[..., object]:
    """Stands for a training: the better, the nearer `rate` is to 0.01, and the fifth trial is bad whatever."""
    def good(config: TrainConfig, folder: Path) -> float:
        return 0.1 if folder.name == "0005" else 0.9 - abs(np.log10(config.rate) + 2) / 5

    def learn(config, material, heart, say, *, befall: Callable[[Path, int], None] = lambda folder, epoch: None):
        folder = heart.folder
        (folder / "checkpoints").mkdir(exist_ok=True)
        path = folder / "history.csv"
        done = len(path.read_text().splitlines()) - 1 if path.exists() else 0
        for epoch in range(done + 1, 1 + config.head_epochs + config.epochs):
            heart.check()
            befall(folder, epoch)
            with path.open("a", newline="") as file:
                csv.writer(file).writerows([["epoch", "macro_f1"]] * (epoch == 1) + [
                    [epoch, good(config, folder) * epoch / 4]])
        return good(config, folder)

    def logits(good: float, val):
        right = np.arange(len(val.labels)) < good * len(val.labels)
        return np.eye(3)[np.where(right, val.labels, (val.labels + 1) % 3)] * 5

    monkeypatch.setattr(finish, "logits", logits)
    return learn


def search(folder: Path, learn: Callable[..., object]) -> pd.DataFrame:
    """The trials, once the search is done."""
    with Heart(folder) as heart:
        tune.proceed(folder, heart=heart, say=lambda _: None, learn=learn)
    return tuning.trials(folder)


def test_the_best_is_found_and_what_falls_behind_is_ended_early(begin, learn):
    folder = begin(trials=5)
    found = search(folder, learn)
    assert found["trial"].tolist() == [1, 2, 3, 4, 5]
    assert found["state"].tolist() == ["finished"] * 4 + ["pruned"]
    assert found.loc[4, "epochs_done"] < found.loc[4, "epochs"] + 1
    assert found["rate"].between(1e-4, 1e-1).all()
    assert set(found["batch_size"]) == {4, 8}
    assert set(found["epochs"]) == {2, 3}
    best = tuning.best(folder)
    assert found.loc[best - 1, "macro_f1"] == found["macro_f1"].max()
    assert configs.read(folder / "best.toml").rate == pytest.approx(found.loc[best - 1, "rate"])
    status = json.loads((folder / "status.json").read_text())
    assert (status["state"], status["epoch"], status["epochs"]) == ("finished", 5, 5)
    assert "trial 5/5" in (folder / "log.txt").read_text()
    assert not list(folder.glob("trials/*/checkpoints"))
    assert len(list(folder.glob("trials/*/history.csv"))) == 5


def test_another_seed_draws_otherwise(begin, learn):
    rates = [search(begin(f"seed{seed}", seed=seed, trials=1), learn)["rate"].tolist() for seed in (0, 9)]
    assert rates[0] != rates[1]


@pytest.mark.parametrize("end", [
    KeyboardInterrupt, pytest.param(RuntimeError("CUDA_ERROR_LAUNCH_FAILED"), marks=pytest.mark.slow)])
def test_a_search_broken_off_goes_on_as_if_nothing_had_happened(begin, learn, end):
    """In the third epoch of the third trial; that trial is taken up where it was."""
    whole, broken = begin("whole"), begin("broken")

    def befall(folder: Path, epoch: int) -> None:
        if (folder.name, epoch) == ("0003", 3):
            raise end

    with pytest.raises(end if isinstance(end, type) else type(end)):
        search(broken, lambda *given: learn(*given, befall=befall))
    assert tuning.trials(broken)["state"].tolist() == ["finished", "finished", "running"]
    epochs: list[tuple[str, int]] = []
    found = search(broken, lambda *given: learn(*given, befall=lambda folder, epoch: epochs.append(
        (folder.name, epoch))))
    assert epochs[0] == ("0003", 3)
    pd.testing.assert_frame_equal(found.drop(columns="seconds"), search(whole, learn).drop(columns="seconds"))


def test_a_wish_to_stop_reaches_the_trial(begin, learn):
    folder = begin(trials=2)

    def asking(config, material, heart, say):
        outer.ask()
        assert heart.is_asked
        return learn(config, material, heart, say)

    with pytest.raises(Stopped), Heart(folder) as outer:
        tune.proceed(folder, heart=outer, say=lambda _: None, learn=asking)
    assert json.loads((folder / "status.json").read_text())["state"] == "stopped"
    assert search(folder, learn)["state"].tolist() == ["finished"] * 2


def test_a_trial_that_fails_by_itself_does_not_end_the_search(begin, learn):
    def befall(folder: Path, epoch: int) -> None:
        if folder.name == "0002":
            raise MemoryError("Cannot allocate memory")
        if folder.name == "0003":
            raise ConfigError("mixup + cutmix = 1.1; these are shares.")

    found = search(begin(trials=3), lambda *given: learn(*given, befall=befall))
    assert found["state"].tolist() == ["finished", "failed", "failed"]
    assert found["reason"].tolist()[1:] == ["The machine ran out of memory.",
                                             "mixup + cutmix = 1.1; these are shares."]


def test_a_search_of_which_nothing_came_says_so(begin, learn):
    def befall(folder: Path, epoch: int) -> None:
        raise MemoryError

    with pytest.raises(JobError, match="not one of 2 trials came to its end"):
        search(begin(trials=2), lambda *given: learn(*given, befall=befall))


def test_more_trials_are_added_to_those_there_are(begin, learn):
    folder = begin(trials=1)
    first = search(folder, learn)
    (folder / "search.json").write_text(Search(2, SPACE).to_json())
    found = search(folder, learn)
    assert found["rate"].tolist()[:1] == first["rate"].tolist()
    assert len(found) == 2


def test_data_that_changed_is_refused(begin, learn, tmp_path):
    root = samples.write_dataset(tmp_path / "data", per_class=6, size=48)
    folder = begin(trials=1, data=str(root))
    search(folder, learn)
    samples.write_dataset(root, per_class=7, size=48)
    (folder / "search.json").write_text(Search(2, SPACE).to_json())
    with pytest.raises(JobError, match="data changed since the run one was started"):
        search(folder, learn)


def test_two_real_trials_from_the_command_line(own, drawn_root, tmp_path, capsys):
    """And the same command again, which finds nothing left to do."""
    (tmp_path / "mine.toml").write_text(TrainConfig(**{**TINY, "epochs": 1, "data": str(drawn_root)}).to_toml())
    command = ["tune", str(tmp_path / "mine.toml"), "--trials", "2", "--space", "batch_size=4,8"]
    assert derm(*command) == 0
    said = capsys.readouterr().out
    assert "trial 2/2: macro F1 too few (n = 7)" in said
    assert "is too good" in said
    run = jobs.find("tune-mine", runs=own)
    assert (run.state, run.is_search, run.epoch, run.epochs) == ("finished", True, 2, 2)
    assert not [path for path in run.folder.rglob("*") if path.suffix in (".npz", ".keras", ".h5")]
    assert configs.read(run.folder / "best.toml").batch_size in (4, 8)
    assert derm(*command) == 0
    assert derm("tune", "--show", "tune-mine", "--json") == 0
    shown = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [trial["state"] for trial in shown["trials"]] == ["finished", "finished"]
    assert shown["trials"][0]["low"] is None
    with pytest.raises(JobError, match="finished already"):
        jobs.resume("tune-mine", runs=own)


@pytest.mark.parametrize(("arguments", "words"), [
    (("tune",), "no settings to begin with"),
    (("tune", "{file}", "--space", "rate=7"), "rate = 7"),
    (("tune", "{file}", "--run", "{runs}/; rm -rf"), "cannot name a run"),
    (("tune", "{file}", "--run", "../x"), "climbs out"),
    (("tune", "{file}", "--set", "weights=absent.h5"), "weights = 'absent.h5': no such file"),
    (("tune", "--show", "absent"), "not a search"),
])
def test_bad_input_is_one_sentence_and_starts_nothing(own, drawn_root, tmp_path, capsys, arguments, words):
    (tmp_path / "mine.toml").write_text(TrainConfig(**TINY, data=str(drawn_root)).to_toml())
    assert derm(*(text.format(file=tmp_path / "mine.toml", runs=own) for text in arguments)) == 2
    said = capsys.readouterr().err
    assert words in said
    assert len(said.strip().splitlines()) == 1
    assert jobs.list_runs(own) == []


@pytest.mark.slow
def test_a_search_killed_in_a_process_of_its_own_goes_on(own, drawn_root, tmp_path):
    """SIGKILL in the second trial; the same command does the rest."""
    (tmp_path / "mine.toml").write_text(TrainConfig(**TINY, data=str(drawn_root)).to_toml())
    command = [sys.executable, "-c", "import sys; from derm.cli import main; main(sys.argv[1:])", "tune",
               str(tmp_path / "mine.toml"), "--trials", "3", "--space", "batch_size=4,8"]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while not (own / "tune-mine" / "trials" / "0002" / "history.csv").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = tuning.trials(own / "tune-mine")
    assert jobs.find("tune-mine", runs=own).state == "lost"
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = tuning.trials(own / "tune-mine")
    assert after["state"].tolist() == ["finished"] * 3
    assert after["rate"].tolist()[:2] == before["rate"].tolist()


def derm(*arguments: object) -> int:
    """The exit status of `derm ...`."""
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)
