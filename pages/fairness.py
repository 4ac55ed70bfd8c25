"""Fairness: how well a model serves each group of people, and how sure that is. Widgets and wording."""

from __future__ import annotations

import streamlit as st

from derm.ui import components
from derm.ui.fairness import (
    comparison,
    computed,
    conditions,
    controls,
    headline,
    overview,
    pictures,
    reading,
    reporting,
    sureness,
    training,
    whatif,
)
from derm.ui.fairness.sources import Offer
from derm.ui.fairness.view import View, view

LEAD = ("Does a model serve everybody alike? See how well it does on each skin type, how sure that is, and what "
        "might explain a difference.")
GROUPS, CONDITIONS, SURENESS, MODELS, WHAT_IF, REPORT = (
    "Groups", "Conditions", "Certainty and thresholds", "Compare models", "What if", "Report")


def main() -> None:
    """Draw the page."""
    with components.page("Fairness", LEAD):
        left, right = st.columns([3, 2], vertical_alignment="bottom")
        said = st.container()
        with right:
            offered = reading.offers()
        if not offered:
            components.no_model()
            return
        with left:
            chosen = reading.picker(offered)
        with said:
            source = reading.opened(chosen)
        if source is None:
            return
        near = pictures.near(source)
        rules = controls.bar(source, computed.allowed(source), near=near)
        shown = view(source, rules, near=near)
        with said:
            headline.panel(shown)
            training.panel()
        sections(shown, offered)


def sections(shown: View, offered: list[Offer]) -> None:
    """The parts of the page; only the open one is computed."""
    names = [GROUPS, CONDITIONS, SURENESS, MODELS, WHAT_IF, REPORT]
    tabs = dict(zip(names, st.tabs(names, key="section", on_change="rerun", bind="query-params"), strict=True))
    for name, panel in ((GROUPS, overview.panel), (CONDITIONS, conditions.panel), (SURENESS, sureness.panel),
                        (WHAT_IF, whatif.panel), (REPORT, reporting.panel)):
        if tabs[name].open:
            with tabs[name]:
                panel(shown)
    if tabs[MODELS].open:
        with tabs[MODELS]:
            comparison.panel(shown, offered)


main()
