"""Diagnose: photographs in; what they may be, where the model looked, how far to trust it. Widgets and wording."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from derm import images, schema
from derm.registry import Bundle
from derm.schema import Diagnosis, SkinType
from derm.ui import charts, choosing, components, downloads, heatmaps, patient, readings, reliability, resources
from derm.ui.readings import Failure, Reading, Upload

LEAD = ("Drop a photograph of skin and read what it may be, where the model looked, "
        "and how reliable it is on this skin type.")
PRIVACY = ("Nothing you upload is kept on disk, and metadata such as location is removed before anything "
           "is shown or reported.")
FILES, CAMERA, DRAWN = "Photographs", "Camera", "Drawn samples"


def main() -> None:
    """Draw the page."""
    with components.page("Diagnose", LEAD):
        found = resources.bundles()
        if not found:
            components.no_model()
            return
        left, right = st.columns([3, 2], gap="medium")
        with left:
            uploads = photographs()
        with right:
            skin = components.skin_type_picker()
            bundle = choosing.model_picker(found)
            choosing.say_when_timed(bundle, found)
            known = patient.asked(bundle)
        if uploads:
            results(uploads, bundle, skin, known)


def photographs() -> list[Upload]:
    """What the open tab holds; the camera is asked for only when its tab is opened."""
    files, camera, drawn = st.tabs([FILES, CAMERA, DRAWN], key="source", on_change="rerun")
    with files:
        chosen = st.file_uploader("Drop photographs of one finding here", type=list(images.EXTENSIONS),
                                  accept_multiple_files=True, key="files")
        st.caption(PRIVACY)
    if camera.open:
        with camera:
            shot = st.camera_input("Photograph the finding", key="camera")
        return [Upload("camera.jpg", shot.getvalue())] if shot else []
    if drawn.open:
        with drawn:
            return components.sample_picker()
    return [Upload(file.name, file.getvalue()) for file in chosen]


def results(uploads: list[Upload], bundle: Bundle, skin: SkinType | None, known: Mapping[str, Any]) -> None:
    """What went wrong, then a result for each photograph and, of several, the combined reading first."""
    found = readings.read_all(uploads, model=resources.digest(bundle),
                              predictor=lambda: resources.predictor(bundle), metadata=known)
    for item in found:
        if isinstance(item, Failure):
            st.error(components.plain(item.text), icon=":material/broken_image:")
    good = [item for item in found if isinstance(item, Reading)]
    if len(good) == 1:
        one(good[0], bundle, skin)
    elif good:
        names = [f"{number}. {components.plain(item.photo.name[:24])}" for number, item in enumerate(good, 1)]
        usable = [item for item in good if item.diagnosis and not item.diagnosis.unlike]
        combined = [f"Combined reading of {len(usable)}"] if len(usable) > 1 else []
        tabs = st.tabs(combined + names)
        if combined:
            with tabs[0]:
                together(usable, bundle, skin)
        for tab, item in zip(tabs[len(combined):], good, strict=True):
            with tab:
                one(item, bundle, skin)


def one(reading: Reading, bundle: Bundle, skin: SkinType | None) -> None:
    """One photograph: its quality first, then what it may be beside where the model looked; or why no answer."""
    st.subheader(components.plain(reading.photo.name), anchor=False)
    for remark in reading.about_photo:
        st.warning(remark, icon=":material/photo_camera:")
    if reading.diagnosis is None:
        st.image(reading.photo.pixels, width=320, alt="The photograph as uploaded")
        st.info("No diagnosis from this photograph: it shows too little. Please take another.")
        return
    if not answered(reading, reading.diagnosis, bundle, skin):
        return
    left, right = st.columns([2, 3], gap="medium")
    with left:
        numbers(reading.diagnosis, bundle, skin)
    with right:
        heatmaps.panel(reading, reading.diagnosis, bundle, skin)
        reliability.similar(reading.diagnosis, bundle)


def answered(reading: Reading, diagnosis: Diagnosis, bundle: Bundle, skin: SkinType | None) -> bool:
    """Whether to show the answer: yes unless there is a reason against it, which is said, and nobody insists."""
    reasons = reliability.refusals(diagnosis, bundle, skin)
    if not reasons:
        return True
    key = f"insist-{reading.key[:16]}"
    if not st.session_state.get(key, reading.drawn):
        st.image(reading.photo.pixels, width=320, alt="The photograph as uploaded")
    for reason in reasons:
        st.error(reason, icon=":material/do_not_disturb_on:")
    return st.toggle("Show what the model computed all the same", reading.drawn, key=key)


def together(usable: list[Reading], bundle: Bundle, skin: SkinType | None) -> None:
    """Several photographs read as views of one finding."""
    st.subheader("Combined reading", anchor=False)
    st.caption(f"The mean over {len(usable)} photographs, for when they all show the same finding.")
    left, right = st.columns([2, 3], gap="large")
    with left:
        numbers(schema.combine([item.diagnosis for item in usable if item.diagnosis]), bundle, skin)
    with right:
        with st.container(horizontal=True):
            for item in usable:
                st.image(item.photo.pixels, width=200, caption=components.plain(item.photo.name),
                         output_format="JPEG", alt="One of the photographs")
        downloads.of_several(usable, bundle, skin)


def numbers(diagnosis: Diagnosis, bundle: Bundle, skin: SkinType | None) -> None:
    """The differential and how far to trust it, then its merged reading and roll-up."""
    st.markdown("#### What it may be")
    st.html(charts.differential(diagnosis))
    patient.said(diagnosis, bundle)
    reliability.card(diagnosis, bundle, skin)
    if diagnosis.heatmaps:  # the sets' limits were measured on single photographs, not on means of several
        reliability.prediction_set(diagnosis, bundle, skin)
    if merged := charts.merged(diagnosis):
        st.markdown("#### Overlapping labels as one")
        st.html(merged)
    if roll_up := charts.roll_up(diagnosis):
        st.markdown("#### Benign or malignant")
        st.html(roll_up)
    reliability.incomplete(bundle)
    components.about_model(bundle, skin)


main()
