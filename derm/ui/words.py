"""How columns of the canonical table and their values are called on pages, and numbers said. Wording only."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from derm.fairness.figure import Figure
from derm.schema import FST_GROUPS, display_name

MISSING = "Missing"
_COLUMNS: Mapping[str, str] = {
    "path": "Picture", "condition": "Condition",
    "partition3": "Partition (three)", "partition9": "Partition (nine)",
    "fst": "Skin type", "fst_other": "Skin type, second reading", "mst": "Monk skin tone", "group": "Skin types",
    "split": "Split", "qc": "Quality note", "flags": "Quality flags", "duplicate": "Near-duplicate",
    "duplicate_group": "Near-duplicates", "ita": "Estimated ITA", "unreadable": "Unreadable",
    "x_source": "Source", "x_fst_self": "Skin type, self-reported", "x_skin_group": "Skin-type group",
    "x_ddi_scale": "DDI scale", "x_age": "Age", "x_age_group": "Age group", "x_sex": "Sex",
    "x_body_site": "Body site",
    "x_excluded": "Marked wrong by the publisher",
}
_NAMED = ("condition", "partition3", "partition9")  # whose values are slugs


def column(name: str) -> str:
    """'x_body_site' -> 'Body site'; a column nobody named is called as published."""
    known = _COLUMNS.get(name)
    return known or name.removeprefix("x_").replace("_", " ").strip().capitalize() or name


def value(of: str, text: str) -> str:
    """A value of the column `of` as text: slugs as a clinician would write them, en dashes in groups."""
    if text in (MISSING, MISSING.lower()):
        return MISSING
    if of in _NAMED:
        return display_name(text)
    if of == "flags" and text == "none":
        return "No flag"
    return dashed(text) if text in FST_GROUPS else text


def dashed(text: str) -> str:
    """'FST V-VI' -> 'FST V–VI': ranges of skin types with the dash that print has for them."""
    return re.sub(r"\b([IV]+)-([IV]+)\b", "\\1–\\2", text)


def share(part: float | None) -> str:
    """0.1034 -> '10.3 %', the space unbreakable; '' if there is none."""
    return "" if part is None or np.isnan(part) else f"{100 * part:.1f}\N{NO-BREAK SPACE}%"


def interval(low: float | None, high: float | None) -> str:
    """'9.3–11.4 %'; 'too few for one' where there is none."""
    if low is None or high is None or np.isnan(low) or np.isnan(high):
        return "too few for one"
    return f"{100 * low:.1f}–{100 * high:.1f}\N{NO-BREAK SPACE}%"


@lru_cache(4096)
def wrapped(text: str) -> str:
    """In two lines that can stand beside a narrow chart; in more, and longer ones, only if it must."""
    short, wide = (textwrap.wrap(text, width) for width in (22, 28))
    return "\n".join(short if len(short) <= 2 else wide) or text


def percent(figure: Figure) -> str:
    """'47.0 %' of a share; 'too few' or 'undefined' where there is none."""
    return figure.text if figure.value is None else share(figure.value)


def spread(figure: Figure, *, shares: bool = True) -> str:
    """What stands beside a figure: '95 %: 45.1–48.9 %, n = 2,643'; without an interval only n."""
    n = f"n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{figure.n:,}"
    if figure.low is None or figure.high is None:
        return n
    ends = interval(figure.low, figure.high) if shares else f"{figure.low:.2f}–{figure.high:.2f}"
    return f"95\N{NO-BREAK SPACE}%: {ends}, {n}"


def listed(names: Sequence[str]) -> str:
    """'a', 'a and b', 'a, b and c'."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def duration(seconds: float) -> str:
    """'1 second', '45 seconds', '12 minutes', '2 hours' or '3 hours 5 minutes'."""
    if seconds < 90:
        return _counted(max(0, round(seconds)), "second")
    hours, minutes = divmod(round(seconds / 60), 60)
    if (hours, minutes) < (1, 30):
        return _counted(60 * hours + minutes, "minute")
    return _counted(hours, "hour") + (f" {_counted(minutes, 'minute')}" if minutes else "")


def _counted(n: int, unit: str) -> str:
    return f"{n} {unit}{'s' * (n != 1)}"
