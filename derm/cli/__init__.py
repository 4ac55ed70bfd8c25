"""The `derm` command. Knows arguments and printing; the work is done elsewhere and imported when needed,
so that `derm --help` does not wait for TensorFlow."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from derm.cli import data, models, runs, staff, tuning
from derm.errors import DermError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                  help="Equitable dermatology: look into data, train, predict, evaluate, and look after models.")
app.add_typer(models.app, name="models")
app.add_typer(data.app, name="data")
app.add_typer(runs.app, name="runs")
app.add_typer(staff.app, name="staff")

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Model = Annotated[str | None, typer.Option("--model", help="A model's name or folder, if not the default model.")]


@app.command()
def train(
    config: Annotated[Path | None, typer.Argument(help="A TOML file of settings (docs/training.md).")] = None,
    preset: Annotated[str, typer.Option(help="quick, default or best, where there is no file.")] = "default",
    data: Annotated[Path | None, typer.Option(help="The data set's folder.")] = None,
    exclude: Annotated[Path | None, typer.Option(help="Images to leave out (CSV with image_id).")] = None,
    split_file: Annotated[Path | None, typer.Option(help="A split saved by `derm data split`.")] = None,
    assign: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE",
                                                     help="Replace one setting; may be repeated.")] = None,
    run: Annotated[Path | None, typer.Option(help="The run's folder (default: a new one under runs/).")] = None,
    resume: Annotated[Path | None, typer.Option(metavar="RUN", help="Continue this run's folder.")] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return at once; the run goes on by itself.")] = False,
) -> None:
    """Train a model; the end of a run is a bundle. KERAS_BACKEND chooses tensorflow or jax."""
    from derm.cli import commands

    raise typer.Exit(commands.train(config, preset=preset, data=data, exclude=exclude, split_file=split_file,
                                    assign=assign or [], run=run, resume=resume, detach=detach))


app.command()(tuning.tune)


@app.command()
def predict(
    paths: Annotated[list[Path], typer.Argument(help="Photographs, and folders of them.")],
    model: Model = None,
    top: Annotated[int, typer.Option(min=1, help="How many conditions to show.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line an image.")] = False,
    cam: Annotated[Path | None, typer.Option(help="Write Grad-CAM overlays into this folder.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the predictions table (.parquet or .csv).")] = None,
    submission: Annotated[Path | None, typer.Option(help="Write a competition file: md5hash,label.")] = None,
    meta: Annotated[list[str] | None, typer.Option(
        metavar="COLUMN=VALUE", help="What is known of the patient, such as age=54, for a model that reads it; "
                                     "holds for all photographs; may be repeated.")] = None,
    metadata: Annotated[Path | None, typer.Option(
        help="The same, a row a photograph (.csv or .parquet): image_id, path, file or filename says which. Blank "
             "cells, and photographs that are not in it, are not known.")] = None,
) -> None:
    """What each photograph may show. Exit status 1 if one could not be read; the rest go on."""
    from derm.cli import commands

    raise typer.Exit(commands.predict(paths, model=model, top=top, as_json=as_json, cam=cam, out=out,
                                      submission=submission, meta=meta or [], metadata=metadata))


@app.command()
def evaluate(
    model: Model = None,
    data: Annotated[Path | None, typer.Option(help="The data set's folder (default: DERM_DATA).")] = None,
    split: Annotated[str, typer.Option(help="train, val or test, as the model was trained; or all.")] = "val",
    out: Annotated[Path | None, typer.Option(help="Also write the predictions table.")] = None,
    as_json: Json = False,
) -> None:
    """How good a model is, overall and by skin type, each figure with n and a 95 % interval."""
    from derm.cli import commands

    commands.evaluate(model, data=data, split=split, out=out, as_json=as_json)


@app.command()
def ensemble(
    members: Annotated[list[str], typer.Argument(help="Two models or more, by name; the first one leads.")],
    name: Annotated[str, typer.Option(help="What to call it.")],
    vote: Annotated[str, typer.Option(help="soft: the mean of their probabilities; hard: a vote each.")] = "soft",
    weights: Annotated[str, typer.Option(help="What each counts, such as 0.5,0.3,0.2, or validation to have that "
                                              "chosen on validation photographs (default: alike).")] = "",
) -> None:
    """Combine several models into one. Needs neither data nor training, and says how good they are together."""
    from derm.cli import commands

    commands.ensemble(members, name=name, vote=vote, weights=weights)


@app.command()
def audit(
    predictions: Annotated[Path, typer.Argument(help="Any model's predictions, CSV or Parquet (docs/fairness.md), "
                                                     "or the folder of a model.")],
    by: Annotated[list[str] | None, typer.Option(help="fst3 (the default), fst, mst or a column; may be repeated, "
                                                      "for the groups where they meet.")] = None,
    against: Annotated[Path | None, typer.Option(help="Another model's predictions of the same images.")] = None,
    rename: Annotated[list[str] | None, typer.Option(
        "--map", metavar="THEIRS=OURS", help="What a column or a label is called; may be repeated.")] = None,
    renormalise: Annotated[bool, typer.Option("--renormalise", help="Divide probabilities by their sum.")] = False,
    metric: Annotated[list[str] | None, typer.Option(help="Compare this measure only; may be repeated.")] = None,
    condition: Annotated[str | None, typer.Option(help="Also measure this condition against all others.")] = None,
    max_gap: Annotated[float | None, typer.Option(
        min=0, max=1, help="Exit with status 2 if a gap's lower bound exceeds this.")] = None,
    as_json: Json = False,
    html: Annotated[Path | None, typer.Option(help="Also write a report (needs model and version).")] = None,
    csv: Annotated[Path | None, typer.Option(help="Also write all figures as CSV.")] = None,
    model: Annotated[str | None, typer.Option(help="Whose predictions they are, for the report; known of "
                                                   "Derm's own models.")] = None,
    model_version: Annotated[str | None, typer.Option(help="That model's version, for the report.")] = None,
) -> None:
    """Whom a model serves worse, how sure that is, and whether case mix may explain it."""
    from derm.cli import auditing

    raise typer.Exit(auditing.run(
        predictions, by=by or ["fst3"], against=against, rename=rename or [], renormalise=renormalise,
        metrics=metric or [], condition=condition, max_gap=max_gap, as_json=as_json, html=html, csv=csv,
        model=model, version=model_version))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line. A `DermError` is one sentence on standard error and exit status 2."""
    try:
        app(args=list(arguments) if arguments is not None else None)
    except DermError as error:
        print(f"derm: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
