"""Runs as real processes: started, watched, stopped, killed, resumed, removed."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from derm import jobs
from derm.errors import ConfigError, JobError
from derm.jobs import control, status
from derm.nn import checkpoints
from derm.nn.config import TrainConfig
from tests.jobs.conftest import attempts, kill, state, until

TOTAL = 200  # steps of the stand-in


def begun(name: str, runs: Path, *, count: int = 1) -> None:
    """Wait for a run's attempt number `count` to train."""
    until(lambda: len(attempts(runs / name)) >= count and jobs.find(name, runs=runs).doing == "training")


def ended(name: str, runs: Path, expected: str = "finished") -> jobs.Run:
    until(lambda: not jobs.find(name, runs=runs).is_live)
    run = jobs.find(name, runs=runs)
    assert run.state == expected, (run.reason, jobs.log_tail(name, runs=runs))
    return run


def short(config: TrainConfig, **changes: object) -> TrainConfig:
    return replace(config, **{"epochs": 4, "rate": 0.001, **changes})


def test_a_run_goes_by_itself_to_its_end(runs, config):
    run = jobs.start(short(config), name="one", runs=runs)
    assert run.state in ("queued", "running")
    process = psutil.Process(run.pid)
    assert os.getsid(run.pid) == run.pid != os.getsid(0)
    assert process.cmdline()[-1] == str(runs / "one")
    run = ended("one", runs)
    assert (run.epoch, run.epochs, run.device, run.reason) == (4, 4, "cpu", "")
    assert (runs / "one" / "counted.txt").read_text() == "20"
    assert not list((runs / "one").glob(".[0-9a-f]*"))


def test_the_newest_comes_first(runs, config):
    names = [jobs.start(short(config), name=name, runs=runs).name for name in ("b", "c", "a")]
    assert [run.name for run in jobs.list_runs(runs)] == names[::-1]
    assert jobs.list_runs(runs / "absent") == []


def test_without_a_name_it_gets_one_that_is_free(runs, config):
    first, second = (jobs.create(config, runs=runs) for _ in range(2))
    assert first.name != second.name
    assert first.name.endswith("-mobilenetv2")


def test_the_next_waits_its_turn_and_the_order_is_kept(runs, config):
    for name in ("first", "second", "third", "fourth"):
        jobs.start(short(config, rate=0.15 if name == "first" else 0.02), name=name, runs=runs)
    begun("first", runs)
    assert [run.state for run in jobs.list_runs(runs)] == ["queued", "queued", "queued", "running"]
    jobs.stop("third", runs=runs)
    ended("third", runs, "stopped")
    assert not attempts(runs / "third")
    ended("fourth", runs)
    stamps = [(runs / name / "attempts.txt").stat().st_mtime for name in ("first", "second", "fourth")]
    done = [(runs / name / "counted.txt").stat().st_mtime for name in ("first", "second", "fourth")]
    assert stamps[0] < done[0] < stamps[1] < done[1] < stamps[2] < done[2]


def test_a_killed_run_does_not_hold_up_the_queue(runs, config):
    jobs.start(config, name="first", runs=runs)
    jobs.start(config, name="waiting", runs=runs)
    jobs.start(short(config), name="last", runs=runs)
    begun("first", runs)
    until(lambda: jobs.find("waiting", runs=runs).doing == "waiting for other runs")
    kill("waiting", runs)
    kill("first", runs)
    ended("last", runs)
    assert [run.state for run in jobs.list_runs(runs)] == ["finished", "lost", "lost"]


def test_stop_writes_a_checkpoint_and_resume_loses_nothing(runs, config):
    jobs.start(replace(config, epochs=2, steps_per_epoch=100), name="one", runs=runs)
    begun("one", runs)
    assert jobs.stop("one", runs=runs).state == "stopping"
    assert jobs.stop("one", runs=runs).state in ("stopping", "stopped")
    assert jobs.wait_stopped("one", runs=runs).state == "stopped"
    assert jobs.stop("one", runs=runs).state == "stopped"
    kept = checkpoints.latest(runs / "one" / "checkpoints")
    assert (kept.epoch, kept.step) == (0, int(kept.arrays["count"][0][0]))
    assert kept.step > 0
    assert jobs.resume("one", runs=runs).state in ("queued", "running")
    ended("one", runs)
    assert [line[1:] for line in attempts(runs / "one")] == [[0, 0, 0], [0, kept.step, kept.step]]
    assert (runs / "one" / "counted.txt").read_text() == str(TOTAL)


def test_stop_before_the_process_has_begun(runs, config):
    jobs.start(config, name="one", runs=runs)
    jobs.stop("one", runs=runs)
    ended("one", runs, "stopped")


