"""The runs there are, those that somebody looks at side by side, and what can be done with each. Widgets and
wording.
Everything is read from the runs' files, so that a page that is opened anew shows what one left open does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

import pandas as pd
import streamlit as st

from derm import jobs
from derm.errors import ConfigError, DermError, JobError
from derm.jobs import Run
from derm.nn import config as configs
from derm.settings import settings
from derm.ui import components, figures, plots, scores, words
from derm.ui.components import plain
from derm.ui.figures import Origin
from derm.ui.training import charts, form, pages, progress, searching

_EVERY, _IDLE = 2.0, 10.0  # seconds between two looks, while something goes on and while nothing does
_LOG_LINES = 40
_STATES = {"queued": (":material/hourglass_empty:", "Waiting", "gray"),
           "running": (":material/model_training:", "Training", "blue"),
           "stopping": (":material/pending:", "Stopping", "orange"),
           "stopped": (":material/pause_circle:", "Stopped", "orange"),
           "finished": (":material/check_circle:", "Finished", "green"),
           "failed": (":material/error:", "Failed", "red"), "lost": (":material/link_off:", "Lost", "red")}


def panel() -> None:
    """The list, then the chosen runs beside one another."""
    found = jobs.list_runs(settings().runs)
    if not found:
        st.info("No run yet. Set one up under “New run”; it goes on by itself, also when this page is closed.")
        return
    live = any(run.is_live for run in found)
    st.fragment(_list, run_every=_EVERY if live else _IDLE)([run.name for run in found])
    names = [run.name for run in found]
    shown = [name for name in st.session_state.get(pages.SHOWN, []) if name in names]
    st.session_state[pages.SHOWN] = shown or [next((run.name for run in found if run.is_live), names[0])]
    chosen = st.multiselect("Look at", names, key=pages.SHOWN, max_selections=pages.MOST, bind="query-params",
                            help=f"Up to {pages.MOST} side by side.", placeholder="Choose runs")
    by_name = {run.name: run for run in found}
    columns: Sequence[object] = st.columns(len(chosen), gap="medium") if len(chosen) > 1 else [st.container()]
    for place, name in zip(columns, chosen, strict=False):
        with place:  # type: ignore[attr-defined]
            st.fragment(_run, run_every=_EVERY if by_name[name].is_live else None)(name, wide=len(chosen) == 1)


def _list(known: list[str]) -> None:
    """Every run in a line; the page is drawn anew when one comes or goes."""
    found = jobs.list_runs(settings().runs)
    if [run.name for run in found] != known:
        st.rerun()
    st.dataframe(pd.DataFrame([_line(run) for run in found]), hide_index=True, width="stretch", key="run-list",
                 height=min(38 + 35 * len(found), 250), column_config={
                     "Run": st.column_config.TextColumn(pinned=True),
                     "Progress": st.column_config.ProgressColumn(format="%d%%", min_value=0, max_value=100)})


def _line(run: Run) -> dict[str, object]:
    last = progress.history(run.folder).tail(1)
    f1 = "" if last.empty else _number(progress.f1(last)["value"].iloc[0], ".2f", "too few")
    return {"Run": run.name, "State": _STATES[run.state][1],
            "Progress": 100 if run.state == "finished" else 100 * _share(run),
            "Time left": "" if run.seconds_left is None else words.duration(run.seconds_left),
            "Macro F1 so far": f1,
            "Started": f"{datetime.fromtimestamp(run.created):%d %b %Y, %H:%M}"}


def _share(run: Run) -> float:
    """How much of the epochs is done, 0 to 1."""
    now = progress.step(run.folder)
    within = now.step / now.steps if now and now.steps and now.epoch == run.epoch + 1 else 0.0
    return min(1.0, (run.epoch + within) / run.epochs) if run.epochs else 0.0


def _run(name: str, *, wide: bool) -> None:
    """One run: how it is, what can be done, its figures, its log."""
    pages.again_if_asked()
    try:
        run = jobs.find(name, runs=settings().runs)
    except JobError:  # deleted meanwhile
        st.rerun()
    if st.session_state.get(f"live-{name}") is True and not run.is_live:
        st.session_state[f"live-{name}"] = False
        st.rerun()  # it ended: no need to look again
    st.session_state[f"live-{name}"] = run.is_live
    with st.container(border=True, key=f"train-run-{figures.slug(name)}"):
        _heading(run)
        _buttons(run)
        if run.is_search:
            searching.panel(run)
        else:
            _figures(run, wide=wide)
        _log(run)


def _heading(run: Run) -> None:
    icon, said, colour = _STATES[run.state]
    st.markdown(f"**{plain(run.name)}** :{colour}-badge[{icon} {said}]")
    if run.is_live:
        left = "" if run.seconds_left is None else f", about {words.duration(run.seconds_left)} left"
        now = progress.step(run.folder)
        step = f", step {now.step:,} of {now.steps:,}" if now and now.epoch == run.epoch + 1 else ""
        doing = run.doing or "waiting to begin"
        what = "trial" if run.is_search else "epoch"
        st.progress(_share(run), text=f"{doing[0].upper()}{doing[1:]}: {what} {run.epoch} of {run.epochs} done"
                                      f"{step}{left}")
    elif run.state == "finished" and not run.is_search:
        st.caption(f"All done after {run.epoch} epochs. It is not used by anybody until it is promoted: see its "
                   "results.")
    for text in (run.reason, run.advice):
        if text:
            st.markdown(plain(text))


def _buttons(run: Run) -> None:
    name = run.name
    with st.container(horizontal=True):
        if run.state in ("queued", "running", "stopping"):
            st.button("Stop", key=f"stop-{name}", icon=":material/stop_circle:", disabled=run.state == "stopping",
                      help="Keeps what it has learnt, and can be resumed.", on_click=_act, args=(jobs.stop, name))
        if run.state in ("stopped", "failed", "lost"):
            st.button("Resume", key=f"resume-{name}", icon=":material/play_arrow:", type="primary",
                      on_click=_act, args=(jobs.resume, name))
        if run.state == "lost":
            st.button("End its process", key=f"stop-{name}", icon=":material/stop_circle:", on_click=_act,
                      args=(jobs.stop, name))
        if run.state == "finished" and not run.is_search:
            st.button("See its results", key=f"result-{name}", icon=":material/query_stats:", type="primary",
                      on_click=_then_again, args=(partial(pages.show_result, name),))
        if not run.is_search:
            st.button("Duplicate with changes", key=f"again-{name}", icon=":material/content_copy:",
                      help="Fills the form with these settings.", on_click=_then_again,
                      args=(partial(_duplicate, run),))
        if not run.is_live:
            with st.popover("Delete", icon=":material/delete:", type="tertiary", key=f"sure-{name}"):
                st.markdown("Deletes the run with its checkpoints and results. A model that was promoted from it "
                            "stays.")
                st.button("Delete it for good", key=f"delete-{name}", type="primary", on_click=_then_again,
                          args=(partial(_guarded, jobs.remove, name),))


def _act(action: Callable[..., object], name: str) -> None:
    _guarded(action, name)
    pages.again()


def _then_again(action: Callable[[], None]) -> None:
    action()
    pages.again()


def _guarded(action: Callable[..., object], name: str) -> None:
    """What somebody asked for; what is against it is said over the page."""
    try:
        action(name, runs=settings().runs)
    except DermError as error:
        components.tell(str(error), is_wrong=True)


def _duplicate(run: Run) -> None:
    try:
        form.fill(configs.read(run.folder / configs.CONFIG), name="default")
    except ConfigError as error:
        components.tell(str(error), is_wrong=True)
        return
    pages.show_new()


def _figures(run: Run, *, wide: bool) -> None:
    table = progress.history(run.folder)
    if table.empty:
        if run.is_live:
            st.caption("The first figures come with the end of the first epoch.")
        return
    now, last = progress.step(run.folder), table.iloc[-1]
    pace = now.images_per_second if run.is_live and now and now.images_per_second else last["images_per_second"]
    with st.container(key=f"derm-tiles-{figures.slug(run.name)}"):
        everybody = progress.f1(table.tail(1))["value"].iloc[0]
        st.metric("Macro F1, last epoch", _number(everybody, ".2f", "too few"))
        st.metric("Photographs a second", _number(pace, ".0f" if pace >= 10 else ".1f"))
        st.metric("Learning rate", _number(last["learning_rate"], ".6f").rstrip("0"))
        st.metric("An epoch takes", words.duration(last["seconds"]) if pd.notna(last["seconds"]) else "–")
    origin = Origin(f"run-{run.name}", run.name, f"Run {run.name}, epoch {run.epoch} of {run.epochs}")
    figured = progress.f1(table)
    st.markdown("**Macro F1 on the photographs held out, by skin type**")
    st.caption(_by_group(figured))
    left, right = st.columns([3, 2], gap="medium") if wide else (st.container(), st.container())
    with left:
        if figured["value"].notna().any():
            figures.show(origin, plots.training_lines(figured, label="Macro F1"), key="f1")
        else:
            st.info("Too few photographs are held out for a figure to draw.", icon=":material/show_chart:")
    with right:
        figures.show(origin, charts.epochs(progress.losses(table), label="Loss", height=200), key="loss")
    with st.expander("Learning rate and pace"):
        figures.show(origin, charts.epochs(progress.rates(table), label="Learning rate", form=".2e"), key="rate")
        figures.show(origin, charts.epochs(progress.pace(table), label="Photographs a second"), key="pace")


def _by_group(figured: pd.DataFrame) -> str:
    last = figured[figured["epoch"] == figured["epoch"].max()]
    said = "; ".join(f"{scores.group(line.group)} {_number(line.value, '.2f', 'too few')}"
                     + (f" ({scores.n(line.n)})" if line.n else "")
                     for line in plots.lines(last))
    return f"After the last epoch: {said}. Passing figures, without intervals: the finished model gets those."


def _number(value: float, form: str, missing: str = "–") -> str:
    return missing if pd.isna(value) else f"{value:{form}}"


def _log(run: Run) -> None:
    with st.expander("What it says", icon=":material/notes:", expanded=run.state in ("failed", "lost")):
        lines = jobs.log_tail(run.name, runs=settings().runs, lines=_LOG_LINES)
        st.code("\n".join(lines) or "Nothing yet.", language=None, wrap_lines=True, height=260 if lines else None)
