"""The shown measure in each group as bars, and every other measure as a table. Widgets and wording."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from derm.fairness.figure import TOO_FEW, Sample
from derm.fairness.measures import MEASURES
from derm.ui import components, figures, plots, scores
from derm.ui.fairness import computed, pictures
from derm.ui.fairness.view import View

_COUNTED = {"malignant_sensitivity": "malignant cases", "malignant_specificity": "other cases",
            "malignant_ppv": "cases called malignant", "malignant_npv": "cases not called malignant"}


def panel(view: View) -> None:
    """The bars; the cases of the bar that was clicked; then all measures."""
    measure, rules = view.rules.measure, view.rules
    found = computed.figures(computed.samples(view, rules.metric), rules.metric)
    counted = _COUNTED.get(rules.metric, "cases")
    st.subheader(f"{measure.label}: group by group", anchor=False)
    better = {"higher": "Longer is better.", "lower": "Shorter is better.", "neither": "Neither way is better."}
    st.caption(f"n counts {counted}. The line across the end of a bar is its 95 % interval: where the true value "
               f"plausibly lies. The upright line is all cases together. {better[measure.better]} Grey with a "
               "dashed edge: not compared, because nobody recorded the group or its n is under "
               f"{max(rules.minimum, TOO_FEW)}. Click a bar to see its cases.")
    chart = plots.group_bars(found, label=measure.label, share=measure.proportion, minimum=rules.minimum,
                             noun=counted)
    clicked = figures.clickable(view.origin, chart, key=f"bars-{rules.metric}-{rules.by}", selection=plots.GROUP)
    if groups := [cell["group"] for cell in clicked if cell["group"] in found]:
        marks, all_of_them = computed.marks(view), groups[-1] == scores.ALL
        chosen = marks.counted & (all_of_them | (view.assigned == groups[-1]).to_numpy())
        pictures.panel(view, chosen, scores.group(groups[-1]), key="bar", counted=counted, marks=marks)
    _table(view)


def _table(view: View) -> None:
    """Every measure of every group, with what each says."""
    with st.expander("All measures", icon=":material/table:", on_change="rerun", key="table") as place:
        if not place.open:
            return
        found = computed.samples(view)
        names = list(found[scores.ALL])
        rows = [{"Measure": MEASURES[name].label, **{
            scores.group(group): _cell(each.get(name), share=MEASURES[name].proportion)
            for group, each in found.items()}} for name in names]
        st.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch", row_height=46,
                     height=46 * len(rows) + 38,
                     column_config={"Measure": st.column_config.TextColumn(pinned=True)})
        components.sentences([f"{MEASURES[name].label}: {MEASURES[name].sentence}" for name in names])


def _cell(sample: Sample | None, *, share: bool) -> str:
    if sample is None:
        return "not measured"
    figure = sample.figure()
    if figure.value is None:
        return f"{figure.text} ({scores.n(figure.n)})"
    return f"{scores.value(figure, share=share)} [{scores.interval(figure, share=share)}], {scores.n(figure.n)}"
