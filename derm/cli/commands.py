"""What each `derm` command does, once its arguments are known. Prints; returns exit statuses."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from derm import jobs, overlay, predictions, registry, report
from derm.cli.console import progress, say, table, wide
from derm.errors import ConfigError, DermError
from derm.fairness import metrics
from derm.fairness.figure import Figure
from derm.nn import config as configs
from derm.settings import settings


def train(config: Path | None, *, preset: str, data: Path | None, exclude: Path | None, split_file: Path | None,
          assign: Sequence[str], run: Path | None, resume: Path | None, detach: bool) -> int:
    """Start or resume a run, here or as a process of its own; refuses a bad config before any work.

    Returns the exit status: 130 if the run was stopped.
    """
    runs, name = settings().runs, None
    if named_folder := resume or run:
        if ".." in named_folder.parts:
            raise ConfigError(f"{named_folder}: climbs out with '..'; name the run's folder without it.")
        runs, name = named_folder.parent, named_folder.name
    if resume is not None:
        if detach:
            return _detached(jobs.resume(resume.name, runs=runs))
        return _here(jobs.take_up(resume.name, runs=runs), is_new=False)
    chosen = configs.read(config) if config else configs.preset(preset)
    chosen = configs.override(chosen, configs.parse_assignments(assign))
    named = {"data": data, "exclude": exclude, "split_file": split_file}
    chosen = configs.override(chosen, {key: str(path) for key, path in named.items() if path})
    if detach:
        return _detached(jobs.start(chosen, name=name, runs=runs))
    return _here(jobs.create(chosen, name=name, runs=runs), is_new=True)


def _detached(run: jobs.Run) -> int:
    where = "" if run.folder.parent == settings().runs else f"DERM_RUNS={run.folder.parent} "
    say(f"{run.name} goes on by itself; this window may be closed.\n"
        f"Follow it: {where}derm runs logs -f {run.name}\n"
        f"Stop it:   {where}derm runs stop {run.name}")
    return 0


def _here(run: jobs.Run, *, is_new: bool) -> int:
    """Train in this process."""
    from derm.jobs import worker
    from derm.jobs.heart import Stopped

    try:
        done = worker.work(run.folder, say=say)
    except (Stopped, KeyboardInterrupt):
        say(f"Stopped; continue with: derm train --resume {run.folder}")
        return 130
    except DermError:
        if is_new and not (run.folder / "progress.jsonl").exists():
            jobs.remove(run.name, runs=run.folder.parent)  # it was refused before anything was learnt
        raise
    say(f"{done} is a model now; its card is {done / 'card.md'}.\n"
        f"Use it:  derm predict PHOTO --model {done}\n"
        f"Keep it: derm models add {done} --name NAME")
    return 0


def predict(paths: Sequence[Path], *, model: str | None, top: int, as_json: bool, cam: Path | None,
            out: Path | None, submission: Path | None, meta: Sequence[str], metadata: Path | None) -> int:
    """Predict, print and write what was asked for; 1 if a picture could not be read."""
    if out is not None:
        predictions.check_ending(out)
    from derm.cli import known
    from derm.nn import predict as loading
    from derm.nn import scoring

    files, bundle = scoring.find_images(paths), find_bundle(model)
    beside = known.beside(bundle, files, assign=meta, path=metadata)
    predictor = loading.load(bundle)
    scored: list[scoring.Scored] = []
    with progress("Reading photographs", len(files)) as show:
        for item in scoring.score(predictor, files, beside):
            _print_one(item, bundle, top=top, as_json=as_json)
            if cam is not None and item.diagnosis:
                _write_overlay(item, cam)
            # Only the probabilities are kept: photographs of a large folder would fill the memory.
            light = replace(item.diagnosis, heatmaps={}, members={}) if item.diagnosis else None
            scored.append(replace(item, photo=None, diagnosis=light))
            show(len(scored), len(files))
    good = [item for item in scored if item.diagnosis]
    if out is not None:
        _write_table(out, good, predictor.classes)
    if submission is not None:
        _write_submission(submission, good)
    return int(len(good) < len(scored))


def evaluate(model: str | None, *, data: Path | None, split: str, out: Path | None, as_json: bool) -> None:
    """Measure a model on a part of a data set."""
    if split not in ("train", "val", "test", "all"):
        raise ConfigError(f"split = '{split}'; expected train, val, test or all.", "split")
    from derm.nn import evaluation

    bundle = find_bundle(model)
    predicted = evaluation.predict_split(bundle, data=data, split=split)
    if out is not None:
        predictions.write(out, predicted)
    groups = {"all": metrics.summary(predicted), **metrics.by_skin_type(predicted)}
    if as_json:
        print(json.dumps({"model": bundle.name, "version": bundle.version, "split": split, "groups": {
            group: {name: asdict(figure) for name, figure in figures.items()}
            for group, figures in groups.items()}}))
        return
    title = f"{bundle.name} {bundle.version} on the {split} part"
    header, *lines = zip(*metrics.rows(groups, list(metrics.LABELS)), strict=True)
    shown = table(title, *header)
    for line in lines:
        shown.add_row(*line)
    wide.print(shown)
    part = f"; {bundle.judges}" if bundle.judges and split != "all" else ""
    say(f"Each figure with its 95 % interval; n is the number of photographs{part}.")


def ensemble(members: Sequence[str], *, name: str, vote: str, weights: str) -> None:
    """Write an ensemble and say how good it is beside its members."""
    from derm import ensembles

    chosen: Sequence[float] | str = weights
    if weights != ensembles.VALIDATION:
        try:
            chosen = [float(part) for part in weights.split(",")] if weights else ()
        except ValueError:
            raise ConfigError(f"weights = '{weights[:100]}'; expected a number for each member, such as "
                              f"0.5,0.3,0.2, or {ensembles.VALIDATION}.", "weights") from None
    made = ensembles.make(members, name=name, vote=vote, weights=chosen)
    shares = dict(zip(made.members, made.shares, strict=True))
    for bundle in (made, *registry.members(made)):
        weight = f" (weight {shares[bundle.name]:.3f})" if bundle.name in shares else ""
        figure = bundle.figures.get("accuracy")
        say(f"{bundle.name}{weight}: accuracy {Figure(**figure) if figure else 'not measured'}")
    if made.judges:
        say(f"The members held out different photographs: {made.judges}.")
    say(f"{made.name} is a model now; its card is {made.path('card.md')}.")


def find_bundle(model: str | None) -> registry.Bundle:
    """A bundle by name, or by its folder (a finished run, say)."""
    if model and (Path(model) / registry.DESCRIPTION).is_file():
        return registry.read(Path(model))
    return registry.find(model)


def _print_one(item: Any, bundle: registry.Bundle, *, top: int, as_json: bool) -> None:
    if as_json:
        file = {"path": str(item.path), "image_id": item.path.stem}
        found = (report.to_json(item.diagnosis, bundle=bundle, top=top, **file) if item.diagnosis
                 else {**file, "error": item.error})
        print(json.dumps(found), flush=True)
    elif item.diagnosis:
        lines = ", ".join(f"{line.name} {line.probability:.0%}" for line in item.diagnosis.top(top))
        print(f"{item.path}: {lines}", flush=True)
    else:
        print(f"{item.path}: {item.error}", flush=True)


def _write_overlay(item: Any, folder: Path) -> None:
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    condition = item.diagnosis.top(1)[0].condition
    blended = overlay.blend(item.photo.pixels, item.diagnosis.heatmaps[condition])
    Image.fromarray(blended).save(folder / f"{item.path.stem}.{condition}.png")


def _write_table(out: Path, good: Sequence[Any], classes: Sequence[str]) -> None:
    rows = pd.DataFrame({"image_id": [item.path.stem for item in good]}).assign(
        group_id=lambda table: table["image_id"])
    found = np.array([item.diagnosis.probabilities for item in good]).reshape(len(good), len(classes))
    table = predictions.table(rows, classes=classes, probabilities=found)
    known = pd.DataFrame([dict(item.diagnosis.metadata) for item in good]).convert_dtypes()
    for place, name in enumerate(known, len(predictions.KEYS)):
        table.insert(place, name, known[name])
    predictions.write(out, table)


def _write_submission(path: Path, good: Sequence[Any]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("md5hash", "label"))
        writer.writerows((item.path.stem, item.diagnosis.top(1)[0].condition) for item in good)
