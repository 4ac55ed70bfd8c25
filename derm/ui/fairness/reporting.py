"""The whole audit as a document to take along: HTML, CSV, JSON. Refused while something it must say is unknown."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date

import streamlit as st

from derm import audit_report
from derm.audit_report import Source
from derm.ui import figures, words
from derm.ui.components import plain
from derm.ui.fairness import computed
from derm.ui.fairness.view import View

_KINDS = {"html": ("Report (HTML)", "text/html"), "csv": ("Figures (CSV)", "text/csv"),
          "json": ("Figures (JSON)", "application/json")}


def panel(view: View) -> None:
    """What the report will say of itself, and the buttons; made when pressed."""
    st.markdown("All measures of all groups, every gap with its interval and with the same mix of conditions, in "
                "plain words and figures, as one page to print or pass on. It is made under the settings above.")
    left, right = st.columns(2)
    with left:
        model = st.text_input("Model", view.source.name, key=f"report-model-{view.source.key}", max_chars=100)
    with right:
        version = st.text_input("Version", view.source.version, key=f"report-version-{view.source.key}",
                                max_chars=60, placeholder="As its maker calls it")
    source = Source(model.strip(), version.strip(), view.source.name if not view.source.version else "",
                    view.source.notes)
    st.caption(plain(f"{date.today():%d %B %Y}; {len(view.cases):,} cases; group not recorded for "
                     f"{view.missing:,}; true condition not known for {view.source.unlabelled:,}."))
    absent = _absent(view, source)
    if absent:
        st.warning(f"No report without the {words.listed(absent)}: figures that do not say whose they are, or on "
                   "how many cases they rest, should not be passed on.", icon=":material/block:")
    _buttons(view, source, disabled=bool(absent))


def _absent(view: View, source: Source) -> list[str]:
    """What `audit_report.html` would refuse for."""
    return [name for name, there in (("model", source.model), ("version", source.version),
                                     ("number of cases", len(view.cases))) if not there]


def _buttons(view: View, source: Source, *, disabled: bool) -> None:
    made: dict[str, Callable[[], str | bytes]] = {
        "html": lambda: audit_report.html(computed.whole(view), source=source, created=date.today()),
        "csv": lambda: audit_report.csv(computed.whole(view)),
        "json": lambda: json.dumps(audit_report.to_json(computed.whole(view)), indent=1)}
    with st.container(horizontal=True):
        for kind, make in made.items():
            label, mime = _KINDS[kind]
            st.download_button(label, make, f"{figures.slug(source.model) or 'model'}-fairness.{kind}", mime,
                               key=f"report-{kind}-{view.source.key}", on_click="ignore", disabled=disabled,
                               icon=":material/download:", type="primary" if kind == "html" else "secondary")
