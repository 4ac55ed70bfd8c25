"""Models: what each one is, how good for whom, and whether its files are whole. Widgets and wording."""

from __future__ import annotations

import streamlit as st

from derm.ui import auth, components
from derm.ui.models import bringing, comparison, found, overview

LEAD = ("Every model there is: what it learnt from, how often it is right on each skin type, how large and how "
        "fast it is. Compare them, check their files, take one along.")
ALL, COMPARE, BRING = "Models", "Compare", "Import"


def main() -> None:
    """Draw the page."""
    with components.page("Models", LEAD):
        names = [ALL, COMPARE, *([BRING] if auth.is_staff() else [])]
        tabs = dict(zip(names, st.tabs(names, key="models", on_change="rerun", bind="query-params"), strict=True))
        for name, panel in ((ALL, overview.panel), (COMPARE, comparison.panel)):
            if tabs[name].open:
                with tabs[name]:
                    panel(found.models())
        if BRING in tabs and tabs[BRING].open:
            with tabs[BRING]:
                bringing.panel()


main()
