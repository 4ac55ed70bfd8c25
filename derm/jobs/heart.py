"""The life of a run in its own process: it holds the run, beats every second, hears a stop, says how it ended.

Knows status.json and threads; neither what is trained nor who started it.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from derm.errors import JobError
from derm.jobs import causes, status
from derm.jobs.status import Status

_EVERY = 1.0
_PATIENCE = 45.0  # seconds from the wish to stop until the process ends whatever it does; 60 are promised
_LITTER = re.compile(r"\.[0-9a-f]{32}")  # what a kill leaves of `atomic.write_bytes`


class Stopped(Exception):
    """The run was asked to stop and has written its checkpoint."""


class Held(JobError):
    """Another process is the run."""


class Heart:
    """`with Heart(folder) as heart`: this process is the run in `folder`, and nobody else may be.

    The block's end is the run's: "finished", "stopped" after `Stopped` or an interrupt, "failed" after anything
    else, which is passed on. `own_process`: nothing but the run goes on here. A wish to stop then comes to the
    main thread as SIGTERM, but for what is done `gently`, and a process that does not stop in time is ended.
    """

    def __init__(self, folder: Path, *, state: str = "running", own_process: bool = False,
                 clock: Callable[[], float] = time.time, tick: Callable[[], float] = time.monotonic) -> None:
        self.folder = folder
        self._own_process, self._clock, self._tick = own_process, clock, tick
        self._asked, self._closed, self._writing = threading.Event(), threading.Event(), threading.RLock()
        self._gentle = 0
        self._lock = FileLock(folder / ".lock")
        before = status.read(folder)
        now = self._clock()
        self._told = self._tick()
        self.status = Status(state, created=before.created or now, turn=before.turn, epoch=before.epoch,
                             epochs=before.epochs, log_from=before.log_from, updated=now, beat=self._told,
                             kills=causes.memory_kills()).by(os.getpid(), own=True)

    def __enter__(self) -> Heart:
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise Held(f"{self.folder}: another process is at work on this run; stop that first.") from None
        for part in self.folder.iterdir():
            if _LITTER.fullmatch(part.name):
                part.unlink(missing_ok=True)
        self.tell()
        self._thread = threading.Thread(target=self._beat, name="heart", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._closed.set()
        self._thread.join()
        if error is None:
            self._end("finished")
        elif isinstance(error, Stopped | KeyboardInterrupt):
            self._end("stopped", advice=f"Resume it: it goes on after epoch {self.status.epoch}.")
        else:
            cause = causes.of_error(error, device=self.status.device)
            self._end("failed", reason=cause.reason, advice=cause.advice)
        self._lock.release()

    @property
    def is_over(self) -> bool:
        """Whether the block has ended."""
        return self._closed.is_set()

    @property
    def is_asked(self) -> bool:
        """Whether somebody wants the run to stop."""
        return self._asked.is_set()

    def ask(self) -> None:
        """Make the run stop."""
        self._asked.set()

    def check(self) -> None:
        """Nothing, unless the run was asked to stop: then `Stopped`."""
        if self.is_asked:
            raise Stopped

    def wait(self, seconds: float) -> None:
        """Let that time pass; raises `Stopped` as soon as the run is asked to stop."""
        self._asked.wait(seconds)
        self.check()

    @contextlib.contextmanager
    def gently(self) -> Iterator[None]:
        """A block that a wish to stop does not interrupt, because it asks for itself."""
        self._gentle += 1
        try:
            yield
        finally:
            self._gentle -= 1

    def tell(self, **changes: Any) -> None:
        """Say something new of the run: keys of `Status`. Raises `OSError` if it cannot be written."""
        with self._writing:
            self._told = self._tick()
            self.status = replace(self.status, **changes)
            self._write()

    def _write(self) -> None:
        with self._writing:
            left = self.status.seconds_left
            passed = self._tick() - self._told
            status.write(self.folder, replace(
                self.status, updated=self._clock(), beat=self._tick(),
                seconds_left=None if left is None else max(0.0, round(left - passed, 1))))

    def _beat(self) -> None:
        asked_at, interrupted = None, False
        while not self._closed.wait(_EVERY):
            if (self.folder / status.STOP).exists():
                self.ask()
            if self.is_asked:
                asked_at = self._tick() if asked_at is None else asked_at
                self.status = replace(self.status, state="stopping")
                if self._own_process and not self._gentle and not interrupted:
                    interrupted = True
                    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
                if self._own_process and self._tick() - asked_at > _PATIENCE:
                    self._end("stopped", reason="It did not come to a checkpoint in time.",
                              advice="Resume it: it goes on from the checkpoint before.")
                    os._exit(0)
            # A full disk must not end the only sign of life; the training will notice it.
            with contextlib.suppress(OSError):
                self._write()

    def _end(self, state: str, *, reason: str = "", advice: str = "") -> None:
        with contextlib.suppress(OSError):  # the error that ended the run matters more
            self.tell(state=state, seconds_left=None, doing="", reason=reason, advice=advice)
            (self.folder / status.STOP).unlink(missing_ok=True)
