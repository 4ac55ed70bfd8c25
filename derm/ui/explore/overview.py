"""Whom the data set shows: header figures, who is in it, and which conditions it lacks on which skin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd
import streamlit as st

from derm.explore import counts
from derm.explore.codes import MISSING
from derm.explore.counts import Gap, Overview
from derm.schema import PARTITIONS
from derm.ui import components, plots, words
from derm.ui.explore import exports
from derm.ui.explore.view import View

_SENTENCES = 6    # in the open; the others behind an expander
_MOST_ROWS = 30   # of a chart, unless all are asked for
_LABELS = {"condition": "Conditions", "partition9": "Nine partitions", "partition3": "Three partitions"}
_TYPES = {"fst": "Six types", "group": "Three groups"}
_UNITS = {"count": "Pictures", "share": "Shares"}


def panel(view: View) -> None:
    """Everything above; a clicked cell is left in the session as `cell-<view.key>`: (condition, column)."""
    if view.table.empty:
        st.session_state.pop(f"cell-{view.key}", None)
        st.info("No picture is left to show. Reset the filters above to see the data set again.")
        return
    _tiles(counts.overview(view.table))
    _distributions(view)
    _coverage(view)


def _tiles(found: Overview) -> None:
    with st.container(horizontal=True, key="derm-tiles-overview"):
        _tile("Pictures", f"{found.images:,}", "", "Pictures that the filters leave.")
        _tile("Conditions", f"{found.conditions:,}", "", "Different diagnoses among these pictures.")
        _tile("Known skin type", words.percent(found.known_fst), words.spread(found.known_fst),
              "The share of pictures whose Fitzpatrick skin type somebody recorded.")
        _tile("Types V–VI", words.percent(found.dark), words.spread(found.dark),
              "The share of dark brown and black skin among the pictures of known skin type.")
        _tile("Near-duplicates", *_measured(found.duplicates, found.images),
              "Pictures that have a nearly identical one in this data set.")
        _tile("Quality flags", *_measured(found.flagged, found.images),
              "Pictures that are dark, bright, blurred, grey, nearly empty or of an odd size or shape.")


def _measured(n: int | None, images: int) -> tuple[str, str]:
    return ("–", "not measured yet") if n is None else (f"{n:,}", f"of {images:,} pictures")


def _tile(label: str, value: str, below: str, explained: str) -> None:
    st.metric(label, value, below or None, delta_color="off", delta_arrow="off", help=explained)


@st.fragment
def _distributions(view: View) -> None:
    """Skin types beside labels; a fragment, so that a switch draws only these two again."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
        st.subheader("Who is in it", anchor=False, width="content")
        share = _switch("Counted as", _UNITS, "unit", hidden=True) == "share"
    left, right = st.columns(2, gap="large")
    with left:
        types = _switch("Skin types", _TYPES, "types")
        exports.show(view, plots.fst_bars(counts.distribution(view.table, types), share=share), key="types")
    with right:
        _labels(view, share=share)
    if share:
        st.caption("A line across a bar's end is the 95 % interval: where the true share plausibly lies. "
                   "In brackets is the number of pictures.")


def _labels(view: View, *, share: bool) -> None:
    labels = {column: name for column, name in _LABELS.items() if view.table[column].notna().any()}
    if not labels:
        st.info("None of these pictures has a label.")
        return
    with st.container(horizontal=True):
        column = _switch("Labels", labels, "labels")
        found = counts.distribution(view.table, column)
        rows = _rows_switch(found[found["value"] != MISSING].set_index("value")["n"], "labels")
    kinds = _kinds(view.table, column)
    chart = plots.label_bars(found[found["value"].isin({*rows, MISSING})], column=column, kinds=kinds, share=share)
    exports.show(view, replace(chart, figures=found), key="labels")


def _coverage(view: View) -> None:
    st.subheader("Which conditions on which skin", anchor=False)
    st.caption("The number of pictures in each cell. Dashed: none at all. Outlined: fewer than 20, too few to "
               "learn from or to test on. Click a cell to see its pictures.")
    with st.container(horizontal=True):
        columns = _switch("Skin types in columns", _TYPES, "columns")
        cells = counts.coverage(view.table, columns=columns)
        sizes = cells[cells["row"] != MISSING].groupby("row", sort=False)["n"].sum()
        rows = _rows_switch(sizes, "coverage")
    shown = cells[cells["row"].isin({*rows, MISSING})]
    chart = replace(plots.coverage_map(shown, columns=columns), figures=cells)
    clicked = exports.clickable(view, chart, key=f"coverage-{columns}", selection=plots.CELL)
    there = set(zip(shown["row"], shown["column"], strict=True))
    chosen = [cell for cell in ((cell["row"], cell["column"]) for cell in clicked) if cell in there]
    st.session_state[f"cell-{view.key}"] = chosen[-1] if chosen else None
    _sentences(counts.gaps(cells))


def _sentences(gaps: Sequence[Gap]) -> None:
    """The empty and thin cells in words, worst first."""
    said = [words.dashed(counts.sentence(gap)) for gap in gaps]
    if not said:
        st.success("Every condition has at least 20 pictures on every skin type.", icon=":material/check:")
        return
    components.sentences(said[:_SENTENCES])
    if len(said) > _SENTENCES:
        with st.expander(f"{len(said) - _SENTENCES} more gaps"):
            components.sentences(said[_SENTENCES:])


def _kinds(table: pd.DataFrame, column: str) -> dict[str, str]:
    """Benign, malignant or non-neoplastic of each value: what most of its pictures are said to be."""
    if column == "partition3":
        return {kind: kind for kind in PARTITIONS}
    cells = counts.coverage(table, rows=column, columns="partition3")
    known = cells[(cells["column"] != MISSING) & (cells["n"] > 0)].sort_values("n")
    return dict(zip(known["row"], known["column"], strict=True))


def _switch(label: str, options: Mapping[str, str], key: str, *, hidden: bool = False) -> str:
    """A switch that always has a value and keeps it while other parts of the page are open."""
    first = next(iter(options))
    chosen = st.segmented_control(label, list(options), default=first, required=True, key=f"show-{key}",
                                  format_func=lambda option: options[option], persist_state="page",
                                  label_visibility="collapsed" if hidden else "visible")
    return chosen if chosen in options else first


def _rows_switch(sizes: pd.Series, key: str) -> list[str]:
    """Which values a chart shows, of n by value: all, or a choice where they are more than fit a page."""
    if len(sizes) <= _MOST_ROWS:
        return list(sizes.index)
    options = {"most": f"{_MOST_ROWS} most common", "fewest": f"{_MOST_ROWS} rarest", "all": f"All {len(sizes)}"}
    chosen = _switch("Rows", options, f"rows-{key}")
    ordered = sizes.sort_values(ascending=chosen == "fewest", kind="stable").index
    return list(ordered if chosen == "all" else ordered[:_MOST_ROWS])
