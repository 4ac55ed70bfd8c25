"""What a machine says it has: GPUs from a made-up nvidia-smi, room on a disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from derm import machine
from derm.machine import Gpu


def tool(folder: Path, script: str) -> str:
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(folder)


@pytest.mark.parametrize(("script", "found"), [
    ("echo 'NVIDIA H200, 143771, 512, 37'; echo 'Odd, name, 1000, 0, [N/A]'",
     (Gpu("NVIDIA H200", 143771 * 2**20, 512 * 2**20, 0.37), Gpu("Odd, name", 1000 * 2**20, 0, None))),
    ("echo 'No devices were found'; exit 6", ()), ("echo nonsense", ()), ("exit 0", ())])
def test_gpus_are_what_the_tool_tells(tmp_path, monkeypatch, script, found):
    monkeypatch.setenv("PATH", tool(tmp_path, script), prepend=":")
    assert machine.gpus() == found


def test_without_the_tool_there_is_no_gpu(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    found = machine.look()
    assert found.gpus == ()
    assert found.cores >= 1
    assert 0 < found.available <= found.memory


def test_room_is_that_of_the_disk_a_folder_will_be_on(tmp_path):
    assert machine.room(tmp_path / "not" / "yet") == pytest.approx(machine.room(tmp_path), rel=0.2)
