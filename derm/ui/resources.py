"""What the pages share between people and re-runs, all caches together: the networks and the drawn samples.

Keyed by what a bundle's files hash to, never by an array. Knows Streamlit; Keras is imported only in
the loading thread, so that a page is drawn before TensorFlow is there.
"""

from __future__ import annotations

import gc
import hashlib
import json
import statistics
from concurrent.futures import Future
from io import BytesIO
from threading import Thread
from typing import TYPE_CHECKING

import streamlit as st
from PIL import Image
from starlette.formparsers import MultiPartParser

from derm import images, registry, samples
from derm.registry import Bundle

if TYPE_CHECKING:
    from derm.nn.model import Model

_TIMED = 3  # pictures
# Else an upload over 1 MB passes through a temporary file, and the page says that none reaches a disk.
MultiPartParser.spool_max_size = images.MAX_BYTES + 2**20


def bundles() -> list[Bundle]:
    """The usable models, the default one first; read anew each time, for they are small files."""
    default = registry.default()
    return sorted(registry.list_bundles(), key=lambda bundle: (bundle.name != default, bundle.name))


def digest(bundle: Bundle) -> str:
    """One hash of everything that decides what the model answers; of an ensemble, its members' too."""
    said = [bundle.name, bundle.version, bundle.temperature, bundle.mirror, bundle.turns, bundle.vote,
            bundle.shares, bundle.known_cases, bundle.known_width, sorted(bundle.sha256.items()),
            bundle.metadata, [digest(member) for member in registry.members(bundle)]]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def seconds(bundle: Bundle) -> float | None:
    """What the model took for a photograph here, from pixels to heat maps; None until it was loaded and timed."""
    return _timed().get(digest(bundle))


def warm_up(bundle: Bundle) -> Future[Model]:
    """The model, or the promise of it: loading starts with the first call and goes on in a thread."""
    future = _loading(digest(bundle), _bundle=bundle)
    if future.done() and future.exception() is not None:  # perhaps mended since: let the next run try again
        _loading.clear()
    return future


def predictor(bundle: Bundle) -> Model:
    """The model, waited for in the open if it is still loading. Raises what loading raised."""
    future = warm_up(bundle)
    if not future.done():
        with st.spinner("Loading the model (first time only) …"):
            return future.result()
    return future.result()


@st.cache_resource(max_entries=2, show_spinner=False)
def _loading(key: str, *, _bundle: Bundle) -> Future[Model]:
    future: Future[Model] = Future()
    arguments = (_bundle, future, key, _timed())
    Thread(target=_load, args=arguments, name=f"load {_bundle.name}", daemon=True).start()
    return future


def _load(bundle: Bundle, future: Future[Model], key: str, timed: dict[str, float]) -> None:
    try:
        from derm.nn import predict, speed

        loaded = predict.load(bundle)
        # Before anybody else can ask it, and so alone.
        timed[key] = statistics.median(speed.times(loaded, runs=_TIMED))
        settle()
        future.set_result(loaded)
    except Exception as error:
        future.set_exception(error)


def settle() -> None:
    """What is loaded is no garbage, and is not searched for any until the next model is loaded: Streamlit searches
    after each run of a page, which took 0.4 s with seven networks. What was let go meanwhile is found here."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


@st.cache_resource(show_spinner=False)
def _timed() -> dict[str, float]:
    """Seconds a photograph by the digest of the model; kept when the model itself is let go."""
    return {}


@st.cache_resource(show_spinner="Drawing the samples …")
def drawn_samples() -> dict[str, bytes]:
    """The sample pictures as PNG, by title."""
    drawn = {}
    for sample in samples.SAMPLES:
        file = BytesIO()
        Image.fromarray(sample.draw(size=384)).save(file, "PNG")
        drawn[sample.title] = file.getvalue()
    return drawn
