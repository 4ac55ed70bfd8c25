"""Bringing in somebody else's network: a file and its labels, checked before anything opens it. Staff only.
Widgets and wording."""

from __future__ import annotations

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

import streamlit as st

from derm import importing, registry
from derm.errors import DermError
from derm.importing import Imported, Labels
from derm.ui import auth, components
from derm.ui.components import plain

ABOUT = ("A network that somebody else trained, as a `.keras` file with the list of its labels. It is read as "
         "data first: one that carries code is not opened. Then it is tried on drawn pictures in a process of its "
         "own, with little memory and little time. It becomes a model without figures: nobody knows yet how good "
         "it is on your patients.")
_MB = importing.MAX_BYTES // 2**20


def panel() -> None:
    """The form, what was found in the files, and the button once all is well. Nothing for anybody but staff."""
    if not auth.is_staff():
        return
    if (last := st.session_state.pop("imported", None)) is not None:
        _done(last)
    st.markdown(ABOUT)
    left, right = st.columns(2, gap="large")
    with left:
        file = st.file_uploader("Network (.keras)", type=["keras"], key="import-network", max_upload_size=_MB)
        listed = st.file_uploader("Labels (text or CSV), one a line, in the order of its outputs",
                                  type=["txt", "csv"], key="import-labels", max_upload_size=1)
    with right:
        labels = _labels(listed.getvalue(), listed.name) if listed else None
        dtype = _network(file.getvalue(), file.name) if file else None
        scaling = _scaling() if dtype and dtype != "uint8" else None
        name = st.text_input("What to call it", key="import-name", max_chars=64, help="Letters, digits, - _ and .")
        problem = _unfit(name)
        ready = labels is not None and dtype is not None and bool(name) and not problem and (
            dtype == "uint8" or scaling is not None)
        if st.button("Try it and bring it in", type="primary", icon=":material/upload_file:", key="import-go",
                     disabled=not ready) and file and labels:
            _bring(file.getvalue(), file.name, labels, name, scaling)


def _labels(data: bytes, called: str) -> Labels | None:
    try:
        labels = importing.read_labels(data, called=called)
    except DermError as error:
        st.error(plain(str(error)))
        return None
    st.markdown(f"**{len(labels.given)} labels.** " + (
        "All are conditions that Derm knows." if not labels.unmapped else
        f"{len(labels.unmapped)} are not in the table of conditions and are kept as they are:"))
    components.sentences(labels.unmapped)
    return labels


def _network(data: bytes, called: str) -> str | None:
    """The type of its input; None, with the reason on the page, if it may not be opened."""
    digest = hashlib.sha256(data).hexdigest()
    st.markdown(f"SHA-256 of the file: `{digest}`")
    try:
        dtype, size = _checked(digest, called, _data=data)
    except DermError as error:
        st.error(plain(str(error)), icon=":material/gpp_bad:")
        return None
    takes = "bytes, so its scaling is inside" if dtype == "uint8" else f"{dtype} numbers"
    st.success(f"Made of plain layers only. It takes {size} × {size} pixels as {takes}.",
               icon=":material/verified_user:")
    return dtype


@st.cache_data(max_entries=8, show_spinner="Checking the file …")
def _checked(digest: str, called: str, *, _data: bytes) -> tuple[str, int]:
    with TemporaryDirectory(prefix="derm-") as folder:
        return importing.check_file(_written(folder, _data), called=called)


def _scaling() -> str | None:
    return st.selectbox("What it expects of a photograph", list(importing.SCALINGS), index=None,
                        key="import-scaling", format_func=lambda key: importing.SCALINGS[key],
                        placeholder="As it was trained",
                        help="Wrong scaling makes every answer nonsense. Whoever trained it knows.")


def _unfit(name: str) -> str:
    """What is wrong with the name, also said on the page; '' if nothing is, or there is none yet."""
    if not name:
        return ""
    try:
        registry.check_free(name)
    except DermError as error:
        st.error(plain(str(error)))
        return str(error)
    return ""


def _bring(data: bytes, called: str, labels: Labels, name: str, scaling: str | None) -> None:
    try:
        with st.spinner("Trying it on drawn pictures in a process of its own; up to a few minutes …"), \
                TemporaryDirectory(prefix="derm-") as folder:
            found = importing.bring(_written(folder, data), labels=labels, name=name, scaling=scaling,
                                    called=called)
    except DermError as error:
        st.error(plain(str(error)), icon=":material/gpp_bad:")
        return
    st.session_state["imported"] = found
    st.rerun()


def _done(found: Imported) -> None:
    st.success(f"**{plain(found.bundle.name)}** is a model now.", icon=":material/check_circle:")
    components.sentences(found.notes)


def _written(folder: str, data: bytes) -> Path:
    path = Path(folder) / "network.keras"
    path.write_bytes(data)
    return path
