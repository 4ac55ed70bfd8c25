"""How groups of people look in charts: a colour and a shape each, told apart without colour too."""

from __future__ import annotations

from collections.abc import Sequence

from derm.fairness.groups import JOINT, NOT_RECORDED
from derm.ui import words
from derm.ui.plots import chart
from derm.ui.scores import ALL

_SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right",
          "triangle-left")
# For groups that are not skin types: no two alike in greyscale beside each other.
_OTHERS = (chart.both("#0f6e6a", "#5dc4b6"), chart.both("#c98a2b", "#e3ad5f"), chart.both("#5868b0", "#97a5ea"),
           chart.both("#d9a5b3", "#f3ccd6"), chart.both("#7a3b2a", "#d98a70"), chart.both("#9dbb7a", "#c3dca4"))


def tones(groups: Sequence[str]) -> dict[str, str]:
    """The colour of each group by its name: a skin type's swatch where the group is one or part of one."""
    plain = [group for group in groups if _skin(group) is None and group not in (ALL, NOT_RECORDED)]
    found = {}
    for group in groups:
        if group == ALL:
            found[group] = chart.ACCENT
        elif (skin := _skin(group)) is not None:
            found[group] = skin
        else:
            found[group] = _OTHERS[plain.index(group) % len(_OTHERS)] if group in plain else chart.NEUTRAL
    return found


def shapes(groups: Sequence[str]) -> list[str]:
    """The shape of each group's points, in their order."""
    return [_SHAPES[number % len(_SHAPES)] for number in range(len(groups))]


def _skin(group: str) -> str | None:
    first = words.dashed(group.split(JOINT)[0])
    return chart.SKIN.get(first) if first != chart.MISSING else None
