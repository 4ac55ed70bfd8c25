"""Start, find, stop, resume and remove runs from any process. All state is on disk, so nothing dies with a caller.

Knows run folders and processes; no Keras. Whoever changes something holds the lock of the runs folder meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from derm import tuning
from derm.bundle_rules import NAME, is_name
from derm.errors import JobError
from derm.jobs import status
from derm.jobs.status import LIVE, LOG, STOP, Status
from derm.nn import config as configs
from derm.nn.config import TrainConfig
from derm.tuning import Search

WORKER = ("-m", "derm.jobs.worker")  # what a run's process is told to do, before the name of its folder
_LOCK = ".runs.lock"
_MANNERS = 15.0  # seconds to wait for others who change something
_TAIL = 2**18


@dataclass(frozen=True)
class Run:
    """A run as it is now. `state` is one of `STATES`; `created` in seconds of the clock; `seconds_left` None where
    it is not known; `reason` and `advice` say why it ended so and what to do, and are empty where all is well.
    The `epochs` of a search are its trials."""

    name: str
    folder: Path
    state: str
    pid: int
    created: float
    doing: str
    epoch: int
    epochs: int
    seconds_left: float | None
    device: str
    reason: str
    advice: str

    @property
    def is_live(self) -> bool:
        """Whether it is queued, running or stopping."""
        return self.state in LIVE

    @property
    def is_search(self) -> bool:
        """Whether it searches for settings (`derm.tuning`); what it leaves is no model."""
        return tuning.is_search(self.folder)


def start(config: TrainConfig, *, runs: Path, name: str | None = None, search: Search | None = None) -> Run:
    """Start a run of its own process, which outlives this one; it waits if all devices are taken.

    `name` by default tells the time and the backbone; with `search` the run is one for better settings than the
    config's. Raises `JobError` for a name that is taken or cannot be one, and for a folder that cannot be written;
    and what `checks.check` raises for data, lists or weights that are not there.
    """
    config = _checked(config)
    with _changing(runs):
        return _launch(_create(config, runs, name, search))


def create(config: TrainConfig, *, runs: Path, name: str | None = None, search: Search | None = None) -> Run:
    """As `start`, but this process is to do the work: see `derm.jobs.worker.work`."""
    config = _checked(config)
    with _changing(runs):
        return _seen(_create(config, runs, name, search))


def resume(name: str, *, runs: Path) -> Run:
    """Go on with a run from its last complete checkpoint, in a process of its own.

    Raises `JobError` if it is finished, goes on already, or if its data has changed (it says what).
    """
    check_data(find(name, runs=runs).folder)
    with _changing(runs):
        return _launch(_queue_again(find(name, runs=runs)))


def take_up(name: str, *, runs: Path) -> Run:
    """As `resume`, but this process is to do the work: see `derm.jobs.worker.work`."""
    with _changing(runs):
        return _seen(_queue_again(find(name, runs=runs)))


def list_runs(runs: Path) -> list[Run]:
    """Every run under `runs`, the newest first."""
    folders = {path.parent for file in (status.FILE, configs.CONFIG) for path in runs.glob(f"*/{file}")}
    found = [_seen(folder) for folder in folders if not folder.name.startswith(".")]
    found = [run for run in found if run.created]  # the others were removed meanwhile
    return sorted(found, key=lambda run: (run.created, run.name), reverse=True)


def find(name: str, *, runs: Path) -> Run:
    """The run called `name`. Raises `JobError` naming some that there are."""
    if is_name(name) and (runs / name / configs.CONFIG).is_file():
        return _seen(runs / name)
    there = ", ".join(run.name for run in list_runs(runs)[:5]) or "none"
    raise JobError(f"no run called '{name[:100]}' in {runs}; the newest there: {there}.")


def stop(name: str, *, runs: Path) -> Run:
    """Ask a run to write a checkpoint and end, which it does within a minute; asking twice changes nothing.

    A process that hangs (state "lost") is ended at once. Nothing happens to a run that has ended.
    """
    with _changing(runs):
        run = find(name, runs=runs)
        if run.state in ("queued", "running"):
            (run.folder / STOP).touch()
        elif _hangs(run):
            _kill(run.pid)
            status.write(run.folder, replace(
                status.read(run.folder), state="stopped", seconds_left=None,
                reason="Its process hung and was ended.",
                advice="Resume it: it goes on from its last checkpoint."))
        return _seen(run.folder)


def wait_stopped(name: str, *, runs: Path, seconds: float = 60.0) -> Run:
    """Wait until the run has ended, at most so long; a process that hangs meanwhile is ended."""
    deadline = time.monotonic() + seconds
    while (run := find(name, runs=runs)).is_live and time.monotonic() < deadline:
        time.sleep(0.2)
    return stop(name, runs=runs) if run.state == "lost" else run


def remove(name: str, *, runs: Path) -> None:
    """Delete a run and all it left. Raises `JobError` while its process is there."""
    with _changing(runs):
        run = find(name, runs=runs)
        if run.is_live or _hangs(run):
            raise JobError(f"{name} is {run.state}, its process is there; stop it first.")
        hidden = runs / f".{uuid.uuid4().hex}"
        run.folder.rename(hidden)  # in one step out of sight, so that nobody sees half a run
    shutil.rmtree(hidden, ignore_errors=True)


def log_tail(name: str, *, runs: Path, lines: int = 20) -> list[str]:
    """The last lines of what the run said; empty if it has said nothing."""
    path = find(name, runs=runs).folder / LOG
    if not path.is_file():
        return []
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        return file.read().decode("utf-8", "replace").splitlines()[-lines:]


def check_data(folder: Path) -> None:
    """Nothing, if the run's data is as it was. Raises `JobError` that says what changed."""
    from derm import datasets
    from derm.jobs import origin

    if (folder / origin.FILE).exists():
        origin.check(folder, datasets.load(configs.data_folder(configs.read(folder / configs.CONFIG))))


