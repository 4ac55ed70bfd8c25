"""Which model or file the page is about: the picker, the drop zone, how a foreign file is understood. Widgets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import streamlit as st

from derm.errors import DatasetError
from derm.ui import components
from derm.ui.components import plain
from derm.ui.fairness import sources
from derm.ui.fairness.sources import Offer
from derm.ui.fairness.view import Source

_MODEL, _FILES, _DROP = "model", "predictions", "drop"
_MEGABYTES = 400
_ASIS = ""
_CONSOLE = re.compile(r" \(derm audit [^)]*\)|, as in derm audit \S+ \S+(?=;)")  # what to type there, not here
_OURS = {"condition": "The true condition", "predicted": "What the model predicted",
         "fst": "Fitzpatrick skin type", "image_id": "The case or image", "group_id": "The patient or lesion"}
WANTED = ("A table with a row a case: the true condition, the model's answer (a column `predicted`, or a "
          "probability for each condition) and the Fitzpatrick skin type. Other people's column names are "
          "understood where that is safe, and every guess is told. The file is forgotten with this "
          "session.")


def offers() -> list[Offer]:
    """All that can be looked at; files dropped in this session first, of which the last becomes the choice."""
    found = sources.bundles()
    with st.popover("Audit your own predictions file", icon=":material/upload_file:", width="stretch", key=_DROP,
                    on_change="rerun"):
        dropped = st.file_uploader("Drop a predictions file here (CSV or Parquet)", type=["csv", "parquet"],
                                   accept_multiple_files=True, key=_FILES, max_upload_size=_MEGABYTES,
                                   on_change=_close)
        st.caption(WANTED)
    mine = sources.dropped([(file.name, file.getvalue()) for file in dropped])
    seen: set[str] = st.session_state.get("dropped", set())
    if new := [offer.key for offer in mine if offer.key not in seen]:
        st.session_state[_MODEL] = new[0]
    st.session_state["dropped"] = {offer.key for offer in mine}
    return [*mine, *found]


def _close() -> None:
    """A file was dropped: let it be seen."""
    st.session_state[_DROP] = False


def picker(offered: Sequence[Offer]) -> Offer:
    """The model or file to look at; the last one dropped, else the default model."""
    by_key = {offer.key: offer for offer in offered}
    if st.session_state.get(_MODEL) not in by_key:
        st.session_state.pop(_MODEL, None)
    chosen = st.selectbox("Model or file", list(by_key), format_func=lambda key: by_key[key].title, key=_MODEL,
                          bind="query-params")
    return by_key.get(chosen, offered[0])


def source(offer: Offer) -> Source:
    """The offer read as somebody said it should be. Raises `DatasetError`."""
    return sources.source(offer, rename=_renamed(offer), renormalise=bool(st.session_state.get(_divide(offer))))


def opened(offer: Offer) -> Source | None:
    """The same on the page: what was guessed is told, what cannot be read is explained and can be mended."""
    if offer.bundle is not None:
        ours = source(offer)
        for note in ours.notes:
            st.caption(note)
        return ours
    problem, found = "", None
    try:
        found = source(offer)
    except DatasetError as error:
        problem = _CONSOLE.sub("", str(error))
    if problem:
        problem = problem[0].upper() + problem[1:].rstrip(".")
        st.error(f"{plain(problem)}. Below you can say which column is which.", icon=":material/report:")
    elif found and found.notes:
        st.markdown("**How this file was read**")
        components.sentences([_CONSOLE.sub("", note) for note in found.notes])
    _mending(offer, expanded=bool(problem))
    return found


def _mending(offer: Offer, *, expanded: bool) -> None:
    """Which column is what, for whom the guesses are wrong or not enough."""
    names = sources.columns(offer)
    with st.expander("Say which column is which", icon=":material/edit:", expanded=expanded):
        for place, (ours, said) in zip(st.columns(3) * 2, _OURS.items(), strict=False):
            with place:
                st.selectbox(said, [_ASIS, *names], key=_column(offer, ours), persist_state="page",
                             format_func=lambda name: name or "As read")
        st.toggle("Divide probabilities by their sum where they do not add up to 1", key=_divide(offer),
                  persist_state="page")


def _renamed(offer: Offer) -> Mapping[str, str]:
    """Their name -> ours, as chosen."""
    chosen = {ours: str(st.session_state.get(_column(offer, ours)) or _ASIS) for ours in _OURS}
    return {theirs: ours for ours, theirs in chosen.items() if theirs}


def _column(offer: Offer, ours: str) -> str:
    return f"column-{ours}-{offer.key}"


def _divide(offer: Offer) -> str:
    return f"divide-{offer.key}"
