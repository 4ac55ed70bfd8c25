"""What might narrow a gap, and what it would cost each group. Shown, never applied. Widgets and wording."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd
import streamlit as st

from derm.fairness import measures, mitigation
from derm.fairness.figure import TOO_FEW, Figure
from derm.ui import components, figures, plots, scores, words
from derm.ui.fairness.view import View

Row = Mapping[Hashable, Any]  # of a what-if's table, by column
_WAYS = {"threshold": "A threshold for each group", "abstain": "No answer when unsure",
         "temperature": "A temperature for each group"}


def panel(view: View) -> None:
    """One of the ways, its effect on each group, and what it costs."""
    if view.cases.p is None:
        st.info("This file holds no probabilities, and each of these needs them.")
        return
    ways = {key: name for key, name in _WAYS.items() if key != "threshold" or view.cases.malignant is not None}
    chosen = st.segmented_control("What if", list(ways), default=next(iter(ways)), required=True, key="way",
                                  format_func=lambda key: ways[key], label_visibility="collapsed",
                                  bind="query-params")
    st.caption("Only a calculation on these cases: nothing here changes the model or what Diagnose says. Whether "
               "to treat groups differently is for people to decide, with these costs before them. "
               "Grey bars: as the model is. Coloured: what if.")
    {"threshold": _threshold, "abstain": _abstain, "temperature": _temperature}[chosen or "abstain"](view)


def _threshold(view: View) -> None:
    wanted = st.slider("Sensitivity for malignant that every group should have", 50, 99, 90, format="%d %%",
                       key="wanted", bind="query-params")
    found = mitigation.group_thresholds(view.cases, view.assigned, sensitivity=wanted / 100,
                                        decision=view.rules.decision)
    st.caption("Each group gets the highest threshold that reaches it. Fitted on four fifths of a group's cases, "
               "measured on the fifth that was left out, all five in turn.")
    for place, (name, n) in zip(st.columns(2, gap="large"), (("sensitivity", "n"), ("specificity", "n_benign")),
                                strict=True):
        with place:
            st.markdown(f"**{name.capitalize()}, malignant**")
            _effect(view, *_pair(found, name, n), label=f"{name.capitalize()}, malignant")
    components.sentences([_threshold_said(row) for row in found.to_dict("records")])


def _threshold_said(row: Row) -> str:
    """What it would take in one group, and the price."""
    group = scores.group(str(row["group"]))
    if pd.isna(row["threshold"]):
        return f"{group}: no threshold; too few malignant cases ({scores.n(int(row['n']))}), or not recorded."
    gained = row["sensitivity_after"] - row["sensitivity_before"]
    lost = row["specificity_after"] - row["specificity_before"]
    return (f"{group}: a threshold of {words.share(row['threshold'])}; sensitivity {_points(gained)}, specificity "
            f"{_points(lost)} points ({int(row['n']):,} malignant cases, {int(row['n_benign']):,} others).")


def _abstain(view: View) -> None:
    below = st.slider("No answer when the leading condition is less probable than", 0, 95, 40, step=1,
                      format="%d %%", key="silent", bind="query-params")
    found = mitigation.abstention(view.cases, view.assigned, below=below / 100, decision=view.rules.decision)
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**Accuracy of the answers that are left**")
        _effect(view, *_pair(found, "accuracy", "n_after"), label="Accuracy")
    with right:
        st.markdown("**Cases without an answer**")
        chart = plots.group_bars({str(row["group"]): _figure(row, "abstained", "n")
                                  for row in found.to_dict("records")}, label="Without an answer", share=True)
        figures.show(view.origin, chart, key="silent")
    components.sentences([_abstain_said(row) for row in found.to_dict("records")])


def _abstain_said(row: Row) -> str:
    group, silent = scores.group(str(row["group"])), _figure(row, "abstained", "n")
    if silent.value is None:
        return f"{group}: {silent.text} ({scores.n(silent.n)})."
    malignant = _figure(row, "malignant_abstained", "n_malignant")
    lost = "" if malignant.value is None else (
        f"; of its malignant cases {scores.value(malignant, share=True)} "
        f"({scores.interval(malignant, share=True)}, {scores.n(malignant.n)})")
    return (f"{group}: {scores.value(silent, share=True)} of the cases get no answer "
            f"({scores.interval(silent, share=True)}, {scores.n(silent.n)}){lost}.")


def _temperature(view: View) -> None:
    found, after = mitigation.group_temperature(view.cases, view.assigned)
    st.caption("Dividing the network's outputs by a number of its own for each group makes its stated certainty "
               "fit that group; the first answer stays the same. Fitted and measured on different cases.")
    sides = [measures.by_group(cases, view.assigned, decision=view.rules.decision, measures=("ece", "brier"))
             for cases in (view.cases, after)]
    for place, name in zip(st.columns(2, gap="large"), ("ece", "brier"), strict=True):
        before, then = ({group: each[name].figure() for group, each in side.items() if name in each}
                        for side in sides)
        with place:
            st.markdown(f"**{measures.MEASURES[name].label}** (shorter is better)")
            _effect(view, before, then, label=measures.MEASURES[name].label, share=False)
    components.sentences([
        f"{scores.group(group)}: temperature {value:.2f}; the model is "
        f"{'too sure of itself' if value > 1.02 else 'not sure enough' if value < 0.98 else 'about right'} there."
        for group, value in found.items()] or [f"No group has {TOO_FEW} cases to fit a temperature on."])


def _effect(view: View, before: Mapping[str, Figure], after: Mapping[str, Figure], *, label: str,
            share: bool = True) -> None:
    figures.show(view.origin, plots.effect_bars(before, after, label=label, share=share), key=f"effect-{label}")


def _pair(found: pd.DataFrame, name: str, n: str) -> tuple[dict[str, Figure], dict[str, Figure]]:
    """The figures of a what-if before and after, by group."""
    first = "n_before" if n == "n_after" else n
    rows = found.to_dict("records")
    return ({str(row["group"]): _figure(row, f"{name}_before", first) for row in rows},
            {str(row["group"]): _figure(row, f"{name}_after", n) for row in rows})


def _figure(row: Row, name: str, n: str) -> Figure:
    if pd.isna(row[name]):
        return Figure(None, None, None, int(row[n]))
    return Figure(float(row[name]), float(row[f"{name}_low"]), float(row[f"{name}_high"]), int(row[n]))


def _points(difference: float) -> str:
    return f"{100 * difference:+.0f}".replace("-", "−") if pd.notna(difference) else "not known,"
