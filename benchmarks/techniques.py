"""What each technique of training does to the whole and to the skin types: one short training a technique.

    python -m benchmarks.techniques --data DATA [--out FOLDER] [--only NAME ...] [--json]

Every training differs from the first in the settings named, and in nothing else: same split, order and schedule.
Differences are of accuracy, photograph by photograph on the validation part. A training that is in FOLDER already
is not done again, so the same command goes on after an interruption. The trainings are short and small, to fit
many into an hour on two processor cores: they rank techniques roughly and say nothing of long trainings.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from derm import predictions, registry
from derm.fairness import paired
from derm.fairness.figure import Figure
from derm.fairness.groups import ALL
from derm.nn.config import TrainConfig, override

SHORT = TrainConfig(image_size=96, train_from="block_3", head_epochs=2, epochs=6, mirror=False)
PLAIN = "as it is"
TRAININGS: Mapping[str, Mapping[str, Any]] = {
    PLAIN: {},
    "imbalance: nothing": {"imbalance": "none"},
    "imbalance: class weights": {"imbalance": "class-weights"},
    "imbalance: effective numbers": {"imbalance": "weighted-loss"},
    "imbalance: focal loss": {"imbalance": "focal"},
    "imbalance: all conditions alike": {"imbalance": "inverse-sampling"},
    "condition x skin type sampling": {"imbalance": "skin-type-sampling"},
    "group DRO": {"group_weighting": "dro"},
    "stop by macro F1": {"early_stopping": 3},
    "stop by worst group": {"early_stopping": 3, "early_metric": "worst-group"},
    "no mixup": {"mixup": 0.0},
    "cutmix for mixup": {"mixup": 0.0, "cutmix": 0.5},
    "RandAugment": {"randaugment": 2},
    "colour within 5 degrees of ITA": {"colour_limit": 5.0},
    "skin tone shifted": {"skin_tone": 0.5},
    "rare: same-class mixup": {"rare": "mixup"},
    "rare: pasted lesions": {"rare": "paste"},
    "head alone": {"train_from": "head"},
    "layer decay 0.8": {"layer_decay": 0.8},
    "EMA": {"ema": 0.99},
    "SWA, last 3 epochs": {"swa_epochs": 3},
    "squeeze-and-excitation": {"head": "se"},
    "CBAM": {"head": "cbam"},
    "attention pooling": {"head": "attention"},
}


@dataclass(frozen=True)
class Outcome:
    """A training's figures, and how much its accuracy differs from that of the first, over all and by group."""

    name: str
    figures: Mapping[str, Figure]
    changes: Mapping[str, paired.Change]
    minutes: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.techniques", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/techniques"))
    parser.add_argument("--only", nargs="+", choices=TRAININGS, default=list(TRAININGS), metavar="NAME")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    for name in dict.fromkeys([PLAIN, *options.only]):
        train(name, data=options.data, out=options.out)
    found = [outcome(name, options.out) for name in TRAININGS if is_done(name, options.out)]
    print(as_json(found) if options.json else as_markdown(found))


def folder_of(name: str, out: Path) -> Path:
    return out / "".join(c if c.isalnum() else "-" for c in name)


def is_done(name: str, out: Path) -> bool:
    return (folder_of(name, out) / registry.DESCRIPTION).is_file()


def train(name: str, *, data: Path, out: Path) -> None:
    """In a process of its own, so that no training inherits what another left behind."""
    if is_done(name, out):
        return
    run, config = folder_of(name, out), out / f"{folder_of(name, out).name}.toml"
    out.mkdir(parents=True, exist_ok=True)
    config.write_text(override(replace(SHORT, data=str(data.resolve())), TRAININGS[name]).to_toml())
    what = ["--resume", str(run)] if run.exists() else [str(config), "--run", str(run)]
    with (out / f"{run.name}.log").open("a") as log:
        done = subprocess.run([sys.executable, "-m", "derm.nn.train", *what], stdout=log, stderr=log)
    said = "trained" if done.returncode == 0 else f"failed, see {log.name}"
    print(f"{name}: {said}", file=sys.stderr, flush=True)


def outcome(name: str, out: Path) -> Outcome:
    ours, theirs = (predictions.read(folder_of(each, out) / "predictions.parquet").drop(columns="abstained")
                    for each in (PLAIN, name))
    figures = {key: Figure(**value) for key, value in registry.read(folder_of(name, out)).figures.items()}
    changes = {change.group: change for change in paired.changes(ours, theirs, metrics=["accuracy"])}
    history = pd.read_csv(folder_of(name, out) / "history.csv")
    return Outcome(name, figures, changes, float(history["seconds"].sum()) / 60)


def as_markdown(found: Sequence[Outcome]) -> str:
    groups = [group for group in found[0].changes if group != ALL]
    header = ["technique", "macro F1", "accuracy", "accuracy against the first",
              *(f"{group} (n = {found[0].changes[group].n})" for group in groups), "minutes"]
    lines = [header, ["---"] * len(header)]
    for one in found:
        changes = [change_text(one.changes[group]) for group in (ALL, *groups)]
        lines.append([one.name, one.figures["macro_f1"].text, one.figures["accuracy"].text,
                      *(["–"] * len(changes) if one.name == PLAIN else changes), f"{one.minutes:.1f}"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def change_text(change: paired.Change) -> str:
    if change.value is None or change.low is None or change.high is None:
        return "too few"
    return f"{change.value:+.3f} [{change.low:+.3f} to {change.high:+.3f}]"


def as_json(found: Sequence[Outcome]) -> str:
    return json.dumps([{"name": one.name, "minutes": one.minutes,
                        "figures": {key: vars(figure) for key, figure in one.figures.items()},
                        "accuracy_change": {group: vars(change) for group, change in one.changes.items()}}
                       for one in found])


if __name__ == "__main__":
    main()
