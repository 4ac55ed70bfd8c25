"""Matrices of what a model gets right: sensitivity by condition and group, confusion, two confusions' difference.

Draws what derm.fairness counted; counts nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from derm.fairness.figure import TOO_FEW
from derm.schema import display_name
from derm.ui import scores, words
from derm.ui.plots import chart
from derm.ui.plots.chart import Chart, Spec

_NAMED = 5  # columns that have room for a name
PAIR = "pair"  # the selection that a click on a cell makes
_NONE, _FEW = "0: none", f"Under {TOO_FEW}: too few"
_STEPS = (0.2, 0.4, 0.6, 0.8)
_BANDS = ("0–19 %", "20–39 %", "40–59 %", "60–79 %", "80–100 %")
_CLEAR = "transparent"
_SHADES: Mapping[str, str] = {_NONE: _CLEAR, _FEW: _CLEAR, **dict(zip(_BANDS, chart.RAMP[1:], strict=True))}
_INKS: Mapping[str, str] = {_NONE: chart.FAINT, _FEW: chart.FAINT,
                            **dict(zip(_BANDS, chart.RAMP_INK[1:], strict=True))}
# What group A has more often than B, and less often; strong, weak, about the same. The sign stands in the cell.
_MORE = (chart.both("#f3c9a9", "#5d3a22"), chart.both("#d9772f", "#c96f34"))
_LESS = (chart.RAMP[1], chart.RAMP[4])
_INKS_OF = {_MORE[0]: chart.INK, _MORE[1]: chart.both("#18292b", "#0c1416"), _LESS[0]: chart.INK,
            _LESS[1]: chart.RAMP_INK[4], _CLEAR: chart.FAINT}
_OWN_COLOURS: Spec = {"scale": {"color": "independent"}}


def sensitivity_map(cells: pd.DataFrame) -> Chart:
    """How often each condition is recognised on each group: in every cell the share and its n.

    `cells` is that of `derm.fairness.matrices.by_condition`; below TOO_FEW only n stands in the cell. A click on
    one is the selection PAIR: condition and group.
    """
    rows = [{"label": words.wrapped(display_name(line.condition)), "name": display_name(line.condition),
             "condition": line.condition, "group": str(line.group), "type": scores.group(str(line.group)),
             **_cell(line)} for line in chart.lines(cells)]
    rect = {"name": "cells",
            "mark": {"type": "rect", "cornerRadius": 3, "cursor": "pointer",
                     "strokeDash": {"expr": f"datum.band === '{_NONE}' ? [3, 2.5] : [1, 0]"}, **_inset(),
                     **chart.aloud("{name}, {type}: {said}")},
            "encoding": {"color": chart.nominal("band", **chart.palette(_SHADES, legend=_legend())),
                         "stroke": {"condition": {"param": PAIR, "empty": False, "value": chart.INK},
                                    "value": chart.LINE},
                         "strokeWidth": {"condition": {"param": PAIR, "empty": False, "value": 3}, "value": 1},
                         "tooltip": chart.tooltip(name="Condition", type="Group", said="Recognised",
                                                  interval="95 % interval", n="Cases")}}
    ink = chart.nominal("band", **chart.palette(_INKS))
    top = {"mark": {"type": "text", "aria": False, "dy": -5, "fontSize": 12},
           "encoding": {"text": chart.text("share"), "color": ink}}
    below = {"mark": {"type": "text", "aria": False, "dy": {"expr": "datum.share ? 8 : 0"}, "fontSize": 10},
             "encoding": {"text": chart.text("small"), "color": ink}}
    spec = chart.layered(
        "Matrix: how often each condition is recognised on each group, in every cell the share and n.",
        [rect, top, below], rows, step=38,
        encoding={"x": _heads("type"), "y": chart.labels()}, resolve=_OWN_COLOURS,
        params=[{"name": PAIR, "select": {"type": "point", "fields": ["condition", "group"]}, "views": ["cells"]}])
    return Chart("Sensitivity by condition and group", spec, rows, cells)


def confusion_map(cells: pd.DataFrame, *, group: str) -> Chart:
    """What the cases of each condition (rows) are called (columns) in one group; shades are shares of a row.

    `cells` is that of `derm.fairness.matrices.confusion`: where a row has too few cases its counts have no shade.
    A click on a cell is the selection PAIR: truth and predicted.
    """
    names = _names(cells)
    rows = [{**names(line), "n": f"{line.n:,}", "text": f"{line.n:,}" if line.n else "",
             "share": words.share(line.share) or "too few to say", "of": f"{line.n:,} of {line.of:,}",
             "interval": words.interval(line.low, line.high), **_shade(line.share if line.n else None)}
            for line in chart.lines(cells)]
    spec = _square(f"Matrix: what the cases of each condition are called, {scores.group(group)}.", rows,
                   chart.tooltip(name="Is", called="Called", of="Cases", share="Share of the row",
                                 interval="95 % interval"),
                   "{name} called {called}: {of}")
    return Chart(f"Confusion, {scores.group(group)}", spec, rows, cells)


def difference_map(cells: pd.DataFrame, *, groups: tuple[str, str]) -> Chart:
    """How many points more of a condition's cases are called something in the first group than in the second.

    `cells` is that of `derm.fairness.matrices.difference`; strong shades are more than chance would give.
    """
    first, second = (scores.group(group) for group in groups)
    names = _names(cells)
    rows = []
    for line in chart.lines(cells):
        apart = None if pd.isna(line.value) else float(line.value)
        sure = apart is not None and (line.low > 0 or line.high < 0)
        tone = _tone(apart, sure=sure)
        rows.append({**names(line), "n": f"{line.of_a:,} and {line.of_b:,}", "text": _signed(apart),
                     "points": "too few to compare" if apart is None else
                     f"{_signed(apart) or '0'} points ({_points(line.low)} to {_points(line.high)})",
                     "tone": tone, "ink": _INKS_OF[tone]})
    spec = _square(f"Matrix: points by which {first} and {second} differ in what each condition is called.", rows,
                   chart.tooltip(name="Is", called="Called", points=f"{first} minus {second}", n="Cases"),
                   "{name} called {called}: {points}")
    return Chart(f"Confusion, {first} minus {second}", spec, rows, cells)


def _cell(line: Any) -> dict[str, Any]:
    n = int(line.n)
    if not n:
        return {"band": _NONE, "share": "", "small": "0", "said": "no case", "interval": "", "n": "0"}
    if pd.isna(line.sensitivity):
        return {"band": _FEW, "share": "", "small": f"n {n:,}", "said": "too few to say", "interval": "too few",
                "n": f"{n:,}"}
    return {"band": _BANDS[sum(line.sensitivity >= step for step in _STEPS)],
            "share": f"{100 * line.sensitivity:.0f}\N{NO-BREAK SPACE}%", "small": f"n {n:,}",
            "said": words.share(line.sensitivity), "interval": words.interval(line.low, line.high), "n": f"{n:,}"}


def _names(cells: pd.DataFrame) -> Callable[[Any], dict[str, Any]]:
    """How a cell's row and column are called; many columns by the numbers of their rows, to fit any width."""
    number = {name: i for i, name in enumerate(cells["predicted"].unique(), 1)}

    def names(line: Any) -> dict[str, Any]:
        called, truth = display_name(line.predicted), display_name(line.truth)
        few = len(number) <= _NAMED
        return {"label": truth if few else f"{truth} {number[line.truth]}", "name": truth, "truth": line.truth,
                "head": called if few else str(number[line.predicted]), "called": called,
                "predicted": line.predicted}

    return names


