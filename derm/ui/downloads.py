"""The files a clinician can take along: report, overlay, data. Each is made when its button is pressed.

`derm.report` is imported only then: its pandas would hold up the first page.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image

from derm import overlay, schema
from derm.registry import Bundle
from derm.schema import Diagnosis, SkinType
from derm.ui.readings import Reading

_KINDS = {"html": ("Report", "text/html"), "png": ("Overlay", "image/png"), "json": ("Data", "application/json")}


@dataclass(frozen=True)
class View:
    """What the page shows of one photograph: the heat map for `condition` by `method`, blended in."""

    reading: Reading
    diagnosis: Diagnosis
    condition: str
    method: str
    blended: np.ndarray


def first_view(reading: Reading, diagnosis: Diagnosis) -> View:
    """The view that a report opens with when nobody chose one: Grad-CAM of the leading condition."""
    condition = next(iter(diagnosis.heatmaps))
    blended = overlay.blend(reading.photo.pixels, diagnosis.heatmaps[condition])
    return View(reading, diagnosis, condition, "Grad-CAM", blended)


def of_one(view: View, bundle: Bundle, skin: SkinType | None) -> None:
    """Buttons for one photograph, with the overlay as it stands on the page."""
    stem = view.reading.photo.name.rpartition(".")[0] or view.reading.photo.name
    with st.container(horizontal=True):
        _button(stem, "html", lambda: _report([view], bundle, skin), key=view.reading.key)
        _button(stem, "png", lambda: _png(view.blended), key=view.reading.key)
        _button(stem, "json", lambda: json.dumps(_data(view, bundle), indent=1), key=view.reading.key)


def of_several(readings: Sequence[Reading], bundle: Bundle, skin: SkinType | None) -> None:
    """Buttons for the combined reading and all that it is made of."""
    with st.container(horizontal=True):
        _button("combined", "html", lambda: _report(_first_views(readings), bundle, skin), key="combined")
        _button("combined", "json", lambda: json.dumps(_combined_data(readings, bundle), indent=1),
                key="combined")


def _button(stem: str, kind: str, make: Callable[[], str | bytes], *, key: str) -> None:
    label, mime = _KINDS[kind]
    st.download_button(f"{label} ({kind.upper()})", make, f"{stem}-derm.{kind}", mime, key=f"{kind}-{key[:16]}",
                       on_click="ignore", icon=":material/download:")


def _first_views(readings: Sequence[Reading]) -> list[View]:
    return [first_view(reading, reading.diagnosis) for reading in readings if reading.diagnosis]


def _report(views: Sequence[View], bundle: Bundle, skin: SkinType | None) -> str:
    from derm import report

    pages = [report.Reading(view.reading.photo.name, view.reading.photo.pixels, view.diagnosis, view.blended,
                            view.condition, view.method, view.reading.remarks) for view in views]
    return report.html(pages, bundle=bundle, created=date.today(), skin_type=skin)


def _data(view: View, bundle: Bundle) -> dict[str, Any]:
    from derm import report

    name = view.reading.photo.name
    return report.to_json(view.diagnosis, bundle=bundle, path=name, image_id=name.rpartition(".")[0] or name)


def _combined_data(readings: Sequence[Reading], bundle: Bundle) -> dict[str, Any]:
    from derm import report

    views = _first_views(readings)
    whole = schema.combine([view.diagnosis for view in views])
    return {"combined": report.to_json(whole, bundle=bundle, path="", image_id="combined"),
            "photographs": [_data(view, bundle) for view in views]}


def _png(pixels: np.ndarray) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
