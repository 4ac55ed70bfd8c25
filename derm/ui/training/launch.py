"""What a new run will take, and the button that starts it. Widgets; what is measured is `derm.estimates`'."""

from __future__ import annotations

import time
from collections.abc import Sequence

import streamlit as st

from derm import bundle_rules, estimates, jobs, machine, splits
from derm.errors import DermError
from derm.estimates import Measured, Measuring, gigabytes
from derm.machine import Machine
from derm.nn.config import BACKBONES, TrainConfig
from derm.settings import settings
from derm.ui import components, words
from derm.ui.components import plain
from derm.ui.explore.view import View
from derm.ui.training import form, pages
from derm.ui.training.command import command, toml

_TWICE = 5.0  # seconds within which the same run is not started again: a double click
_LAST = "train--last"


def panel(config: TrainConfig, whole: View) -> None:
    """The machine, the estimate, the button, and the same as a command and a file."""
    size = config.image_size or BACKBONES[config.backbone][0]
    train, val = counts(config, whole)
    _machine()
    found = _estimate(config, train, val)
    problems = list(estimates.obstacles(
        config, photographs=train + val, size=size, machine=_look(), measured=found,
        rooms={"cache": machine.room(settings().cache), "runs": machine.room(settings().runs)}))
    for problem in problems:
        st.error(plain(problem), icon=":material/block:")
    name = _name()
    st.button("Start training", type="primary", icon=":material/play_arrow:", width="stretch",
              disabled=bool(problems) or name is None, on_click=_start, args=(config, name or None))
    with st.expander("The same as a command", icon=":material/terminal:"):
        run = settings().runs / name if name else None
        st.code(command(config, preset=form.begun_with(), run=run), language="sh", wrap_lines=True)
        st.caption("As a file of settings, for `derm train FILE`:")
        st.code(toml(config), language="toml", wrap_lines=True)


def counts(config: TrainConfig, whole: View) -> tuple[int, int]:
    """About how many photographs train and validate."""
    usable = int(splits.left_out(whole.dataset.table, flagged=config.exclude_flagged).isna().sum())
    folds, held = splits.FRACTIONS[config.split]
    return usable - usable * len(held) // folds, usable // folds


def _machine() -> None:
    found = _look()
    if found.gpus:
        said = [f"{plain(gpu.name)}: {gigabytes(gpu.used)} of {gigabytes(gpu.memory)} in use" + (
            "" if gpu.load is None else f", {words.share(gpu.load)} busy") for gpu in found.gpus]
        st.markdown(f":material/memory: **This machine** has {words.listed(said)}.")
    else:
        busy = "" if found.load is None else f", {found.load:.0%} busy"
        st.markdown(f":material/memory: **This machine** has no GPU: it trains on {found.cores} processor "
                    f"cores{busy}, with {gigabytes(found.available)} of memory free.")
    others = [run for run in jobs.list_runs(settings().runs) if run.is_live]
    if others:
        st.caption(f"{len(others)} run{'s' * (len(others) > 1)} going on or waiting; a new one waits its turn "
                   "where no device is free.")


@st.cache_data(ttl=5.0, max_entries=1, show_spinner=False)
def _look() -> Machine:
    return machine.look()


def _estimate(config: TrainConfig, train: int, val: int) -> Measured | None:
    """What was measured of these settings, or the button that measures it."""
    found = estimates.known(config, cache=settings().cache)
    if found is None:
        _measuring(config)
        return None
    seconds = found.seconds(config, train=train, val=val)
    memory = found.memory if found.gpu_memory is None else found.gpu_memory
    kind = "memory" if found.gpu_memory is None else "GPU memory"
    st.success(f"About **{words.duration(seconds)}** for {train:,} photographs to learn from and {val:,} to "
               f"validate on, and {gigabytes(memory)} of {kind}. From a few steps timed on this machine as busy "
               "as it was then.", icon=":material/timer:")
    return found


@st.fragment(run_every=1.0)
def _measuring(config: TrainConfig) -> None:
    going = _measurements()
    key = estimates.sketch(config).to_toml()
    one = going.get(key)
    if one is None or (one.is_over and one.problem):
        if one is not None:
            st.warning(plain(one.problem), icon=":material/timer_off:")
        if st.button("Estimate time and memory", icon=":material/timer:", width="stretch",
                     help="Times a few steps with these settings, in about a minute."):
            for other in going.values():
                other.cancel()
            going.clear()
            going[key] = Measuring(config, cache=settings().cache)
            st.rerun(scope="fragment")
        return
    if one.is_over:
        going.pop(key)
        st.rerun()
    st.progress(one.share, text=f"{one.doing} …")


@st.cache_resource(show_spinner=False)
def _measurements() -> dict[str, Measuring]:
    """One at a time, whoever asked for it."""
    return {}


def _name() -> str | None:
    """A name for the run, '' for one of its own making; None where it cannot be one."""
    name = st.text_input("Name of the run", key="train--name", placeholder="Date and network, if left empty",
                         max_chars=300).strip()
    problem = ""
    if name and not bundle_rules.is_name(name):
        problem = f"“{name[:60]}” cannot name a run; use {bundle_rules.NAME}."
    elif name and (settings().runs / name).exists():
        problem = f"There is a run called “{name}” already; choose another name."
    if problem:
        st.error(plain(problem), icon=":material/error:")
    return None if problem else name


def _start(config: TrainConfig, name: str | None) -> None:
    """A callback: the run appears on the list, or the reason why not is said."""
    before: Sequence[object] = st.session_state.get(_LAST, ())
    if before and before[0] == config and time.monotonic() - float(str(before[1])) < _TWICE:
        return
    try:
        run = jobs.start(config, runs=settings().runs, name=name)
    except DermError as error:
        components.tell(str(error), is_wrong=True)
        return
    st.session_state[_LAST] = (config, time.monotonic())
    st.session_state["train--name"] = ""
    pages.show_runs(run.name)
