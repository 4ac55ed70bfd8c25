"""Models beside one another: how good each is against how far apart its groups are. Draws figures only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from derm.fairness.figure import Figure
from derm.ui import scores
from derm.ui.plots import chart
from derm.ui.plots.chart import Chart
from derm.ui.plots.tones import shapes

_COLOURS = (chart.ACCENT, chart.SECOND, chart.both("#5868b0", "#97a5ea"), chart.both("#7a3b2a", "#d98a70"))


@dataclass(frozen=True)
class Compared:
    """One model: how good it is over all cases, the gap between its groups, and whether no other beats both."""

    name: str
    overall: Figure
    gap: Figure
    best: bool


def model_scatter(models: Sequence[Compared], *, label: str, share: bool) -> Chart:
    """`label` over all cases (up is better) against the gap between groups (left is fairer), with both intervals.

    The stepped line joins the models that no other beats in both (the Pareto front).
    """
    rows = [{"name": model.name, "x": model.gap.value, "x_low": model.gap.low, "x_high": model.gap.high,
             "y": model.overall.value, "y_low": model.overall.low, "y_high": model.overall.high,
             "n": f"{model.overall.n:,}", "best": model.best, "n_gap": f"{model.gap.n:,}",
             "good": f"{scores.value(model.overall, share=share)} [{scores.interval(model.overall, share=share)}]",
             "apart": f"{scores.value(model.gap, share=share)} [{scores.interval(model.gap, share=share)}]"}
            for model in models if model.gap.value is not None and model.overall.value is not None]
    form = {"format": "%"} if share else {}
    x = chart.number("x", title="Gap between the worst and the best group", axis={**form, "tickCount": 5},
                     scale={"zero": True, "nice": True})
    y = chart.number("y", title=label, axis={**form, "tickCount": 5}, scale={"zero": False, "nice": True})
    names = [str(row["name"]) for row in rows]
    colour = chart.palette({name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(names)})
    shape = chart.palette(dict(zip(names, shapes(names), strict=True)))
    tip = chart.tooltip(name="Model", good=label, n="Cases", apart="Gap", n_gap="Cases in the two groups")
    rules = [{"mark": {"type": "rule", "strokeWidth": 1.4, "aria": False},
              "encoding": {"x": {**x, "field": low}, "y": {**y, "field": up}, end: {"field": high},
                           "color": chart.nominal("name", **colour)}}
             for low, up, end, high in (("x_low", "y", "x2", "x_high"), ("x", "y_low", "y2", "y_high"))]
    front = {"transform": [{"filter": "datum.best"}],
             "mark": {"type": "line", "interpolate": "step-after", "strokeDash": [4, 3], "color": chart.FAINT,
                      "aria": False}, "encoding": {"x": x, "y": y}}
    point = {"mark": {"type": "point", "filled": True, "size": 130, "opacity": 1, "stroke": chart.INK,
                      "strokeWidth": 1, **chart.aloud("{name}: " + label + " {good}, gap {apart}, {n} cases")},
             "encoding": {"x": x, "y": y, "fill": chart.nominal("name", **colour),
                          "shape": chart.nominal("name", **shape), "tooltip": tip}}
    right = "scale('x', datum.x) > width / 2"  # so that no name leaves the chart
    text = {"mark": {"type": "text", "aria": False, "dx": {"expr": f"{right} ? -10 : 10"}, "dy": -10,
                     "align": {"expr": f"{right} ? 'right' : 'left'"}},
            "encoding": {"x": x, "y": y, "text": chart.text("name")}}
    spec = {**chart.base(f"Points: {label} of each model against the gap between its groups, with intervals."),
            "height": 320, "layer": [front, *rules, point, text]}
    return Chart(f"{label} against the gap", spec, rows, _frame(models))


def _frame(models: Sequence[Compared]) -> pd.DataFrame:
    return pd.DataFrame([{"model": model.name, "n": model.overall.n, "value": model.overall.value,
                          "low": model.overall.low, "high": model.overall.high, "gap": model.gap.value,
                          "gap_low": model.gap.low, "gap_high": model.gap.high, "gap_n": model.gap.n,
                          "pareto": model.best} for model in models])
