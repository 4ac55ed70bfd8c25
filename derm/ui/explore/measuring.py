"""Measuring a data set's pictures while its page is already in use: one thread a data set, shared by everybody.

Knows threads and Streamlit; what is measured is `derm.inspection.scan`'s affair.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from threading import Lock, Thread
from typing import TYPE_CHECKING

import streamlit as st

from derm.datasets import Dataset
from derm.settings import settings
from derm.ui.charts import percent
from derm.ui.components import plain
from derm.ui.readings import explain

if TYPE_CHECKING:
    from derm.inspection.scan import Scan

_SETTLE = 3.0  # seconds before a time left is worth saying


@dataclass(frozen=True)
class Progress:
    """Steps `done` of `total`, the seconds left (None while nobody can say), and why it stopped, if it did."""

    done: int = 0
    total: int = 0
    left: float | None = None
    problem: str = ""

    @property
    def text(self) -> str:
        """'Measuring duplicates and quality: 35 %, about 40 seconds left'."""
        left = "" if self.left is None else f", {_duration(self.left)} left"
        return f"Measuring duplicates and quality: {percent(self.share)}{left}"

    @property
    def share(self) -> float:
        """0 to 1."""
        return min(self.done / self.total, 1.0) if self.total else 0.0


class _Job:
    """One data set's measurement: not begun, going on, failed or done."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._begun = False
        self._start = 0.0
        self.scan: Scan | None = None
        self.progress = Progress()

    def begin(self, dataset: Dataset) -> None:
        """Start the thread, once; again after a failure only when `forget` was called."""
        with self._lock:
            if not self._begun:
                self._begun, self._start, self.progress = True, time.monotonic(), Progress()
                Thread(target=self._work, args=(dataset,), name=f"measure {dataset.name}", daemon=True).start()

    def forget(self) -> None:
        """Let the next `begin` try once more after a failure."""
        with self._lock:
            if self.progress.problem:
                self._begun, self.progress = False, Progress()

    def _work(self, dataset: Dataset) -> None:
        try:
            from derm.inspection.scan import scan

            self.scan = scan(dataset, cache=settings().cache, progress=self._heard)
        except Exception as error:
            self.progress = Progress(problem=explain(error))

    def _heard(self, done: int, total: int) -> None:
        spent = time.monotonic() - self._start
        left = spent / done * (total - done) if done and spent >= _SETTLE else None
        self.progress = Progress(done, total, left)


def finished(dataset: Dataset) -> Scan | None:
    """What was measured, once it is done. Starts nothing."""
    return _job(str(dataset.root), dataset.fingerprint).scan


def status(dataset: Dataset) -> Scan | Progress:
    """What was measured, or how far that has come; the first call starts it."""
    job = _job(str(dataset.root), dataset.fingerprint)
    job.begin(dataset)
    return job.scan or job.progress


def notice(dataset: Dataset) -> None:
    """How far measuring has come, drawn anew each second; the page is run again when it is done.

    Starts it on first need. Nothing is drawn once it is done, or where no picture is on disk.
    """
    if dataset.table["path"].isna().all() or finished(dataset) is not None:
        return
    state = status(dataset)
    if isinstance(state, Progress) and state.problem:
        st.warning(f"Duplicates and quality could not be measured. {plain(state.problem)}",
                   icon=":material/report:")
        st.button("Try again", key="measure-again", on_click=_job(str(dataset.root), dataset.fingerprint).forget)
    else:
        _watch(dataset)


@st.fragment(run_every=1.0)
def _watch(dataset: Dataset) -> None:
    state = status(dataset)
    if not isinstance(state, Progress) or state.problem:
        st.rerun()
    st.progress(state.share, text=state.text)


@st.cache_resource(max_entries=8, show_spinner=False)
def _job(root: str, fingerprint: str) -> _Job:
    return _Job()


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"about {max(5, 5 * round(seconds / 5))} seconds"
    return f"about {round(seconds / 60)} minutes"
