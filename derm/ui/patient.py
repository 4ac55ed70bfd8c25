"""What is known of the patient beside the photograph: asked for a model that reads it, and said with its answer.
Knows Streamlit and bundles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from derm.registry import Bundle
from derm.schema import Diagnosis
from derm.ui import words
from derm.ui.components import plain

TITLE = "What is known of the patient (optional)"
NOT_KNOWN = "Not known"


def asked(bundle: Bundle) -> dict[str, Any]:
    """A field for each column that the model reads; what was filled in, by column. Nothing for other models."""
    if not bundle.metadata:
        return {}
    with st.expander(TITLE):
        st.caption("This model reads it beside the photograph. Leave open what you do not know, and what is not "
                   "on a list.")
        said = {name: _field(name, column, key=f"known-{bundle.name}-{name}")
                for name, column in bundle.metadata.items()}
    return {name: value for name, value in said.items() if value is not None}


def said(diagnosis: Diagnosis, bundle: Bundle) -> None:
    """What the answer rests on, for a model that reads more than the photograph."""
    if not bundle.metadata:
        return
    measured = " The model was measured with what its data set knew of the patients, not without it."
    st.caption(f"Answered {plain(diagnosis.basis)}.{'' if diagnosis.metadata else measured}")


def _field(name: str, column: Mapping[str, Any], *, key: str) -> Any:
    label = words.column(name)
    if column["kind"] == "number":
        return st.number_input(label, value=None, step=1.0, format="%g", placeholder=NOT_KNOWN, key=key)
    values = ({"Yes": True, "No": False} if column["kind"] == "answer"
              else {words.value(name, text): text for text in column["categories"]})
    return values.get(st.selectbox(label, [NOT_KNOWN, *values], key=key))
