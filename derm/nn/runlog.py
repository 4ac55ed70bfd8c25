"""What a run tells while it goes on: history.csv, progress.jsonl, the log and, through its heart, status.json.

Knows files and numbers; no Keras. Pages read these files and never write them.
"""

from __future__ import annotations

import csv
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, f1_score

from derm.fairness.figure import TOO_FEW
from derm.fairness.groups import SKIN_TYPE_GROUPS
from derm.jobs.heart import Heart
from derm.jobs.status import LOG
from derm.schema import FST_GROUPS

COLUMNS = ("epoch", "loss", "val_loss", "accuracy", "macro_f1", "weighted_f1", "n",
           *(f"f1_{group}" for group in FST_GROUPS), *(f"n_{group}" for group in FST_GROUPS), "worst_group_f1",
           "learning_rate", "seconds", "images_per_second")
# What a run may also tell: with group DRO, what each skin-type group weighs in the loss.
FURTHER = tuple(f"dro_{group}" for group in SKIN_TYPE_GROUPS)
_EVERY_SECONDS = 3.0


def scores(labels: np.ndarray, predicted: np.ndarray, groups: np.ndarray) -> dict[str, float | int | None]:
    """Accuracy, macro and weighted F1 over all n, macro F1 with n per skin-type group (None: no image), and the
    least of those of the groups with TOO_FEW images or more (None: no such group)."""
    found: dict[str, float | int | None] = {
        "accuracy": float(accuracy_score(labels, predicted)),
        "macro_f1": float(f1_score(labels, predicted, average="macro")),
        "weighted_f1": float(f1_score(labels, predicted, average="weighted")),
        "n": len(labels),
    }
    for group in FST_GROUPS:
        mine = groups == group
        found[f"n_{group}"] = int(mine.sum())
        found[f"f1_{group}"] = None
        if mine.any():
            found[f"f1_{group}"] = float(f1_score(labels[mine], predicted[mine], average="macro"))
    large = [found[f"f1_{group}"] for group in large_groups(groups)]
    found["worst_group_f1"] = min((figure for figure in large if figure is not None), default=None)
    return found


def large_groups(groups: np.ndarray) -> list[str]:
    """The skin-type groups with TOO_FEW images or more."""
    return [group for group in FST_GROUPS if (groups == group).sum() >= TOO_FEW]


@dataclass
class RunLog:
    """The files of the run whose heart this is. `say` prints a line; `clock` tells the time, `tick` is even."""

    heart: Heart
    epochs: int
    say: Callable[[str], None] = print
    clock: Callable[[], float] = time.time
    tick: Callable[[], float] = time.monotonic
    history: list[dict[str, Any]] = field(default_factory=list)
    _spoken: float = -_EVERY_SECONDS

    @property
    def run(self) -> Path:
        """The run's folder."""
        return self.heart.folder

    def doing(self, what: str) -> None:
        """Say what goes on, such as "training"."""
        self.heart.tell(doing=what, epoch=len(self.history), epochs=self.epochs, seconds_left=None)

    def epoch(self, row: Mapping[str, Any], *, seconds_left: float) -> None:
        """Record a finished epoch everywhere."""
        self.history.append(dict(row))
        write_history(self.run / "history.csv", self.history)
        self._append({"kind": "epoch", **row, "seconds_left": round(seconds_left)})
        self.heart.tell(epoch=len(self.history), seconds_left=seconds_left)
        self.line(describe(row, epochs=self.epochs, seconds_left=seconds_left))

    def step(self, *, epoch: int, step: int, steps: int, loss: float, rate: float, seconds_left: float) -> None:
        """Record progress within an epoch, at most every three seconds. `rate` is images a second."""
        if self.tick() - self._spoken >= _EVERY_SECONDS:
            self._spoken = self.tick()
            self._append({"kind": "step", "epoch": epoch, "step": step, "steps": steps, "loss": round(loss, 4),
                          "images_per_second": round(rate, 1), "seconds_left": round(seconds_left)})
            self.heart.tell(seconds_left=seconds_left)

    def line(self, text: str) -> None:
        """One line to the console and to log.txt."""
        self.say(text)
        with (self.run / LOG).open("a", encoding="utf-8") as file:
            file.write(text + "\n")

    def _append(self, row: Mapping[str, Any]) -> None:
        with (self.run / "progress.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"time": round(self.clock(), 1), **row}) + "\n")


def write_history(path: Path, history: list[dict[str, Any]]) -> None:
    """history.csv anew, in one step; a missing figure is an empty cell."""
    part = path.with_name(f".{path.name}")
    with part.open("w", newline="", encoding="utf-8") as file:
        further = [name for name in FURTHER if any(name in row for row in history)]
        writer = csv.DictWriter(file, [*COLUMNS, *further], extrasaction="ignore")
        writer.writeheader()
        writer.writerows({key: _short(value) for key, value in row.items()} for row in history)
    os.replace(part, path)


def describe(row: Mapping[str, Any], *, epochs: int, seconds_left: float) -> str:
    """One readable line an epoch."""
    groups = "  ".join(f"{group} {_two(row[f'f1_{group}'])}" for group in FST_GROUPS)
    return (f"epoch {row['epoch']:>3}/{epochs}  loss {row['loss']:.3f}  accuracy {_two(row['accuracy'])}  "
            f"macro F1 {_two(row['macro_f1'])}  weighted F1 {_two(row['weighted_f1'])}  "
            f"by skin type: {groups}  rate {row['learning_rate']:.1e}  "
            f"{row['images_per_second']:.0f} images/s  {duration(seconds_left)} left")


def duration(seconds: float) -> str:
    """'45 s', '12 min' or '3 h 05 min'."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def _two(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _short(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value
