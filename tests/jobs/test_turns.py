"""Which devices there are, and that each serves one run at a time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from derm.errors import JobError
from derm.jobs import turns
from derm.jobs.heart import Heart, Stopped

TWO = """GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-1a2b-3c)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-4d5e-6f)
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose nvidia-smi tells of two GPUs."""
    tool = tmp_path / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text(f"#!/bin/sh\ncat <<'END'\n{TWO}END\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tool.parent), prepend=os.pathsep)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    return tmp_path


@pytest.mark.parametrize(("environ", "devices"), [
    ({}, ("GPU-1a2b-3c", "GPU-4d5e-6f")),
    ({"CUDA_VISIBLE_DEVICES": "1"}, ("GPU-4d5e-6f",)),
    ({"CUDA_VISIBLE_DEVICES": "GPU-1a, 1"}, ("GPU-1a2b-3c", "GPU-4d5e-6f")),
    ({"CUDA_VISIBLE_DEVICES": ""}, ("cpu",)),
    ({"CUDA_VISIBLE_DEVICES": "-1"}, ("cpu",)),
    ({"CUDA_VISIBLE_DEVICES": "7"}, ("cpu",)),
])
def test_gpus_are_known_by_uuid(machine, environ, devices):
    assert turns.visible(environ) == devices


@pytest.mark.parametrize("script", ["#!/bin/sh\nexit 9\n", "#!/bin/sh\necho No devices were found\n", None])
def test_without_a_driver_there_is_the_processor(machine, script):
    tool = machine / "bin" / "nvidia-smi"
    if script is None:
        tool.write_bytes(b"\0")
    else:
        tool.write_text(script)
    assert turns.visible({}) == ("cpu",)


def test_each_run_has_a_gpu_of_its_own(machine):
    """Two go at once, each seeing its own; a third waits."""
    for name in "abc":
        (machine / name).mkdir()
    locks, devices, said = machine / "locks", ("GPU-1a2b-3c", "GPU-4d5e-6f"), []
    with Heart(machine / "a") as a, turns.taken(a, locks=locks, devices=devices) as first:
        assert os.environ["CUDA_VISIBLE_DEVICES"] == first == "GPU-1a2b-3c"
        with Heart(machine / "b") as b, turns.taken(b, locks=locks, devices=devices) as second:
            assert os.environ["CUDA_VISIBLE_DEVICES"] == second == "GPU-4d5e-6f"
            assert b.status.device == second
            c = Heart(machine / "c", state="queued")

            def tell(text: str) -> None:
                said.append(text)
                c.ask()

            with pytest.raises(Stopped), c, turns.taken(c, locks=locks, devices=devices, say=tell):
                pass
            assert len(said) == 1
        with Heart(machine / "c") as c, turns.taken(c, locks=locks, devices=devices) as third:
            assert third == second


THREE = ("GPU-a", "GPU-b", "GPU-c")


@pytest.mark.parametrize(("gpus", "held"), [(1, "GPU-a"), (2, "GPU-a,GPU-b"), (0, "GPU-a,GPU-b,GPU-c")])
def test_a_run_takes_as_many_gpus_as_it_is_to_have(machine, gpus, held):
    (machine / "a").mkdir()
    locks = machine / "locks"
    with Heart(machine / "a") as heart, turns.taken(heart, locks=locks, devices=THREE, gpus=gpus) as names:
        assert os.environ["CUDA_VISIBLE_DEVICES"] == names == heart.status.device == held
        taken = turns._take(locks, THREE, 3 - len(held.split(",")) or 1)
        assert list(taken) == [device for device in THREE if device not in held]
        for lock in taken.values():
            lock.release()


def test_who_cannot_have_all_holds_none(machine):
    """So that two runs of two GPUs never wait for each other with one each."""
    (machine / "locks").mkdir()
    first = turns._take(machine / "locks", THREE, 2)
    assert turns._take(machine / "locks", THREE, 2) == {}
    third = turns._take(machine / "locks", THREE, 1)
    assert (list(first), list(third)) == (["GPU-a", "GPU-b"], ["GPU-c"])
    for lock in (*first.values(), *third.values()):
        lock.release()
    assert len(turns._take(machine / "locks", THREE, 3)) == 3


@pytest.mark.parametrize(("gpus", "devices"), [(2, (turns.CPU,)), (4, THREE)])
def test_more_gpus_than_there_are_are_refused(machine, gpus, devices):
    (machine / "a").mkdir()
    with pytest.raises(JobError, match=f"gpus = {gpus}; there (is|are) {len(devices)} to use here"), \
            Heart(machine / "a") as heart, turns.taken(heart, locks=machine / "locks", devices=devices, gpus=gpus):
        pass
