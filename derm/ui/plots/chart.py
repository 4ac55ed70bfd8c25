"""What every chart is made of: its look, its parts, its file. Knows Vega-Lite; no tables of pictures, no pages.

A chart is a plain Vega-Lite specification and not an Altair object: building and validating one of those costs
tens of milliseconds, more than all figures of a page together. The tests hold each against Altair's schema. A
specification depends on the kind of chart only; data travels beside it, so that a filter changes a chart in place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from derm.schema import SkinType
from derm.ui import theme

Spec = dict[str, Any]

_VEGA_LITE = "6.4"  # the newest that vl_convert carries
_WIDTH = 720        # of an exported chart, in pixels, without its labels
_LIGHT_OF_BOTH = re.compile(r"light-dark\((#[0-9a-f]+), #[0-9a-f]+\)")


def both(light: str, dark: str) -> str:
    """One colour for the light and one for the dark theme; the browser picks, so no chart is drawn twice."""
    return f"light-dark({light}, {dark})"


PAGE = both("#fbfcfb", "#101a1d")
INK = both("#18292b", "#e3eceb")
FAINT = both("#18292b99", "#e3eceb99")
LINE = both("#18292b24", "#e3eceb2e")
OUTLINE = both("#18292b66", "#e3ecebaa")  # light swatches show on white, dark ones on black
GREY = both("#7d8d90", "#8b9ba0")
NEUTRAL = both("#c9d1d1", "#4b5a5f")
ALARM = both("#b3461b", "#f0955a")
ALARM_SOFT = both("#b3461b99", "#f0955a99")
ACCENT = both(*theme.ACCENT)
SECOND = both("#a8620f", "#e3ad5f")  # told apart from ACCENT by colour-blind people
# From few to many; paler on white, darker on black. RAMP_INK is what can be read on each.
RAMP = (both("#e3f1ef", "#1b3335"), both("#bfe0db", "#1f4a48"), both("#8cc7bf", "#256460"),
        both("#4fa59b", "#2f7a72"), both("#1f7f78", "#55b3a6"), both("#0b5350", "#9be0d3"))
RAMP_INK = (*(both("#18292b", "#e3eceb"),) * 4, *(both("#ffffff", "#0c1416"),) * 2)
MISSING = "Missing"
SKIN: Mapping[str, str] = {
    **{skin.name: colour for skin, colour in theme.SWATCHES.items()},
    "I–II": theme.SWATCHES[SkinType.II], "III–IV": theme.SWATCHES[SkinType.IV],
    "V–VI": theme.SWATCHES[SkinType.V], MISSING: NEUTRAL}


@dataclass(frozen=True, eq=False)
class Chart:
    """A chart: `spec` without data, `rows` as it draws them (all values JSON), `figures` as a reader may want
    them in a file, `title` for that file."""

    title: str
    spec: Spec
    rows: Sequence[Mapping[str, Any]]
    figures: pd.DataFrame

    def complete(self) -> Spec:
        """A specification that holds its data, as Vega-Lite takes it anywhere."""
        return {**self.spec, "data": {"values": list(self.rows)}}


def export(chart: Chart, kind: Literal["png", "svg"], *, source: str) -> bytes:
    """The chart as a file on white, with its title and what data set it is of; the same chart, the same bytes."""
    import vl_convert

    spec = json.loads(_LIGHT_OF_BOTH.sub(r"\1", json.dumps(chart.complete())))
    spec |= {"width": _WIDTH, "background": "#ffffff", "padding": 16,
             "title": {"text": chart.title, "subtitle": source, "anchor": "start", "frame": "bounds",
                       "fontSize": 16, "offset": 14}}
    spec["config"] = {**spec["config"], "font": "sans-serif"}
    if kind == "svg":
        return _renumbered(vl_convert.vegalite_to_svg(spec, vl_version=_VEGA_LITE)).encode()
    return bytes(vl_convert.vegalite_to_png(spec, vl_version=_VEGA_LITE, scale=2))


def _renumbered(svg: str) -> str:
    """The clip paths counted from 1: Vega goes on counting from one chart of a process to the next."""
    numbers: dict[str, int] = {}
    return re.sub(r'(?<=url\(#clip)\d+(?=\))|(?<=id="clip)\d+(?=")',
                  lambda found: str(numbers.setdefault(found[0], len(numbers) + 1)), svg)


def layered(description: str, layers: Sequence[Spec], rows: Sequence[Mapping[str, Any]], *, step: int,
            **more: Any) -> Spec:
    """Layers over one another, as wide as the page and `step` pixels a row high, or as its labels need."""
    most = max((str(row["label"]).count("\n") for row in rows), default=0) + 1
    return {**base(description), "height": {"step": max(step, _LINE * most + 4)}, "layer": list(layers), **more}


def base(description: str) -> Spec:
    """What every specification says: how it fits its place, reads aloud and looks."""
    return {"description": description, "width": "container", "autosize": {"type": "fit-x", "contains": "padding"},
            "padding": {"left": 0, "top": 2, "right": 2, "bottom": 2},
            "usermeta": {"embedOptions": {"renderer": "svg"}},  # light-dark() is CSS: a canvas has none
            "config": _CONFIG}


_TEXT_SIZE = 12
_LINE = 13
_CONFIG: Spec = {
    "axis": {"labelColor": INK, "labelFontSize": _TEXT_SIZE, "labelLimit": 0, "labelPadding": 6,
             "titleColor": FAINT, "titleFontSize": _TEXT_SIZE, "titleFontWeight": "normal", "domain": False,
             "ticks": False, "gridColor": LINE, "labelFlush": False},
    "legend": {"labelColor": INK, "labelFontSize": _TEXT_SIZE, "labelLimit": 0, "title": None,
               "orient": "top", "direction": "horizontal", "symbolType": "square", "symbolSize": 130,
               "symbolStrokeWidth": 0, "columnPadding": 12, "rowPadding": 4, "offset": 8, "padding": 0},
    "text": {"color": INK, "fontSize": _TEXT_SIZE},
    "rule": {"color": INK},
    "view": {"stroke": None},
}


def nominal(field: str, **more: Any) -> Spec:
    """A channel of words in the order of the rows."""
    return {"field": field, "type": "nominal", "sort": None, "title": None, **more}


def labels(field: str = "label") -> Spec:
    """The rows' labels down the left side, whole, in as many lines as they have, each in the middle of its row."""
    lines = "split(datum.label, '\\n')"
    up = {"test": "true", "expr": f"-{_LINE / 2} * (length({lines}) - 1)"}  # Vega centres the first line only
    return nominal(field, axis={"labelExpr": lines, "labelLineHeight": _LINE, "labelOverlap": False,
                                "labelOffset": {"condition": up, "value": 0}})


def number(field: str, **more: Any) -> Spec:
    """A channel of numbers."""
    return {"field": field, "type": "quantitative", "title": None, **more}


def text(field: str) -> Spec:
    """A channel of text, as it stands in the row."""
    return {"field": field, "type": "nominal"}


def palette(colours: Mapping[str, str], *, legend: Spec | None = None) -> Spec:
    """Fixed colours for words, in a legend or none."""
    return {"scale": {"domain": list(colours), "range": list(colours.values())}, "legend": legend}


def aloud(sentence: str) -> Spec:
    """What a screen reader says of a bar or cell: a sentence with the row's fields in braces."""
    words = re.split(r"{(\w+)}", sentence)
    parts = [f"datum.{part}" if number % 2 else json.dumps(part) for number, part in enumerate(words) if part]
    return {"description": {"expr": " + ".join(parts)}}


def lines(frame: pd.DataFrame) -> Iterable[Any]:
    """The rows of a small frame as named tuples."""
    return frame.itertuples(index=False)


def tooltip(**titles: str) -> list[Spec]:
    """What a bar or cell says when pointed at: field=title, as text made in Python."""
    return [{**text(field), "title": title} for field, title in titles.items()]
