"""How fast each model is here: timed when somebody asks, in a thread, once a process. Keras is imported there."""

from __future__ import annotations

from concurrent.futures import Future
from threading import Thread
from typing import TYPE_CHECKING

import streamlit as st

from derm.fairness.figure import Figure
from derm.registry import Bundle
from derm.ui import resources

if TYPE_CHECKING:
    from derm.nn.model import Model


def known(bundle: Bundle) -> Future[Figure] | None:
    """The seconds a photograph takes, or the promise of them; None as long as nobody asked."""
    return _asked().get(resources.digest(bundle))


def measure(bundle: Bundle) -> None:
    """Begin to time it, unless that was done; what failed is tried again."""
    future = known(bundle)
    if future is None or (future.done() and future.exception() is not None):
        future = _asked()[resources.digest(bundle)] = Future()
        Thread(target=_time, args=(resources.warm_up(bundle), future), name=f"time {bundle.name}",
               daemon=True).start()


def _time(loading: Future[Model], future: Future[Figure]) -> None:
    try:
        from derm.nn import speed

        future.set_result(speed.seconds(loading.result()))
    except Exception as error:
        future.set_exception(error)


@st.cache_resource(show_spinner=False)
def _asked() -> dict[str, Future[Figure]]:
    return {}
