"""Matrices: which pairs of values occur together. Draws what derm.explore counted; counts nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import pandas as pd

from derm.fairness.figure import TOO_FEW
from derm.ui import words
from derm.ui.plots import chart
from derm.ui.plots.chart import MISSING, Chart, Spec

CELL = "cell"  # the selection that a click on the coverage map makes: row and column as derm.explore names them
_NONE, _FEW, _UNKNOWN, _NOTHING = "0: none", f"1–{TOO_FEW - 1}: too few", "Missing", ""
_STEPS = (TOO_FEW, 50, 100, 200, 500)
_BANDS = (*(f"{low}–{high - 1}" for low, high in pairwise(_STEPS)), "500+")
_CLEAR = "transparent"
_FILL: Mapping[str, str] = {_NONE: _CLEAR, _FEW: chart.RAMP[0], **dict(zip(_BANDS, chart.RAMP[1:], strict=True)),
                            _UNKNOWN: chart.NEUTRAL, _NOTHING: _CLEAR}
_TEXT: Mapping[str, str] = {_NONE: chart.ALARM, _FEW: chart.RAMP_INK[0],
                            **dict(zip(_BANDS, chart.RAMP_INK[1:], strict=True)),
                            _UNKNOWN: chart.INK, _NOTHING: chart.FAINT}
_EDGE: Mapping[str, str] = {**dict.fromkeys(_FILL, _CLEAR), _NONE: chart.ALARM, _FEW: chart.ALARM_SOFT,
                            _NOTHING: chart.LINE}
_OWN_COLOURS: Spec = {"scale": {"color": "independent"}}  # cells, figures and swatches do not share one scale
_SHARES = (0.1, 0.25, 0.5, 0.75)
_STRENGTHS = (0.1, 0.3, 0.5, 0.7)


def coverage_map(coverage: pd.DataFrame, *, rows: str = "condition", columns: str = "fst") -> Chart:
    """Pictures of each condition (`rows`) on each skin type or group of types, in every cell its number.

    Empty cells are dashed, cells under TOO_FEW outlined; a click on one is the selection CELL.
    """
    cells = [{"row": line.row, "column": line.column, "label": words.wrapped(words.value(rows, str(line.row))),
              "type": words.value(columns, str(line.column)), "count": int(line.n), "n": f"{line.n:,}",
              "band": _band(line), "name": words.value(rows, str(line.row)), "says": _says(line)}
             for line in chart.lines(coverage)]
    heads = list(dict.fromkeys(cell["type"] for cell in cells))
    x = chart.nominal("type", scale={"domain": heads}, axis={
        "orient": "top", "offset": 15, "labelAngle": 0, "labelPadding": 3, "labelFontSize": _font(13, 11)})
    rect = {"name": "cells",
            "mark": {"type": "rect", "cornerRadius": 3, "cursor": "pointer",
                     "strokeDash": {"expr": f"datum.band === '{_NONE}' ? [3, 2.5] : [1, 0]"}, **_inset(),
                     **chart.aloud("{name}, skin type {type}: {n} pictures")},
            "encoding": {"color": chart.nominal("band", **chart.palette(_FILL, legend=_legend())),
                         "stroke": _edge(),
                         "strokeWidth": {"condition": {"param": CELL, "empty": False, "value": 3}, "value": 1.2},
                         "tooltip": chart.tooltip(name=words.column(rows), type="Skin type", n="Pictures",
                                                  says="Note")}}
    spec = chart.layered(
        "Matrix: the number of pictures of each condition on each Fitzpatrick skin type; empty cells are dashed.",
        [_swatches(), rect, _figures(_TEXT)], cells, step=32, encoding={"x": x, "y": chart.labels()},
        params=[{"name": CELL, "select": {"type": "point", "fields": ["row", "column"]}, "views": ["cells"]}],
        resolve=_OWN_COLOURS)
    return Chart(f"Pictures by {words.column(rows).lower()} and skin type", spec, cells, coverage)


def agreement_map(matrix: pd.DataFrame, *, rows: str, columns: str) -> Chart:
    """How often annotator `rows` and annotator `columns` say what, the same on the diagonal, outlined.

    `matrix` is that of derm.explore.agreement; shades are shares of a row, figures are pictures.
    """
    totals = matrix.groupby("a", sort=False)["n"].sum()
    cells = [{"label": words.value("group", str(line.a)), "type": words.value("group", str(line.b)),
              "n": f"{line.n:,}",
              "band": _graded(line.n / totals[line.a] if line.n else None, _SHARES), "same": line.a == line.b,
              "share": words.share(line.n / totals[line.a]) if totals[line.a] else ""}
             for line in chart.lines(matrix)]
    rect = {"mark": {"type": "rect", "cornerRadius": 3, "strokeWidth": {"expr": "datum.same ? 2 : 0"},
                     "stroke": chart.INK, **_inset(),
                     **chart.aloud(f"{rows} {{label}}, {columns} {{type}}: {{n}} pictures")},
            "encoding": {"color": chart.nominal("band", **chart.palette(_grades(_SHARES))),
                         "tooltip": chart.tooltip(label=rows, type=columns, n="Pictures",
                                                  share="Share of the row")}}
    axis = {"orient": "top", "labelAngle": 0, "title": columns, "titlePadding": 8, "labelFontSize": 13}
    y = chart.nominal("label", axis={"title": rows, "titlePadding": 8, "labelFontSize": 13})
    spec = chart.layered(f"Matrix: how often {rows} and {columns} give the same or another value.",
                         [rect, _figures(_inks(_SHARES))], cells, step=34,
                         encoding={"x": chart.nominal("type", axis=axis), "y": y}, resolve=_OWN_COLOURS)
    return Chart(f"{rows} and {columns}", spec, cells, matrix)


def association_map(association: pd.DataFrame) -> Chart:
    """How strongly each pair of columns goes together (Cramer's V, 0 to 1); pairs of too few rows are empty."""
    cells = [{"label": words.wrapped(words.column(str(line.b))), "type": words.column(str(line.a)),
              "band": _graded(None if pd.isna(line.v) else line.v, _STRENGTHS),
              "n": "–" if pd.isna(line.v) else f"{line.v:.2f}".replace("0.", ".", 1),
              "pair": f"{words.column(str(line.a))} with {words.column(str(line.b))}",
              "v": "too few, or only one value" if pd.isna(line.v) else f"{line.v:.2f}",
              "interval": "" if pd.isna(line.low) else f"{line.low:.2f}–{line.high:.2f}", "known": f"{line.n:,}"}
             for line in chart.lines(association)]
    rect = {"mark": {"type": "rect", "cornerRadius": 3, "stroke": chart.LINE, "strokeWidth": 0.8, **_inset(),
                     **chart.aloud("{pair}: {v}")},
            "encoding": {"color": chart.nominal("band", **chart.palette(_grades(_STRENGTHS))),
                         "tooltip": chart.tooltip(pair="Columns", v="Cramer's V", interval="95 % interval",
                                                  known="Pictures")}}
    axis = {"labelAngle": -50, "labelOverlap": False, "labelAlign": "right", "labelBaseline": "middle"}
    spec = chart.layered("Matrix: how strongly each pair of columns goes together, 0 not at all, 1 fully.",
                         [rect, _figures(_inks(_STRENGTHS))], cells, step=32,
                         encoding={"x": chart.nominal("type", axis=axis), "y": chart.labels()},
                         resolve=_OWN_COLOURS)
    return Chart("What goes together (Cramer's V)", spec, cells, association)


def _band(line: Any) -> str:
    if MISSING in (line.row, line.column):  # nobody's gap
        return _UNKNOWN if line.n else _NOTHING
    if line.n < TOO_FEW:
        return _FEW if line.n else _NONE
    return _BANDS[sum(line.n >= step for step in _STEPS) - 1]


def _says(line: Any) -> str:
    if MISSING in (line.row, line.column) or line.n >= TOO_FEW:
        return "Click to see them" if line.n else ""
    return f"Under {TOO_FEW}: too few for a figure" if line.n else "No picture at all"


def _legend() -> Spec:
    """Only what needs a word: the shades explain themselves, for every cell has its number."""
    return {"values": [_NONE, _FEW], "symbolStrokeWidth": 1.2, "symbolStrokeColor": chart.ALARM, "columns": 2}


def _edge() -> Spec:
    """The chosen cell's outline, else the outline that its number calls for."""
    chosen = {"condition": {"param": CELL, "empty": False, "value": chart.INK}}
    return {**chosen, **chart.nominal("band", **chart.palette(_EDGE))}


def _swatches() -> Spec:
    """Each type's tone between its numeral and its column."""
    return {"transform": [{"aggregate": [{"op": "sum", "field": "count", "as": "total"}], "groupby": ["type"]}],
            "mark": {"type": "rect", "stroke": chart.OUTLINE, "strokeWidth": 0.8, "cornerRadius": 2, "aria": False,
                     **_inset()},
            "encoding": {"y": {"value": -13}, "y2": {"value": -5},
                         "color": chart.nominal("type", **chart.palette(chart.SKIN)),
                         "tooltip": [{"field": "type", "type": "nominal", "title": "Skin type"},
                                     {"field": "total", "type": "quantitative", "format": ",",
                                      "title": "Pictures"}]}}


def _figures(inks: Mapping[str, str]) -> Spec:
    """The number in each cell, in what can be read on the cell's shade, smaller where cells are narrow."""
    return {"mark": {"type": "text", "aria": False, "fontSize": _font(12, 10)},
            "encoding": {"text": chart.text("n"), "color": chart.nominal("band", **chart.palette(inks))}}


def _font(wide: int, narrow: int) -> Spec:
    return {"expr": f"width < 300 ? {narrow} : {wide}"}


def _inset() -> Spec:
    """Cells a little smaller than their place: the page shows between them."""
    return {"width": {"band": 0.94}, "height": {"band": 0.9}}


def _graded(value: float | None, steps: Sequence[float]) -> str:
    return "none" if value is None else str(sum(value >= step for step in steps))


def _grades(steps: Sequence[float]) -> dict[str, str]:
    return {"none": _CLEAR, **{str(i): chart.RAMP[i if i < 2 else i + 1] for i in range(len(steps) + 1)}}


def _inks(steps: Sequence[float]) -> dict[str, str]:
    return {"none": chart.FAINT, **{str(i): chart.RAMP_INK[i if i < 2 else i + 1] for i in range(len(steps) + 1)}}
