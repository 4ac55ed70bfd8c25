"""Numbers along an axis: histograms and boxes. Draws what derm.explore counted; counts nothing."""

from __future__ import annotations

import pandas as pd

from derm.ui import words
from derm.ui.plots import chart
from derm.ui.plots.chart import Chart


def histogram(bins: pd.DataFrame, *, column: str, unit: str = "") -> Chart:
    """Pictures in each range of a column of numbers; `bins` is that of derm.explore.counts."""
    rows = [{"low": float(line.low), "high": float(line.high), "count": int(line.n), "n": f"{line.n:,}",
             "range": f"{line.low:,.4g} to {line.high:,.4g}{unit and f' {unit}'}"} for line in chart.lines(bins)]
    name = words.column(column) + (f" ({unit})" if unit else "")
    spec = {**chart.base(f"Histogram: pictures in each range of {name}."), "height": 200,
            "mark": {"type": "bar", "color": chart.ACCENT, "stroke": chart.PAGE, "strokeWidth": 1,
                     **chart.aloud("{range}: {n} pictures")},
            "encoding": {
                "x": chart.number("low", title=name, bin="binned", axis={"grid": False, "tickCount": 6}),
                "x2": {"field": "high"},
                "y": chart.number("count", title="Pictures", axis={"tickCount": 4, "format": ",d"}),
                "tooltip": chart.tooltip(range=name, n="Pictures")}}
    return Chart(f"{name}: pictures in each range", spec, rows, bins)


def ita_boxes(boxes: pd.DataFrame) -> Chart:
    """The estimated individual typology angle of the pictures of each annotated type: box, median, whiskers.

    `boxes` is that of derm.explore.agreement; light skin is on the right, types of too few pictures are empty.
    """
    rows = [{"label": f"{line.fst}\nn = {line.n:,}", "type": line.fst, "n": f"{line.n:,}",
             **{name: None if pd.isna(getattr(line, name)) else float(getattr(line, name)) for name in _PARTS},
             "half": "too few" if pd.isna(line.median) else f"{line.q1:.0f}° to {line.q3:.0f}°",
             "middle": "too few" if pd.isna(line.median) else f"{line.median:.0f}°"}
            for line in chart.lines(boxes)]
    tip = chart.tooltip(type="Annotated type", n="Pictures", middle="Median", half="Middle half")
    title = "Degrees: darker skin left, lighter right"
    axis = {"titlePadding": 8, "tickCount": 6, "grid": True, "gridDash": [2, 3]}
    scale = {"zero": False, "nice": True}
    whisker = {"mark": {"type": "rule", "aria": False, "strokeWidth": 1.2},
               "encoding": {"x": chart.number("low_whisker", title=title, axis=axis, scale=scale),
                            "x2": {"field": "high_whisker"}}}
    box = {"mark": {"type": "bar", "height": {"band": 0.55}, "stroke": chart.OUTLINE, "strokeWidth": 0.8,
                    "cornerRadius": 2, **chart.aloud("{type}: {n} pictures, median {middle}, middle half {half}")},
           "encoding": {"x": chart.number("q1", title=title), "x2": {"field": "q3"}, "tooltip": tip,
                        "color": chart.nominal("type", **chart.palette(chart.SKIN))}}
    median = [{"mark": {"type": "tick", "thickness": thickness, "height": {"band": 0.55}, "color": colour,
                        "aria": False},
               "encoding": {"x": chart.number("median", title=title), "tooltip": tip}}
              for thickness, colour in ((5, chart.PAGE), (2, chart.INK))]
    spec = chart.layered("Boxes: the estimated ITA of the pictures of each annotated skin type.",
                         [whisker, box, *median], rows, step=42, encoding={"y": chart.labels()})
    return Chart("Estimated ITA by annotated skin type", spec, rows, boxes)


_PARTS = ("low_whisker", "q1", "median", "q3", "high_whisker")