def await_changes(runs: Path) -> None:
    """Return when nobody is changing the runs: a new process lets its starter finish first."""
    with _changing(runs):
        pass


@contextlib.contextmanager
def _changing(runs: Path) -> Iterator[None]:
    """The right to change the runs. Raises `JobError` where it cannot be had."""
    try:
        runs.mkdir(parents=True, exist_ok=True)
        with FileLock(runs / _LOCK, timeout=_MANNERS):
            yield
    except Timeout:
        raise JobError(f"{runs}: somebody else has been changing the runs for {_MANNERS:.0f} seconds. "
                       "Try again.") from None
    except OSError as error:
        raise JobError(f"{error.filename or runs}: cannot be written ({error.strerror or error}). Mend its "
                       "permissions or make room, or name another folder with DERM_RUNS.") from error


def _checked(config: TrainConfig) -> TrainConfig:
    """The config with its data folder, if a run of it may begin; before anybody else is kept waiting."""
    from derm.jobs import checks

    checks.check(config)
    return replace(config, data=str(configs.data_folder(config).resolve()))


def _create(config: TrainConfig, runs: Path, name: str | None, search: Search | None) -> Path:
    """The folder of a new run, queued by this process. It appears with all that it needs, or not at all."""
    name = _dated(config, runs) if name is None else name
    if not is_name(name):
        raise JobError(f"'{name[:100]}' cannot name a run; use {NAME}.")
    folder = runs / name
    if folder.exists():
        raise JobError(f"{folder}: exists already; choose another name, or resume it.")
    epochs = search.trials if search else config.head_epochs + config.epochs
    part = runs / f".{uuid.uuid4().hex}"
    part.mkdir()
    try:
        configs.save(config, part)
        if search:
            (part / tuning.SEARCH).write_text(search.to_json(), encoding="utf-8")
        status.write(part, Status("queued", created=time.time(), turn=_next_turn(runs), epochs=epochs,
                                  beat=time.monotonic()).by(os.getpid(), own=False))
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def _queue_again(run: Run) -> Path:
    """The folder of an earlier run, queued by this process."""
    if run.is_live or _hangs(run):
        raise JobError(f"{run.name} is {run.state} already (process {run.pid}); stop it first.")
    if run.is_search:
        if not tuning.left(run.folder):
            raise JobError(f"{run.name}: finished already; give it more trials with `derm tune --trials`.")
    elif run.state == "finished" or (run.folder / "bundle.json").is_file():
        raise JobError(f"{run.name}: finished already; its bundle is there. Start a new run instead.")
    (run.folder / STOP).unlink(missing_ok=True)
    log = run.folder / LOG
    before = status.read(run.folder)
    status.write(run.folder, Status(
        "queued", created=before.created or time.time(), turn=_next_turn(run.folder.parent), epoch=run.epoch,
        epochs=run.epochs, beat=time.monotonic(), log_from=log.stat().st_size if log.exists() else 0,
    ).by(os.getpid(), own=False))
    return run.folder


def _launch(folder: Path) -> Run:
    """A process for the run, in a session of its own: it outlives this one, its terminal and its signals."""
    try:
        with (folder / LOG).open("ab") as log:
            process = subprocess.Popen([sys.executable, *WORKER, str(folder.resolve())], stdin=subprocess.DEVNULL,
                                       stdout=log, stderr=log, start_new_session=True)
    except OSError as error:
        reason, advice = f"No process could be started for it: {error}.", "End other programs, then resume it."
        status.write(folder, replace(status.read(folder), state="failed", reason=reason, advice=advice))
        raise JobError(f"{folder.name}: {reason} {advice}") from error
    # Whoever is still there when it ends takes note, so that no dead process stays in the system's table.
    threading.Thread(target=process.wait, daemon=True).start()
    status.write(folder, status.read(folder).by(process.pid, own=True))
    return _seen(folder)


def _seen(folder: Path) -> Run:
    said, created = status.judged(folder), 0.0
    with contextlib.suppress(OSError):
        created = said.created or (folder / configs.CONFIG).stat().st_mtime
    return Run(name=folder.name, folder=folder, state=said.state, pid=said.pid, created=created, doing=said.doing,
               epoch=said.epoch, epochs=said.epochs, seconds_left=said.seconds_left, device=said.device,
               reason=said.reason, advice=said.advice)


def _hangs(run: Run) -> bool:
    """Whether its process is there but silent."""
    said = status.read(run.folder)
    return run.state == "lost" and said.own and said.is_alive()


def _dated(config: TrainConfig, runs: Path) -> str:
    """A name that is free: the time and the backbone, with a number where two start in one second."""
    name = f"{datetime.now():%Y%m%d-%H%M%S}-{config.backbone}"[:60]
    return next(free for free in (name, *(f"{name}-{i}" for i in range(2, 999))) if not (runs / free).exists())


def _next_turn(runs: Path) -> int:
    """The place behind all others in the queue."""
    return 1 + max((status.read(path.parent).turn for path in runs.glob(f"*/{status.FILE}")), default=0)


def _kill(pid: int) -> None:
    """End the process and all that it started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for member in (*process.children(recursive=True), process):
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        with contextlib.suppress(psutil.TimeoutExpired):
            process.wait(10)
