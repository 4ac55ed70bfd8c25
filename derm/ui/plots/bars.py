"""Bars: how often each value occurs, with its interval. Draws what derm.explore counted; counts nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from derm.ui import theme, words
from derm.ui.plots import chart
from derm.ui.plots.chart import Chart, Spec

_TIP = {"name": "Value", "n": "Pictures", "share": "Share", "interval": "95 % interval"}
_NO_KIND = ""


def fst_bars(distribution: pd.DataFrame, *, share: bool = False, title: str = "Fitzpatrick skin types") -> Chart:
    """Pictures of each skin type in its own tone, the missing ones last; shares come with their intervals.

    `distribution` is that of derm.explore.counts for a column of skin types or groups.
    """
    rows = _rows(distribution, "fst", share=share)
    bar = _bar(chart.palette(chart.SKIN), field="name", share=share)
    spec = _horizontal("Bars: pictures of each Fitzpatrick skin type, the unknown last.", bar, rows, share=share,
                       step=36)
    return Chart(title, spec, rows, distribution)


def label_bars(distribution: pd.DataFrame, *, column: str = "condition", kinds: Mapping[str, str] | None = None,
               share: bool = False) -> Chart:
    """Pictures of each condition or partition, most first, coloured by benign / malignant / non-neoplastic.

    `kinds` says which of the three a value is; what it does not know keeps the colour of the app.
    """
    ordered = distribution.assign(last=distribution["value"] == chart.MISSING)
    ordered = ordered.sort_values(["last", "n"], ascending=[True, False], kind="stable").drop(columns="last")
    rows = _rows(ordered, column, share=share, kinds=kinds or {})
    colours = {name.capitalize(): chart.both(*pair) for name, pair in theme.PARTITION_COLOURS.items()}
    legend = {"values": list(colours), "columns": {"expr": "width < 320 ? 2 : 3"}}
    bar = _bar(chart.palette({**colours, chart.MISSING: chart.NEUTRAL, _NO_KIND: chart.ACCENT},
                             legend=legend if kinds and column != "partition3" else None),
               field="kind", share=share)
    named = words.column(column)
    spec = _horizontal(f"Bars: pictures of each value of {named}, most first.", bar, rows, share=share, step=28)
    return Chart(f"{named}: pictures of each", spec, rows, ordered)


def missing_bars(missingness: pd.DataFrame) -> Chart:
    """How much of each column is missing, as a part of the whole length; complete columns are left out."""
    rows = [{"label": words.wrapped(words.column(str(row.column))), "name": words.column(str(row.column)),
             "part": row.missing / row.n, "full": 1,
             "text": f"{words.share(row.missing / row.n)} ({row.missing:,})",
             "n": f"{row.missing:,} of {row.n:,}", "interval": words.interval(row.low, row.high)}
            for row in chart.lines(missingness) if row.missing]
    thin = {"type": "bar", "cornerRadius": 3, "height": {"band": 0.42}}
    track = {"mark": {**thin, "color": chart.LINE, "aria": False},
             "encoding": {"x": chart.number("full", axis=None, scale=_reserve(108))}}
    part = {"mark": {**thin, "color": chart.GREY,
                     **chart.aloud("{name}: {n} missing ({interval})")},
            "encoding": {"x": chart.number("part"), "tooltip": chart.tooltip(
                name="Column", n="Missing", interval="95 % interval")}}
    text = {"mark": {"type": "text", "aria": False, "align": "left", "dx": 8},
            "encoding": {"x": chart.number("full"), "text": chart.text("text")}}
    spec = chart.layered("Bars: which part of each column is missing.", [track, part, text], rows, step=28,
                         encoding={"y": chart.labels()})
    return Chart("Missing values", spec, rows, missingness)


def source_bars(shares: pd.DataFrame, *, title: str = "Skin types of each source") -> Chart:
    """The skin-type groups of each source, stacked to its whole; a source's own pictures of known type are 100 %.

    `shares` is that of derm.explore.association.Confounding.
    """
    totals = shares.groupby("source", sort=False)["n"].sum()
    rows = [{"label": words.wrapped(str(row.source)) + f"\nn = {totals[row.source]:,}", "name": str(row.source),
             "type": str(row.group).replace("-", "–"), "order": number, "count": int(row.n),
             "n": f"{row.n:,} of {totals[row.source]:,}", "share": words.share(row.share),
             "interval": words.interval(row.low, row.high)}
            for number, row in enumerate(chart.lines(shares))]
    bar = {"mark": {"type": "bar", "height": {"band": 0.62}, "stroke": chart.OUTLINE, "strokeWidth": 0.8,
                    **chart.aloud("{name}, skin types {type}: {n} pictures, {share} ({interval})")},
           "encoding": {
               "x": chart.number("count", stack="normalize", axis={"format": "%", "tickCount": 4, "grid": False}),
               "order": chart.number("order"),
               "color": chart.nominal("type", **chart.palette(
                   {name: chart.SKIN[name] for name in ("I–II", "III–IV", "V–VI")}, legend={})),
               "tooltip": chart.tooltip(name="Source", type="Skin types", n="Pictures", share="Share",
                                        interval="95 % interval")}}
    spec = chart.layered("Stacked bars: the skin-type groups among the pictures of each source.", [bar], rows,
                         step=52, encoding={"y": chart.labels()})
    return Chart(title, spec, rows, shares)


def compare_bars(comparison: pd.DataFrame, *, names: tuple[str, str], column: str) -> Chart:
    """The share of each value in two data sets, one bar above the other, with intervals.

    `comparison` is that of derm.explore.compare; `names` are what the two are called.
    """
    rows = [row for line in chart.lines(comparison) for row in _pair(line, names, column)]
    y = {"y": chart.labels(), "yOffset": chart.nominal("set", scale={"paddingInner": 0.12})}
    x = chart.number("part", axis=None, scale=_reserve(104))
    bar = {"mark": {"type": "bar", "cornerRadiusEnd": 2, "stroke": chart.OUTLINE, "strokeWidth": 0.6,
                    **chart.aloud("{name}, {set}: {n} pictures, {share} ({interval})")},
           "encoding": {"x": x, "tooltip": chart.tooltip(
               name="Value", set="Data set", n="Pictures", share="Share", interval="95 % interval",
               difference="Difference"),
               "color": chart.nominal("set", **chart.palette(
                   dict(zip(names, (chart.ACCENT, chart.SECOND), strict=True)), legend={"columns": 1}))}}
    spec = chart.layered("Pairs of bars: the share of each value in two data sets.", [bar, *_whiskers(), _text()],
                         rows, step=17, encoding=y)
    spec["height"] = {"step": 17, "for": "offset"}
    spec["encoding"]["y"]["scale"] = {"paddingInner": 0.3, "paddingOuter": 0.1}
    return Chart(f"{words.column(column)}: {names[0]} and {names[1]}", spec, rows, comparison)


def _pair(line: Any, names: tuple[str, str], column: str) -> Sequence[dict[str, Any]]:
    name = words.value(column, str(line.value))
    difference = "too few to say" if pd.isna(line.difference) else (
        f"{100 * line.difference:+.1f} points ({100 * line.diff_low:+.1f} to {100 * line.diff_high:+.1f})")
    sides = ((line.n_a, line.share_a, line.low_a, line.high_a), (line.n_b, line.share_b, line.low_b, line.high_b))
    return [{"label": words.wrapped(name), "name": name, "set": of, "n": f"{n:,}", "difference": difference,
             **_share(n, part, low, high)} for of, (n, part, low, high) in zip(names, sides, strict=True)]


def _rows(distribution: pd.DataFrame, column: str, *, share: bool,
          kinds: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    rows = []
    for line in chart.lines(distribution):
        name = words.value(column, str(line.value))
        kind = chart.MISSING if line.value == chart.MISSING else (kinds or {}).get(str(line.value), _NO_KIND)
        row = {"label": words.wrapped(name), "name": name, "kind": kind.capitalize(), "count": int(line.n),
               "n": f"{line.n:,}", **_share(line.n, line.share, line.low, line.high)}
        if not share:
            row |= {"text": row["n"], "end": row["count"]}
        rows.append(row)
    return rows


def _share(n: int, part: float, low: float, high: float) -> dict[str, Any]:
    """A share as bar, whisker, text at its end and in words; None draws nothing."""
    if pd.isna(part):
        return {"part": None, "low": None, "high": None, "end": 0, "share": "too few to say",
                "interval": words.interval(None, None), "text": f"too few (n = {n:,})"}
    return {"part": float(part), "low": float(low), "high": float(high), "end": float(high),
            "share": words.share(part), "interval": words.interval(low, high),
            "text": f"{words.share(part)} ({n:,})"}


def _bar(colour: Spec, *, field: str, share: bool) -> Spec:
    x = chart.number("part" if share else "count", axis=None, scale=_reserve(104 if share else 52))
    return {"mark": {"type": "bar", "cornerRadiusEnd": 3, "stroke": chart.OUTLINE, "strokeWidth": 0.8,
                     "strokeDash": {"expr": f"datum.kind === '{chart.MISSING}' ? [3, 2] : [1, 0]"},
                     "height": {"band": 0.7}, **chart.aloud("{name}: {n} pictures, {share} ({interval})")},
            "encoding": {"x": x, "color": chart.nominal(field, **colour), "tooltip": chart.tooltip(**_TIP)}}


def _horizontal(description: str, bar: Spec, rows: Sequence[Mapping[str, Any]], *, share: bool, step: int) -> Spec:
    layers = [bar, *(_whiskers() if share else []), _text()]
    return chart.layered(description, layers, rows, step=step, encoding={"y": chart.labels()})


def _whiskers() -> list[Spec]:
    """The interval, over a halo so that it shows on a bar of any colour."""
    ends = {"x": chart.number("low"), "x2": {"field": "high"}}
    return [{"mark": {"type": "rule", "aria": False, "strokeWidth": width, "color": colour, "strokeCap": "round"},
             "encoding": ends} for width, colour in ((4.5, chart.PAGE), (1.6, chart.INK))]


def _text() -> Spec:
    """The figure at the end of its bar, or of its interval."""
    return {"mark": {"type": "text", "aria": False, "align": "left", "dx": 6},
            "encoding": {"x": chart.number("end"), "text": chart.text("text")}}


def _reserve(pixels: int) -> Spec:
    """A scale that keeps room for the text at the end of the longest bar, at any width."""
    return {"zero": True, "nice": False, "range": [0, {"expr": f"max(20, width - {pixels})"}]}


