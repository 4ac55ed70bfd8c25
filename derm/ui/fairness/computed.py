"""What the Fairness page computes, each kept for the rules it was computed under. Caches thin; draws nothing.

Keyed by what was read and by the rules, never by an array.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import streamlit as st

from derm.fairness import audit, calibration, curves, gaps, groups, matrices, measures
from derm.fairness.answers import answers
from derm.fairness.audit import Audit, GroupFigures
from derm.fairness.figure import TOO_FEW, Figure, Sample
from derm.schema import PARTITIONS
from derm.ui.fairness.view import Rules, Source, View, by
from derm.ui.scores import ALL

Samples = Mapping[str, Mapping[str, Sample]]
_COUNTED = ("malignant_sensitivity", "malignant_specificity", "malignant_ppv", "malignant_npv")
_THRESHOLDED = frozenset({*_COUNTED, "malignant_selection_rate"})  # what the threshold for malignant changes
_NO_BOOTSTRAP = 2  # replicates, where only proportions are asked for: their intervals are Wilson's
_BINS = 5   # of certainty: more would leave small groups without a point
_KEPT = 64  # settings of the sliders that can be gone back to


@dataclass(frozen=True, eq=False)
class Marks:
    """Of each case, bool [n]: whether a measure counts it, holds it to be `right`, and had no answer to it."""

    counted: np.ndarray
    right: np.ndarray
    silent: np.ndarray


def samples(view: View, *metrics: str) -> dict[str, dict[str, Sample]]:
    """The groups' samples of `metrics`, those of all cases together as ALL; without `metrics`, all there are."""
    flagged = not metrics or not _THRESHOLDED.isdisjoint(metrics)
    return _samples(view.key(threshold=flagged), metrics, _view=view)


def figures(found: Samples, metric: str) -> dict[str, Figure]:
    """One measure of each group, by group; an undefined one has n of the group's other measures or 0."""
    return {group: each[metric].figure() if metric in each else Figure(None, None, None, 0)
            for group, each in found.items()}


def shown(view: View) -> Audit:
    """The audit of the shown measure alone, groups under the chosen minimum of cases not being compared."""
    metric = view.rules.metric
    return _shown(view.key(threshold=metric in _THRESHOLDED), metric, view.rules.minimum, _view=view)


def marks(view: View) -> Marks:
    """Which cases the shown measure is taken on, and which of them it holds to be right, bool [n] each."""
    given, metric = answers(view.cases, decision=view.rules.decision), view.rules.metric
    silent = np.zeros(len(given), dtype=bool) if given.abstained is None else given.abstained
    if given.malignant is None or given.flagged is None or metric not in _COUNTED:
        counted = np.ones(len(given), dtype=bool) if metric == "abstention_rate" else ~silent
        return Marks(counted, given.truth == given.predicted, silent)
    among = {"sensitivity": given.malignant, "specificity": ~given.malignant, "ppv": given.flagged,
             "npv": ~given.flagged}[metric.removeprefix("malignant_")]
    return Marks(among & ~silent, given.malignant == given.flagged, silent)


def whole(view: View) -> Audit:
    """The audit in all measures, as the command line makes it; takes longer than a slider should."""
    found = audit.audit(view.cases, by=by(view.rules.by), decision=view.rules.decision)
    return replace(found, n_unlabelled=view.source.unlabelled)


def allowed(source: Source) -> list[str]:
    """The measures that the file allows, in their order."""
    return _allowed(source.digest, _source=source)


def calibrated(view: View) -> pd.DataFrame:
    """`calibration.by_group` of the cases."""
    return _frame(view.key(threshold=False), "calibration", _view=view)


def thresholds(view: View) -> pd.DataFrame:
    """`curves.thresholds` of the cases."""
    return _frame(view.key(threshold=False), "thresholds", _view=view)


def by_condition(view: View) -> pd.DataFrame:
    """`matrices.by_condition` of the cases."""
    return _frame(view.key(threshold=False), "conditions", _view=view)


