"""Training runs that go on now, and their latest validation figures. Reads the run folder only."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import streamlit as st

from derm.schema import FST_GROUPS
from derm.settings import settings
from derm.ui import figures, plots, scores
from derm.ui.components import plain
from derm.ui.figures import Origin

_STALE = 900.0  # seconds without a word after which a run is taken for dead; an epoch may take minutes
_LIVE = ("running", "finishing")


@dataclass(frozen=True, eq=False)
class Run:
    """A run that goes on: its name, how far it is, and its `history`: epoch, group, n, value (macro F1)."""

    name: str
    epoch: int
    epochs: int
    seconds_left: float | None
    history: pd.DataFrame


@st.fragment(run_every=3.0)
def panel() -> None:
    """The runs that go on, drawn anew every few seconds; nothing where there is none."""
    for run in live(settings().runs, now=time.time()):
        with st.container(border=True, key=f"training-{run.name}"):
            _told(run)


def live(runs: Path, *, now: float) -> list[Run]:
    """The runs under `runs` that said within the last minutes that they go on, the newest first."""
    found = [run for path in runs.glob("*/status.json") if (run := _read(path, now=now)) is not None]
    return sorted(found, key=lambda run: run.name, reverse=True)


def _told(run: Run) -> None:
    left = "" if run.seconds_left is None else f", about {_duration(run.seconds_left)} left"
    st.markdown(f":material/model_training: **Training now: {plain(run.name)}**, epoch {run.epoch} of "
                f"{run.epochs}{left}")
    if run.history.empty:
        st.caption("The first validation figures come with the end of the first epoch.")
        return
    last = run.history[run.history["epoch"] == run.history["epoch"].max()]
    st.caption("Macro F1 on validation after the last epoch: " + "; ".join(
        f"{scores.group(line.group)} {line.value:.2f} ({scores.n(line.n)})" for line in plots.lines(last)
        if pd.notna(line.value)) + ". Passing figures, without intervals: the finished model gets those.")
    with st.expander("Epoch by epoch"):
        figures.show(Origin(f"run-{run.name}", run.name, f"Run {run.name}, epoch {run.epoch} of {run.epochs}"),
                     plots.training_lines(run.history, label="Macro F1"), key="training")


def _read(path: Path, *, now: float) -> Run | None:
    """The run of a status.json; None unless it goes on, or where a file is half there."""
    try:
        status = json.loads(path.read_text(encoding="utf-8"))
        if status["state"] not in _LIVE or now - max(status["updated"], _heard(path.parent)) > _STALE:
            return None
        return Run(path.parent.name, int(status["epoch"]), int(status["epochs"]), status.get("seconds_left"),
                   _history(path.parent / "history.csv"))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _heard(run: Path) -> float:
    """When the run last wrote a line of progress, in seconds; 0 before its first."""
    progress = run / "progress.jsonl"
    return progress.stat().st_mtime if progress.is_file() else 0.0


def _history(path: Path) -> pd.DataFrame:
    """epoch, group, n, value of every epoch so far."""
    columns = ["epoch", "group", "n", "value"]
    if not path.is_file():
        return pd.DataFrame(columns=columns)
    table = pd.read_csv(path)
    return pd.concat([pd.DataFrame({"epoch": table["epoch"], "group": group, "n": table[f"n_{group}"],
                                    "value": table[f"f1_{group}"]}) for group in FST_GROUPS], ignore_index=True)


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{seconds:.0f} seconds" if seconds < 90 else f"{minutes} minutes" if minutes < 90 else (
        f"{minutes // 60} hours {minutes % 60:02d} minutes")
