"""What a run has told so far, read from its files only where they have changed. Draws nothing.

A file may be half written, damaged or gone: then there is less to tell, never an error.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from derm.fairness.figure import TOO_FEW
from derm.schema import FST_GROUPS
from derm.ui import scores

_TAIL = 4096
_COLUMNS = ("epoch", "loss", "val_loss", "macro_f1", "n", *(f"{kind}_{group}" for kind in ("f1", "n")
            for group in FST_GROUPS), "learning_rate", "seconds", "images_per_second")


@dataclass(frozen=True)
class Step:
    """The last sign of progress within an epoch: steps done of how many, and photographs a second."""

    epoch: int
    step: int
    steps: int
    images_per_second: float | None


def history(run: Path) -> pd.DataFrame:
    """A row an epoch, all columns there, NaN where something was not measured."""
    path = run / "history.csv"
    return _history(str(path), _stamp(path))


def f1(table: pd.DataFrame) -> pd.DataFrame:
    """epoch, group, n, value of macro F1 over all and by skin-type group; none on fewer than TOO_FEW
    photographs."""
    parts = [pd.DataFrame({"epoch": table["epoch"], "group": group, "n": table[f"n_{group}"],
                           "value": table[f"f1_{group}"].where(table[f"n_{group}"] >= TOO_FEW)})
             for group in FST_GROUPS]
    everybody = pd.DataFrame({"epoch": table["epoch"], "group": scores.ALL, "n": table["n"],
                              "value": table["macro_f1"].where(~(table["n"] < TOO_FEW))})
    return pd.concat([everybody, *parts], ignore_index=True).fillna({"n": 0}).astype({"n": int})


def losses(table: pd.DataFrame) -> pd.DataFrame:
    """epoch, name, value of the loss in training and in validation."""
    return _long(table, {"loss": "Learning", "val_loss": "Validation"})


def pace(table: pd.DataFrame) -> pd.DataFrame:
    """epoch, name, value of photographs a second."""
    return _long(table, {"images_per_second": "Photographs a second"})


def rates(table: pd.DataFrame) -> pd.DataFrame:
    """epoch, name, value of the learning rate."""
    return _long(table, {"learning_rate": "Learning rate"})


def step(run: Path) -> Step | None:
    """The last step told in progress.jsonl; None before the first and after an epoch's end."""
    path = run / "progress.jsonl"
    return _step(str(path), _stamp(path))


@lru_cache(64)
def _history(path: str, stamp: tuple[int, int]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError):  # pandas' parsing errors are ValueErrors
        table = pd.DataFrame()
    table = table.reindex(columns=list(_COLUMNS)).apply(pd.to_numeric, errors="coerce")
    return table[table["epoch"].notna()].astype({"epoch": int}).reset_index(drop=True)


@lru_cache(64)
def _step(path: str, stamp: tuple[int, int]) -> Step | None:
    try:
        with Path(path).open("rb") as file:
            file.seek(max(0, stamp[1] - _TAIL))
            lines = file.read().decode("utf-8", "replace").splitlines()
        told: Mapping[str, Any] = json.loads(lines[-1])
        if told["kind"] != "step":
            return None
        pace = told.get("images_per_second")
        return Step(int(told["epoch"]), int(told["step"]), int(told["steps"]),
                    None if pace is None else float(pace))
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError):
        return None


def _long(table: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    return pd.concat([pd.DataFrame({"epoch": table["epoch"], "name": name, "value": table[column]})
                      for column, name in names.items()], ignore_index=True).dropna()


def _stamp(path: Path) -> tuple[int, int]:
    """When the file was last written, and its size; zeros where it is not there."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size
