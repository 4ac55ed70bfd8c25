"""Two data sets side by side: the share of each skin type, partition and condition, and how far apart they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from derm.explore import compare
from derm.explore.codes import MISSING
from derm.ui import components, plots, words
from derm.ui.explore import exports
from derm.ui.explore.view import View

_COLUMNS = {"fst": ("Skin types", "skin type"), "partition3": ("Benign or malignant", "partition"),
            "condition": ("Conditions", "condition")}
_MOST_ROWS = 20
_LARGEST = 3


def panel(view: View, other: View) -> None:
    """`view` as filtered against the whole of `other`."""
    if view.table.empty or other.whole.empty:
        st.info("One of the two has no picture to compare. Reset the filters above.")
        return
    names = _names(view, other)
    st.caption(components.plain(f"{names[0]}: {len(view.table):,} pictures as filtered. {names[1]}: all of its "
                     f"{len(other.whole):,}. Bars are shares, lines their 95 % intervals."))
    left, right = st.columns(2, gap="large")
    for place, column in ((left, "fst"), (left, "partition3"), (right, "condition")):
        with place:
            _column(view, other, names, column)


def _column(view: View, other: View, names: tuple[str, str], column: str) -> None:
    title, noun = _COLUMNS[column]
    st.subheader(title, anchor=False)
    found = compare.compare(view.table, other.whole, column)
    if not (found["value"] != MISSING).any():
        st.info("Neither of the two says.")
        return
    apart = compare.distance(found)
    if apart.value is not None:
        st.markdown(f"**{words.percent(apart)}** of the pictures of one would need another {noun} for the two to "
                    f"be alike ({words.spread(apart)}).")
    kept = found if len(found) <= _MOST_ROWS else _largest(found)
    chart = replace(plots.compare_bars(kept, names=names, column=column), figures=found)
    exports.show(view, chart, key=f"compare-{column}")
    if len(kept) < len(found):
        st.caption(f"The {len(kept)} most frequent of {len(found)}; the others are in the CSV file.")
    _differences(found, names, column)


def _largest(found: pd.DataFrame) -> pd.DataFrame:
    """The rows with the largest share on either side, largest first."""
    most = found[["share_a", "share_b"]].max(axis=1).nlargest(_MOST_ROWS)
    return found.loc[most.index]


def _differences(found: pd.DataFrame, names: tuple[str, str], column: str) -> None:
    """The largest differences that chance does not explain, in words."""
    clear = found[(found["diff_low"] > 0) | (found["diff_high"] < 0)]
    largest = clear.reindex(clear["difference"].abs().sort_values(ascending=False).index)[:_LARGEST]
    components.sentences([_difference(row, names, column) for row in plots.lines(largest)]
                         or ["No difference is larger than chance would give."])


def _difference(row: Any, names: tuple[str, str], column: str) -> str:
    more, less = (names[1], names[0]) if row.difference > 0 else (names[0], names[1])
    ends = sorted((abs(100 * row.diff_low), abs(100 * row.diff_high)))
    name = words.value(column, str(row.value))
    named = f"Skin type {name}" if column == "fst" and row.value != MISSING else name
    return (f"{named}: {abs(100 * row.difference):.1f} points "
            f"({ends[0]:.1f}–{ends[1]:.1f}) more in {more} than in {less}.")


def _names(view: View, other: View) -> tuple[str, str]:
    """What the two are called, told apart even if they are the same data set twice."""
    first, second = view.dataset.name, other.dataset.name
    return (first, second) if first != second else (f"{first} ({view.key})", f"{second} ({other.key})")
