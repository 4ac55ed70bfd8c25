"""What is true of a run, whatever its status.json says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest

from derm.jobs import causes, status
from derm.jobs.status import Status


@pytest.fixture
def said(tmp_path: Path) -> Status:
    """This process says that it runs."""
    told = Status("running", epoch=3, epochs=9, seconds_left=60.0, beat=time.monotonic(),
                  kills=causes.memory_kills()).by(os.getpid(), own=True)
    status.write(tmp_path, told)
    return told


@pytest.fixture
def gone() -> int:
    """The number of a process that is no more."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_its_word_holds_while_its_process_beats(tmp_path, said):
    assert status.judged(tmp_path) == said


def test_a_wish_to_stop_shows_at_once(tmp_path, said):
    (tmp_path / "stop").touch()
    assert status.judged(tmp_path).state == "stopping"


@pytest.mark.parametrize("state", ["queued", "running", "stopping"])
def test_a_stale_heartbeat_is_lost(tmp_path, said, state):
    status.write(tmp_path, replace(said, state=state))
    assert status.judged(tmp_path, tick=said.beat + 29).state == state
    found = status.judged(tmp_path, tick=said.beat + 31)
    assert found.state == "lost"
    assert "nothing for 31 seconds" in found.reason
    assert "Stop the run" in found.advice


@pytest.mark.parametrize("state", ["stopped", "finished", "failed"])
def test_an_end_stays_an_end(tmp_path, said, state):
    status.write(tmp_path, replace(said, state=state, pid=1))
    assert status.judged(tmp_path, tick=said.beat + 10**6).state == state


@pytest.mark.parametrize("changes", [{"born": -5.0}, {"boot": "another start of the system"}])
def test_a_number_given_out_again_is_not_the_run(tmp_path, said, changes):
    status.write(tmp_path, replace(said, **changes))
    assert status.judged(tmp_path).state == "lost"


@pytest.mark.parametrize("jump", [-86400.0, 86400.0])
def test_setting_the_clock_changes_nothing(tmp_path, said, monkeypatch, jump):
    """psutil reckons births and the system's start by the clock, so both move with it."""
    born, boot, now = psutil.Process.create_time, psutil.boot_time, time.time
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: born(process) + jump)
    monkeypatch.setattr(psutil, "boot_time", lambda: boot() + jump)
    monkeypatch.setattr(time, "time", lambda: now() + jump)
    assert status.judged(tmp_path).state == "running"


def test_a_process_that_is_dead_but_not_buried_is_gone(tmp_path, said):
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    status.write(tmp_path, said.by(process.pid, own=True))
    assert status.judged(tmp_path).state == "running"
    process.stdin.close()
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert status.judged(tmp_path).state == "lost"
    process.wait()


NO_GPU = "E cuda_executor.cc: failed call to cuInit: CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected"


@pytest.mark.parametrize(("log", "state", "named"), [
    ("epoch 3/9  loss 1.2", "lost", "killed"),
    (NO_GPU, "lost", "killed"),
    ("W Allocation of 603979776 exceeds 10% of free system memory.", "lost", "killed"),
    ("terminate called after throwing an instance of 'std::bad_alloc'", "failed", "The machine ran out of memory"),
    ("OOM when allocating tensor with shape[32,112,112,96]", "failed", "The machine ran out of memory"),
    ("Execution failed: CUDA_ERROR_OUT_OF_MEMORY: out of memory", "failed", "The GPU ran out of memory"),
    ("Unable to determine the device handle for GPU 0: GPU is lost.", "failed", "The GPU was lost"),
    ("NVRM: Xid (PCI:0000:41:00): 79, GPU has fallen off the bus.", "failed", "The GPU was lost"),
    ("F Check failed: CUDA_ERROR_ILLEGAL_ADDRESS", "failed", "The GPU was lost"),
    ("OSError: [Errno 28] No space left on device", "failed", "The disk is full"),
])
def test_a_silent_death_is_read_from_the_log(tmp_path, said, gone, log, state, named):
    (tmp_path / "log.txt").write_text(f"epoch 1\n{log}\n")
    status.write(tmp_path, replace(said, pid=gone))
    found = status.judged(tmp_path)
    assert (found.state, found.seconds_left) == (state, None)
    assert named in found.reason
    assert found.advice


def test_an_earlier_attempt_explains_nothing(tmp_path, said, gone):
    (tmp_path / "log.txt").write_text("OOM when allocating tensor\ncontinuing after epoch 3\n")
    status.write(tmp_path, replace(said, pid=gone, log_from=len("OOM when allocating tensor\n")))
    assert status.judged(tmp_path).state == "lost"


def test_the_system_tells_whom_it_ended_for_lack_of_memory(tmp_path, said, gone, monkeypatch):
    vmstat = tmp_path / "vmstat"
    vmstat.write_text("nr_free_pages 1\noom_kill 5\noom_kill_x 9\n")
    monkeypatch.setattr(causes, "_VMSTAT", vmstat)
    status.write(tmp_path, replace(said, pid=gone, kills=5))
    assert status.judged(tmp_path).state == "lost"
    status.write(tmp_path, replace(said, pid=gone, kills=4))
    assert status.judged(tmp_path).state == "failed"
    assert "memory" in status.judged(tmp_path).reason
    monkeypatch.setattr(causes, "_VMSTAT", tmp_path / "absent")
    assert status.judged(tmp_path).state == "lost"


def test_who_dies_while_stopping_has_stopped(tmp_path, said, gone):
    (tmp_path / "stop").touch()
    status.write(tmp_path, replace(said, pid=gone))
    assert status.judged(tmp_path).state == "stopped"


@pytest.mark.parametrize("text", [
    "", "{", "[]", "null", '{"epoch": 3}', '{"state": "asleep"}', '{"state": 7}', '{"state": ["running"]}',
    '{"state": "running", "pid": "12"}', '{"state": "running", "pid": null}', '{"state": "running", "beat": NaN}',
    '{"state": "running", "epoch": [[[[]]]]}', "[" * 100_000,
])
def test_a_damaged_file_is_lost_and_says_so(tmp_path, text):
    (tmp_path / "status.json").write_text(text)
    found = status.judged(tmp_path)
    assert found.state == "lost"
    assert "status.json" in found.reason


@pytest.mark.parametrize("pid", [0, -1, 2**31, 2**70])
def test_an_impossible_process_is_gone(tmp_path, said, pid):
    status.write(tmp_path, replace(said, pid=pid))
    assert status.judged(tmp_path).state == "lost"


def test_one_that_was_never_started(tmp_path):
    assert status.judged(tmp_path).state == "lost"
    assert "never started" in status.judged(tmp_path).reason


def test_a_file_of_another_version_is_read(tmp_path, said):
    table = asdict(said) | {"later": "something new"}
    del table["kills"], table["device"]
    (tmp_path / "status.json").write_text(json.dumps(table))
    assert status.judged(tmp_path).state == "running"
