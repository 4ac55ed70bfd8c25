"""What a reader must know of a data set before its figures: origin, licence, notes, faults. Wording only."""

from __future__ import annotations

import streamlit as st

from derm.ui.components import plain
from derm.ui.explore.view import View


def panel(view: View) -> None:
    """Faults in the open; the rest behind one click."""
    dataset, source = view.dataset, view.dataset.source
    for problem in dataset.problems:
        st.warning(plain(str(problem)), icon=":material/report:")
    for note in dataset.notes:
        st.caption(plain(note))
    with st.popover(f"About {source.name}", icon=":material/info:", type="tertiary"):
        st.markdown(f"**{plain(source.name)}**: {plain(source.skin_type)}.")
        st.markdown(f"**Licence:** {plain(source.licence)}")
        st.markdown(f"**Source:** {plain(source.citation)}")
        for limit in source.limits:
            st.markdown(f"- {plain(limit)}")
        if dataset.unmapped:
            st.markdown(f"**Condition names unknown to Derm** ({len(dataset.unmapped)}; kept as they are): "
                        f"{plain(', '.join(dataset.unmapped))}")
        for step in source.how:
            st.caption(plain(step))
