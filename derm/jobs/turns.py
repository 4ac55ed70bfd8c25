"""Whose turn it is: each GPU serves one run at a time, and so does a machine without; the others wait in order.
Knows locks and GPUs.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from derm.errors import JobError
from derm.jobs import status
from derm.jobs.heart import Heart

CPU = "cpu"
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_EVERY = 0.5


@contextlib.contextmanager
def taken(heart: Heart, *, locks: Path, gpus: int = 1, say: Callable[[str], None] = print,
          devices: Sequence[str] | None = None) -> Iterator[str]:
    """Wait for `gpus` devices (0: all), then hold them for the block; gives their names, with commas between, and
    makes them the only GPUs of this process.

    `locks` is the folder of this machine's locks; `devices` by default those there are. Raises `Stopped` when the
    run is asked to stop while it waits, `JobError` if it wants more devices than there are.
    """
    devices = visible(os.environ) if devices is None else devices
    count = wanted(gpus, devices)
    locks.mkdir(parents=True, exist_ok=True)
    held = _wait(heart, locks, devices, count, say)
    try:
        names = ",".join(held)
        if names != CPU:
            os.environ[_VISIBLE] = names
        heart.tell(state="running", device=names, doing="starting")
        yield names
    finally:
        for lock in held.values():
            lock.release()


def wanted(gpus: int, devices: Sequence[str]) -> int:
    """How many of `devices` a run takes that is to have `gpus`. Raises `JobError` if there are not so many."""
    if gpus > len(devices):
        raise JobError(f"gpus = {gpus}; there {'is' if len(devices) == 1 else 'are'} {len(devices)} to use here "
                       f"({', '.join(devices)}). Set it to at most that, or to 0 for all.")
    return gpus or len(devices)


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


def _wait(heart: Heart, locks: Path, devices: Sequence[str], count: int,
          say: Callable[[str], None]) -> dict[str, FileLock]:
    with heart.gently():
        while True:
            heart.check()
            if _is_next(heart.folder) and (held := _take(locks, devices, count)):
                return held
            if not heart.status.doing:
                heart.tell(doing="waiting for other runs")
                say("Other runs have the devices; waiting for them to end.")
            heart.wait(_EVERY)


def _take(locks: Path, devices: Sequence[str], count: int) -> dict[str, FileLock]:
    """The locks of the first `count` devices that are free, or none at all.

    Nobody holds some while he waits for others, and one at a time looks: two runs of two GPUs never have one each.
    """
    held: dict[str, FileLock] = {}
    with FileLock(locks / "taking.lock"):
        for device in devices:
            lock = FileLock(locks / f"{device}.lock")
            with contextlib.suppress(Timeout):
                lock.acquire(timeout=0)
                held[device] = lock
            if len(held) == count:
                return held
        for lock in held.values():
            lock.release()
    return {}


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