def test_a_run_that_does_not_hear_is_ended_in_time(runs, config, monkeypatch):
    monkeypatch.setenv("STANDIN", "deaf")
    jobs.start(config, name="one", runs=runs)
    until(lambda: attempts(runs / "one"))
    jobs.stop("one", runs=runs)
    assert "in time" in ended("one", runs, "stopped").reason


def test_what_is_not_training_is_interrupted(runs, config, monkeypatch):
    monkeypatch.setenv("STANDIN", "reading")
    jobs.start(config, name="one", runs=runs)
    until(lambda: attempts(runs / "one"))
    jobs.stop("one", runs=runs)
    ended("one", runs, "stopped")


def test_a_run_that_hangs_is_lost_until_it_is_stopped(runs, config, monkeypatch):
    monkeypatch.setattr(status, "STALE", 2.0)
    monkeypatch.setenv("STANDIN", "still")
    pid = jobs.start(config, name="one", runs=runs).pid
    until(lambda: state("one", runs) == "lost" and attempts(runs / "one"))
    with pytest.raises(JobError, match="stop it first"):
        jobs.resume("one", runs=runs)
    with pytest.raises(JobError, match="stop it first"):
        jobs.remove("one", runs=runs)
    assert jobs.stop("one", runs=runs).state == "stopped"
    until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


def test_a_shutdown_of_the_machine_writes_a_checkpoint(runs, config):
    pid = jobs.start(config, name="one", runs=runs).pid
    begun("one", runs)
    os.kill(pid, signal.SIGTERM)
    ended("one", runs, "stopped")
    assert checkpoints.latest(runs / "one" / "checkpoints") is not None


@pytest.mark.parametrize(("befalls", "reason", "advice"), [
    ("memory", "The machine ran out of memory.", "half the batch_size"),
    ("gpu", "The GPU was lost or failed.", "nvidia-smi"),
    ("abort", "The GPU was lost or failed.", "nvidia-smi"),
    ("bug", "KeyError: 'a mistake'", "log"),
])
def test_what_went_wrong_is_said_with_advice_and_logged(runs, config, monkeypatch, befalls, reason, advice):
    monkeypatch.setenv("STANDIN", befalls)
    jobs.start(config, name="one", runs=runs)
    run = ended("one", runs, "failed")
    assert run.reason == reason
    assert advice in run.advice
    assert jobs.log_tail("one", runs=runs)
    monkeypatch.delenv("STANDIN")
    jobs.resume("one", runs=runs)
    begun("one", runs, count=2)


def test_a_full_disk_keeps_the_last_checkpoint(runs, config, tmp_path):
    """A real file system with room for two checkpoints, and then for two and a half."""
    runs.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=5500k", "tmpfs", str(runs)],
                                      capture_output=True, check=False).returncode:
        pytest.skip("only the system's administrator may mount a small disk")
    try:
        jobs.start(short(config, epochs=400), name="one", runs=runs)
        begun("one", runs)
        until(lambda: jobs.find("one", runs=runs).epoch > 2)
        until(lambda: _fill(runs, leave=2**20) or not jobs.find("one", runs=runs).is_live)
        run = ended("one", runs, "failed")
        assert run.reason == "The disk is full."
        kept = checkpoints.latest(runs / "one" / "checkpoints")
        assert kept is not None
        assert kept.epoch >= run.epoch > 2
        (runs / "filler").unlink()
        jobs.resume("one", runs=runs)
        begun("one", runs, count=2)
        assert attempts(runs / "one")[1][1] == kept.epoch
        jobs.stop("one", runs=runs)
        ended("one", runs, "stopped")
    finally:
        subprocess.run(["umount", "-l", str(runs)], check=True)


def _fill(folder, *, leave):
    """All but `leave` bytes. The run writes and deletes meanwhile, so this is to be called again and again."""
    with suppress(OSError), (folder / "filler").open("ab") as filler:
        filler.write(bytes(max(0, shutil.disk_usage(folder).free - leave)))


def test_two_starts_at_once_one_wins(runs, config):
    """Of one name, from eight threads."""
    won: list[jobs.Run] = []
    refused: list[str] = []
    barrier = threading.Barrier(8)

    def start() -> None:
        barrier.wait()
        try:
            won.append(jobs.start(config, name="one", runs=runs))
        except JobError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert all("exists already" in text for text in refused)
    begun("one", runs)
    assert len(attempts(runs / "one")) == 1


def test_two_processes_for_one_run_one_gives_way(runs, config):
    """Should a second process be started all the same, the first goes on as if nothing were."""
    run = jobs.start(config, name="one", runs=runs)
    begun("one", runs)
    second = subprocess.run([sys.executable, *control.WORKER, str(run.folder)], capture_output=True, text=True,
                            timeout=30, check=False)
    assert second.returncode == 1
    assert "another process" in second.stderr
    assert jobs.stop("one", runs=runs).state == "stopping"
    ended("one", runs, "stopped")
    assert len(attempts(run.folder)) == 1


