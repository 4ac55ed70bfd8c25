"""`derm tune`: search for settings, go on with a search, look at one. Knows arguments and printing; the work is
`derm.jobs`' and `derm.nn.tune`'s."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from derm import tuning
from derm.cli.console import say
from derm.errors import ConfigError, DermError, JobError
from derm.nn import config as configs
from derm.nn.config import TrainConfig
from derm.settings import settings


def tune(
    config: Annotated[Path | None, typer.Argument(help="A TOML file of settings to begin with.")] = None,
    trials: Annotated[int, typer.Option(min=1, max=10_000, help="How many there are to be in all.")] = 20,
    space: Annotated[list[str] | None, typer.Option(
        metavar="KEY=LOW..HIGH|KEY=A,B,C", help="What a setting is chosen from; may be repeated.")] = None,
    data: Annotated[Path | None, typer.Option(help="The data set's folder.")] = None,
    assign: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE",
                                                     help="Replace one setting; may be repeated.")] = None,
    run: Annotated[Path | None, typer.Option(help="The search's folder (default: one under runs/, named after the "
                                                  "file).")] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return at once; it goes on by itself.")] = False,
    show: Annotated[Path | None, typer.Option(metavar="RUN", help="Only show this search's trials.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="With --show: print JSON instead of a table.")] = False,
) -> None:
    """Search for better settings, trial after trial; the same command goes on with a search broken off."""
    if show is not None:
        _show(show if show.parent.name else settings().runs / show, as_json=as_json)
        return
    if config is None:
        raise ConfigError("no settings to begin with; name a TOML file, or --show RUN.")
    chosen = configs.override(configs.read(config), configs.parse_assignments(assign or []))
    chosen = configs.override(chosen, {"data": str(data)} if data else {})
    folder = run or settings().runs / f"tune-{config.stem}"
    if ".." in folder.parts:
        raise ConfigError(f"{folder}: climbs out with '..'; name the search's folder without it.")
    search = tuning.Search(trials, tuning.space(chosen, space or []))
    raise typer.Exit(_search(folder, chosen, search, detach=detach))


def _search(folder: Path, config: TrainConfig, search: tuning.Search, *, detach: bool) -> int:
    """Begin the search in `folder` or go on with it; the exit status, 130 if it was stopped."""
    from derm import jobs

    runs, name = folder.parent, folder.name
    if not tuning.is_search(folder):
        begin = jobs.start if detach else jobs.create
        return _work(begin(config, runs=runs, name=name, search=search), detach=detach)
    if (state := jobs.find(name, runs=runs).state) in jobs.LIVE:
        raise JobError(f"{name} is {state} already; `derm runs logs -f {name}` follows it.")
    tuning.go_on(folder, config, search)
    if not tuning.left(folder):
        _show(folder)
        return 0
    return _work((jobs.resume if detach else jobs.take_up)(name, runs=runs), detach=detach)


def _work(run: Any, *, detach: bool) -> int:
    from derm import jobs
    from derm.jobs import worker
    from derm.jobs.heart import Stopped

    if detach:
        say(f"{run.name} goes on by itself; this window may be closed.\n"
            f"Follow it: derm runs logs -f {run.name}\nSee it:    derm tune --show {run.folder}")
        return 0
    try:
        worker.work(run.folder, say=say)
    except (Stopped, KeyboardInterrupt):
        say("Stopped; the same command goes on with it.")
        return 130
    except DermError:
        if tuning.trials(run.folder).empty:
            jobs.remove(run.name, runs=run.folder.parent)  # it was refused before the first trial
        raise
    _show(run.folder)
    return 0


def _show(folder: Path, *, as_json: bool = False) -> None:
    """The trials in their order, and which is the best."""
    found, search, best = tuning.trials(folder), tuning.read(folder), tuning.best(folder)
    if as_json:
        listed = json.loads(found.to_json(orient="records"))
        print(json.dumps({"name": folder.name, "wanted": search.trials, "best": best, "note": tuning.OPTIMISTIC,
                          "trials": listed}))
        return
    for _, row in found.iterrows():
        say(tuning.line(row, of=search) + (" *" if row["trial"] == best else ""))
    if best is not None:
        say(f"* the best. {tuning.OPTIMISTIC}")
    if (folder / tuning.BEST).is_file():
        say(f"Train it: derm train {folder / tuning.BEST}")
