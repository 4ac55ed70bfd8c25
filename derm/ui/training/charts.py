"""The charts of a run that are not of people: losses, learning rate, pace. Draws, measures nothing."""

from __future__ import annotations

import pandas as pd

from derm.ui.plots import chart
from derm.ui.plots.chart import Chart, Spec

_COLOURS = (chart.ACCENT, chart.SECOND)
_DASHES = ([1, 0], [5, 3])
_SHAPES = ("circle", "square")


def epochs(values: pd.DataFrame, *, label: str, form: str = ".3g", height: int = 150) -> Chart:
    """Values after each epoch, a line for each name, told apart by dash and shape too; `values`: epoch, name,
    value; `form` is how one is written (Python's format)."""
    names = list(dict.fromkeys(values["name"]))
    rows = [{"name": str(line.name), "x": int(line.epoch), "y": float(line.value), "epoch": f"{line.epoch}",
             "got": f"{line.value:{form}}"} for line in chart.lines(values)]
    ends: Spec = {"x": chart.number("x", title="Epoch", axis={"tickMinStep": 1, "grid": False}),
                  "y": chart.number("y", title=label, scale={"zero": True}, axis={"tickCount": 4})}
    colour = chart.palette(dict(zip(names, _COLOURS, strict=False)), legend=None)
    legend: Spec | None = {"columns": 2} if len(names) > 1 else None
    shape = chart.palette(dict(zip(names, _SHAPES, strict=False)), legend=legend)
    line = {"mark": {"type": "line", "strokeWidth": 2, "aria": False},
            "encoding": {**ends, "color": chart.nominal("name", **colour), "strokeDash": chart.nominal(
                "name", scale={"domain": names, "range": list(_DASHES[:len(names)])}, legend=None)}}
    point = {"mark": {"type": "point", "filled": True, "size": 45, "opacity": 1,
                      **chart.aloud("{name}, epoch {epoch}: {got}")},
             "encoding": {**ends, "fill": chart.nominal("name", **{**colour, "legend": legend}),
                          "shape": chart.nominal("name", **shape),
                          "tooltip": chart.tooltip(name="What", epoch="Epoch", got=label)}}
    spec = {**chart.base(f"Lines: {label} after each epoch."), "height": height,
            "resolve": {"legend": {"color": "independent", "strokeDash": "independent"}}, "layer": [line, point]}
    return Chart(f"{label} while training", spec, rows, values)
