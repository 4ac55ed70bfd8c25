"""From a page that a browser asked for by its address to the app around it. Knows Streamlit's order of things.

Until somebody has opened the app's first page after its server began, Streamlit runs a page asked for by address
alone, without the navigation over it. Such a page goes by way of the app, which leads back to it.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

_APP = "streamlit_app.py"
_WITHIN, _WANTED = "routing--within", "routing--wanted"


def by_way_of_the_app(name: str) -> None:
    """At the top of the page `pages/<name>.py`: nothing where the navigation is there or the page runs alone."""
    context = get_script_run_ctx()
    if context is None or Path(context.main_script_path).name != _APP or st.session_state.get(_WITHIN):
        return
    st.session_state[_WANTED] = f"pages/{name}.py"
    st.switch_page(_APP, query_params=st.query_params.to_dict())


def arrived() -> None:
    """In the app, once its navigation is known: on to the page that was asked for."""
    st.session_state[_WITHIN] = True
    if wanted := st.session_state.pop(_WANTED, None):
        st.switch_page(wanted, query_params=st.query_params.to_dict())
