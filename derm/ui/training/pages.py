"""What the parts of the Train page share: which part is open, which runs are shown, what went wrong. Widgets."""

from __future__ import annotations

import streamlit as st

from derm.ui.components import plain

NEW, RUNS, RESULT = "New run", "Runs", "Results"
SECTION, SHOWN, FINISHED = "section", "runs", "run"
MOST = 3  # runs beside one another
_TOLD, _AGAIN = "train--told", "train--again"


def show_runs(*names: str) -> None:
    """From a callback: open the runs with these shown."""
    st.session_state[SECTION], st.session_state[SHOWN] = RUNS, list(names)[:MOST]


def show_new() -> None:
    """From a callback: open the form."""
    st.session_state[SECTION] = NEW


def show_result(name: str) -> None:
    """From a callback: open what came of a run."""
    st.session_state[SECTION], st.session_state[FINISHED] = RESULT, name


def tell(problem: str) -> None:
    """From a callback: what to say in the next drawing of the page."""
    st.session_state[_TOLD] = problem


def told() -> None:
    """Say it, once."""
    if problem := st.session_state.pop(_TOLD, ""):
        st.error(plain(problem), icon=":material/error:")


def again() -> None:
    """From a callback within a fragment: the whole page is to be drawn anew."""
    st.session_state[_AGAIN] = True


def begin() -> None:
    """At the top of the page: what is drawn now is the whole of it."""
    st.session_state.pop(_AGAIN, None)


def again_if_asked() -> None:
    """Within a fragment: draw the whole page anew if a callback asked for that."""
    if st.session_state.pop(_AGAIN, False):
        st.rerun()