def test_resume_is_refused_while_it_runs_and_once_it_is_finished(runs, config):
    jobs.start(short(config, rate=0.05), name="one", runs=runs)
    with pytest.raises(JobError, match=r"one is (queued|running) already"):
        jobs.resume("one", runs=runs)
    ended("one", runs)
    with pytest.raises(JobError, match="finished already"):
        jobs.resume("one", runs=runs)
    assert state("one", runs) == "finished"


def test_a_reused_number_is_neither_taken_for_the_run_nor_killed(runs, config):
    """Another process has the number of a run that was killed."""
    jobs.start(config, name="one", runs=runs)
    begun("one", runs)
    kill("one", runs)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bystander:
        said = status.read(runs / "one")
        status.write(runs / "one", replace(said, pid=bystander.pid))
        assert jobs.stop("one", runs=runs).state == "lost"
        jobs.resume("one", runs=runs)
        begun("one", runs, count=2)
        assert bystander.poll() is None
        bystander.stdin.close()


def test_remove(runs, config):
    jobs.start(short(config, rate=0.05), name="one", runs=runs)
    with pytest.raises(JobError, match="stop it first"):
        jobs.remove("one", runs=runs)
    ended("one", runs)
    jobs.remove("one", runs=runs)
    assert jobs.list_runs(runs) == []
    with pytest.raises(JobError, match="no run called 'one'"):
        jobs.find("one", runs=runs)


def test_a_run_that_is_removed_while_the_others_are_listed(runs, config, monkeypatch):
    for name in ("one", "two"):
        jobs.create(config, name=name, runs=runs)
    real = status.judged

    def slow(folder: Path) -> status.Status:
        if folder.name == "one" and folder.exists():
            shutil.rmtree(folder)
        return real(folder)

    monkeypatch.setattr(status, "judged", slow)
    assert [run.name for run in jobs.list_runs(runs)] == ["two"]


@pytest.mark.parametrize("name", [
    "; rm -rf", "../x", "x" * 300, "", ".", "..", "/tmp/x", "-x", "a\nb", "a\0b", "é"])
def test_a_name_that_cannot_be_one(runs, config, name):
    with pytest.raises(JobError, match="cannot name a run"):
        jobs.start(config, name=name, runs=runs)
    for act in (jobs.find, jobs.stop, jobs.resume, jobs.remove, jobs.log_tail):
        with pytest.raises(JobError, match="no run called") as refused:
            act(name, runs=runs)
        assert len(str(refused.value)) < 400
    assert [path.name for path in runs.iterdir() if path.is_dir()] == []


def test_what_is_missing_is_refused_and_leaves_nothing(runs, config):
    with pytest.raises(ConfigError, match="no such folder"):
        jobs.start(replace(config, data="absent"), name="one", runs=runs)
    with pytest.raises(ConfigError, match="cannot be read"):
        jobs.start(replace(config, exclude="absent.csv"), name="one", runs=runs)
    assert not runs.exists()


def test_a_folder_that_cannot_be_written(runs, config, monkeypatch):
    jobs.start(short(config), name="one", runs=runs)
    ended("one", runs)
    before = jobs.list_runs(runs)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(runs))

    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr(Path, "rename", refuse)
    for act in (lambda: jobs.start(config, name="two", runs=runs), lambda: jobs.remove("one", runs=runs)):
        with pytest.raises(JobError, match=r"Read-only file system.*DERM_RUNS"):
            act()
    assert jobs.list_runs(runs) == before


def test_a_read_only_disk_is_said_and_looking_goes_on(runs, config):
    if os.geteuid():
        pytest.skip("only the system's administrator may mount a disk")
    jobs.start(short(config), name="one", runs=runs)
    ended("one", runs)
    bind = ["mount", "--bind", str(runs), str(runs)]
    if subprocess.run(bind, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(runs)], check=True)
        assert [run.state for run in jobs.list_runs(runs)] == ["finished"]
        assert jobs.log_tail("one", runs=runs) == []
        for act in (lambda: jobs.start(config, name="two", runs=runs), lambda: jobs.stop("one", runs=runs),
                    lambda: jobs.remove("one", runs=runs)):
            with pytest.raises(JobError, match="cannot be written"):
                act()
    finally:
        subprocess.run(["umount", "-l", str(runs)], check=True)


def test_the_log_of_a_run_that_says_too_much(runs, config):
    run = jobs.create(config, name="one", runs=runs)
    (run.folder / "log.txt").write_text("\n".join(f"line {i}" for i in range(100_000)) + "\nhalf a \xe9")
    assert jobs.log_tail("one", runs=runs, lines=2) == ["line 99999", "half a é"]