def _square(description: str, rows: list[dict[str, Any]], tip: list[Spec], sentence: str) -> Spec:
    rect = {"name": "cells",
            "mark": {"type": "rect", "cornerRadius": 2, "cursor": "pointer", **_inset(), **chart.aloud(sentence)},
            "encoding": {"fill": {"field": "tone", "type": "nominal", "scale": None}, "tooltip": tip,
                         "stroke": {"condition": {"param": PAIR, "empty": False, "value": chart.INK},
                                    "value": chart.LINE},
                         "strokeWidth": {"condition": {"param": PAIR, "empty": False, "value": 3},
                                         "value": {"expr": "datum.truth === datum.predicted ? 1.6 : 0.5"}}}}
    size = {"expr": "width < 330 && length(datum.head) < 3 ? 8 : 11"}
    figure = {"mark": {"type": "text", "aria": False, "fontSize": size},
              "encoding": {"text": chart.text("text"),
                           "color": {"field": "ink", "type": "nominal", "scale": None}}}
    x = chart.nominal("head", axis={"orient": "top", "labelAngle": 0, "labelOverlap": False, "title": "Called",
                                    "labelFontSize": {"expr": "width < 330 ? 9 : 12"}})
    return chart.layered(description, [rect, figure], rows, step=24, encoding={"x": x, "y": chart.labels()},
                         params=[{"name": PAIR, "select": {"type": "point", "fields": ["truth", "predicted"]},
                                  "views": ["cells"]}])


def _heads(field: str) -> Spec:
    return chart.nominal(field, axis={"orient": "top", "labelAngle": 0, "labelPadding": 6,
                                      "labelFontSize": {"expr": "width < 300 ? 11 : 13"}})


def _legend() -> Spec:
    return {"values": [_FEW, *_BANDS], "symbolStrokeWidth": 1, "symbolStrokeColor": chart.OUTLINE,
            "columns": {"expr": "width < 320 ? 2 : 6"}}


def _inset() -> Spec:
    """Cells a little smaller than their place: the page shows between them."""
    return {"width": {"band": 0.95}, "height": {"band": 0.92}}


def _shade(share: float | None) -> dict[str, str]:
    """The cell's colour and that of its number; none for a share that is not known."""
    if share is None or pd.isna(share):
        return {"tone": _CLEAR, "ink": chart.INK}
    step = 1 + sum(share >= step for step in _STEPS)
    return {"tone": chart.RAMP[step], "ink": chart.RAMP_INK[step]}


def _signed(apart: float | None) -> str:
    """'+12' or '−7' points; nothing where they are alike."""
    return "" if apart is None or abs(apart) < 0.005 else _points(apart)


def _points(apart: float) -> str:
    return f"{100 * apart:+.0f}".replace("-", "−")


def _tone(apart: float | None, *, sure: bool) -> str:
    if apart is None or abs(apart) < 0.005:
        return _CLEAR
    return (_MORE if apart > 0 else _LESS)[sure]
