"""Which pictures the page is about: widgets whose values live in the address. Knows Streamlit and wording.

What an address says is not trusted: Streamlit drops what is not among a widget's options, and
`derm.explore.filters.mask` ignores what the table does not have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import streamlit as st

from derm.explore import filters
from derm.ui import words
from derm.ui.components import plain
from derm.ui.explore.view import View

_FIRST = ("condition", "fst", "partition3", "partition9", "split", "x_source", "qc", "flags")
_MORE = "f_more"
_HELP = {
    "fst": "Fitzpatrick skin type as annotated; Missing are pictures without one.",
    "partition3": "Benign, malignant or non-neoplastic.",
    "partition9": "The publisher's nine groups of conditions.",
    "split": "The publisher's own division, such as train and test.",
    "x_source": "The atlas, site or hospital a picture came from.",
    "qc": "What the publisher noted when checking a sample of the labels.",
    "flags": "What Derm noticed in the picture itself: dark, blurred, an odd size and so on.",
}


def bar(view: View) -> np.ndarray:
    """The filters and, in words, what they leave; which rows of `view.whole` those are, bool [rows]."""
    choices, ranges = _possible(view.dataset.fingerprint, tuple(view.whole.columns), _view=view)
    with st.expander("Filters", icon=":material/filter_alt:"):
        chosen, between = _widgets(choices, ranges)
    kept = filters.mask(view.whole, chosen, between)
    narrowed = {column: ends for column, ends in between.items() if ends != ranges[column]}
    _summary(kept, chosen, narrowed, whole=ranges)
    return kept


@st.cache_data(max_entries=8, show_spinner=False)
def _possible(fingerprint: str, columns: tuple[str, ...], *, _view: View) -> tuple[
        dict[str, tuple[str, ...]], dict[str, tuple[float, float]]]:
    """What can be chosen; the same until the data set changes or something more was measured of it."""
    return filters.choices(_view.whole), filters.ranges(_view.whole)


def _widgets(choices: Mapping[str, Sequence[str]], ranges: Mapping[str, tuple[float, float]]) -> tuple[
        dict[str, list[str]], dict[str, tuple[float, float]]]:
    """What is chosen of the columns that have values and of those between bounds."""
    first = [column for column in _FIRST if column in choices]
    further = [column for column in (*choices, *ranges) if column not in _FIRST]
    places = st.columns(4) * (1 + len(_FIRST) // 4)
    chosen = {}
    for place, column in zip(places, first, strict=False):
        with place:
            chosen[column] = _several(column, choices[column])
    if not further:
        return chosen, {}
    more = st.multiselect("Filter by more columns", further, key=_MORE, bind="query-params",
                          format_func=words.column, placeholder="Choose columns")
    between = {}
    for place, column in zip(st.columns(4) * (1 + len(more) // 4), more, strict=False):
        with place:
            if column in choices:
                chosen[column] = _several(column, choices[column])
            else:
                between[column] = _bounds(column, *ranges[column])
    return chosen, between


def _several(column: str, values: Sequence[str]) -> list[str]:
    return st.multiselect(plain(words.column(column)), values, key=f"f_{column}", bind="query-params", wrap=True,
                          format_func=lambda value: words.value(column, value), help=_HELP.get(column),
                          placeholder="All")


def _bounds(column: str, low: float, high: float) -> tuple[float, float]:
    whole = low == int(low) and high == int(high) and high - low >= 10
    step = 1.0 if whole else (high - low) / 100
    found = st.slider(plain(words.column(column)), low, high, (low, high), step=step, key=f"f_{column}",
                      format="%.0f" if whole else "%.4g", bind="query-params")
    return float(found[0]), float(found[1])


def _summary(kept: np.ndarray, chosen: Mapping[str, Sequence[str]],
             between: Mapping[str, tuple[float, float]], *, whole: Mapping[str, tuple[float, float]]) -> None:
    """How many pictures are left and why, and one button to have all of them back."""
    left = int(kept.sum())
    said = [f"{words.column(column)}: {_either([words.value(column, value) for value in values])}"
            for column, values in chosen.items() if values]
    said += [f"{words.column(column)}: {low:,.4g} to {high:,.4g}" for column, (low, high) in between.items()]
    chips = "".join(f"<li>{escape(text)}</li>" for text in said)
    count = f"<strong>{left:,}</strong> of {len(kept):,} pictures" if said else f"All {len(kept):,} pictures"
    with st.container(horizontal=True, vertical_alignment="center", key="filtered"):
        st.html(f'<div class="derm-filtered" role="status"><span>{count}</span><ul>{chips}</ul></div>',
                width="content")
        if said:
            st.button("Reset filters", type="tertiary", icon=":material/restart_alt:", on_click=_reset,
                      args=([*chosen], {column: whole[column] for column in between}))
    if said and not left:
        st.info("No picture fits all of these filters. Take one away, or reset them.")


def _reset(columns: Sequence[str], between: Mapping[str, tuple[float, float]]) -> None:
    """Every widget back to its default, which also takes it out of the address."""
    st.session_state.update({_MORE: []} | {f"f_{column}": [] for column in columns})
    st.session_state.update({f"f_{column}": ends for column, ends in between.items()})


def _either(names: Sequence[str]) -> str:
    """'a', 'a or b', 'a, b or c'; the rest counted after five."""
    shown = [*names[:5], *([f"{len(names) - 5} more"] if len(names) > 5 else [])]
    return words.listed(shown).replace(" and ", " or ") if len(shown) > 1 else shown[0]
