"""Why a run ended, in a sentence, and what to do about it. Knows errors, logs and the machine; no states."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from derm.errors import DermError

_TAIL = 2**16
_NO_ROOM = 2**20
_VMSTAT = Path("/proc/vmstat")


@dataclass(frozen=True)
class Cause:
    """What happened and what to do."""

    reason: str
    advice: str = ""


_MEMORY = ("Start a new run with half the batch_size and half the rate, or with a smaller image_size; or end "
           "other programs and resume this one.")
_GPU_MEMORY = Cause("The GPU ran out of memory.", _MEMORY)
_RAM = Cause("The machine ran out of memory.", _MEMORY)
_GPU = Cause("The GPU was lost or failed.", "Look at it with nvidia-smi, and restart the machine if it is not "
             "well; then resume the run, which goes on from its last checkpoint.")
_DISK = Cause("The disk is full.", "Make room, by removing old runs say, then resume this one: its last "
              "checkpoint is whole.")
# Of the device that the network is on.
_DEVICE_MEMORY = r"RESOURCE_EXHAUSTED|ResourceExhaustedError|OOM when allocating|[Oo]ut of memory"
# What the frameworks and the driver write. CUDA_ERROR_NO_DEVICE is not here: a machine without a GPU says it too.
_PATTERNS = (
    (r"CUDA_ERROR_OUT_OF_MEMORY|GPU.{0,40}out of memory", _GPU_MEMORY),
    (r"GPU is lost|fallen off the bus|device-side assert|cuda.{0,20}device.{0,20}unavailable|\bXid\b|"
     r"CUDA_ERROR_(ILLEGAL_|LAUNCH_|HARDWARE|MISALIGNED|ECC|NVLINK|DEVICE_UNAVAILABLE|DEINITIALIZED|CONTEXT|ASSERT)|"
     r"CUDNN_STATUS_(EXECUTION_FAILED|INTERNAL_ERROR)", _GPU),
    (r"No space left on device|Disk quota exceeded", _DISK),
    (r"MemoryError|bad_alloc|Cannot allocate memory", _RAM),
    (_DEVICE_MEMORY, _RAM),
)


def of_error(error: BaseException, *, device: str = "") -> Cause:
    """What to say of the error that ended a run on `device` (a GPU's UUID, or "cpu")."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, DermError):
        return Cause(str(error))
    return _in_text(text, device) or Cause(
        _first_line(text), "Its log says more; resuming goes on from the last checkpoint.")


def of_death(folder: Path, *, log: Path, log_from: int, kills: int, device: str = "") -> Cause | None:
    """What its log since byte `log_from`, the disk and the system tell of a process that ended without a word.

    `kills` is `memory_kills` as it was while the process lived. None where nothing speaks for any cause.
    """
    if found := _in_text(_tail(log, log_from), device):
        return found
    if memory_kills() > kills:
        return Cause("The system ended a process for lack of memory, in all likelihood this one.", _MEMORY)
    return _DISK if shutil.disk_usage(folder).free < _NO_ROOM else None


def memory_kills() -> int:
    """How many processes the system has ended for lack of memory since it started; 0 where it does not tell."""
    try:
        found = re.search(r"^oom_kill (\d+)$", _VMSTAT.read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0


def _in_text(text: str, device: str) -> Cause | None:
    for pattern, cause in _PATTERNS:
        if re.search(pattern, text):
            return _GPU_MEMORY if pattern == _DEVICE_MEMORY and device.startswith("GPU") else cause
    return None


def _tail(log: Path, start: int) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(start, log.stat().st_size - _TAIL))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0][:300]
