"""`derm runs` and `derm train --detach`, as a person at a terminal uses them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from derm import cli, jobs
from derm.cli import runs as commands
from tests.jobs import conftest as made
from tests.jobs.conftest import attempts, kill, until

runs = made.runs
config = made.config


@pytest.fixture
def settings_file(tmp_path: Path, config) -> Path:
    """A TOML file of a stand-in's run."""
    path = tmp_path / "mine.toml"
    path.write_text(config.to_toml())
    return path


def derm(*arguments: object) -> int:
    """The exit status of `derm ...`."""
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


def test_no_runs_yet(runs, capsys):
    assert derm("runs", "list") == 0
    assert "derm train" in capsys.readouterr().out
    assert derm("runs", "list", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []


def test_a_run_from_start_to_removal(runs, settings_file, capsys):
    assert derm("train", settings_file, "--detach", "--run", runs / "one") == 0
    assert "derm runs logs -f one" in capsys.readouterr().out
    assert derm("train", settings_file, "--detach", "--run", runs / "two") == 0
    until(lambda: jobs.find("one", runs=runs).doing == "training")
    capsys.readouterr()
    assert derm("runs", "list", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(run["name"], run["state"]) for run in listed] == [("two", "queued"), ("one", "running")]
    assert {"pid", "created", "epoch", "epochs", "seconds_left", "reason", "advice"} <= set(listed[0])
    assert derm("runs", "list") == 0
    shown = capsys.readouterr().out
    assert shown.index("two") < shown.index("one")
    assert derm("runs", "stop", "one") == 0
    assert "one: stopped." in capsys.readouterr().out
    assert derm("runs", "stop", "one") == 0
    assert derm("runs", "stop", "two") == 0
    assert derm("runs", "resume", "one") == 0
    until(lambda: len(attempts(runs / "one")) == 2)
    assert derm("runs", "rm", "one") == 2
    assert "stop it first" in capsys.readouterr().err
    assert derm("runs", "stop", "one") == 0
    assert derm("runs", "rm", "one") == 0
    assert [run.name for run in jobs.list_runs(runs)] == ["two"]


def test_show_says_why_it_failed_and_what_to_do(runs, settings_file, capsys, monkeypatch):
    monkeypatch.setenv("STANDIN", "gpu")
    derm("train", settings_file, "--detach", "--run", runs / "one")
    until(lambda: not jobs.find("one", runs=runs).is_live)
    capsys.readouterr()
    assert derm("runs", "show", "one") == 0
    shown = capsys.readouterr().out
    assert shown.startswith("one: failed")
    assert "The GPU was lost or failed." in shown
    assert "nvidia-smi" in shown
    assert "CUDA_ERROR_LAUNCH_FAILED" in shown
    assert derm("runs", "show", "one", "--json") == 0
    assert json.loads(capsys.readouterr().out)["state"] == "failed"


def test_a_killed_run_is_shown_as_lost(runs, settings_file, capsys):
    derm("train", settings_file, "--detach", "--run", runs / "one")
    until(lambda: attempts(runs / "one"))
    kill("one", runs)
    capsys.readouterr()
    assert derm("runs", "show", "one") == 0
    assert capsys.readouterr().out.startswith("one: lost")


def test_logs_are_followed_to_the_end(runs, settings_file, capsys, monkeypatch):
    derm("train", settings_file, "--detach", "--run", runs / "one")
    log = runs / "one" / "log.txt"
    until(lambda: attempts(runs / "one"))
    log.write_text("first\nsec")
    written = iter(("ond\nthi", "rd\nla", "st"))

    def write_on(_: float) -> None:
        if text := next(written, ""):
            with log.open("a") as file:
                file.write(text)
        else:
            jobs.stop("one", runs=runs)
            jobs.wait_stopped("one", runs=runs)

    monkeypatch.setattr(commands, "time", SimpleNamespace(sleep=write_on))
    capsys.readouterr()
    assert derm("runs", "logs", "-f", "one") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == ["first", "second", "third", "last"]
    assert lines[-1].startswith("one: stopped.")
    assert derm("runs", "logs", "-f", "one", "-n", 1) == 0
    assert capsys.readouterr().out.splitlines() == ["last", lines[-1]]
    assert derm("runs", "logs", "one", "-n", 1) == 0
    assert capsys.readouterr().out == "last\n"


@pytest.mark.parametrize(("arguments", "named"), [
    (("runs", "show", "absent"), "no run called 'absent'"),
    (("runs", "stop", "; rm -rf"), "no run called '; rm -rf'"),
    (("runs", "rm", "../data"), "no run called '../data'"),
    (("runs", "resume", "x" * 300), "no run called 'xxx"),
    (("train", "{file}", "--detach", "--run", "{runs}/; rm -rf"), "cannot name a run"),
    (("train", "{file}", "--run", "{runs}/; rm -rf"), "cannot name a run"),
    (("train", "{file}", "--detach", "--run", "../x"), "climbs out"),
    (("train", "{file}", "--detach", "--run", "{runs}/" + "x" * 300), "cannot name a run"),
    (("train", "{file}", "--detach", "--set", "rate=-1"), "rate = -1"),
    (("train", "{file}", "--detach", "--set", "data='absent'"), "no such folder"),
    (("train", "--resume", "{runs}/absent", "--detach"), "no run called 'absent'"),
    (("train", "--resume", "{runs}/absent"), "no run called 'absent'"),
])
def test_bad_input_is_one_sentence_and_starts_nothing(runs, settings_file, capsys, arguments, named):
    assert derm(*(argument.format(file=settings_file, runs=runs) for argument in arguments)) == 2
    said = capsys.readouterr().err
    assert said.startswith("derm: ")
    assert named in said
    assert len(said.strip().splitlines()) == 1
    assert jobs.list_runs(runs) == []


@pytest.mark.parametrize("detach", [(), ("--detach",)])
def test_a_folder_that_holds_no_data_set_is_refused_at_once(runs, settings_file, capsys, tmp_path, detach):
    (tmp_path / "empty").mkdir()
    assert derm("train", settings_file, "--run", runs / "one", "--data", tmp_path / "empty", *detach) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert jobs.list_runs(runs) == []


@pytest.mark.parametrize("signals", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_ctrl_c_in_the_foreground_keeps_what_was_learnt(runs, drawn_root, tmp_path, signals):
    """The real trainer, in a terminal's process; afterwards the run is resumed as any other."""
    import signal

    file = tmp_path / "tiny.toml"
    file.write_text(made.small(drawn_root).to_toml())
    # A process started by a script in the background ignores SIGINT, and so would its children.
    script = ("import signal, sys\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
              "from derm.cli import main\nmain(sys.argv[1:])")
    process = subprocess.Popen([sys.executable, "-c", script, "train", str(file), "--run", str(runs / "one")],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    until(lambda: (runs / "one").exists() and jobs.find("one", runs=runs).epoch > 0, seconds=240)
    for _ in range(signals):
        process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"derm train --resume {runs / 'one'}" in said
    run = jobs.find("one", runs=runs)
    assert (run.state, run.epoch > 0) == ("stopped", True)
