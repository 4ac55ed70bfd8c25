"""Explore: whom a data set shows and leaves out, who labelled it and how well. Widgets and wording."""

from __future__ import annotations

import streamlit as st

from derm.ui import components
from derm.ui.explore import (
    about,
    annotators,
    comparison,
    exports,
    filters,
    gallery,
    measuring,
    metadata,
    overview,
    review,
    sources,
)
from derm.ui.explore.view import View

LEAD = ("Look at a data set before you trust a model: whom it shows, whom it leaves out, who said which skin "
        "type, and which pictures repeat.")
OVERVIEW, PICTURES, ANNOTATORS, METADATA, REVIEW, COMPARE = (
    "Overview", "Pictures", "Annotators", "Metadata", "Duplicates and quality", "Compare")


def main() -> None:
    """Draw the page."""
    with components.page("Explore", LEAD):
        offered = sources.choices()
        whole = sources.whole(picker(offered))
        about.panel(whole)
        measuring.notice(whole.dataset)
        view = sources.filtered(whole, filters.bar(whole))
        sections(view, offered)


def picker(offered: list[sources.Choice]) -> sources.Choice:
    """The data set to look at; the first unless somebody chose another."""
    by_key = {choice.key: choice for choice in offered}
    chosen = st.selectbox("Data set", list(by_key), format_func=lambda key: by_key[key].title, key="data",
                          bind="query-params")
    return by_key.get(chosen, offered[0])


def sections(view: View, offered: list[sources.Choice]) -> None:
    """The parts of the page; only the open one is computed."""
    tabs = dict(zip((OVERVIEW, PICTURES, ANNOTATORS, METADATA, REVIEW, COMPARE), st.tabs(
        [OVERVIEW, PICTURES, ANNOTATORS, METADATA, REVIEW, COMPARE], key="section", on_change="rerun",
        bind="query-params"), strict=True))
    for name, panel in ((OVERVIEW, first), (PICTURES, gallery.panel), (ANNOTATORS, annotators.panel),
                        (METADATA, metadata.panel), (REVIEW, review.panel)):
        if tabs[name].open:
            with tabs[name]:
                panel(view)
    if tabs[COMPARE].open:
        with tabs[COMPARE]:
            compare(view, offered)


def first(view: View) -> None:
    """The figures, and the pictures of the cell that was clicked."""
    overview.panel(view)
    gallery.cell(view)
    exports.table_download(view)


def compare(view: View, offered: list[sources.Choice]) -> None:
    """This data set as filtered beside another one, whole."""
    others = {choice.key: choice for choice in offered if choice.key != view.key}
    if not others:
        st.info("There is no second data set to compare with. Put one beside this one in the data folder; "
                "`derm data list` says how to get each.")
        return
    chosen = st.selectbox("Compare with", list(others), format_func=lambda key: others[key].title, key="other",
                          bind="query-params")
    comparison.panel(view, sources.whole(others.get(chosen) or next(iter(others.values()))))


main()
