"""The other columns: what goes together, what is missing, and what a picture's source gives away."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from derm.explore import association, counts, filters
from derm.fairness.figure import Figure
from derm.ui import components, plots, words
from derm.ui.explore import exports
from derm.ui.explore.view import View

_MOST = 15  # bars of missing values in the open
_UNITS = {"ita": "degrees", "x_age": "years"}
_SOURCE = "x_source"


def panel(view: View) -> None:
    """All of the above, of the filtered pictures."""
    if view.table.empty:
        st.info("No picture is left to show. Reset the filters above to see the data set again.")
        return
    left, right = st.columns(2, gap="large")
    with left:
        _together(view)
    with right:
        _column(view)
        _missing(view)
    _confounding(view)


def _together(view: View) -> None:
    st.subheader("What goes together", anchor=False)
    st.caption("Cramer's V says how far one column can be guessed from another: 0 not at all, 1 fully. What goes "
               "with the condition but is not medicine, a model may learn instead of it.")
    found = association.association(view.table)
    if found.empty:
        st.info("There are fewer than two columns with different values here. Reset the filters to see more.")
        return
    exports.show(view, plots.association_map(found), key="association")
    strongest = found.dropna(subset="v").sort_values("v", ascending=False, kind="stable").head(3)
    if len(strongest):
        components.sentences([f"{words.column(row.a)} with {words.column(row.b)}: {row.v:.2f} "
                              f"({words.spread(Figure(row.v, row.low, row.high, row.n), shares=False)})"
                              for row in plots.lines(strongest)])


def _column(view: View) -> None:
    """One column that the reader chooses, as bars or as a histogram."""
    st.subheader("One column", anchor=False)
    numbers, values = filters.ranges(view.table), filters.choices(view.table)
    offered = [name for name in (*numbers, *values) if name == "ita" or name.startswith("x_") or name == "qc"]
    if not offered:
        st.info("This data set has no further columns here.")
        return
    chosen = st.selectbox("Column", offered, format_func=words.column, key=f"column-{view.key}",
                          persist_state="page")
    if chosen in numbers:
        bins = counts.histogram(view.table, chosen)
        exports.show(view, plots.histogram(bins, column=chosen, unit=_UNITS.get(chosen, "")), key="histogram")
        st.caption(f"{int(bins['n'].sum()):,} of {len(view.table):,} pictures have a value.")
    elif chosen:
        found = counts.distribution(view.table, chosen)
        exports.show(view, plots.label_bars(_largest(found), column=chosen), key="column")


def _largest(found: pd.DataFrame, most: int = 20) -> pd.DataFrame:
    """The `most` frequent values and the missing ones."""
    missing = found["value"] == words.MISSING
    return pd.concat([found[~missing].nlargest(most, "n"), found[missing]])


def _missing(view: View) -> None:
    st.subheader("What is missing", anchor=False)
    found = counts.missingness(view.table)
    blank = found[found["yes_or_blank"]]
    gaps = found[~found["yes_or_blank"] & (found["missing"] > 0)]
    complete = found.loc[found["missing"] == 0, "column"]
    if len(gaps):
        exports.show(view, plots.missing_bars(gaps[:_MOST]), key="missing")
        if len(gaps) > _MOST:
            with st.expander(f"{len(gaps) - _MOST} more columns"):
                exports.show(view, plots.missing_bars(gaps[_MOST:]), key="missing-more")
    if len(complete):
        st.caption(components.plain(f"Complete: {_named(complete)}."))
    if len(blank):
        with st.expander(f"{len(blank)} columns say yes or nothing"):
            st.caption(counts.YES_OR_BLANK)
            exports.show(view, plots.missing_bars(blank), key="blank")


def _confounding(view: View) -> None:
    st.subheader("What the source gives away", anchor=False)
    found = association.confounding(view.table, _SOURCE)
    if found is None:
        st.info("Fewer than two sources are known of these pictures, so the data cannot tell."
                if _SOURCE in view.table else
                "This data set does not say which atlas, site or hospital a picture came from.")
        return
    left, right = st.columns(2, gap="large")
    with left:
        exports.show(view, plots.source_bars(found.shares), key="sources")
    with right:
        components.sentences([words.dashed(text) for text in found.sentences])


def _named(columns: Sequence[str] | pd.Series) -> str:
    return words.listed([words.column(str(name)) for name in columns])


