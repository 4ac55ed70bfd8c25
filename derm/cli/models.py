"""The `derm models` commands. Knows arguments and printing; the work is imported when needed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from derm.cli.console import say

if TYPE_CHECKING:
    from derm.registry import Bundle

app = typer.Typer(help="List, compare, verify, add, remove, export and import models.",
                  invoke_without_command=True)

Name = Annotated[str, typer.Argument(help="A model's name, as `derm models list` shows it.")]
NameOrFolder = Annotated[str, typer.Argument(help="A model's name or folder.")]
Override = Annotated[str, typer.Option(metavar="WHY", help="Do it although a skin-type group is served worse than "
                                       "by the default model; the reason goes into the card.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@app.callback()
def models(context: typer.Context, as_json: Json = False) -> None:
    """List the models there are."""
    if context.invoked_subcommand is None:
        _list(as_json=as_json)


@app.command(name="list")
def list_(as_json: Json = False) -> None:
    """Every model, with how often it was right on held-out photographs, n and interval."""
    _list(as_json=as_json)


@app.command()
def card(name: NameOrFolder) -> None:
    """The model card: what it was trained on, how good it is and for whom."""
    from derm import exporting
    from derm.cli.commands import find_bundle

    say(exporting.content(find_bundle(name), "card").decode().rstrip())


@app.command()
def verify(name: Annotated[str | None, typer.Argument(help="One model (default: all).")] = None) -> None:
    """Check every file of every model against its hash. Exit status 1 if one is damaged."""
    from derm import registry
    from derm.cli.commands import find_bundle

    bundles = [find_bundle(name)] if name else registry.list_bundles()
    problems = list(registry.unreadable()) if not name else []
    for bundle in bundles:
        found = registry.verify(bundle)
        problems += found
        say(f"{bundle.name}: {'damaged' if found else f'{len(bundle.sha256)} files as recorded'}")
    for problem in problems:
        print(problem, file=sys.stderr)
    raise typer.Exit(int(bool(problems)))


@app.command()
def default(name: Name, override: Override = "") -> None:
    """Make a model the one used when none is named; refused if a skin-type group would be served worse."""
    from derm import promotion

    promotion.set_default(name, override=override)
    say(f"{name} is the default model now.")


@app.command()
def add(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run.")],
    name: Annotated[str, typer.Option(help="What to call it.")],
    default: Annotated[bool, typer.Option("--default", help="Make it the default model.")] = False,
    override: Override = "",
) -> None:
    """Copy a finished run's model to the models; refused if it is worse for a skin-type group than the default."""
    from derm import promotion, registry

    promotion.promote(run, name, override=override)
    if default:
        registry.set_default(name)
    say(f"{name} is a model now{', and the default' if default else ''}.")


@app.command()
def remove(name: Name) -> None:
    """Delete a model; refused for the default one and for members of an ensemble."""
    from derm import registry

    registry.remove(name)
    say(f"{name} is gone.")


@app.command()
def complete(
    name: NameOrFolder,
    data: Annotated[Path | None, typer.Option(help="The data it was trained on (default: DERM_DATA).")] = None,
) -> None:
    """Add to a model of an earlier version prediction sets, abstention, known cases and reliability by skin type.

    The network and its probabilities stay as they are; figures and card are made anew from those. Reads every
    photograph once, which takes minutes.
    """
    from derm.cli.commands import find_bundle
    from derm.nn import remake

    bundle = remake.complete(find_bundle(name), data=data)
    say(f"{bundle.name} now has prediction sets, abstention, known cases and reliability by skin type; its card "
        f"says how they do: {bundle.path('card.md')}")


@app.command()
def views(
    name: NameOrFolder,
    to: Annotated[str, typer.Option("--name", help="What to call the new model.")],
    mirror: Annotated[bool, typer.Option(help="Look at the mirror image too.")] = True,
    turns: Annotated[bool, typer.Option(help="Look at the quarter turns too.")] = True,
    known_cases: Annotated[float | None, typer.Option(
        min=0, max=0.9, help="The share of the answer that known cases like it have (default: as it is).")] = None,
    data: Annotated[Path | None, typer.Option(help="The data it was trained on (default: DERM_DATA).")] = None,
    override: Override = "",
) -> None:
    """Make a model of one whose network answers as the mean over other views of a photograph, or with a say of the
    photographs for training and validation most like it.

    It is calibrated and measured anew on the photographs it held out. Reads every photograph once, which takes
    minutes; no training.
    """
    from derm.cli.commands import find_bundle
    from derm.nn import remake

    bundle = find_bundle(name)
    share = bundle.known_cases if known_cases is None else known_cases
    _made(to, lambda folder: remake.answering(bundle, folder, mirror=mirror, turns=turns, known_cases=share,
                                              data=data), override=override)


