"""`derm runs`: look at training runs and act on them. Knows arguments and printing; the work is `derm.jobs`'."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from derm.cli.console import say, table, wide
from derm.settings import settings

if TYPE_CHECKING:
    from derm import jobs

app = typer.Typer(no_args_is_help=True, help="Watch, stop, resume and remove training runs.")

_EVERY = 0.5
Name = Annotated[str, typer.Argument(help="A run's name, as `derm runs list` shows it.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@app.command(name="list")
def list_(as_json: Json = False) -> None:
    """Every run, the newest first."""
    from derm import jobs

    found = jobs.list_runs(settings().runs)
    if as_json:
        print(json.dumps([record(run) for run in found]))
        return
    if not found:
        say("No runs yet; start one with `derm train --preset quick --data PATH --detach`.")
        return
    shown = table("Runs", "name", "state", "epoch", "time left", "started")
    for run in found:
        shown.add_row(run.name, run.state, f"{run.epoch}/{run.epochs}", _left(run), _when(run))
    wide.print(shown)


@app.command()
def show(name: Name, as_json: Json = False) -> None:
    """How a run is, and if it failed, why and what to do."""
    from derm import jobs

    run = jobs.find(name, runs=settings().runs)
    if as_json:
        print(json.dumps(record(run)))
        return
    say(f"{run.name}: {run.state}" + (f" ({run.doing})" if run.doing else "") +
        f", {'trial' if run.is_search else 'epoch'} {run.epoch} of {run.epochs}" +
        (f", {_left(run)} left" if run.seconds_left is not None else ""))
    for text in (run.reason, run.advice):
        if text:
            say(text)
    say(f"Started {_when(run)} in {run.folder}" + (f"; process {run.pid}" if run.is_live else ""))
    if run.state in ("failed", "lost") and (lines := jobs.log_tail(name, runs=settings().runs)):
        say("The end of its log:\n" + "\n".join(f"  {line}" for line in lines))


@app.command()
def logs(
    name: Name,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until it ends.")] = False,
    lines: Annotated[int, typer.Option("-n", "--lines", min=1, help="How many of the last lines.")] = 50,
) -> None:
    """What a run said."""
    from derm import jobs

    if not follow:
        for line in jobs.log_tail(name, runs=settings().runs, lines=lines):
            say(line)
        return
    for line in _followed(name, jobs.find(name, runs=settings().runs).folder / "log.txt", lines):
        say(line)
    say(_how(jobs.find(name, runs=settings().runs)))


@app.command()
def stop(name: Name) -> None:
    """Let a run write a checkpoint and end; waits for that, at most a minute. Exit status 1 if it goes on."""
    from derm import jobs

    jobs.stop(name, runs=settings().runs)
    run = jobs.wait_stopped(name, runs=settings().runs)
    say(_how(run))
    raise typer.Exit(int(run.is_live))


@app.command()
def resume(name: Name) -> None:
    """Go on with a run from its last checkpoint, in a process of its own."""
    from derm import jobs

    say(_how(jobs.resume(name, runs=settings().runs)))


@app.command()
def rm(name: Name) -> None:
    """Delete a run that has ended, with all that it left."""
    from derm import jobs

    jobs.remove(name, runs=settings().runs)
    say(f"{name} is gone.")


def record(run: jobs.Run) -> dict[str, Any]:
    """The run as JSON shows it; `created` in UTC, null where something is not known."""
    return {"name": run.name, "kind": "search" if run.is_search else "training", "state": run.state,
            "doing": run.doing, "pid": run.pid or None,
            "created": _clock(run).isoformat(timespec="seconds"), "epoch": run.epoch, "epochs": run.epochs,
            "seconds_left": run.seconds_left, "device": run.device, "reason": run.reason, "advice": run.advice,
            "folder": str(run.folder)}


def _followed(name: str, path: Path, lines: int) -> Iterator[str]:
    """The last `lines` lines of the log, then others once each is written whole, until the run has ended."""
    from derm import jobs

    place, rest, first = 0, b"", -lines
    while True:
        is_live = jobs.find(name, runs=path.parent.parent).is_live
        if path.exists():
            with path.open("rb") as file:
                file.seek(place)
                *whole, rest = (rest + file.read()).split(b"\n")
                place = file.tell()
            if rest and not is_live:
                whole.append(rest)
            yield from (line.decode("utf-8", "replace") for line in whole[first:])
            first = 0
        if not is_live:
            return
        time.sleep(_EVERY)


def _how(run: jobs.Run) -> str:
    return " ".join(text for text in (f"{run.name}: {run.state}.", run.reason, run.advice) if text)


def _left(run: jobs.Run) -> str:
    from derm.nn.runlog import duration

    return "-" if run.seconds_left is None else duration(run.seconds_left)


def _clock(run: jobs.Run) -> datetime:
    return datetime.fromtimestamp(run.created, UTC)


def _when(run: jobs.Run) -> str:
    return f"{_clock(run).astimezone():%Y-%m-%d %H:%M}"
