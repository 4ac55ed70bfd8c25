"""Duplicates, leaks and poor pictures, to be looked at and left out of training. Widgets and wording."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping
from html import escape

import pandas as pd
import streamlit as st

from derm import thumbnails
from derm.explore.filters import mask
from derm.ui import words
from derm.ui.explore import gallery, marks, pictures, record
from derm.ui.explore.pictures import Picture, Row
from derm.ui.explore.view import View

PAIRS, QUALITY = "Near-duplicates", "Quality flags"
_PER_PAGE = 4
_SIDE = 240
_MEASURING = "The pictures are still being measured. What is found is shown here when that is done."
_DIFFERENCE = ("The third picture is the difference of the two, laid over each other where they fit best: black "
               "where they are alike, grey where only one of them reaches.")

_CSS = """
[class*="st-key-derm-decide"] { display: grid; gap: .5rem;
  grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr)); }
.derm-chips { display: flex; flex-wrap: wrap; gap: .4rem .6rem; align-items: center; }
.derm-chip { font-size: .82rem; font-weight: 600; padding: .1rem .55rem; border-radius: 1rem;
  border: 1px solid color-mix(in srgb, var(--derm-accent) 60%, transparent); }
.derm-far { font-size: .85rem; opacity: .75; }
"""


def panel(view: View) -> None:
    """Pairs or quality flags, then the list of what was excluded."""
    if not view.pictures:
        st.info(gallery.NO_PICTURES)
    else:
        _panel(view)


@st.fragment
def _panel(view: View) -> None:
    pictures.style()
    st.html(f"<style>{_CSS}</style>")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        part = st.segmented_control("Review", [PAIRS, QUALITY], default=PAIRS, required=True, key="review-part",
                                    persist_state="session")
        blur = pictures.blur_switch()
    if part == QUALITY:
        _quality(view, blur=blur)
    else:
        _pairs(view, blur=blur)
    _list(view, blur=blur)


def _pairs(view: View, *, blur: bool) -> None:
    """The pairs still to decide on, a few at a time."""
    if view.scan is None:
        st.info(_MEASURING)
        return
    pairs = queue(view.scan.pairs, view.table["image_id"])
    if pairs.empty:
        others = f" The {len(view.scan.pairs):,} pairs found are among others." if len(view.scan.pairs) else ""
        st.info(f"No near-duplicate among the pictures chosen.{others}")
        return
    excluded, kept = marks.excluded(view), marks.kept(view)
    settled = [a in excluded or b in excluded or marks.pair(a, b) in kept
               for a, b in zip(pairs["image_a"], pairs["image_b"], strict=True)]
    st.markdown(summary(pairs, sum(settled)))
    st.caption(_DIFFERENCE)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        if st.toggle("Hide pairs that are decided", value=True, key="review-hide", persist_state="session"):
            pairs = pairs[~pd.Series(settled, index=pairs.index, dtype=bool)]
        part = pictures.pages(len(pairs), per_page=_PER_PAGE, key=f"pairs-{view.key}")
    if pairs.empty:
        st.success("Every pair is decided.", icon=":material/check:")
    for pair in pairs.iloc[part].to_dict("records"):
        with st.container(border=True):
            _pair(view, pair, excluded, kept, blur=blur)


def queue(pairs: pd.DataFrame, shown: pd.Series) -> pd.DataFrame:
    """The pairs of which at least one picture is in `shown`, in the order to review them: those with different
    labels first, then those across splits, then the most alike."""
    here = pairs[pairs["image_a"].isin(shown) | pairs["image_b"].isin(shown)]
    order = pd.DataFrame({"same": here["same_condition"].fillna(True).astype(bool), "within": ~here["crosses"],
                          "difference": here["difference"]})
    return here.loc[order.sort_values(["same", "within", "difference"], kind="stable").index]


def summary(pairs: pd.DataFrame, settled: int) -> str:
    """'193 pairs: 12 with different labels, 66 across splits. 3 decided.'"""
    conflicts = (~pairs["same_condition"].fillna(True).astype(bool)).sum()
    across = pairs["crosses"].sum()
    return (f"**{len(pairs):,} pair{'s' if len(pairs) != 1 else ''}**: {conflicts:,} with different labels, "
            f"{across:,} across splits; {settled:,} decided.")


def _pair(view: View, pair: Row, excluded: Mapping[str, str], kept: set[str], *, blur: bool) -> None:
    """Two pictures and where they differ, what is known of each, and what to do."""
    ids = pair["image_a"], pair["image_b"]
    rows = view.whole[view.whole["image_id"].isin(ids)].set_index("image_id", drop=False).loc[list(ids)]
    both = pictures.of(view, rows)
    covered = any(pictures.hidden(picture, blur=blur) for picture in both)
    st.html(f'<div class="derm-chips">{_chips(pair)}'
            f'<span class="derm-far">{escape(record.pairs_text(pair))}</span></div>')
    left, right = st.columns([4, 1])
    with left.container(key=f"derm-trio-{'-'.join(ids)}"):
        for picture, row in zip(both, rows.to_dict("records"), strict=True):
            with st.container(gap="xsmall"):
                pictures.draw(picture, blurred=covered, side=_SIDE)
                st.html(pictures.label(picture, *_remarks(row, excluded)))
        with st.container(gap="xsmall"):
            _difference(both, mirrored=bool(pair["mirrored"]), covered=covered)
    with right.container(key=f"derm-decide-{'-'.join(ids)}"):
        _buttons(view, ids, excluded, kept, covered=covered)


def _chips(pair: Row) -> str:
    known = not pd.isna(pair["same_condition"])
    said = ["Different labels"] if known and not pair["same_condition"] else []
    if pair["crosses"]:
        ends = [str(end) for end in (pair["split_a"], pair["split_b"]) if not pd.isna(end)]
        said.append(f"Across {' and '.join(ends)}" if len(ends) == 2 else "Across splits")
    return "".join(f'<span class="derm-chip">{escape(text)}</span>' for text in said)


def _remarks(row: Row, excluded: Mapping[str, str]) -> list[str]:
    told = [words.value(column, str(row[column])) for column in ("split", "qc") if not pd.isna(row[column])]
    return [", ".join(told), "Excluded from training" if row["image_id"] in excluded else ""]


def _difference(both: list[Picture], *, mirrored: bool, covered: bool) -> None:
    if covered or any(picture.path is None for picture in both):
        st.image(thumbnails.placeholder("Difference\nwhen shown" if covered else "No difference", side=_SIDE),
                 width="stretch", alt="No difference to see yet")
    else:
        first, second = (pictures.jpeg(picture, blurred=False, side=_SIDE) for picture in both)
        st.image(thumbnails.difference(first, second, mirrored=mirrored), width="stretch",
                 alt="Difference of the two pictures")
    st.html('<div class="derm-picture">Difference</div>')


def _buttons(view: View, ids: tuple[str, str], excluded: Mapping[str, str], kept: set[str], *,
             covered: bool) -> None:
    both = marks.pair(*ids)
    if covered:
        st.button("Show", key=f"show-{both}", on_click=pictures.reveal, args=ids, width="stretch")
    for image_id, side in zip(ids, ("left", "right"), strict=True):
        out = image_id in excluded
        st.button(f"Take {side} back" if out else f"Exclude {side}", key=f"{side}-{both}", width="stretch",
                  on_click=marks.exclude, args=(view, image_id, None if out else "near-duplicate"))
    if not any(image_id in excluded for image_id in ids):
        st.button("Decide again" if both in kept else "Keep both", key=f"keep-{both}", width="stretch",
                  on_click=marks.keep, args=(view, both, both not in kept))


def _quality(view: View, *, blur: bool) -> None:
    """The pictures that have a quality flag."""
    if "flags" not in view.table:
        st.info(_MEASURING)
        return
    counts: Counter[str] = Counter()
    for combined, n in view.table["flags"].value_counts().items():
        counts.update(dict.fromkeys(filter(None, str(combined).split(";")), n))
    if not counts:
        st.info("No picture chosen has a quality flag.")
        return
    flag = st.pills("Flag", sorted(counts), default=sorted(counts)[0], required=True, wrap=True,
                    format_func=lambda word: f"{word} ({counts[word]:,})", key=f"flag-{view.key}")
    rows = view.table[mask(view.table, {"flags": [flag]}, {})]
    gallery.show(view, rows, key=f"flag-{view.key}-{flag}", blur=blur)


def _list(view: View, *, blur: bool) -> None:
    """What was excluded: how many, how to train without them, the list to take along, and the way back."""
    st.subheader("Excluded from training", anchor=False)
    excluded = marks.excluded(view)
    if not excluded:
        st.caption("No picture yet. Those you exclude are listed here, with the command that trains without them.")
        return
    rows = view.whole[view.whole["image_id"].isin(excluded)]
    foreign = len(excluded) - len(rows)
    st.markdown(f"**{len(excluded):,} picture{'s' if len(excluded) > 1 else ''}**"
                + (f" ({foreign:,} not in this data set)" if foreign else "") + ". To train without "
                + ("them:" if len(excluded) > 1 else "it:"))
    st.code(f"derm train --exclude {shlex.quote(str(view.list_path))}", language="sh", wrap_lines=True)
    st.download_button("List (CSV)", view.list_path.read_bytes, f"{view.key}-excluded.csv", "text/csv",
                       key="review-list", on_click="ignore", icon=":material/download:")
    part = pictures.pages(len(rows), per_page=pictures.PER_PAGE, key=f"excluded-{view.key}")
    with st.container(key="derm-grid-excluded"):
        for picture in pictures.of(view, rows.iloc[part]):
            with st.container(gap="xsmall"):
                pictures.draw(picture, blurred=pictures.hidden(picture, blur=blur))
                st.html(pictures.label(picture, excluded[picture.image_id]))
                st.button("Take back", key=f"back-{picture.image_id}", width="stretch", on_click=marks.exclude,
                          args=(view, picture.image_id, None))
