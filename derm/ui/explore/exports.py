"""What can be taken along of a data set: its charts as pictures or figures, the filtered table."""

from __future__ import annotations

import streamlit as st

from derm.explore.export import csv_bytes
from derm.ui import figures
from derm.ui.explore.view import View
from derm.ui.figures import Origin
from derm.ui.plots import Chart


def show(view: View, chart: Chart, *, key: str) -> None:
    """The chart and, beneath it, its files."""
    figures.show(_origin(view), chart, key=key)


def clickable(view: View, chart: Chart, *, key: str, selection: str) -> list[dict[str, str]]:
    """The same of a chart with a selection; what is selected, in the order of the clicks."""
    return figures.clickable(_origin(view), chart, key=key, selection=selection)


def downloads(view: View, chart: Chart, *, key: str) -> None:
    """One quiet button that opens on PNG, SVG and the figures as CSV."""
    figures.downloads(_origin(view), chart, key=key)


def table_download(view: View) -> None:
    """The filtered table as CSV, one row a picture."""
    st.download_button(f"Table of these {len(view.table):,} pictures (CSV)", lambda: csv_bytes(view.table),
                       f"{figures.slug(view.dataset.name)}-pictures.csv", "text/csv", key=f"table-{view.key}",
                       on_click="ignore", icon=":material/table:", disabled=view.table.empty)


def _origin(view: View) -> Origin:
    """What stands under an exported chart's title: which pictures it is of."""
    whole, left = len(view.whole), len(view.table)
    of = f"{whole:,}" if left == whole else f"{left:,} of {whole:,}"
    return Origin(view.key, view.dataset.name, f"{view.dataset.name}: {of} pictures")
