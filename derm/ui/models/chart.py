"""Several models in each skin-type group: a point and its interval for each. Draws figures only."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from derm.fairness.figure import Figure
from derm.ui import scores
from derm.ui.plots import chart
from derm.ui.plots.chart import Chart
from derm.ui.plots.tones import shapes

COLOURS = (chart.ACCENT, chart.SECOND, chart.both("#5868b0", "#97a5ea"), chart.both("#7a3b2a", "#d98a70"),
           chart.both("#6b7f2a", "#b6cc72"), chart.both("#8a4f86", "#d3a0cf"))


def group_points(figures: Mapping[str, Mapping[str, Figure]], *, label: str, share: bool) -> Chart:
    """`figures` of each model by group: a row a group, a point a model in it, with its interval.

    `share`: percentages, on a scale from 0 to 1. At most as many models as COLOURS.
    """
    groups = list(dict.fromkeys(group for found in figures.values() for group in found))
    called = {group: _label(group, figures) for group in groups}
    rows = [{"label": called[group], **_row(group, model, found[group], share=share)}
            for group in groups for model, found in figures.items() if group in found]
    names = list(figures)
    x = chart.number("value", axis={"tickCount": 5, **({"format": "%"} if share else {})},
                     scale={"zero": True, "nice": False, "domain": [0, 1]})
    legend = {"columns": {"expr": "width < 420 ? 1 : 3"}}
    colour = chart.nominal("model", **chart.palette(dict(zip(names, COLOURS, strict=False)), legend=legend))
    shape = chart.nominal("model", **chart.palette(dict(zip(names, shapes(names), strict=True)), legend=legend))
    rule = {"mark": {"type": "rule", "aria": False, "strokeWidth": 2.2, "strokeCap": "round"},
            "encoding": {"x": {**x, "field": "low"}, "x2": {"field": "high"}, "color": colour}}
    tip = chart.tooltip(model="Model", group="Skin types", said=label, interval="95 % interval", n="Photographs")
    point = {"mark": {"type": "point", "filled": True, "size": 90, "opacity": 1,
                      **chart.aloud("{model}, {group}: {said} ({interval}), {n} photographs")},
             "encoding": {"x": x, "tooltip": tip, "color": colour, "shape": shape}}
    spec = chart.layered(f"Points: {label} of each model in each skin-type group, with intervals.", [rule, point],
                         rows, step=24, encoding={
                             "y": chart.labels(),
                             "yOffset": chart.nominal("model", scale={"paddingInner": 0.2, "paddingOuter": 0.2})})
    spec["height"] = {"step": 24, "for": "offset"}
    spec["encoding"]["y"]["scale"] = {"paddingInner": 0.25, "paddingOuter": 0.1}
    return Chart(f"{label} of the models by skin type", spec, rows, _frame(figures))


def _label(group: str, figures: Mapping[str, Mapping[str, Figure]]) -> str:
    """'V–VI' over 'n = 61', or over each model's n where they differ."""
    counts = dict.fromkeys(f"{found[group].n:,}" for found in figures.values() if group in found)
    return f"{scores.group(group)}\nn = {', '.join(counts)}"


def _row(group: str, model: str, one: Figure, *, share: bool) -> dict[str, object]:
    return {"group": scores.group(group), "model": model, "value": one.value, "low": one.low, "high": one.high,
            "n": f"{one.n:,}", "said": scores.value(one, share=share),
            "interval": scores.interval(one, share=share)}


def _frame(figures: Mapping[str, Mapping[str, Figure]]) -> pd.DataFrame:
    return pd.DataFrame([{"model": model, "group": group, "n": one.n, "value": one.value, "low": one.low,
                          "high": one.high} for model, found in figures.items() for group, one in found.items()])
