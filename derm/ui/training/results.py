"""What came of a finished run: how good it is for whom, where it errs, and whether it may become a model.
Widgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import streamlit as st

from derm import jobs, promotion, registry
from derm.bundle_rules import NAME, is_name
from derm.errors import DermError, ModelError
from derm.fairness import metrics
from derm.fairness.answers import LEADING
from derm.fairness.figure import TOO_FEW
from derm.fairness.measures import MEASURES
from derm.jobs import Run
from derm.promotion import GroupDifference, Verdict
from derm.registry import Bundle
from derm.schema import display_name
from derm.settings import settings
from derm.ui import components, resources, scores
from derm.ui.components import plain
from derm.ui.fairness import computed, conditions, overview, pictures, sources, sureness
from derm.ui.fairness import view as views
from derm.ui.fairness.headline import said
from derm.ui.fairness.sources import Offer
from derm.ui.fairness.view import Rules, Source, View
from derm.ui.training import pages

GROUPS, CONDITIONS, CERTAINTY, MISTAKES, CARD = (
    "Groups", "Conditions", "Certainty and thresholds", "Worst mistakes", "Model card")
_RULES = Rules("fst3", "accuracy", LEADING, TOO_FEW, False, False)
_PART = "train--part"


def panel() -> None:
    """A finished run: the verdict and promotion first, then what it rests on."""
    finished = [run for run in jobs.list_runs(settings().runs) if run.state == "finished" and not run.is_search]
    if not finished:
        st.info("No run has finished yet. Its results appear here when one has.")
        return
    run = _picker(finished)
    try:
        bundle = registry.read(run.folder)
    except ModelError as error:
        st.error(plain(str(error)))
        return
    default = _default()
    _headline(bundle)
    found = _verdict(bundle, default)
    _promotion(run, bundle, found)
    _sections(bundle)


def _picker(finished: Sequence[Run]) -> Run:
    by_name = {run.name: run for run in finished}
    if st.session_state.get(pages.FINISHED) not in by_name:
        st.session_state.pop(pages.FINISHED, None)
    chosen = st.selectbox("Finished run", list(by_name), key=pages.FINISHED, bind="query-params")
    return by_name.get(chosen, finished[0])


def _headline(bundle: Bundle) -> None:
    said_all = components.reliability(bundle, None)
    st.markdown(f"**{plain(bundle.name)}**, {plain(bundle.backbone)}, trained on {plain(bundle.data_name)}. "
                f"{plain(said_all)}")


def _default() -> Bundle | None:
    """The model in use; a damaged one is told of and is no obstacle to looking at a run."""
    try:
        return promotion.default_model()
    except ModelError as error:
        st.warning(plain(str(error)), icon=":material/report:")
        return None


def _verdict(bundle: Bundle, default: Bundle | None) -> Verdict:
    """How it does beside the default model, first in a sentence, then group by group."""
    found = _compared(resources.digest(bundle), "" if default is None else resources.digest(default),
                      _bundle=bundle, _default=default)
    st.subheader("Beside the model in use" if found.default else "As a first model", anchor=False)
    for group in dict.fromkeys(each.group for each in found.worse):
        measured = "; ".join(str(each) for each in found.worse if each.group == group)
        st.error(f"**Worse for {_people(group)}.** {plain(said(measured[0].upper() + measured[1:]))}.",
                 icon=":material/warning:")
    if not found.worse:
        is_clear = not found.is_refused and not found.untold
        (st.success if is_clear else st.warning)(
            plain(said(found.reason)), icon=":material/check:" if is_clear else ":material/warning:")
    if found.differences:
        st.caption(f"Compared with {plain(found.default)}: {found.how}. A difference counts as shown where its 95 "
                   "% interval leaves out 0.")
        st.dataframe(pd.DataFrame([_row(each) for each in found.differences]), hide_index=True, width="stretch",
                     column_config={"Group": st.column_config.TextColumn(pinned=True)})
        if found.untold and found.worse:
            st.caption(plain(said(found.untold)))
    return found


@st.cache_resource(max_entries=32, show_spinner="Comparing with the model in use …")
def _compared(key: str, default_key: str, *, _bundle: Bundle, _default: Bundle | None) -> Verdict:
    return promotion.compare(_bundle, _default)


def _row(each: GroupDifference) -> dict[str, str]:
    n = scores.n(each.n) if each.n == each.n_default else f"{scores.n(each.n)} and {each.n_default:,}"
    ours, theirs = ("too few" if value is None else f"{value:.2f}" for value in (each.candidate, each.default))
    off = interval = ""
    verdict = "Cannot be told"
    if each.value is not None and each.low is not None and each.high is not None:
        off, interval = _signed(each.value), f"{_signed(each.low)} to {_signed(each.high)}"
        verdict = "Worse" if each.high < 0 else "Better" if each.low > 0 else "No difference shown"
    return {"Group": _group(each.group), "Measure": _measure(each), "This run": ours, "In use": theirs,
            "Difference": off, "95 % interval": interval, "n": n, "Verdict": verdict}


def _promotion(run: Run, bundle: Bundle, found: Verdict) -> None:
    """The way to the models: a name and, where somebody would be served worse, a written reason."""
    with st.container(border=True, key="promotion"):
        st.markdown("**Promote it to the models**")
        st.caption("A promoted model can be chosen on the Diagnose page. It becomes the one in use only when it "
                   "is made the default.")
        key = f"promote-as-{run.name}"
        st.session_state.setdefault(key, _proposed(run.name))
        name = st.text_input("Its name", key=key, max_chars=64).strip()
        reason = ""
        if found.is_refused:
            st.warning("It should not be promoted as it is. If there is a good reason all the same, write it "
                       "down; it goes into the model card for everybody to read.", icon=":material/gavel:")
            reason = st.text_area("Reason for promoting it all the same", key=f"reason-{run.name}", max_chars=1000)
        problem = _problem(name)
        if problem:
            st.caption(f":material/error: {plain(problem)}")
        promoted = [each for each in registry.list_bundles() if each.sha256.get(registry.NETWORK) ==
                    bundle.sha256.get(registry.NETWORK) and each.sha256]
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button("Promote", type="primary", icon=":material/upgrade:", key="promote",
                      disabled=bool(problem) or (found.is_refused and not reason.strip()),
                      on_click=_promote, args=(run, name, reason))
            for each in promoted:
                if each.name == found.default or each.name == registry.default():
                    st.markdown(f":green-badge[:material/star: {plain(each.name)} is the default]")
                else:
                    st.button(f"Make {each.name} the default", icon=":material/star:", key=f"default-{each.name}",
                              disabled=found.is_refused and not reason.strip(), on_click=_make_default,
                              args=(each.name, reason))


def _problem(name: str) -> str:
    if not is_name(name):
        return f"“{name[:64]}” cannot name a model; use {NAME}."
    return f"There is a model called “{name}” already." if (settings().models / name).exists() else ""


def _promote(run: Run, name: str, reason: str) -> None:
    try:
        promotion.promote(run.folder, name, override=reason)
        components.tell(f"{name} is a model now.")
    except DermError as error:
        components.tell(str(error), is_wrong=True)


def _make_default(name: str, reason: str) -> None:
    try:
        promotion.set_default(name, override=reason)
        components.tell(f"{name} is the default now.")
    except DermError as error:
        components.tell(str(error), is_wrong=True)


def _proposed(run: str) -> str:
    """A name that is free."""
    taken = {bundle.name for bundle in registry.list_bundles()}
    return next(name for name in (run[:60], *(f"{run[:56]}-{i}" for i in range(2, 999))) if name not in taken)


def _sections(bundle: Bundle) -> None:
    """What it rests on; only the open part is computed."""
    names = [GROUPS, CONDITIONS, CERTAINTY, MISTAKES, CARD]
    tabs = dict(zip(names, st.tabs(names, key=_PART, on_change="rerun"), strict=True))
    if tabs[CARD].open:
        with tabs[CARD]:
            _card(bundle)
        return
    if not bundle.path("predictions.parquet").is_file():
        st.info("This run left no predictions, so nothing can be measured of it.")
        return
    shown = views.view(_every_answer(bundle), _RULES, near=None)
    for name, part in ((GROUPS, overview.panel), (CONDITIONS, _conditions), (CERTAINTY, sureness.panel),
                       (MISTAKES, _mistakes)):
        if tabs[name].open:
            with tabs[name]:
                part(shown)


def _every_answer(bundle: Bundle) -> Source:
    """The run's predictions, also those that the model would decline: as the verdict and the card count them."""
    found = sources.source(Offer(f"run-{bundle.name}", bundle.name, bundle), rename={}, renormalise=False)
    answered = replace(found.cases, abstained=np.zeros(len(found.cases), dtype=bool))
    return replace(found, digest=f"{found.digest}-all", cases=answered)


