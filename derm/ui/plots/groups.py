"""One measure in each group: bars with intervals and n, and before beside after. Draws figures only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from derm.fairness.figure import TOO_FEW, Figure
from derm.fairness.groups import compared
from derm.ui import scores, words
from derm.ui.plots import chart
from derm.ui.plots.chart import Chart, Spec
from derm.ui.plots.tones import tones
from derm.ui.scores import ALL

GROUP = "group"  # the selection that a click on a bar makes: the group as derm.fairness names it
_BEFORE, _AFTER = "As the model is", "What if"


def group_bars(figures: Mapping[str, Figure], *, label: str, share: bool, minimum: int = TOO_FEW,
               noun: str = "cases") -> Chart:
    """A bar for each group with its interval and n; grey where n is below `minimum` or the group is not compared.

    `figures` may hold ALL, whose value is the line through all. `share`: percentages, on a scale of 0 to 1.
    `noun` are what n counts. A click on a bar is the selection GROUP.
    """
    colours = tones(list(figures))
    overall = figures[ALL].value if ALL in figures else None
    rows = [_row(group, figure, colours[group], overall, share=share, minimum=minimum)
            for group, figure in figures.items()]
    x = chart.number("value", axis=None, scale=_scale(share))
    tip = chart.tooltip(name="Group", said=label, interval="95 % interval", n=noun.capitalize(), note="Note")
    bar = {"name": "bars",
           "mark": {"type": "bar", "cornerRadiusEnd": 3, "height": {"band": 0.7}, "cursor": "pointer",
                    "strokeDash": {"expr": "datum.faint ? [3, 2] : [1, 0]"},
                    **chart.aloud("{name}: {said} ({interval}), {n} " + noun + ". {note}")},
           "encoding": {"x": x, "tooltip": tip, "fill": _own("tone"),
                        "stroke": {"condition": {"param": GROUP, "empty": False, "value": chart.INK},
                                   "value": chart.OUTLINE},
                        "strokeWidth": {"condition": {"param": GROUP, "empty": False, "value": 2.5},
                                        "value": 0.8}}}
    line = {"mark": {"type": "tick", "aria": False, "height": {"band": 1}, "thickness": 1.2, "color": chart.FAINT},
            "encoding": {"x": chart.number("overall")}}
    spec = chart.layered(
        f"Bars: {label} of each group, with intervals; grey bars are too small to compare.",
        [line, bar, *_whiskers(), *_texts()], rows, step=42, encoding={"y": chart.labels()},
        params=[{"name": GROUP, "select": {"type": "point", "fields": ["group"]}, "views": ["bars"]}])
    return Chart(f"{label} by group", spec, rows, _frame(figures, minimum))


def effect_bars(before: Mapping[str, Figure], after: Mapping[str, Figure], *, label: str, share: bool) -> Chart:
    """What a change would do to each group: a bar for the figure as it is, below it what it would be."""
    rows = [{**_row(group, figure, chart.NEUTRAL if when == _BEFORE else colour, None, share=share, minimum=0),
             "label": words.wrapped(scores.group(group)), "when": when}
            for (group, first), colour in zip(before.items(), tones(list(before)).values(), strict=True)
            for when, figure in ((_BEFORE, first), (_AFTER, after[group]))]
    for row in rows:  # n may differ between the two, so it stands with each
        row |= {key: f"{row[key]}, n = {row['n']}" for key in ("short", "text")}
    bar = {"mark": {"type": "bar", "cornerRadiusEnd": 2, "stroke": chart.OUTLINE, "strokeWidth": 0.8,
                    **chart.aloud("{name}, {when}: {said} ({interval}), {n} cases")},
           "encoding": {"x": chart.number("value", axis=None, scale=_scale(share, room=(112, 215))),
                        "fill": _own("tone"), "tooltip": chart.tooltip(
                            name="Group", when="When", said=label, interval="95 % interval", n="Cases")}}
    spec = chart.layered(f"Pairs of bars: {label} of each group as the model is, and as it would be.",
                         [bar, *_whiskers(), *_texts()], rows, step=20,
                         encoding={"y": chart.labels(),
                                   "yOffset": chart.nominal("when", scale={"paddingInner": 0.12})})
    spec["height"] = {"step": 20, "for": "offset"}
    spec["encoding"]["y"]["scale"] = {"paddingInner": 0.3, "paddingOuter": 0.1}
    frame = pd.concat([_frame(side, 0).assign(when=when) for when, side in ((_BEFORE, before), (_AFTER, after))])
    return Chart(f"{label}: before and after", spec, rows, frame)


def _row(group: str, figure: Figure, tone: str, overall: float | None, *, share: bool,
         minimum: int) -> dict[str, Any]:
    name, note = scores.group(group), ""
    if group != ALL and not compared(group):
        note = "Shown, not compared"
    elif figure.value is not None and figure.n < minimum:
        note = f"Below the minimum of {minimum:,}: not compared"
    faint = bool(note) or figure.value is None
    said = scores.value(figure, share=share)
    return {"label": f"{words.wrapped(name)}\nn = {figure.n:,}", "name": name, "group": group, "note": note,
            "tone": chart.NEUTRAL if faint else tone, "faint": faint, "n": f"{figure.n:,}", "overall": overall,
            "value": figure.value, "low": figure.low, "high": figure.high,
            "end": figure.high if figure.high is not None else 0.0, "said": said, "short": said,
            "interval": scores.interval(figure, share=share),
            "text": said if figure.value is None else f"{said}  [{scores.interval(figure, share=share)}]"}


def _frame(figures: Mapping[str, Figure], minimum: int) -> pd.DataFrame:
    return pd.DataFrame([{"group": group, "n": figure.n, "value": figure.value, "low": figure.low,
                          "high": figure.high,
                          "compared": group != ALL and compared(group) and figure.n >= max(minimum, TOO_FEW)}
                         for group, figure in figures.items()])


def _whiskers() -> list[Spec]:
    """The interval, over a halo so that it shows on a bar of any colour."""
    ends = {"x": chart.number("low"), "x2": {"field": "high"}}
    return [{"mark": {"type": "rule", "aria": False, "strokeWidth": width, "color": colour, "strokeCap": "round"},
             "encoding": ends} for width, colour in ((4.5, chart.PAGE), (1.6, chart.INK))]


def _texts() -> list[Spec]:
    """The figure at the end of its interval, with the interval where there is room."""
    return [{"mark": {"type": "text", "aria": False, "align": "left", "dx": 6,
                      "text": {"expr": "width < 330 ? datum.short : datum.text"},
                      "color": {"expr": f"datum.faint ? '{chart.FAINT}' : '{chart.INK}'"}},
             "encoding": {"x": chart.number("end")}}]


def _scale(share: bool, *, room: tuple[int, int] = (62, 150)) -> Spec:
    """Room for the text at the end of the longest bar where it is narrow and where not; a share's scale stays."""
    end = {"expr": f"max(20, width - (width < 330 ? {room[0]} : {room[1]}))"}
    return {"zero": True, "nice": False, "range": [0, end], **({"domain": [0, 1]} if share else {})}


def _own(field: str) -> Spec:
    """The colour that stands in the row."""
    return {"field": field, "type": "nominal", "scale": None}

