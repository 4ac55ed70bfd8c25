"""How a measured value, its interval and its group are written on the Fairness page. Wording only."""

from __future__ import annotations

from derm.fairness.figure import Figure
from derm.fairness.groups import JOINT
from derm.ui import words

ALL = "All"


def value(figure: Figure, *, share: bool) -> str:
    """'77.0 %' of a share, '0.77' of a score; 'too few' or 'undefined' where there is none."""
    if figure.value is None:
        return figure.text
    return words.share(figure.value) if share else f"{figure.value:.2f}"


def interval(figure: Figure, *, share: bool) -> str:
    """'65.1–85.8 %' or '0.65–0.86'; what is lacking where there is none."""
    if figure.low is None or figure.high is None:
        return "no interval"
    if figure.low < 0:
        scale, digits = (100, 1) if share else (1, 2)
        ends = (f"{scale * end:.{digits}f}".replace("-", "−") for end in (figure.low, figure.high))
        return " to ".join(ends) + ("\N{NO-BREAK SPACE}%" if share else "")
    return words.interval(figure.low, figure.high) if share else f"{figure.low:.2f}–{figure.high:.2f}"


def points(figure: Figure, *, share: bool) -> tuple[str, str]:
    """A difference and its interval: ('11.7 points', '−4.9 to 19.7') of shares, ('0.12', '−0.05 to 0.20') of
    scores."""
    said = value(figure, share=share).removesuffix("%").rstrip("\N{NO-BREAK SPACE}")
    return (f"{said}\N{NO-BREAK SPACE}points" if share and figure.value is not None else said,
            interval(figure, share=share).removesuffix("%").rstrip("\N{NO-BREAK SPACE}"))


def n(count: int) -> str:
    """'n = 2,643', unbreakable."""
    return f"n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{count:,}"


def group(name: str) -> str:
    """'V-VI x malignant' -> 'V–VI × malignant', 'All' -> 'All cases'."""
    return "All cases" if name == ALL else words.dashed(name.replace(JOINT, " × "))
