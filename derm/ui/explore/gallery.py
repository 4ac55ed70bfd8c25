"""Sample pictures: of a condition, or of one cell of the heat map. Widgets and wording."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import pandas as pd
import streamlit as st

from derm.explore.codes import GROUP, MISSING, coded
from derm.schema import FST_GROUPS, display_name
from derm.ui.components import plain
from derm.ui.explore import marks, pictures, record
from derm.ui.explore.pictures import Picture
from derm.ui.explore.view import View

NO_PICTURES = ("None of this data set's pictures are on disk, so none can be shown. `derm data list` says how to "
               "get them.")
_ALL = "all"


def panel(view: View) -> None:
    """A condition to choose and its pictures, a page at a time."""
    if not view.pictures:
        st.info(NO_PICTURES)
    else:
        _panel(view)


def cell(view: View) -> None:
    """The pictures of the cell of the heat map that was clicked; nothing without one."""
    chosen = st.session_state.get(f"cell-{view.key}")
    if chosen:
        with st.container(key="cell"):
            _cell(view, *chosen)


@st.fragment
def _panel(view: View) -> None:
    pictures.style()
    names = coded(view.table, "condition")
    counts = {name: int(n) for name, n in zip((*names.names, MISSING), names.counts, strict=True) if n}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        condition = st.selectbox("Condition", [_ALL, *counts], key=f"gallery-{view.key}", width=360,
                                 format_func=lambda name: _option(name, counts, len(view.table)))
        blur = pictures.blur_switch()
    rows = view.table if condition in (None, _ALL) else view.table[_holds(view.table, "condition", condition)]
    _paged(view, rows, key=f"gallery-{view.key}-{condition}", blur=blur)


@st.fragment
def _cell(view: View, condition: str, column: str) -> None:
    pictures.style()
    skin = GROUP if column in FST_GROUPS else "fst"
    rows = view.table[_holds(view.table, "condition", condition) & _holds(view.table, skin, column)]
    st.subheader(f"{plain(_named(condition))} {_on(column)}: {_count(len(rows))}", anchor=False)
    if not view.pictures:
        st.info(NO_PICTURES)
    elif len(rows):
        blur = pictures.blur_switch()
        _paged(view, rows, key=f"cell-{view.key}-{condition}-{column}", blur=blur)


def show(view: View, rows: pd.DataFrame, *, key: str, blur: bool) -> None:
    """Rows that have a picture, as thumbnails in their order, with how many there are."""
    there = rows[rows["path"].notna()]
    absent = len(rows) - len(there)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.caption(_count(len(there)) + (f"; {absent:,} more are not on disk" if absent else ""), width="content")
        part = pictures.pages(len(there), per_page=pictures.PER_PAGE, key=f"page-{key}")
    excluded = marks.excluded(view)

    def remarks(picture: Picture) -> list[str]:
        return ["Excluded from training"] if picture.image_id in excluded else []

    asked = pictures.grid(pictures.of(view, there.iloc[part]), key=key, blur=blur, remarks=remarks)
    if asked is not None:
        record.show(view, asked, among=list(there["image_id"]))


def _paged(view: View, rows: pd.DataFrame, *, key: str, blur: bool) -> None:
    """In an order of chance, the same each time: tables are often sorted, and the first page is a sample."""
    show(view, rows.iloc[np.random.default_rng(0).permutation(len(rows))], key=key, blur=blur)


def _holds(table: pd.DataFrame, column: str, value: Hashable) -> np.ndarray:
    """Whether each row has this value, or none where it is MISSING, bool [n]."""
    known = coded(table, column)
    return known.codes == (-1 if value not in known.names else known.names.index(str(value)))


def _option(name: str, counts: dict[str, int], total: int) -> str:
    return f"All conditions ({total:,})" if name == _ALL else f"{_named(name)} ({counts.get(name, 0):,})"


def _named(condition: str) -> str:
    return "No condition" if condition == MISSING else display_name(condition)


def _on(column: str) -> str:
    if column == MISSING:
        return "of unknown skin type"
    return f"on skin type{'s' if column in FST_GROUPS else ''} {column.replace('-', '–')}"


def _count(n: int) -> str:
    return "no picture" if not n else f"{n:,} picture{'s' if n > 1 else ''}"
