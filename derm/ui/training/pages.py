"""What the parts of the Train page share: which part is open, which runs are shown, what is drawn anew."""

from __future__ import annotations

import streamlit as st

NEW, RUNS, RESULT = "New run", "Runs", "Results"
SECTION, SHOWN, FINISHED = "section", "runs", "run"
MOST = 3  # runs beside one another
_AGAIN = "train--again"


def show_runs(*names: str) -> None:
    """From a callback: open the runs with these shown."""
    st.session_state[SECTION], st.session_state[SHOWN] = RUNS, list(names)[:MOST]


def show_new() -> None:
    """From a callback: open the form."""
    st.session_state[SECTION] = NEW


def show_result(name: str) -> None:
    """From a callback: open what came of a run."""
    st.session_state[SECTION], st.session_state[FINISHED] = RESULT, name


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
