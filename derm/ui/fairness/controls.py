"""What can be turned on the Fairness page: groups, measure, thresholds. Widgets; values in the address.

What an address says is not trusted: Streamlit drops what is not among a widget's options.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from derm.fairness import groups
from derm.fairness.answers import Decision
from derm.fairness.figure import TOO_FEW
from derm.fairness.measures import MEASURES
from derm.ui.components import plain
from derm.ui.fairness.view import Rules, Source

_ALONE = "nothing"
_FIRST = ("malignant_sensitivity", "accuracy")  # what the page opens on, if the file allows it
_LEADS = 0
_MOST = 200
_CSS = """
.st-key-derm-rules { display: grid; gap: .3rem 1.6rem; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); }
.st-key-derm-rules > div { width: auto !important; }
@media (max-width: 640px) {
  .st-key-derm-rules { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .3rem 1rem; }
}
"""


def bar(source: Source, allowed: Sequence[str], *, near: frozenset[str] | None) -> Rules:
    """The rules as they stand. `allowed` are the measures of the file; `near` says if repeats are known."""
    st.html(f"<style>{_CSS}</style>")
    left, middle, right = st.columns(3)
    with left:
        by = _groups(source)
    with middle:
        by = _crossed(source, by)
    with right:
        metric = _measure(allowed)
    st.caption(f"**{MEASURES[metric].label}**: {plain(MEASURES[metric].sentence)}")
    with st.container(key="derm-rules"):
        decision = _decision(source)
        minimum = st.slider("Smallest group compared", TOO_FEW, _MOST, TOO_FEW, step=5, key="min",
                            bind="query-params",
                            help="Groups with fewer cases are grey and not compared. Below 20 no figure is given.")
        with st.container(gap="xsmall"):
            without_missing = st.toggle("Leave out unrecorded", key="known", bind="query-params",
                                        help="Leave out the cases whose group nobody recorded.")
            without_duplicates = st.toggle(
                "Leave out near-duplicates", key="distinct", disabled=near is None, bind="query-params",
                help=f"Leave out pictures that nearly repeat a training picture. {_known(near)}")
    return Rules(by, metric, decision, minimum, without_duplicates and near is not None, without_missing)


def _groups(source: Source) -> str:
    options = groups.choices(source.cases.table) or {"fst3": "Skin type, in three groups"}
    chosen = st.selectbox("Compare groups of", list(options), key="by", bind="query-params",
                          format_func=lambda name: options.get(name, name))
    return chosen if chosen in options else next(iter(options))


def _crossed(source: Source, by: str) -> str:
    """Whether groups are split by a second column, such as skin type by sex."""
    others = {_ALONE: "Nothing more", **groups.choices(source.cases.table)}
    for name in (by, *(("fst", "fst3") if by in ("fst", "fst3") else ())):
        others.pop(name, None)
    chosen = st.selectbox("Crossed with", list(others), key="and", bind="query-params",
                          format_func=lambda name: others.get(name, name))
    return by if chosen in (None, _ALONE) or chosen not in others else f"{by}{groups.JOINT}{chosen}"


def _measure(allowed: Sequence[str]) -> str:
    first = next(name for name in (*_FIRST, *allowed) if name in allowed)
    chosen = st.selectbox("Measure", allowed, index=list(allowed).index(first), key="metric", bind="query-params",
                          format_func=lambda name: MEASURES[name].label)
    return chosen if chosen in allowed else first


def _decision(source: Source) -> Decision:
    """When an answer is malignant, and when there is none; fixed where the file has no probabilities."""
    fixed = source.cases.p is None
    threshold = st.select_slider(
        "Called malignant", range(100), key="threshold", bind="query-params", disabled=fixed or _unplaced(source),
        format_func=_threshold, help="By the leading condition, or once the probabilities of all malignant "
                                     "conditions together reach this much.")
    below = st.select_slider(
        "No answer when", range(100), key="abstain", bind="query-params", disabled=fixed,
        format_func=partial(_below, declines=bool(source.cases.abstained.any())),
        help="Cases whose leading condition is less probable get no answer; only the abstention rate counts them.")
    return Decision() if fixed else Decision(threshold / 100 if threshold and not _unplaced(source) else None,
                                             below / 100)


def _unplaced(source: Source) -> bool:
    return source.cases.malignant is None


def _threshold(percent: int) -> str:
    return "if it leads" if percent == _LEADS else f"from {percent} %"


def _below(percent: int, *, declines: bool) -> str:
    """`declines`: the model itself left some cases without an answer."""
    unsure = f"under {percent} % sure"
    if declines:
        return f"it declines, or {unsure}" if percent else "the model declines"
    return unsure if percent else "never"


def _known(near: frozenset[str] | None) -> str:
    if near is None:
        return ("Not known here: the data set is not on disk, or has not been measured yet; opening it on Explore "
                "measures it.")
    return f"{len(near):,} are known." if near else "None is known among these cases."
