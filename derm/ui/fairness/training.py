"""Training runs that go on now, and their latest validation figures. Knows runs; trains nothing."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import streamlit as st

from derm.fairness.figure import TOO_FEW
from derm.jobs import Run, list_runs
from derm.schema import FST_GROUPS
from derm.settings import settings
from derm.ui import auth, figures, plots, scores, words
from derm.ui.components import plain
from derm.ui.figures import Origin


@st.fragment(run_every=3.0)
def panel() -> None:
    """The runs that go on, drawn anew every few seconds, for staff; nothing where there is none."""
    if not auth.is_staff():
        return
    for run in live(settings().runs):
        with st.container(border=True, key=f"training-{run.name}"):
            _told(run)


def live(runs: Path) -> list[Run]:
    """The runs under `runs` that go on now, the newest first."""
    return [run for run in list_runs(runs) if run.state in ("running", "stopping")]


def _told(run: Run) -> None:
    left = "" if run.seconds_left is None else f", about {words.duration(run.seconds_left)} left"
    st.markdown(f":material/model_training: **Training now: {plain(run.name)}**, epoch {run.epoch} of "
                f"{run.epochs}{left}")
    figured = history(run.folder)
    if figured.empty:
        st.caption("The first validation figures come with the end of the first epoch.")
        return
    last = figured[figured["epoch"] == figured["epoch"].max()]
    st.caption("Macro F1 on validation after the last epoch: " + "; ".join(
        f"{scores.group(line.group)} {_value(line.value)} ({scores.n(line.n)})" for line in plots.lines(last))
        + ". Passing figures, without intervals: the finished model gets those.")
    if figured["value"].isna().all():
        return
    with st.expander("Epoch by epoch"):
        figures.show(Origin(f"run-{run.name}", run.name, f"Run {run.name}, epoch {run.epoch} of {run.epochs}"),
                     plots.training_lines(figured, label="Macro F1"), key="training")


def history(run: Path) -> pd.DataFrame:
    """epoch, group, n, value (macro F1) of every epoch so far of the run in that folder; no value on fewer than
    TOO_FEW photographs."""
    columns, path = ["epoch", "group", "n", "value"], run / "history.csv"
    if not path.is_file():
        return pd.DataFrame(columns=columns)
    table = pd.read_csv(path)
    found = pd.concat([pd.DataFrame({"epoch": table["epoch"], "group": group, "n": table[f"n_{group}"],
                                     "value": table[f"f1_{group}"]}) for group in FST_GROUPS], ignore_index=True)
    return found.assign(value=found["value"].where(found["n"] >= TOO_FEW))


def _value(value: float) -> str:
    return "too few" if pd.isna(value) else f"{value:.2f}"
