"""What this machine has to train with: processors, memory, GPUs, room on its disks. Measures; knows no
training."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psutil

_QUERY = ("--query-gpu=name,memory.total,memory.used,utilization.gpu", "--format=csv,noheader,nounits")
_MIB = 2**20


@dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU: bytes of memory, and of it in use; `load` from 0 to 1, None where it does not say."""

    name: str
    memory: int
    used: int
    load: float | None


@dataclass(frozen=True)
class Machine:
    """Cores that this process may use, bytes of memory and of it free to take, `load`: the share of the cores that
    was busy in the last minute (None where nobody counts), and the GPUs."""

    cores: int
    memory: int
    available: int
    load: float | None
    gpus: tuple[Gpu, ...]


def look() -> Machine:
    """The machine as it is now."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = psutil.virtual_memory()
    load = min(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)) if hasattr(os, "getloadavg") else None
    return Machine(cores, memory.total, memory.available, load, gpus())


def gpus() -> tuple[Gpu, ...]:
    """The NVIDIA GPUs there are, as `nvidia-smi` tells; none where it is not there or does not answer."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    try:
        said = subprocess.run([tool, *_QUERY], capture_output=True, text=True, timeout=20, check=True).stdout
        return tuple(_gpu(line) for line in said.splitlines() if line.strip())
    except (OSError, subprocess.SubprocessError, ValueError):
        return ()


def room(folder: Path) -> int:
    """Bytes free on the disk that `folder` is on or would be on."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _gpu(line: str) -> Gpu:
    """'NVIDIA H200, 143771, 512, 37' as a GPU; figures that a GPU does not tell are '[N/A]'."""
    name, total, used, load = (part.strip() for part in line.rsplit(",", 3))
    return Gpu(name, int(total) * _MIB, int(used) * _MIB, int(load) / 100 if load.isdigit() else None)
