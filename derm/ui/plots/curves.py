"""Lines, one a group: calibration, sensitivity by threshold, a training run. Draws, measures nothing.

Each group has a shape of its own beside its colour, and a dark edge, so that a print in greyscale can be read.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from derm.ui import scores, words
from derm.ui.plots import chart
from derm.ui.plots.chart import Chart, Spec
from derm.ui.plots.tones import shapes, tones

_HEIGHT = 280
_OWN_LEGEND: Spec = {"legend": {"color": "independent"}}  # else the lines, that have none, take the points' away


def calibration_curves(bins: pd.DataFrame) -> Chart:
    """How often the first answer is right at each stated probability, a line for each group with intervals.

    `bins`: group, n, confidence, right, right_low, right_high; the last three NaN where there are too few.
    """
    shown = bins[bins["right"].notna()]
    groups = list(dict.fromkeys(shown["group"].astype(str)))
    rows = [{"name": scores.group(str(line.group)), "x": float(line.confidence), "y": float(line.right),
             "low": float(line.right_low), "high": float(line.right_high), "n": f"{line.n:,}",
             "said": words.share(line.confidence), "got": words.share(line.right),
             "interval": words.interval(line.right_low, line.right_high)} for line in chart.lines(shown)]
    tip = chart.tooltip(name="Group", said="Stated probability", got="Right", interval="95 % interval", n="Cases")
    ends = _xy("Probability that the model states", "Share of answers that were right")
    ideal = {"data": {"values": [{"x": 0, "y": 0}, {"x": 1, "y": 1}]},
             "mark": {"type": "line", "strokeDash": [4, 3], "color": chart.FAINT, "strokeWidth": 1.2,
                      "aria": False},
             "encoding": ends}
    spread = {"mark": {"type": "rule", "aria": False, "strokeWidth": 1.2},
              "encoding": {**_span(ends), "color": _colour(groups)}}
    spec = {**chart.base("Lines: how often each group's first answer is right, by the probability it stated; "
                         "the dashed line is perfect calibration."), "height": _HEIGHT,
            "resolve": _OWN_LEGEND, "layer": [ideal, spread, *_edged(groups, ends), _points(
                groups, ends, tip, "{name}, stated {said}: right in {got} ({interval}), {n} cases")]}
    return Chart("Calibration by group", spec, rows, bins)


def threshold_curves(curves: pd.DataFrame, *, what: str, at: float | None) -> Chart:
    """Sensitivity or specificity (`what`) of each group at every threshold, with its band; a rule marks `at`.

    `curves`: group, threshold, n, value, low, high.
    """
    shown = curves[curves["value"].notna()]
    groups = list(dict.fromkeys(shown["group"].astype(str)))
    rows = [{"name": scores.group(str(line.group)), "x": float(line.threshold), "y": float(line.value),
             "low": float(line.low), "high": float(line.high), "n": f"{line.n:,}", "at": at,
             "said": words.share(line.threshold), "got": words.share(line.value),
             "interval": words.interval(line.low, line.high), "mark": round(100 * line.threshold) % 10 == 0}
            for line in chart.lines(shown)]
    tip = chart.tooltip(name="Group", said="Threshold", got=what, interval="95 % interval", n="Cases")
    ends = _xy("Called malignant from this probability on", what)
    band = {"mark": {"type": "area", "opacity": 0.16, "aria": False},
            "encoding": {**_span(ends), "color": _colour(groups)}}
    now = {"mark": {"type": "rule", "strokeDash": [4, 3], "color": chart.INK, "aria": False},
           "encoding": {"x": {**ends["x"], "aggregate": "mean", "field": "at"}}}
    points = _points(groups, ends, tip, "{name}, threshold {said}: {got} ({interval}), {n} cases")
    points["transform"] = [{"filter": "datum.mark"}]
    spec = {**chart.base(f"Lines: {what} of each group by the threshold for malignant, with bands."),
            "height": _HEIGHT,
            "resolve": _OWN_LEGEND, "layer": [band, now, *_edged(groups, ends), points]}
    return Chart(f"{what} by threshold", spec, rows, curves)


def training_lines(history: pd.DataFrame, *, label: str) -> Chart:
    """A measure after each epoch of a run, a line for each group; `history`: epoch, group, n, value."""
    groups = list(dict.fromkeys(history["group"].astype(str)))
    rows = [{"name": scores.group(str(line.group)), "x": int(line.epoch), "y": float(line.value),
             "n": f"{line.n:,}", "got": f"{line.value:.2f}", "epoch": f"{line.epoch}"}
            for line in chart.lines(history) if pd.notna(line.value)]
    tip = chart.tooltip(name="Group", epoch="Epoch", got=label, n="Cases")
    ends = {"x": chart.number("x", title="Epoch", axis={"tickMinStep": 1, "grid": False}),
            "y": chart.number("y", title=label, scale={"zero": True})}
    spec = {**chart.base(f"Lines: {label} on the validation photographs of each group after each epoch."),
            "height": 200, "resolve": _OWN_LEGEND, "layer": [*_edged(groups, ends), _points(
                groups, ends, tip, "{name}, epoch {epoch}: {got}, {n} cases")]}
    return Chart(f"{label} while training", spec, rows, history)


def _xy(x: str, y: str) -> Spec:
    axis = {"format": "%", "tickCount": 5}
    return {"x": chart.number("x", title=x, scale={"domain": [0, 1]}, axis=axis),
            "y": chart.number("y", title=y, scale={"domain": [0, 1]}, axis=axis)}


def _span(ends: Spec) -> Spec:
    """From the interval's low end to its high one."""
    return {"x": ends["x"], "y": {**ends["y"], "field": "low"}, "y2": {"field": "high"}}


def _colour(groups: Sequence[str], *, legend: Spec | None = None) -> Spec:
    colours = dict(zip(map(scores.group, groups), tones(groups).values(), strict=True))
    return chart.nominal("name", **chart.palette(colours, legend=legend))


def _edged(groups: Sequence[str], ends: Spec) -> list[Spec]:
    """Each line over a darker one: pale swatches show on white, dark ones on black."""
    return [{"mark": {"type": "line", "strokeWidth": 4, "color": chart.OUTLINE, "aria": False},
             "encoding": {**ends, "detail": chart.text("name")}},
            {"mark": {"type": "line", "strokeWidth": 2.4, "aria": False},
             "encoding": {**ends, "color": _colour(groups)}}]


def _points(groups: Sequence[str], ends: Spec, tip: list[Spec], sentence: str) -> Spec:
    """A point at each value, in its group's shape; they carry the legend and what is said aloud."""
    legend = {"symbolStrokeWidth": 1, "symbolStrokeColor": chart.INK, "columns": {"expr": "width < 320 ? 3 : 6"}}
    shape = chart.palette(dict(zip(map(scores.group, groups), shapes(groups), strict=True)), legend=legend)
    return {"mark": {"type": "point", "filled": True, "size": 80, "opacity": 1, "stroke": chart.INK,
                     "strokeWidth": 1, **chart.aloud(sentence)},
            "encoding": {**ends, "tooltip": tip, "fill": _colour(groups, legend=legend),
                         "shape": chart.nominal("name", **shape)}}
