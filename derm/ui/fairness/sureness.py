"""How far each group's stated probabilities can be believed, and what each threshold does to it. Widgets."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from derm.fairness import groups
from derm.fairness.figure import TOO_FEW
from derm.ui import figures, plots, scores, words
from derm.ui.fairness import computed
from derm.ui.fairness.view import View

_CURVES = {"Sensitivity, malignant": ("n", "sensitivity", "sens_low", "sens_high"),
           "Specificity, malignant": ("n_benign", "specificity", "spec_low", "spec_high")}


def panel(view: View) -> None:
    """Calibration of each group, then sensitivity and specificity by threshold."""
    if view.cases.p is None:
        st.info("This file holds no probabilities, only what was predicted, so neither calibration nor thresholds "
                "can be shown. Columns 'p:<condition>', one a condition, would give them.")
        return
    _calibration(view)
    if view.cases.malignant is None:
        st.info("Of none of these conditions is it known whether it is malignant, so no threshold can be tried. A "
                "column 'partition3' would say it.")
        return
    _thresholds(view)


def _calibration(view: View) -> None:
    st.subheader("Can its certainty be believed?", anchor=False)
    st.caption("Where a group's line is below the dashed one, the model is too sure of itself on that group; "
               f"above it, not sure enough. Ranges of certainty with fewer than {TOO_FEW} cases are left out.")
    bins = _comparable(computed.calibrated(view))
    if bins["right"].isna().all():
        st.info(f"No group has {TOO_FEW} cases in any range of certainty.")
        return
    figures.show(view.origin, plots.calibration_curves(bins), key=f"calibration-{view.rules.by}")
    few = [scores.group(str(name)) for name, each in bins.groupby("group", sort=False)
           if each["right"].isna().all()]
    if few:
        st.caption(f"Too few cases in each range for a line: {words.listed(few)}.")


def _thresholds(view: View) -> None:
    st.subheader("What a threshold for malignant would do", anchor=False)
    at = view.rules.decision.malignant_threshold
    st.caption("A lower threshold finds more of the malignant cases (sensitivity) and raises more false alarms "
               "(specificity falls). Bands are 95 % intervals. " + (
                   "The dashed line is the threshold chosen above." if at is not None else
                   "Choose a threshold above to see it here; now the leading condition decides."))
    found = _comparable(computed.thresholds(view))
    for place, (what, columns) in zip(st.columns(2, gap="large"), _CURVES.items(), strict=True):
        n, value, low, high = columns
        curves = pd.DataFrame({"group": found["group"], "threshold": found["threshold"], "n": found[n],
                               "value": found[value], "low": found[low], "high": found[high]})
        with place:
            st.markdown(f"**{what}**")
            if curves["value"].isna().all():
                st.info(f"No group has the {TOO_FEW} cases that this needs.")
            else:
                figures.show(view.origin, plots.threshold_curves(curves, what=what, at=at),
                             key=f"threshold-{value}-{view.rules.by}")


def _comparable(frame: pd.DataFrame) -> pd.DataFrame:
    """Without the groups that nobody recorded."""
    return frame[[groups.compared(str(name)) for name in frame["group"]]]
