"""Several models beside one another: how good each is, and how far apart its groups are. Widgets and wording."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from derm.errors import DermError
from derm.fairness.figure import Figure
from derm.ui import components, figures, plots, scores
from derm.ui.components import plain
from derm.ui.fairness import computed, reading
from derm.ui.fairness import view as views
from derm.ui.fairness.sources import Offer
from derm.ui.fairness.view import View
from derm.ui.plots import Compared

_MOST = 8


def panel(view: View, offered: Sequence[Offer]) -> None:
    """The models that were chosen, each under the rules of the page."""
    by_key = {offer.key: offer for offer in offered}
    others = [key for key in by_key if key != view.source.key]
    if not others:
        st.info("There is only this model. Drop another's predictions above, or copy its bundle into the models "
                "folder, to see both side by side.")
        return
    chosen = st.multiselect("Compare with", others, default=others[:1], key="with", bind="query-params",
                            format_func=lambda key: by_key[key].title, max_selections=_MOST - 1,
                            placeholder="Choose models")
    shown = [view, *_views(view, [by_key[key] for key in chosen if key in by_key])]
    models = [(one, _compared(one)) for one in shown]
    st.caption("Further left is fairer: the gap between the worst and the best group is smaller. Lines are 95 % "
               "intervals. The dashed steps join the models that no other beats in both.")
    front = pareto([model for _, model in models], better=view.rules.measure.better)
    chart = plots.model_scatter(front, label=view.rules.measure.label, share=view.rules.measure.proportion)
    if chart.rows:
        figures.show(view.origin, chart, key="models")
    components.sentences([_sentence(one, model) for (one, _), model in zip(models, front, strict=True)])
    _same_cases(shown)


def pareto(models: Sequence[Compared], *, better: str) -> list[Compared]:
    """The models with `best` set where no other is at least as good and as fair, and one of both more so."""
    sign = -1.0 if better == "lower" else 1.0

    def place(model: Compared) -> tuple[float, float] | None:
        if model.overall.value is None or model.gap.value is None:
            return None
        return sign * model.overall.value, -model.gap.value

    def beaten(model: Compared) -> bool:
        mine = place(model)
        return mine is None or any(
            theirs != mine and theirs[0] >= mine[0] and theirs[1] >= mine[1]
            for other in models if (theirs := place(other)) is not None)

    return [Compared(model.name, model.overall, model.gap, not beaten(model)) for model in models]


def _views(view: View, offers: Sequence[Offer]) -> list[View]:
    """The others under the same rules; one that cannot be read or grouped so says why."""
    found = []
    for offer in offers:
        try:
            found.append(views.view(reading.source(offer), view.rules, near=None))
        except DermError as error:
            st.warning(f"{plain(offer.title)}: {plain(str(error))}")
    return found


def _compared(view: View) -> Compared:
    metric = view.rules.metric
    overall = computed.figures(computed.samples(view, metric), metric)[scores.ALL]
    gap = computed.shown(view).lead
    apart = Figure(None, None, None, 0) if gap is None else Figure(gap.value, gap.low, gap.high,
                                                                   gap.n_worst + gap.n_best)
    return Compared(view.source.title, overall, apart, False)


def _sentence(view: View, model: Compared) -> str:
    share, label = view.rules.measure.proportion, view.rules.measure.label.lower()
    overall = (f"{model.name}: {label} {scores.value(model.overall, share=share)} "
               f"({scores.interval(model.overall, share=share)}, {scores.n(model.overall.n)})")
    gap = computed.shown(view).lead
    if gap is None:
        return f"{overall}; too few groups are large enough to compare."
    return (f"{overall}; {scores.group(gap.worst)} is worst and {scores.group(gap.best)} best, "
            f"{' apart ('.join(scores.points(model.gap, share=share))}).")


def _same_cases(shown: Sequence[View]) -> None:
    """A warning where the models were not measured on the same cases."""
    ids = [set(one.cases.table["image_id"]) for one in shown]
    if any(other != ids[0] for other in ids[1:]):
        shared = len(set.intersection(*ids))
        st.caption(f"These models were not measured on the same cases: {shared:,} are common to all. A difference "
                   "may come from the cases rather than from the models.")
