"""What the page knows of each photograph, kept in the session so that no re-run asks the network twice.

Keyed by SHA-256 of the bytes, of the model and of what it was told of the patient. The bytes themselves and the
full-size pixels are not kept.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from PIL import Image

from derm import images
from derm.errors import DermError, ImageError
from derm.images import Photo, Quality
from derm.schema import Diagnosis

if TYPE_CHECKING:
    from derm.nn.model import Model

SHOWN = 1024  # longest side, in pixels, of what is shown and put into reports
UNLIKE = ("No answer: this picture is unlike the photographs of skin that the model learnt from. Is it a "
          "photograph of the finding itself, close and in plain light?")
_STORE = "readings"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Upload:
    """Untrusted bytes and the name they came with; `drawn` by this program, to try the page with."""

    name: str
    data: bytes
    drawn: bool = False


@dataclass(frozen=True)
class Reading:
    """One photograph at the size shown, how good it is, and what the model says of it: None if it is hopeless."""

    key: str
    photo: Photo
    quality: Quality
    diagnosis: Diagnosis | None
    drawn: bool = False

    @property
    def about_photo(self) -> tuple[str, ...]:
        """What to say of the photograph before its result, a sentence each."""
        return (*self.quality.problems, *self.photo.notices)

    @property
    def remarks(self) -> tuple[str, ...]:
        """The same, and what a report must not leave out: that there should have been no answer."""
        return (*self.about_photo, *([UNLIKE] if self.diagnosis and self.diagnosis.unlike else []))


@dataclass(frozen=True)
class Failure:
    """Why a photograph could not be read, in one sentence that names it."""

    text: str


def read_all(uploads: Iterable[Upload], *, model: str, predictor: Callable[[], Model],
             metadata: Mapping[str, Any]) -> list[Reading | Failure]:
    """A reading or a failure for each different photograph, in order; known ones from the session.

    `model` is the bundle's digest, `metadata` what is known of the patient; `predictor` is called only if there is
    something new to read.
    """
    store: dict[str, Reading | Failure] = st.session_state.get(_STORE, {})
    kept: dict[str, Reading | Failure] = {}
    for upload in uploads:
        key = hashlib.sha256(upload.data + f"{model}{json.dumps(metadata)}".encode()).hexdigest()
        if key not in kept:  # the same photograph twice must not count twice in a combined reading
            kept[key] = store.get(key) or _read(upload, key, predictor, metadata)
    st.session_state[_STORE] = kept  # what was taken away is forgotten
    return list(kept.values())


def explain(error: Exception) -> str:
    """One sentence for the page: a DermError's own, else a reference number; the log has the traceback."""
    if isinstance(error, DermError):
        return str(error)
    reference = secrets.token_hex(3)
    _log.error("reference %s", reference, exc_info=error)
    return f"Something went wrong here; please tell whoever runs this app the reference {reference}."


def _read(upload: Upload, key: str, predictor: Callable[[], Model],
          metadata: Mapping[str, Any]) -> Reading | Failure:
    try:
        photo = images.decode(upload.data, name=upload.name)
        quality = images.quality(photo.pixels)
        diagnosis = None if quality.hopeless else predictor().diagnose(photo.pixels, metadata)
        return Reading(key, replace(photo, pixels=_shown(photo.pixels)), quality, diagnosis,
                       upload.drawn)
    except ImageError as error:
        return Failure(str(error))
    except DermError:  # the model's trouble, not this photograph's: said once, for the page
        raise
    except Exception as error:
        return Failure(f"{images.safe_name(upload.name)}: {explain(error)}")


def _shown(pixels: np.ndarray) -> np.ndarray:
    picture = Image.fromarray(pixels)
    picture.thumbnail((SHOWN, SHOWN))
    return np.asarray(picture)
