"""What the page says first: the worst group, the best, how far apart they are and how sure that is. Wording."""

from __future__ import annotations

import re
from html import escape

import streamlit as st

from derm.fairness import words as audited
from derm.fairness.audit import Audit
from derm.fairness.figure import Figure
from derm.ui import components, scores, words
from derm.ui.fairness import computed
from derm.ui.fairness.view import View

_JOINED = "\N{WORD JOINER}"  # no line ends here
_CSS = """
.derm-headline { font-family: "Source Serif", serif; font-size: 1.4rem; line-height: 1.4;
  margin: .2rem 0 .4rem; max-width: 60rem; text-wrap: pretty; }
@media (max-width: 640px) { .derm-headline { font-size: 1.18rem; } }
"""


def panel(view: View) -> None:
    """The headline, the figures it rests on, what it means."""
    found = computed.shown(view)
    st.html(f'<style>{_CSS}</style><p class="derm-headline" role="status">'
            f"{escape(said(audited.headline(found)))}</p>")
    _tiles(view, found)
    components.sentences([said(sentence) for sentence in audited.sentences(found)[1:]])


def said(sentence: str) -> str:
    """A sentence of `derm.fairness.words` as pages print it: dashes, minus signs, n and p that stay with their
    number."""
    dashed = re.sub(r"(?<=\d)-(?=\d)", f"{_JOINED}–{_JOINED}", words.dashed(sentence).replace("partition3 ", ""))
    dashed = re.sub(r"(?<![\w-])-(?=\d)", "−", dashed)
    return re.sub(r"\b([np]) ([=<]) (?=\d)", "\\1\N{NO-BREAK SPACE}\\2\N{NO-BREAK SPACE}", dashed)


def _tiles(view: View, found: Audit) -> None:
    share, gap = view.rules.measure.proportion, found.lead
    with st.container(key="derm-tiles-fairness"):
        if gap is not None:
            for title, name in (("Worst", gap.worst), ("Best", gap.best)):
                _tile(f"{title}: {scores.group(name)}", found.group(name).figures[gap.metric], share=share)
            _apart("Gap", Figure(gap.value, gap.low, gap.high, gap.n_worst + gap.n_best), share=share,
                   explained="Best minus worst, with the interval of the difference itself. It allows for the two "
                             "groups having been picked because they are furthest apart.")
            _adjusted(found, share=share)
        _tile("All cases", found.overall[view.rules.metric], share=share)


def _adjusted(found: Audit, *, share: bool) -> None:
    explained = ("The gap if both groups had the same mix of conditions. Conditions differ by skin type, and some "
                 "are harder than others.")
    left = found.gaps[0].adjusted
    if left is None:
        st.metric("Gap, same conditions", "–", "cannot be measured here", delta_color="off", delta_arrow="off",
                  help=f"{explained} It needs 20 cases of shared conditions in both groups, and a measure that "
                       "is a mean over cases.")
        return
    _apart("Gap, same conditions", Figure(left.value, left.low, left.high, left.n), share=share,
           explained=f"{explained} {100 * left.coverage:.0f} % of the two groups' cases have a condition that "
                     "both have.")


def _apart(label: str, figure: Figure, *, share: bool, explained: str) -> None:
    """A tile for a difference between two groups."""
    value, interval = scores.points(figure, share=share)
    st.metric(label, value, f"95\N{NO-BREAK SPACE}%: {interval}, {scores.n(figure.n)}", delta_color="off",
              delta_arrow="off", help=explained)


def _tile(label: str, figure: Figure, *, share: bool) -> None:
    below = scores.n(figure.n) if figure.value is None else (
        f"95\N{NO-BREAK SPACE}%: {scores.interval(figure, share=share)}, {scores.n(figure.n)}")
    st.metric(label, scores.value(figure, share=share), below, delta_color="off", delta_arrow="off")
