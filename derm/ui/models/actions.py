"""What can be done with a model: read its card, check its files, take it along; staff also make it the default or
remove it. Widgets and wording."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

import streamlit as st

from derm import exporting, promotion, registry
from derm.bundle_rules import CARD, PREDICTIONS
from derm.errors import DermError
from derm.promotion import Verdict
from derm.registry import Bundle
from derm.ui import auth, components, resources, words
from derm.ui.components import plain
from derm.ui.models import speeds
from derm.ui.models.found import Found

# What each file is called, its type, and which file of the bundle it needs.
_FILES = {"keras": ("Network (.keras)", "application/zip", None),
          "csv": ("Predictions (CSV)", "text/csv", PREDICTIONS),
          "card": ("Card (Markdown)", "text/markdown", CARD)}


def card(bundle: Bundle) -> None:
    """A button that opens the model card."""
    if st.button("Card", icon=":material/description:", key=f"card-{bundle.name}"):
        _card(bundle)


@st.dialog("Model card", width="large")
def _card(bundle: Bundle) -> None:
    try:
        text = exporting.content(bundle, "card").decode("utf-8", "replace")
    except (DermError, OSError) as error:
        st.info(plain(str(error)))
        return
    st.markdown(text)


def check(one: Found) -> None:
    """What was checked of its files, and what is wrong."""
    bundle = one.bundle
    if bundle is None:
        return
    popover = st.popover("Check", icon=":material/verified_user:", key=f"check-{one.name}", on_change="rerun")
    if not popover.open:
        return
    with popover:
        with st.spinner("Checking every file anew …"):
            problems = registry.verify(bundle)
        for problem in problems:
            st.error(plain(problem))
        if not problems:
            st.success("Every file is as recorded, and the network is safe to open.")
            components.sentences(_checked(bundle))


def _checked(bundle: Bundle) -> list[str]:
    found = [f"{name}: {bundle.path(name).stat().st_size / 1e3:,.1f} kB, SHA-256 {digest[:16]}…"
             for name, digest in sorted(bundle.sha256.items())]
    if bundle.members:
        return [*found, f"The networks of {', '.join(bundle.members)} are those it was made with."]
    return [*found, f"The network takes photographs of {bundle.input_size} pixels as bytes and answers with "
            f"{len(bundle.classes)} numbers.", "It is made of Keras's and Derm's own layers: none carries code or "
            "reads other files."]


def take_along(one: Found) -> None:
    """Its files as downloads; ONNX is made when asked for."""
    bundle = one.bundle
    if bundle is None:
        return
    popover = st.popover("Export", icon=":material/download:", key=f"export-{one.name}",
                         disabled=bool(one.problems), on_change="rerun")
    if not popover.open:
        return
    with popover:
        for kind, (label, mime, needs) in _FILES.items():
            if needs is None or needs in bundle.sha256:
                label = "It and its members (ZIP)" if kind == "keras" and bundle.members else label
                st.download_button(label, partial(exporting.content, bundle, kind),
                                   exporting.filename(bundle, kind), mime, key=f"take-{kind}-{one.name}",
                                   on_click="ignore", width="stretch")
        _onnx(bundle)


def _onnx(bundle: Bundle) -> None:
    if bundle.members:
        st.caption("ONNX holds one network: export the members one by one.")
        return
    if st.button("Make ONNX", key=f"onnx-{bundle.name}", width="stretch",
                 help="A format that other programs read. It takes up to a minute."):
        try:
            with st.spinner("Converting the network …"):
                st.session_state[_made(bundle)] = exporting.content(bundle, "onnx")
        except DermError as error:
            st.error(plain(str(error)))
    if (data := st.session_state.get(_made(bundle))) is not None:
        st.download_button("Network (ONNX)", data, exporting.filename(bundle, "onnx"), "application/octet-stream",
                           key=f"take-onnx-{bundle.name}", on_click="ignore", width="stretch")


def _made(bundle: Bundle) -> str:
    return f"onnx-{resources.digest(bundle)}"


def measure(bundle: Bundle) -> None:
    """A button that times it on this machine, as long as nobody did."""
    if speeds.known(bundle) is None:
        st.button("Measure speed", icon=":material/timer:", key=f"speed-{bundle.name}", on_click=speeds.measure,
                  args=(bundle,))


def make_default(one: Found) -> None:
    """For staff: make it the model that clinicians get; a reason is asked for if a group is served worse."""
    bundle = one.bundle
    if one.is_default or bundle is None or one.problems:
        return
    with _sure("Make default", ":material/check:", f"default-{one.name}") as is_open:
        if not is_open:
            return
        verdict, why = _verdict(_against(bundle), _bundle=bundle), ""
        if verdict.is_refused:
            st.error(plain(words.dashed(verdict.reason)))
            why = st.text_input("Why it is to be the default all the same (goes into its card)", max_chars=500,
                                key=f"why-{one.name}").strip()
        else:
            st.markdown(f"Diagnose will open with **{plain(bundle.name)}**. {plain(words.dashed(verdict.reason))}")
        st.button("Make it the default", type="primary", key=f"default-sure-{one.name}",
                  disabled=verdict.is_refused and not why, on_click=_do,
                  args=(partial(promotion.set_default, one.name, override=why),
                        f"{one.name} is the default model now."))


def remove(one: Found) -> None:
    """For staff: delete it, unless it is the default or an ensemble needs it."""
    with _sure("Remove", ":material/delete:", f"remove-{one.name}") as is_open:
        if not is_open:
            return
        if one.is_default:
            st.info(f"{plain(one.name)} is the default model; make another one the default first.")
        elif one.used_by:
            st.info(f"{plain(one.name)} is a member of {plain(', '.join(one.used_by))}; remove that first.")
        else:
            st.markdown(f"**{plain(one.name)}** is deleted from the disk. This cannot be undone.")
            st.button("Remove for good", type="primary", key=f"remove-sure-{one.name}", on_click=_do,
                      args=(partial(registry.remove, one.name), f"{one.name} is gone."))


@contextmanager
def _sure(label: str, icon: str, key: str) -> Iterator[bool]:
    """A button that opens on what it would do; whether it is open."""
    popover = st.popover(label, icon=icon, key=key, on_change="rerun")
    with popover:
        yield bool(popover.open)


def _against(bundle: Bundle) -> str:
    """What a comparison with the default model depends on."""
    with suppress(DermError):
        return f"{resources.digest(bundle)} {resources.digest(registry.find())}"
    return f"{resources.digest(bundle)} alone"


@st.cache_data(max_entries=8, show_spinner="Comparing it with the default model …")
def _verdict(key: str, *, _bundle: Bundle) -> Verdict:
    return promotion.as_default(_bundle)


def _do(act: Callable[[], object], said: str) -> None:
    """From a callback: do it, if whoever asks is still staff."""
    try:
        if auth.is_staff():
            act()
            components.tell(said)
    except DermError as error:
        components.tell(str(error), is_wrong=True)
