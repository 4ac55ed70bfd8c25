"""Whose turn it is: one run a GPU, or one on a machine without; the others wait in order. Knows locks and GPUs."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from derm.jobs import status
from derm.jobs.heart import Heart

CPU = "cpu"
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_EVERY = 0.5


@contextlib.contextmanager
def taken(heart: Heart, *, locks: Path, say: Callable[[str], None] = print,
          devices: Sequence[str] | None = None) -> Iterator[str]:
    """Wait for a device, then hold it for the block; gives its name and makes it the only GPU of this process.

    `locks` is the folder of this machine's locks; `devices` by default those there are. Raises `Stopped` when the
    run is asked to stop while it waits.
    """
    devices = visible(os.environ) if devices is None else devices
    locks.mkdir(parents=True, exist_ok=True)
    lock, device = _wait(heart, {name: FileLock(locks / f"{name}.lock") for name in devices}, say)
    try:
        if device != CPU:
            os.environ[_VISIBLE] = device
        heart.tell(state="running", device=device, doing="starting")
        yield device
    finally:
        lock.release()


def visible(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The GPUs that this environment may use, by UUID; (CPU,) if there is none."""
    listed = _listed()
    if (chosen := environ.get(_VISIBLE)) is not None:
        wanted = [name.strip() for name in chosen.split(",")]
        listed = {index: uuid for index, uuid in listed.items()
                  if any(name == index or (name and uuid.startswith(name)) for name in wanted)}
    return tuple(listed.values()) or (CPU,)


def _listed() -> dict[str, str]:
    """The machine's NVIDIA GPUs: number -> UUID."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return {}
    try:
        said = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    return dict(re.findall(r"^GPU (\d+):.*\(UUID: (GPU-[\w-]+)\)", said, re.MULTILINE))


def _wait(heart: Heart, locks: Mapping[str, FileLock], say: Callable[[str], None]) -> tuple[FileLock, str]:
    with heart.gently():
        while True:
            heart.check()
            for device, lock in locks.items() if _is_next(heart.folder) else ():
                with contextlib.suppress(Timeout):
                    lock.acquire(timeout=0)
                    return lock, device
            if not heart.status.doing:
                heart.tell(doing="waiting for other runs")
                say("Other runs have all devices; waiting for one of them to end.")
            heart.wait(_EVERY)


def _is_next(folder: Path) -> bool:
    """Whether no other run beside `folder` has waited for longer."""
    mine = status.read(folder).turn
    for other in folder.parent.glob(f"*/{status.FILE}"):
        if other.parent == folder or other.parent.name.startswith("."):
            continue
        said = status.read(other.parent)
        if said.state == "queued" and said.turn < mine and status.judged(other.parent).state == "queued":
            return False
    return True
