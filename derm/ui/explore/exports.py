"""What can be taken along: each chart as a picture or its figures, the filtered table. Made when asked for."""

from __future__ import annotations

import re
from collections.abc import Callable

import pyarrow as pa
import streamlit as st

from derm.explore.export import csv_bytes
from derm.ui import plots
from derm.ui.explore.view import View
from derm.ui.plots import Chart

_KINDS = {"png": "image/png", "svg": "image/svg+xml", "csv": "text/csv"}


def show(view: View, chart: Chart, *, key: str) -> None:
    """The chart and, beneath it, its files."""
    st.vega_lite_chart(_arrow(chart), chart.spec, key=f"chart-{key}-{view.key}")
    downloads(view, chart, key=key)


def clickable(view: View, chart: Chart, *, key: str, selection: str) -> list[dict[str, str]]:
    """The same of a chart with a selection; what is selected, in the order of the clicks."""
    state = st.vega_lite_chart(_arrow(chart), chart.spec, key=f"chart-{key}-{view.key}", on_select="rerun",
                               selection_mode=selection)
    downloads(view, chart, key=key)
    return list(state["selection"].get(selection, []))


def downloads(view: View, chart: Chart, *, key: str) -> None:
    """One quiet button that opens on PNG, SVG and the figures as CSV."""
    with st.popover("Download", icon=":material/download:", type="tertiary", key=f"files-{key}-{view.key}"):
        _button(view, chart.title, "png", lambda: plots.export(chart, "png", source=_source(view)), key=key)
        _button(view, chart.title, "svg", lambda: plots.export(chart, "svg", source=_source(view)), key=key)
        _button(view, chart.title, "csv", lambda: csv_bytes(chart.figures), key=key)


def table_download(view: View) -> None:
    """The filtered table as CSV, one row a picture."""
    st.download_button(f"Table of these {len(view.table):,} pictures (CSV)", lambda: csv_bytes(view.table),
                       f"{_slug(view.dataset.name)}-pictures.csv", "text/csv", key=f"table-{view.key}",
                       on_click="ignore", icon=":material/table:", disabled=view.table.empty)


def _button(view: View, title: str, kind: str, make: Callable[[], bytes], *, key: str) -> None:
    st.download_button(kind.upper(), make, f"{_slug(view.dataset.name)}-{_slug(title)}.{kind}", _KINDS[kind],
                       key=f"{kind}-{key}-{view.key}", on_click="ignore", width="stretch")


def _arrow(chart: Chart) -> pa.Table:
    return pa.Table.from_pylist([dict(row) for row in chart.rows])


def _source(view: View) -> str:
    """What stands under an exported chart's title: which pictures it is of."""
    if len(view.table) == len(view.whole):
        return f"{view.dataset.name}: {len(view.whole):,} pictures"
    return f"{view.dataset.name}: {len(view.table):,} of {len(view.whole):,} pictures"


def _slug(text: str) -> str:
    """A file's name: lower-case letters and digits, the rest hyphens."""
    return re.sub("[^a-z0-9]+", "-", text.lower()).strip("-")
