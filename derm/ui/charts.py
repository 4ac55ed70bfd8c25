"""Probabilities as bars, in HTML: whole labels at any width, both themes, readable aloud. Knows no models.

Not Altair: a Vega axis cuts or shrinks a long condition name on a phone, and its text is lost to screen readers.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from derm.schema import FAMILIES, Diagnosis, Prediction
from derm.ui import theme


def percent(probability: float) -> str:
    """'34 %', the space unbreakable; '<1 %' and '>99 %' where rounding would claim certainty."""
    if probability < 0.005:
        return "<1\N{NO-BREAK SPACE}%"
    return ">99\N{NO-BREAK SPACE}%" if probability >= 0.995 else f"{100 * probability:.0f}\N{NO-BREAK SPACE}%"


def differential(diagnosis: Diagnosis, *, count: int = 5) -> str:
    """The `count` leading conditions as bars, and what is left for all the others."""
    top = diagnosis.top(count)
    rest = len(diagnosis.classes) - len(top)
    left = 1 - sum(line.probability for line in top)
    other = f'<p class="derm-rest">{rest} other conditions together {escape(percent(left))}</p>' if rest else ""
    return _bars(diagnosis, top) + other


def merged(diagnosis: Diagnosis, *, least: float = 0.05) -> str:
    """Overlapping labels as one: the families of at least `least`, or the first; '' if the model has none."""
    families = [line for line in diagnosis.families() if line.condition in FAMILIES]
    lines = [line for line in families if line.probability >= least] or families[:1]
    return _bars(diagnosis, lines, small=True) if lines else ""


def roll_up(diagnosis: Diagnosis) -> str:
    """Benign / malignant / non-neoplastic as one stacked bar with its legend; '' if the bundle does not say."""
    sums = diagnosis.partitions()
    if not sums:
        return ""
    parts = "".join(f'<div class="{theme.kind_class(line.condition)}" style="flex: {line.probability:.4f} 0 0">'
                    "</div>" for line in sums)
    legend = "".join(f'<li><span class="derm-dot {theme.kind_class(line.condition)}"></span>'
                     f"{line.condition.capitalize()} <strong>{escape(percent(line.probability))}</strong></li>"
                     for line in sums)
    return f'<div class="derm-stack" aria-hidden="true">{parts}</div><ul class="derm-legend">{legend}</ul>'


def _bars(diagnosis: Diagnosis, lines: Sequence[Prediction], *, small: bool = False) -> str:
    items = "".join(_bar(line, _kind(diagnosis, line.condition)) for line in lines)
    return f'<ol class="derm-bars{" derm-small" if small else ""}">{items}</ol>'


def _kind(diagnosis: Diagnosis, condition: str) -> str | None:
    """Benign / malignant / non-neoplastic of a condition, or of a family whose labels all agree."""
    labels = [label for label in FAMILIES.get(condition, (condition,)) if label in diagnosis.classes]
    kinds = {diagnosis.partition3.get(label) for label in labels}
    return kinds.pop() if len(kinds) == 1 else None


def _bar(line: Prediction, kind: str | None) -> str:
    tag = f' <span class="derm-kind">{escape(kind)}</span>' if kind else ""
    return (f'<li class="{theme.kind_class(kind)}"><div class="derm-row">'
            f'<span class="derm-name">{escape(line.name)}{tag}</span>'
            f'<span class="derm-percent">{escape(percent(line.probability))}</span></div>'
            f'<div class="derm-track" aria-hidden="true">'
            f'<div class="derm-fill" style="width: {100 * line.probability:.1f}%"></div></div></li>')