@app.command()
def average(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Models' names or folders, two or more.")],
    to: Annotated[str, typer.Option("--name", help="What to call the new model.")],
    data: Annotated[Path | None, typer.Option(help="The data they were trained on (default: DERM_DATA).")] = None,
    override: Override = "",
) -> None:
    """Make one network of several that were trained one from another: each weight the mean of theirs.

    It costs no more to ask than one of them. It is calibrated and measured anew on the photographs that all held
    out. Reads every photograph once, which takes minutes; no training.
    """
    from derm.cli.commands import find_bundle
    from derm.nn import remake

    bundles = [find_bundle(name) for name in names]
    _made(to, lambda folder: remake.averaged(bundles, folder, data=data), override=override)


def _made(name: str, make: Callable[[Path], object], *, override: str) -> None:
    """Let `make` write a bundle into a folder called so, and take it among the models."""
    from tempfile import TemporaryDirectory

    from derm import promotion, registry

    registry.check_free(name)
    with TemporaryDirectory() as above:
        (folder := Path(above) / name).mkdir()
        make(folder)
        promotion.promote(folder, name, override=override)
    say(f"{name} is a model now.")


@app.command()
def export(
    name: NameOrFolder,
    to: Annotated[Path, typer.Option(help="The folder to write into.")],
    kind: Annotated[str, typer.Option("--as", help="keras, onnx, csv (its predictions) or card.")] = "keras",
) -> None:
    """Write a model as a file for use elsewhere."""
    from derm import exporting
    from derm.cli.commands import find_bundle

    say(str(exporting.write(find_bundle(name), kind, to)))


@app.command(name="import")
def import_(
    file: Annotated[Path, typer.Argument(help="The .keras file.")],
    classes: Annotated[Path, typer.Option(help="Its labels, one a line, in the order of its outputs.")],
    name: Annotated[str, typer.Option(help="What to call it.")],
    scaling: Annotated[str | None, typer.Option(help="What its input expects, if not uint8: 0..255, 0..1, -1..1 "
                                                     "or imagenet (ImageNet's mean and deviation).")] = None,
) -> None:
    """Make a model of somebody else's .keras file: checked as data first, tried in a process of its own."""
    from derm import importing

    labels = importing.read_labels(_bytes(classes), called=str(classes))
    found = importing.bring(file, labels=labels, name=name, scaling=scaling)
    say(f"{name} is a model now: {len(labels.slugs)} conditions, {found.bundle.input_size} pixels.")
    for note in found.notes:
        say(note)


def _bytes(path: Path) -> bytes:
    from derm.errors import ModelError

    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); name a file with a label a line.") from error


def _list(*, as_json: bool) -> None:
    from derm import registry

    bundles = registry.list_bundles()
    if as_json:
        print(json.dumps([_record(bundle) for bundle in bundles]))
        return
    for bundle in bundles:
        what = f"{bundle.vote} vote of {', '.join(bundle.members)}" if bundle.members else bundle.backbone
        say(f"{bundle.name} {bundle.version}: {what}, {len(bundle.classes)} conditions, trained on "
            f"{bundle.data_name}\n"
            f"  accuracy {_figure(bundle, 'accuracy')}; macro F1 {_figure(bundle, 'macro_f1')}")
    if not bundles:
        say("No models yet; train one with `derm train --preset quick --data PATH`.")
    for problem in registry.unreadable():
        print(problem, file=sys.stderr)


def _record(bundle: Bundle) -> dict[str, Any]:
    """The model as JSON shows it; `members` are an ensemble's, empty for one network."""
    return {"name": bundle.name, "version": bundle.version, "backbone": bundle.backbone, "data": bundle.data_name,
            "classes": len(bundle.classes), "members": list(bundle.members), "figures": dict(bundle.figures)}


def _figure(bundle: Bundle, name: str) -> str:
    from derm.fairness.figure import Figure

    figure = bundle.figures.get(name)
    return str(Figure(**figure)) if figure else "not measured"
