"""A search for settings on the page: its trials, the best first, and the form filled with what the best one had.
Widgets and wording."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from derm import tuning
from derm.errors import DermError
from derm.jobs import Run
from derm.nn import config as configs
from derm.ui import components, scores
from derm.ui.components import plain
from derm.ui.training import form, pages

_STATES = {"running": "Training", "finished": "Finished", "pruned": "Ended early: fell behind", "failed": "Failed"}


def panel(run: Run) -> None:
    """The trials of a search so far."""
    try:
        found = tuning.trials(run.folder)
        search = tuning.read(run.folder)
    except DermError as error:
        st.error(plain(str(error)))
        return
    if found.empty:
        st.caption(f"A search over {search.trials} trials; the first has not begun.")
        return
    st.markdown(f"**Trials, the best first:** {len(found)} of {search.trials}")
    st.dataframe(_table(found, list(search.space)), hide_index=True, width="stretch", key=f"trials-{run.name}",
                 height=min(38 + 35 * len(found), 320),
                 column_config={"Trial": st.column_config.Column(pinned=True),
                                "State": st.column_config.Column(width=180)})
    st.caption(tuning.OPTIMISTIC)
    if best := tuning.best(run.folder):
        st.button(f"Start from the settings of trial {best}", key=f"best-{run.name}",
                  icon=":material/content_copy:", help="Fills the form with them.", on_click=_fill,
                  args=(run, best))


def _table(found: pd.DataFrame, settings: list[str]) -> pd.DataFrame:
    """A row a trial, as text; the figure with its interval and n."""
    ordered = found.sort_values("macro_f1", ascending=False, na_position="last", kind="stable")
    return pd.DataFrame([{
        "Trial": f"{row['trial']}", "State": _STATES.get(str(row["state"]), str(row["state"])),
        "Macro F1": _figure(row), **{key: _short(row[key]) for key in settings},
        "Why": str(row["reason"] or "")} for _, row in ordered.iterrows()])


def _figure(row: pd.Series) -> str:
    if row["state"] != "finished":
        return ""
    if pd.isna(row["low"]):
        return f"too few ({scores.n(int(row['n']))})"
    return f"{row['macro_f1']:.2f} ({row['low']:.2f}–{row['high']:.2f}, {scores.n(int(row['n']))})"


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _fill(run: Run, number: int) -> None:
    try:
        form.fill(configs.read(tuning.trial_folder(run.folder, number) / configs.CONFIG), name="default")
    except DermError as error:
        components.tell(str(error), is_wrong=True)
    else:
        pages.show_new()
    pages.again()
