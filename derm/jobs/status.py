"""What a run says of itself in status.json, and whether that still holds. Knows files and processes; no training.

A process is known by its number and by when it was born, in seconds after the system started: a number that was
given out again, or a clock that was set, deceives nobody.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import psutil

from derm import atomic
from derm.jobs import causes

STATES = ("queued", "running", "stopping", "stopped", "finished", "failed", "lost")
LIVE = ("queued", "running", "stopping")
FILE, STOP, LOG = "status.json", "stop", "log.txt"
STALE = 30.0  # seconds without a beat (there is one a second) after which a process is taken to hang
_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Status:
    """The keys of status.json.

    `pid`, `born` and `boot` are the process, `own` if it is the run's and not that of its starter; `beat` is the
    monotonic time of its last sign of life and `updated` the clock's; `turn` its place in the queue; `log_from`
    where in the log this attempt begins; `kills` how many processes the system had ended for lack of memory by
    then. `seconds_left` is None until it is known.
    """

    state: str
    pid: int = 0
    born: float = 0.0
    boot: str = ""
    own: bool = False
    created: float = 0.0
    turn: int = 0
    doing: str = ""
    epoch: int = 0
    epochs: int = 0
    seconds_left: float | None = None
    updated: float = 0.0
    beat: float = 0.0
    log_from: int = 0
    kills: int = 0
    device: str = ""
    reason: str = ""
    advice: str = ""

    def by(self, pid: int, *, own: bool) -> Status:
        """The same, said by the process `pid`."""
        return replace(self, pid=pid, born=_born(pid) or 0.0, boot=_boot(), own=own)

    def is_alive(self) -> bool:
        """Whether that very process is there."""
        born = _born(self.pid)
        # A tick of the kernel's clock is 0.01 s; no process number comes round again in less than a few of them.
        return born is not None and self.boot == _boot() and abs(born - self.born) < 0.05


def read(folder: Path) -> Status:
    """What status.json says, unjudged; state "lost" with a reason where it is missing or damaged."""
    try:
        table = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return Status(**{key.name: _fitting(key.name, table[key.name]) for key in fields(Status)
                         if key.name in table or key.name == "state"})
    except FileNotFoundError:
        return Status("lost", reason="It was never started.", advice="Resume it, or remove it.")
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        return Status("lost", reason=f"Its {FILE} cannot be read ({error}).", advice="Resume it, or remove it.")


def write(folder: Path, status: Status) -> None:
    """Replace status.json in one step; `OSError` where that fails."""
    atomic.write_bytes(folder / FILE, json.dumps(asdict(status)).encode())


def judged(folder: Path, *, tick: float | None = None) -> Status:
    """What is true of the run now: its own word, held against its process and its last sign of life.

    `tick` is the monotonic time in seconds, by default now.
    """
    status = read(folder)
    if status.state not in LIVE:
        return status
    asked = (folder / STOP).exists()
    if not status.is_alive():
        again = read(folder)  # it may have ended in peace since
        return again if again.state not in LIVE else _gone(folder, again, asked=asked)
    silent = (time.monotonic() if tick is None else tick) - status.beat
    if silent > STALE:
        return replace(status, state="lost", seconds_left=None,
                       reason=f"Its process {status.pid} is there but has said nothing for {silent:.0f} seconds.",
                       advice="Stop the run, which ends that process, then resume it.")
    return replace(status, state="stopping") if asked else status


def _gone(folder: Path, status: Status, *, asked: bool) -> Status:
    """The state of a run whose process is no more and did not say why."""
    status = replace(status, seconds_left=None)
    if asked:
        return replace(status, state="stopped", reason="It ended before it could write a checkpoint.",
                       advice="Resume it: it goes on from the checkpoint before.")
    if cause := causes.of_death(folder, log=folder / LOG, log_from=status.log_from, kills=status.kills,
                                device=status.device):
        return replace(status, state="failed", reason=cause.reason, advice=cause.advice)
    return replace(status, state="lost", reason="Its process ended without a word: it was killed, or the machine "
                   "went down.", advice="Resume it: it goes on from its last checkpoint.")


def _fitting(key: str, value: Any) -> Any:
    """The value, if it is of the key's kind. Raises `ValueError`."""
    default = 0.0 if key == "seconds_left" else getattr(Status, key, "")
    kind = (int, float) if isinstance(default, float) else type(default)
    if not (isinstance(value, kind) or (key == "seconds_left" and value is None)):
        raise ValueError(f"{key} = {str(value)[:80]!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{key} = {value}")
    if key == "state" and value not in STATES:
        raise ValueError(f"state = {str(value)[:80]!r}")
    return value


def _born(pid: int) -> float | None:
    """When the process was born, in seconds after the system started; None if there is none (any more)."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return process.create_time() - psutil.boot_time()
    except (psutil.Error, ValueError):
        return None


def _boot() -> str:
    """What tells this start of the system from others, where it says so."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""
