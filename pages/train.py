"""Train: start a run, watch it, and see what came of it before it reaches a clinician. Staff only. Wording."""

from __future__ import annotations

import streamlit as st

from derm.ui import auth, components
from derm.ui.training import form, launch, pages, results, watch

LEAD = ("Train a model on your photographs, watch how it does on each skin type, and let it reach clinicians only "
        "if nobody is served worse. A run goes on by itself: close this page and come back.")


def main() -> None:
    """Draw the page, for staff."""
    auth.require_staff()
    pages.begin()
    with components.page("Train", LEAD):
        auth.notice()
        names = (pages.NEW, pages.RUNS, pages.RESULT)
        tabs = dict(zip(names, st.tabs(names, key=pages.SECTION, on_change="rerun", bind="query-params"),
                        strict=True))
        for name, part in ((pages.NEW, new), (pages.RUNS, watch.panel), (pages.RESULT, results.panel)):
            if tabs[name].open:
                with tabs[name]:
                    part()


def new() -> None:
    """The form, and beside it what the run will take."""
    left, right = st.columns([3, 2], gap="large")
    with left:
        said = form.panel()
    with right:
        if said is None:
            st.info("A run can be started once the form is complete and nothing in it is marked.")
        else:
            launch.panel(*said)


main()
