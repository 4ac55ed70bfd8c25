"""The full record of one picture in a window of its own, with its neighbours. Widgets and wording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from derm.schema import COLUMNS, SkinType
from derm.ui import words
from derm.ui.components import plain
from derm.ui.explore import marks, pictures
from derm.ui.explore.pictures import Row
from derm.ui.explore.view import View

_AT = "record-of"
_SIDE = 480
_SMALL = 8  # neighbours of one sort that are shown
_TYPES = ("fst", "fst_other", "x_fst_self")
_MEASURED = ("flags", "ita", "duplicate")
_UNTOLD = ("image_id", "path", "group_id", "duplicate_group", "unreadable")

_CSS = """
.stHtml .derm-record { display: grid; margin: 0; padding: 0; gap: .3rem 1.1rem;
  grid-template-columns: fit-content(40%) 1fr; }
.stHtml .derm-record dt { margin: 0; opacity: .75; font-weight: 400; }
.stHtml .derm-record dd { margin: 0; overflow-wrap: anywhere; }
.derm-record em, .derm-absent { opacity: .7; }
.derm-absent { font-size: .85rem; margin: .6rem 0 0; }
"""


def show(view: View, image_id: str, *, among: Sequence[str] = ()) -> None:
    """Open the window on a picture; `among` is the selection that Previous and Next walk through."""
    st.session_state[_AT] = image_id
    _window(view, among)


@st.dialog("Record", width=1000, on_dismiss="rerun")
def _window(view: View, among: Sequence[str]) -> None:
    pictures.style()
    st.html(f"<style>{_CSS}</style>")
    image_id = str(st.session_state[_AT])
    rows = view.whole[view.whole["image_id"] == image_id]
    if rows.empty:
        st.info("This picture is not in the data set any more.")
        return
    _walk(image_id, among)
    left, right = st.columns(2, gap="medium")
    with left:
        _picture(view, rows)
        _decision(view, image_id)
    with right:
        st.html(_told(rows.to_dict("records")[0]))
    _neighbours(view, image_id, rows)


def _walk(image_id: str, among: Sequence[str]) -> None:
    """Previous and Next in the selection."""
    if image_id not in among or len(among) < 2:
        return
    at = list(among).index(image_id)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Previous", disabled=at == 0, key="record-previous",
                  shortcut="Left", on_click=_go, args=(among[max(at - 1, 0)],))
        st.button("Next", disabled=at == len(among) - 1, key="record-next",
                  shortcut="Right", on_click=_go, args=(among[min(at + 1, len(among) - 1)],))
        st.caption(f"{at + 1:,} of {len(among):,}", width="content")


def _picture(view: View, rows: pd.DataFrame) -> None:
    picture = pictures.of(view, rows)[0]
    covered = pictures.hidden(picture, blur=pictures.blurring())
    pictures.draw(picture, blurred=covered, side=_SIDE, width="content")
    if covered:
        st.button("Show", key="record-show", on_click=pictures.reveal, args=(picture.image_id,))


def _decision(view: View, image_id: str) -> None:
    """Put the picture on the list of those to exclude, or take it off."""
    reason = marks.excluded(view).get(image_id)
    if reason is not None:
        st.markdown(f"**Excluded from training**: {plain(reason)}")
        st.button("Take back", key="record-back", on_click=marks.exclude, args=(view, image_id, None))
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        why = st.selectbox("Reason", marks.REASONS, key="record-reason", width=220)
        st.button("Exclude from training", key="record-exclude", on_click=marks.exclude,
                  args=(view, image_id, why))


def _told(row: Row) -> str:
    """HTML: every field in words. A canonical one that is missing says so; of the others, only their names."""
    shown = [column for column in COLUMNS if column not in _UNTOLD]
    shown += [column for column in _MEASURED if column in row]
    extra = [column for column in row if column.startswith("x_") and column not in shown]
    shown += [column for column in extra if not pd.isna(row[column])]
    lines = [("Picture", escape(str(row["image_id"])))]
    if row["group_id"] != row["image_id"] and not pd.isna(row["group_id"]):
        lines.append(("Patient, case or lesion", escape(str(row["group_id"]))))
    lines += [(words.column(column), _value(column, row[column])) for column in shown]
    items = "".join(f"<dt>{escape(name)}</dt><dd>{value}</dd>" for name, value in lines)
    blank = [words.column(column) for column in extra if pd.isna(row[column])]
    absent = f'<p class="derm-absent">Not recorded: {escape(", ".join(blank))}.</p>' if blank else ""
    return f'<dl class="derm-record">{items}</dl>{absent}'


def _value(column: str, value: Any) -> str:
    """HTML of one value."""
    if pd.isna(value):
        return f"<em>{'not measured' if column in _MEASURED else 'missing'}</em>"
    if column in _TYPES:
        return pictures.skin_label(SkinType(value).name)
    if column == "ita":
        return f"{value:.0f}°"
    if column == "flags":
        return escape(", ".join(str(value).split(";"))) if value not in ("", "none") else "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return escape(words.value(column, f"{value:g}" if isinstance(value, float) else str(value)))


def _neighbours(view: View, image_id: str, rows: pd.DataFrame) -> None:
    """Its near-duplicates, and the other pictures of its patient, case or lesion."""
    alike = _near(view, image_id)
    if view.scan is None:
        st.caption("Near-duplicates are not measured yet.")
    elif alike:
        _row(view, alike, "Near-duplicates", "alike")
    else:
        st.caption("No near-duplicate was found.")
    same = view.whole[view.whole["group_id"] == rows["group_id"].iloc[0]]
    others = {other: "" for other in same["image_id"] if other != image_id and other not in alike}
    if others:
        _row(view, others, "Of the same patient, case or lesion", "same")


def _near(view: View, image_id: str) -> dict[str, str]:
    """Ids of its near-duplicates, most alike first, each with how alike they are."""
    if view.scan is None:
        return {}
    pairs = view.scan.pairs
    found = pairs[(pairs["image_a"] == image_id) | (pairs["image_b"] == image_id)].sort_values("difference")
    return {pair["image_b"] if pair["image_a"] == image_id else pair["image_a"]: pairs_text(pair)
            for pair in found.to_dict("records")}


def pairs_text(pair: Row) -> str:
    """How far apart two near-duplicates are, in words."""
    if pair["identical"]:
        return "The same file"
    how = "Mirrored; " if pair["mirrored"] else ""
    return f"{how}{pair['distance']} of 64 bits apart; mean difference {pair['difference']:.1f} of 255"


def _row(view: View, found: Mapping[str, str], title: str, key: str) -> None:
    """Small pictures of others, each a way to its own record."""
    more = f", the first {_SMALL} of {len(found)}" if len(found) > _SMALL else ""
    st.markdown(f"**{title}**{more}")
    ids = list(found)[:_SMALL]
    rows = view.whole[view.whole["image_id"].isin(ids)].set_index("image_id", drop=False).loc[ids]
    asked = pictures.grid(pictures.of(view, rows), key=f"record-{key}", blur=pictures.blurring(),
                          remarks=lambda picture: [found[picture.image_id]])
    if asked is not None:
        _go(asked)
        st.rerun(scope="fragment")


def _go(image_id: str) -> None:
    st.session_state[_AT] = image_id
