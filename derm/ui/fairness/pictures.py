"""The cases behind a bar or a cell: thumbnails where the data set is on disk, else a list. Widgets and wording."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from derm.errors import DermError
from derm.schema import SkinType, display_name
from derm.ui import words
from derm.ui.components import plain
from derm.ui.explore import pictures, record
from derm.ui.explore import sources as datasets
from derm.ui.explore.pictures import Picture
from derm.ui.explore.view import View as Pictures
from derm.ui.fairness.computed import Marks
from derm.ui.fairness.view import Source, View

_MOST = 0.5  # of the ids: single ones may be alike by chance
_ROWS = 200  # of a list; the whole is in the file that made it


def panel(view: View, chosen: np.ndarray, title: str, *, key: str, marks: Marks, counted: str = "cases") -> None:
    """The cases that are `chosen`, bool [n], those that the model got wrong by `marks` first; `counted`: what they
    are."""
    with st.container(border=True, key=f"cases-{key}"):
        _panel(view, chosen, title, key, marks, counted)


@st.fragment
def _panel(view: View, chosen: np.ndarray, title: str, key: str, marks: Marks, counted: str) -> None:
    rows = _rows(view, chosen, marks)
    wrong = int((~rows["right"] & ~rows["silent"]).sum())
    st.subheader(f"{plain(title)}: {len(rows):,} {counted}, {wrong:,} wrong", anchor=False)
    if rows.empty:
        return
    there = found(view.source)
    if there is None:
        st.caption("Their data set is not on disk here, so there are no pictures to show.")
        _list(rows)
        return
    pictures.style()
    blur = pictures.blur_switch()
    _grid(there, rows, key=f"{key}-{view.source.key}-{title}", blur=blur)


def found(source: Source) -> Pictures | None:
    """The data set on disk that the cases are of: one with pictures that has most of their ids."""
    ids = source.cases.table["image_id"]
    for choice in datasets.choices():
        if choice.adapter == datasets.COUNTS:
            continue
        try:
            known = datasets.whole(choice)
        except DermError:  # Explore says what is wrong with it
            continue
        if known.pictures and ids.isin(known.dataset.table["image_id"]).mean() > _MOST:
            return known
    return None


def near(source: Source) -> frozenset[str] | None:
    """Which of the cases nearly repeat a picture that may have been trained on: one of the data set that neither
    is among them nor of the publisher's test; None where that is not measured."""
    there = found(source)
    if there is None or there.scan is None:
        return None
    ids, pairs = set(source.cases.table["image_id"]), there.scan.pairs
    table = there.dataset.table
    others = set(table.loc[table["split"].ne("test").fillna(True) & ~table["image_id"].isin(ids), "image_id"])
    return frozenset(mine for one, other in (("image_a", "image_b"), ("image_b", "image_a"))
                     for mine in pairs.loc[pairs[one].isin(ids) & pairs[other].isin(others), one])


def _rows(view: View, chosen: np.ndarray, marks: Marks) -> pd.DataFrame:
    """image_id, condition, answer, sure (its probability or NaN), fst, right and silent; the wrong ones first."""
    cases, at = view.cases, np.flatnonzero(chosen)
    answer = np.array(cases.classes, dtype=object)[cases.predicted[at]]
    sure = np.full(len(at), np.nan) if cases.p is None else cases.p[at, cases.predicted[at]]
    table = cases.table.iloc[at]
    rows = pd.DataFrame({"image_id": table["image_id"].astype(str), "condition": table["condition"].astype(str),
                         "answer": answer, "sure": sure, "fst": table.get("fst", pd.NA)})
    return rows.assign(right=marks.right[at], silent=marks.silent[at]).sort_values(
        ["silent", "right", "sure"], ascending=[True, True, False], kind="stable", ignore_index=True)


def _list(rows: pd.DataFrame) -> None:
    shown = pd.DataFrame({
        "Case": rows["image_id"], "Is": rows["condition"].map(display_name),
        "Called": rows["answer"].map(display_name), "Stated": rows["sure"].map(words.share),
        "Skin type": [SkinType(value).name if pd.notna(value) else "" for value in rows["fst"]]})
    st.dataframe(shown.head(_ROWS), hide_index=True, width="stretch")
    if len(shown) > _ROWS:
        st.caption(f"The first {_ROWS} of {len(shown):,}.")


def _grid(there: Pictures, rows: pd.DataFrame, *, key: str, blur: bool) -> None:
    """A page of thumbnails, each with what the model called it."""
    table = there.dataset.table.drop_duplicates("image_id").set_index("image_id", drop=False)
    known = rows[rows["image_id"].isin(table.index)]
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.caption("The mistakes first, the surest of them leading." + (
            f" {len(rows) - len(known):,} are not in the data set on disk." if len(known) < len(rows) else ""),
            width="content")
        part = pictures.pages(len(known), per_page=pictures.PER_PAGE, key=f"page-{key}")
    said = {row["image_id"]: _remark(row) for row in known.to_dict("records")}

    def remarks(picture: Picture) -> list[str]:
        return [said[picture.image_id]]

    shown = table.loc[known["image_id"].iloc[part]]
    asked = pictures.grid(pictures.of(there, shown), key=key, blur=blur, remarks=remarks)
    if asked is not None:
        record.show(replace(there, table=table.loc[known["image_id"]]), asked, among=list(known["image_id"]))


def _remark(row: Mapping[Hashable, Any]) -> str:
    """'✗ Called Melanoma (83.1 %)'."""
    stated = "" if pd.isna(row["sure"]) else f" ({words.share(row['sure'])})"
    if row["silent"]:
        return f"No answer; leading: {display_name(row['answer'])}{stated}"
    return f"{'✓' if row['right'] else '✗'} Called {display_name(row['answer'])}{stated}"
