"""Which devices there are, and that each serves one run at a time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

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
