"""Every model, one under the other: what it is, its figures, and what can be done with it. Widgets and wording."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

import streamlit as st

from derm import importing, registry
from derm.fairness.figure import Figure
from derm.registry import Bundle
from derm.ui import auth, components
from derm.ui.components import plain
from derm.ui.models import actions, facts, speeds
from derm.ui.models.found import Found
from derm.ui.readings import explain

_FIRST = "models-first"


def panel(found: Sequence[Found]) -> None:
    """All of them, or how to get one. Whichever was the default when the page was opened stays first: another one
    that is made so must not jump away from under the hand."""
    if not found:
        components.no_model()
        return
    first = st.session_state.setdefault(_FIRST, registry.default())
    for one in sorted(found, key=lambda one: (one.name != first, one.name)):
        with st.container(border=True, key=f"derm-model-{one.name}"):
            if one.bundle is None:
                _unusable(one)
            else:
                _model(one, one.bundle)
    st.caption("In brackets the 95\N{NO-BREAK SPACE}% interval, on photographs held out from training. Skin types "
               "are Fitzpatrick's; groups of fewer than 20 photographs have no figure.")


def _model(one: Found, bundle: Bundle) -> None:
    _heading(one)
    for problem in one.problems:
        st.error(plain(problem), icon=":material/broken_image:")
    left, right = st.columns([2, 3], gap="medium")
    with left:
        _facts(bundle)
    with right:
        if shown := facts.ranges(bundle):
            st.html(shown)
        else:
            st.info(importing.NOT_MEASURED if facts.is_imported(bundle) else
                    "How good this model is was not recorded with it.", icon=":material/help:")
    with st.container(horizontal=True, key=f"derm-actions-{one.name}"):
        actions.card(bundle)
        actions.check(one)
        actions.take_along(one)
        if not one.problems:
            actions.measure(bundle)
        if auth.is_staff():
            actions.make_default(one)
            actions.remove(one)


def _unusable(one: Found) -> None:
    _heading(one)
    for problem in one.problems:
        st.error(plain(problem), icon=":material/broken_image:")
    if auth.is_staff():
        actions.remove(one)


def _heading(one: Found) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.subheader(plain(one.name), anchor=False, width="content")
        if one.bundle is not None:
            st.caption(f"version {plain(one.bundle.version)}", width="content")
        if one.is_default:
            st.badge("Default", icon=":material/check:", color="green")
        if one.bundle is not None and one.bundle.members:
            st.badge("Ensemble", icon=":material/stacks:", color="blue")
        if one.bundle is not None and facts.is_imported(one.bundle):
            st.badge("Imported", icon=":material/upload_file:", color="gray")
        if one.used_by:
            st.badge(f"Member of {', '.join(one.used_by)}", icon=":material/group:", color="gray")
        if one.problems:
            st.badge("Damaged", icon=":material/warning:", color="red")


def _facts(bundle: Bundle) -> None:
    """What it is; looked at every second while its speed is being measured."""
    future = speeds.known(bundle)
    is_going_on = future is not None and not future.done()
    st.fragment(_said, run_every=1.0 if is_going_on else None)(bundle, is_going_on)


def _said(bundle: Bundle, was_going_on: bool) -> None:
    future = speeds.known(bundle)
    if was_going_on and future is not None and future.done():
        st.rerun()  # the whole page, which then asks no more every second
    st.html(facts.table([*facts.lines(bundle), ("Speed here", _speed(future))]))


def _speed(future: Future[Figure] | None) -> str:
    if future is None:
        return "not measured yet"
    if not future.done():
        return "measuring …"
    error = future.exception()
    return explain(error) if isinstance(error, Exception) else seconds(future.result())


def seconds(figure: Figure) -> str:
    """'0.041 s a photograph (95 %: 0.039–0.045 s, median of 20)'."""
    if figure.value is None or figure.low is None or figure.high is None:
        return f"too few measurements ({figure.n})"
    return (f"{figure.value:.3f}\N{NO-BREAK SPACE}s a photograph (95\N{NO-BREAK SPACE}%: {figure.low:.3f}–"
            f"{figure.high:.3f}\N{NO-BREAK SPACE}s, median of {figure.n})")
