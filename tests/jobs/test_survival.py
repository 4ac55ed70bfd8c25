"""Runs outlive whoever started them, and themselves. Short here; `pytest -m slow` does it at length."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from derm import jobs, registry
from derm.jobs import control
from derm.settings import PROJECT
from tests.jobs.conftest import attempts, kill, small, state, until


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_the_server_is_killed_and_the_run_lives(runs, config, tmp_path, kills):
    """Each server is killed with all its process group, at a random moment, the first perhaps while it starts."""
    rng = random.Random(5)
    (tmp_path / "config.toml").write_text(replace(config, epochs=10_000).to_toml())
    pids = set()
    for round_ in range(kills):
        told = tmp_path / f"told-{round_}"
        server = subprocess.Popen([sys.executable, "-m", "tests.jobs.server", str(runs), str(told),
                                   str(tmp_path / "config.toml")], cwd=PROJECT, start_new_session=True)
        until(lambda told=told: told.exists() and told.read_text())
        until(lambda told=told: json.loads(told.read_text() or "{}").get("state") == "running", seconds=5 + 25 * (
            round_ == 0))
        seen = json.loads(until_whole(told))
        time.sleep(rng.random() / 2)
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        assert seen["started"] == (round_ == 0)
        pids.add(seen["pid"])
        began = time.monotonic()
        assert state("one", runs) == "running"
        assert time.monotonic() - began < 5
    until(lambda: attempts(runs / "one"))
    assert pids == {jobs.find("one", runs=runs).pid}
    assert len(attempts(runs / "one")) == 1
    epoch = jobs.find("one", runs=runs).epoch
    until(lambda: jobs.find("one", runs=runs).epoch > epoch)
    jobs.stop("one", runs=runs)
    assert jobs.wait_stopped("one", runs=runs).state == "stopped"


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_the_run_is_killed_at_any_moment_and_resumed(runs, config, kills):
    """At random moments, every other one in the middle of a save; at most the epoch under way is lost."""
    rng = random.Random(7)
    jobs.start(replace(config, epochs=4 * kills, steps_per_epoch=3), name="one", runs=runs)
    for round_ in range(kills):
        until(lambda done=round_: len(attempts(runs / "one")) > done)
        if round_ % 2:
            until(lambda: list((runs / "one" / "checkpoints").glob("*/.state.npz")))
        else:
            time.sleep(rng.random() * 0.3)
        seen = jobs.find("one", runs=runs).epoch
        kill("one", runs)
        began = time.monotonic()
        assert state("one", runs) == "lost"
        assert time.monotonic() - began < 5
        jobs.resume("one", runs=runs)
        until(lambda done=round_: len(attempts(runs / "one")) > done + 1)
        assert attempts(runs / "one")[-1][1] >= seen
    until(lambda: not jobs.find("one", runs=runs).is_live, seconds=300)
    assert state("one", runs) == "finished"
    assert int((runs / "one" / "counted.txt").read_text()) == 12 * kills
    assert len(attempts(runs / "one")) == kills + 1


def test_a_real_training_is_watched_stopped_and_resumed(runs, drawn_root, monkeypatch):
    monkeypatch.setattr(control, "WORKER", ("-m", "derm.jobs.worker"))
    jobs.start(small(drawn_root), name="one", runs=runs)
    until(lambda: jobs.find("one", runs=runs).epoch > 0, seconds=240)
    run = jobs.find("one", runs=runs)
    assert (run.state, run.doing, run.epochs, run.device) == ("running", "training", 401, "cpu")
    assert run.seconds_left > 0
    began = time.monotonic()
    jobs.stop("one", runs=runs)
    run = jobs.wait_stopped("one", runs=runs)
    assert run.state == "stopped"
    assert time.monotonic() - began < 60
    folder = runs / "one"
    text = (folder / "config.toml").read_text()
    (folder / "config.toml").write_text(text.replace("epochs = 400", f"epochs = {run.epoch + 1}"))
    jobs.resume("one", runs=runs)
    until(lambda: not jobs.find("one", runs=runs).is_live, seconds=300)
    run = jobs.find("one", runs=runs)
    assert run.state == "finished", jobs.log_tail("one", runs=runs)
    assert registry.verify(registry.read(folder)) == ()
    with (folder / "history.csv").open(newline="") as file:
        assert [int(row["epoch"]) for row in csv.DictReader(file)] == list(range(1, run.epochs + 1))
    assert "continuing after epoch" in (folder / "log.txt").read_text()


@pytest.mark.slow
def test_a_real_training_is_killed_fifty_times(runs, drawn_root, monkeypatch):
    """At random moments of reading, training, saving and finishing; the end is that of a run left in peace."""
    monkeypatch.setattr(control, "WORKER", ("-m", "derm.jobs.worker"))
    rng = random.Random(11)
    config = small(drawn_root, epochs=119)
    jobs.start(config, name="peaceful", runs=runs)
    until(lambda: not jobs.find("peaceful", runs=runs).is_live, seconds=600)
    jobs.start(config, name="one", runs=runs)
    saving = 0
    for round_ in range(50):
        epoch = jobs.find("one", runs=runs).epoch
        if round_ % 5:  # else while it starts
            until(lambda before=epoch: jobs.find("one", runs=runs).epoch > before
                  or not jobs.find("one", runs=runs).is_live, seconds=240)
        time.sleep(rng.random() * 0.5)
        if not jobs.find("one", runs=runs).is_live:
            break
        saving += bool(list((runs / "one" / "checkpoints").glob("*/.state.npz")))
        seen = jobs.find("one", runs=runs).epoch
        kill("one", runs)
        assert state("one", runs) == "lost"
        assert jobs.resume("one", runs=runs).epoch >= seen
    print(f"{round_ + 1} kills, {saving} of them within a save")
    until(lambda: not jobs.find("one", runs=runs).is_live, seconds=600)
    assert state("one", runs) == "finished", jobs.log_tail("one", runs=runs)
    rows = []
    for name in ("one", "peaceful"):
        with (runs / name / "history.csv").open(newline="") as file:
            rows.append(list(csv.DictReader(file)))
    for ours, theirs in zip(*rows, strict=True):
        assert ours["learning_rate"] == theirs["learning_rate"]
        assert float(ours["loss"]) == pytest.approx(float(theirs["loss"]), rel=5e-3)


def until_whole(path: Path) -> str:
    """The text of a file that is being rewritten."""
    until(lambda: path.read_text().endswith("}"))
    return path.read_text()


def test_nobody_waits_for_the_dead(runs, config):
    """A process that has ended does not stay in the system's table while its starter lives."""
    pid = jobs.start(replace(config, epochs=1, rate=0.001), name="one", runs=runs).pid
    until(lambda: not psutil.pid_exists(pid))
    assert state("one", runs) == "finished"
