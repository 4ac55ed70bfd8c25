"""A chart on a page and the files it can be taken along as: PNG, SVG, CSV. Each is made when asked for.

Knows Streamlit and charts; not what they are of.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import streamlit as st

from derm.explore.export import csv_bytes
from derm.ui import plots
from derm.ui.plots import Chart

_KINDS = {"png": "image/png", "svg": "image/svg+xml", "csv": "text/csv"}


@dataclass(frozen=True)
class Origin:
    """What a chart is of: `key` tells widgets apart, `name` starts the files' names, `said` stands in them."""

    key: str
    name: str
    said: str


def show(origin: Origin, chart: Chart, *, key: str) -> None:
    """The chart and, beneath it, its files."""
    st.vega_lite_chart(_arrow(chart), chart.spec, key=f"chart-{key}-{origin.key}")
    downloads(origin, chart, key=key)


def clickable(origin: Origin, chart: Chart, *, key: str, selection: str) -> list[dict[str, str]]:
    """The same of a chart with a selection; what is selected, in the order of the clicks."""
    state = st.vega_lite_chart(_arrow(chart), chart.spec, key=f"chart-{key}-{origin.key}", on_select="rerun",
                               selection_mode=selection)
    downloads(origin, chart, key=key)
    return list(state["selection"].get(selection, []))


def downloads(origin: Origin, chart: Chart, *, key: str) -> None:
    """One quiet button that opens on PNG, SVG and the figures as CSV."""
    with st.popover("Download", icon=":material/download:", type="tertiary", key=f"files-{key}-{origin.key}"):
        _button(origin, chart.title, "png", lambda: plots.export(chart, "png", source=origin.said), key=key)
        _button(origin, chart.title, "svg", lambda: plots.export(chart, "svg", source=origin.said), key=key)
        _button(origin, chart.title, "csv", lambda: csv_bytes(chart.figures), key=key)


def slug(text: str) -> str:
    """A file's name: lower-case letters and digits, the rest hyphens."""
    return re.sub("[^a-z0-9]+", "-", text.lower()).strip("-")


def _button(origin: Origin, title: str, kind: str, make: Callable[[], bytes], *, key: str) -> None:
    st.download_button(kind.upper(), make, f"{slug(origin.name)}-{slug(title)}.{kind}", _KINDS[kind],
                       key=f"{kind}-{key}-{origin.key}", on_click="ignore", width="stretch")


def _arrow(chart: Chart) -> pa.Table:
    return pa.Table.from_pylist([dict(row) for row in chart.rows])
