"""Which conditions are recognised on which group, and what they are taken for. Widgets and wording."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import streamlit as st

from derm.fairness import groups, matrices
from derm.fairness.cases import Cases
from derm.fairness.figure import TOO_FEW
from derm.schema import PARTITIONS, display_name
from derm.ui import figures, plots, scores
from derm.ui.fairness import computed, pictures
from derm.ui.fairness.computed import Marks
from derm.ui.fairness.view import View

_ROWS = {"partitions": "Benign or malignant", "conditions": "Each condition"}
_ONE, _TWO = "one", "two"


def panel(view: View) -> None:
    """The heat map of sensitivities, then confusion in one group and between two."""
    if not len(view.cases):
        st.info("No case is left. Put back what was left out above.")
        return
    _sensitivities(view)
    _confusions(view)


def _sensitivities(view: View) -> None:
    st.subheader("Recognised on which skin" if view.rules.by.startswith("fst") else "Recognised in which group",
                 anchor=False)
    st.caption("How often the first answer is the true condition, for all malignant ones together and so on, then "
               f"for each, and n. Cells with fewer than {TOO_FEW} cases "
               "show n alone: too few for a share. Click a cell to see its cases.")
    single = computed.by_condition(view)
    order = single.groupby("condition")["n"].sum().sort_values(ascending=False, kind="stable").index
    cells = pd.concat([computed.by_partition(view), single.set_index("condition").loc[order].reset_index()])
    cells = cells[cells.groupby("condition")["n"].transform("sum") > 0]
    chart = plots.sensitivity_map(cells)
    clicked = figures.clickable(view.origin, chart, key=f"conditions-{view.rules.by}", selection=plots.PAIR)
    there = set(zip(cells["condition"], cells["group"], strict=True))
    if chosen := [cell for cell in clicked if (cell["condition"], cell["group"]) in there]:
        last = chosen[-1]
        pictures.panel(view, _marks(view).counted & _is(view, last["condition"])
                       & (view.assigned == last["group"]).to_numpy(),
                       f"{display_name(last['condition'])}, {scores.group(last['group'])}", key="cell",
                       marks=_marks(view))


def _confusions(view: View) -> None:
    """One group's confusion beside its difference from another's."""
    names = [str(name) for name, n in view.assigned.value_counts(sort=False).items() if n]
    st.subheader("Taken for what", anchor=False)
    rows = _switch("Rows", _ROWS, "confusion-rows", first="partitions" if _placed(view) else "conditions")
    merged = view.source.partition3 if rows == "partitions" else None
    left, right = st.columns(2, gap="large")
    usual = [name for name in names if groups.compared(name)] or names
    with left:
        one = _group("Group", names, usual[-1], _ONE)
        _one(view, one, merged)
    with right:
        two = _group("Minus group", names, usual[0], _TWO)
        _two(view, one, two, merged)


def _one(view: View, group: str, merged: Mapping[str, str] | None) -> None:
    cells = matrices.confusion(_part(view, group), merged=merged, decision=view.rules.decision)
    if cells.empty:
        st.info("No case of this group got an answer.")
        return
    st.caption("Rows are what the cases are, columns what they are called. Shades are shares of a row, stronger "
               f"for more; rows with fewer than {TOO_FEW} cases have none.")
    chart = plots.confusion_map(cells, group=group)
    clicked = figures.clickable(view.origin, chart, key=f"confusion-{merged is None}-{group}",
                                selection=plots.PAIR)
    there = set(zip(cells["truth"], cells["predicted"], strict=True))
    if chosen := [cell for cell in clicked if (cell["truth"], cell["predicted"]) in there]:
        truth, predicted = chosen[-1]["truth"], chosen[-1]["predicted"]
        named = _named(view, merged)
        pictures.panel(view, _marks(view).counted & (named[view.cases.truth] == truth)
                       & (named[view.cases.predicted] == predicted) & (view.assigned == group).to_numpy(),
                       f"{display_name(truth)} called {display_name(predicted)}, {scores.group(group)}",
                       key="confused", marks=_marks(view))


def _two(view: View, one: str, two: str, merged: Mapping[str, str] | None) -> None:
    if one == two:
        st.info("Choose two different groups to see where they differ.")
        return
    cells = matrices.difference(_part(view, one), _part(view, two), merged=merged, decision=view.rules.decision)
    if cells.empty or cells["value"].isna().all():
        st.info(f"No row has {TOO_FEW} cases in both groups, which a difference needs. Rows of benign or "
                "malignant have more.")
        return
    st.caption(f"Points by which {scores.group(one)} has more (+) or less (−). Strong shades: more than chance "
               "would give.")
    figures.show(view.origin, plots.difference_map(cells, groups=(one, two)),
                 key=f"difference-{merged is None}-{one}-{two}")


def _marks(view: View) -> Marks:
    """Right is what got its own condition as an answer, whichever measure is shown above."""
    return computed.marks(replace(view, rules=replace(view.rules, metric="accuracy")))


def _part(view: View, group: str) -> Cases:
    return view.cases.where((view.assigned == group).to_numpy())


def _is(view: View, condition: str) -> np.ndarray:
    """Whether each case is of the condition, or of the partition of that name, bool [n]."""
    merged = view.source.partition3 if condition in PARTITIONS else None
    return _named(view, merged)[view.cases.truth] == condition


def _named(view: View, merged: Mapping[str, str] | None) -> np.ndarray:
    """What each class is called in the matrix, object [C]."""
    return np.array([(merged or {}).get(name, name) for name in view.cases.classes], dtype=object)


def _placed(view: View) -> bool:
    """Whether all classes are known to be benign, malignant or neither."""
    return all(view.source.partition3.get(name) in PARTITIONS for name in view.cases.classes)


def _group(label: str, names: list[str], usual: str, key: str) -> str:
    chosen = st.selectbox(label, names, index=names.index(usual), key=f"group-{key}-{'|'.join(names)}",
                          format_func=scores.group, persist_state="page")
    return chosen if chosen in names else usual


def _switch(label: str, options: Mapping[str, str], key: str, *, first: str) -> str:
    chosen = st.segmented_control(label, list(options), default=first, required=True, key=f"fair-{key}",
                                  format_func=lambda option: options[option], persist_state="page",
                                  label_visibility="collapsed")
    return chosen if chosen in options else first