def _conditions(view: View) -> None:
    st.subheader("Each condition", anchor=False)
    found = _by_condition(view.source.digest, _table=view.cases.table)
    rows = [{"Condition": display_name(name), "n": each["f1"].n, "F1": each["f1"].text,
             "Sensitivity": each["sensitivity"].text} for name, each in found.items()]
    st.dataframe(pd.DataFrame(rows).sort_values("n", ascending=False), hide_index=True, width="stretch",
                 column_config={"Condition": st.column_config.TextColumn(pinned=True)})
    st.caption(f"In brackets the 95 % interval. Under {TOO_FEW} photographs there is no figure.")
    conditions.panel(view)


@st.cache_resource(max_entries=16, show_spinner=False)
def _by_condition(key: str, *, _table: pd.DataFrame) -> dict[str, dict[str, metrics.Figure]]:
    return metrics.by_condition(_table)


def _mistakes(view: View) -> None:
    """The wrong answers, the surest first."""
    marks = computed.marks(view)
    wrong = marks.counted & ~marks.right
    if not wrong.any():
        st.info("It made no mistake on the photographs held out.")
        return
    st.caption("What it got wrong on photographs that it never learnt from, the ones it was surest of first.")
    pictures.panel(view, np.asarray(wrong), "Mistakes", key="mistakes", marks=marks)


def _card(bundle: Bundle) -> None:
    path = bundle.path("card.md")
    if path.is_file():
        st.markdown(path.read_text(encoding="utf-8"))
    else:
        st.info("This run left no model card.")


def _people(*groups: str) -> str:
    return " and ".join(f"skin types {scores.group(group)}" for group in groups)


def _group(name: str) -> str:
    return "All photographs" if name == "all" else f"Skin types {scores.group(name)}"


def _measure(each: GroupDifference) -> str:
    return MEASURES[each.metric].label


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")