def by_partition(view: View) -> pd.DataFrame:
    """The same with all malignant conditions as one row, and so on; still of the condition itself."""
    return _partitions(view.key(threshold=False), _view=view)


@st.cache_resource(max_entries=_KEPT, show_spinner=False)
def _samples(key: str, metrics: tuple[str, ...], *, _view: View) -> dict[str, dict[str, Sample]]:
    decision, wanted = _view.rules.decision, metrics or None
    return {ALL: measures.samples(_view.cases, decision=decision, measures=wanted),
            **measures.by_group(_view.cases, _view.assigned, decision=decision, measures=wanted)}


@st.cache_resource(max_entries=_KEPT, show_spinner=False)
def _shown(key: str, metric: str, minimum: int, *, _view: View) -> Audit:
    rules, assigned = _view.rules, _view.assigned
    found = samples(_view, rules.metric)
    fit = _comparable(found, rules)
    gap = gaps.gap(fit, rules.metric)
    worst = gaps.worst_group(fit, rules.metric)
    counts = assigned.value_counts()
    against = gaps.versus_rests(found, _view.cases, assigned, [rules.metric], decision=rules.decision)
    return Audit(
        by=rules.by, metrics=(rules.metric,), n=len(_view.cases), n_missing=_view.missing,
        n_unlabelled=_view.source.unlabelled,
        groups=tuple(GroupFigures(name, int(counts[name]), name in fit, {rules.metric: figure})
                     for name, figure in figures(found, rules.metric).items() if name != ALL),
        overall={rules.metric: figures(found, rules.metric)[ALL]},
        gaps=() if gap is None else (gaps.adjust(gap, _view.cases, assigned, decision=rules.decision),),
        worst={} if worst is None else {rules.metric: worst},
        versus={name: tuple(one for one in each if one.group in fit) for name, each in against.items()}, parity={},
        notes=tuple(audit.notes(_view.cases, assigned)), level=0.95, decision=rules.decision)


def _comparable(found: Samples, rules: Rules) -> dict[str, Mapping[str, Sample]]:
    """The groups that may be compared and have the chosen minimum of cases in the shown measure."""
    return {group: each for group, each in found.items() if group != ALL and groups.compared(group)
            and rules.metric in each and each[rules.metric].n >= max(rules.minimum, TOO_FEW)}


@st.cache_resource(max_entries=_KEPT, show_spinner=False)
def _allowed(digest: str, *, _source: Source) -> list[str]:
    return list(measures.samples(_source.cases, n_boot=_NO_BOOTSTRAP))


@st.cache_resource(max_entries=_KEPT, show_spinner=False)
def _frame(key: str, what: str, *, _view: View) -> pd.DataFrame:
    given, decision = (_view.cases, _view.assigned), _view.rules.decision
    if what == "calibration":
        return calibration.by_group(*given, bins=_BINS, decision=decision)
    made = {"thresholds": curves.thresholds, "conditions": matrices.by_condition}[what]
    return made(*given, decision=decision)


@st.cache_resource(max_entries=_KEPT, show_spinner=False)
def _partitions(key: str, *, _view: View) -> pd.DataFrame:
    kinds = np.array([_view.source.partition3.get(name, "") for name in _view.cases.classes])[_view.cases.truth]
    rows = []
    for kind in PARTITIONS:
        mine = kinds == kind
        found = measures.by_group(_view.cases.where(mine), _view.assigned[mine], decision=_view.rules.decision,
                                  measures=["accuracy"], n_boot=_NO_BOOTSTRAP)
        for group, each in found.items():
            figure = each["accuracy"].figure()
            rows.append({"condition": kind, "group": group, "n": figure.n, "sensitivity": figure.value,
                         "low": figure.low, "high": figure.high})
    return pd.DataFrame(rows).astype({"sensitivity": float, "low": float, "high": float})
