"""What the pages share between people and re-runs, all caches together: the networks and the drawn samples.

Keyed by what a bundle's files hash to, never by an array. Knows Streamlit; Keras is imported only in
the loading thread, so that a page is drawn before TensorFlow is there.
"""

from __future__ import annotations

import hashlib
import json
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
    from derm.nn.predict import Predictor

# Else an upload over 1 MB passes through a temporary file, and the page says that none reaches a disk.
MultiPartParser.spool_max_size = images.MAX_BYTES + 2**20


def bundles() -> list[Bundle]:
    """The models there are, the default one first; read anew each time, for they are small files."""
    found = registry.list_bundles()
    if not found:
        return []
    default = registry.find().name
    return sorted(found, key=lambda bundle: (bundle.name != default, bundle.name))


def digest(bundle: Bundle) -> str:
    """One hash of everything that decides what the model answers."""
    said = [bundle.name, bundle.version, bundle.temperature, bundle.mirror, sorted(bundle.sha256.items())]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def warm_up(bundle: Bundle) -> Future[Predictor]:
    """The predictor, or the promise of it: loading starts with the first call and goes on in a thread."""
    future = _loading(digest(bundle), _bundle=bundle)
    if future.done() and future.exception() is not None:  # perhaps mended since: let the next run try again
        _loading.clear()
    return future


def predictor(bundle: Bundle) -> Predictor:
    """The predictor, waited for in the open if it is still loading. Raises what loading raised."""
    future = warm_up(bundle)
    if not future.done():
        with st.spinner("Loading the model (first time only) …"):
            return future.result()
    return future.result()


@st.cache_resource(max_entries=2, show_spinner=False)
def _loading(key: str, *, _bundle: Bundle) -> Future[Predictor]:
    future: Future[Predictor] = Future()
    Thread(target=_load, args=(_bundle, future), name=f"load {_bundle.name}", daemon=True).start()
    return future


def _load(bundle: Bundle, future: Future[Predictor]) -> None:
    try:
        from derm.nn.predict import Predictor

        loaded = Predictor.load(bundle)
        loaded.warm()
        future.set_result(loaded)
    except Exception as error:
        future.set_exception(error)


@st.cache_resource(show_spinner="Drawing the samples …")
def drawn_samples() -> dict[str, bytes]:
    """The sample pictures as PNG, by title."""
    drawn = {}
    for sample in samples.SAMPLES:
        file = BytesIO()
        Image.fromarray(sample.draw(size=384)).save(file, "PNG")
        drawn[sample.title] = file.getvalue()
    return drawn
