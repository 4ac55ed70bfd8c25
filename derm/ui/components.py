"""Pieces that pages are made of: the frame around a page, the skin-type picker, what is known of a model.

Knows Streamlit and wording; measures nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape

import streamlit as st

from derm import registry
from derm.registry import Bundle
from derm.schema import SkinType
from derm.ui import resources, routing, theme
from derm.ui.charts import percent
from derm.ui.readings import Upload, explain

NOTICE = "Derm is a research demonstration, not a medical device; it does not replace a clinician's judgement."
_NOT_SURE = "Not sure"
_TOLD = "told"
_THUMBNAIL = 148  # pixels; two beside each other on a telephone


@contextmanager
def page(title: str, lead: str) -> Iterator[None]:
    """A page: style, title, one sentence, what is drawn within, the research notice. Errors end here."""
    routing.by_way_of_the_app(title.lower())
    theme.apply()
    _told()
    st.title(title, anchor=False)
    st.html(f'<p class="derm-lead">{lead}</p>')
    try:
        yield
    except Exception as error:
        st.error(plain(explain(error)))
    st.html(f'<p class="derm-notice">{NOTICE}</p>')


def tell(sentence: str, *, is_wrong: bool = False) -> None:
    """From a callback: say this over the page in its next drawing, so that the page does not move under the hand
    that works far down in it. What went wrong stays until it is dismissed."""
    st.session_state[_TOLD] = sentence, is_wrong


def _told() -> None:
    # Not in the callback itself: a toast sent before the style sheet takes its place, and the page is bare for a
    # blink.
    sentence, is_wrong = st.session_state.pop(_TOLD, ("", False))
    if sentence:
        st.toast(plain(sentence), icon=":material/error:" if is_wrong else ":material/check_circle:",
                 duration="infinite" if is_wrong else "long")


def plain(text: str) -> str:
    """Text that may hold a file's name, with nothing left that Markdown would act on."""
    return re.sub(r"([\\`*_{}\[\]()<>#+!|~$:&-])", r"\\\1", text)


def sentences(texts: Sequence[str]) -> None:
    """A list of plain sentences; nothing in them is markup."""
    st.html(f'<ul class="derm-said">{"".join(f"<li>{escape(text)}</li>" for text in texts)}</ul>')


def skin_type_picker() -> SkinType | None:
    """Six swatches and 'Not sure'; None for the latter. Asked, never guessed from the photograph."""
    options = [skin.name for skin in SkinType] + [_NOT_SURE]
    chosen = st.pills("Patient's Fitzpatrick skin type", options, key="skin_type", default=_NOT_SURE,
                      required=True, wrap=True,
                      help="I always burns and never tans; VI is deeply pigmented and never burns. It does not "
                           "change the result: it says how reliable the model is on such skin.")
    return None if chosen in (None, _NOT_SURE) else SkinType[chosen]


def no_model() -> None:
    """How to get a first model, and what is wrong with those that cannot be used."""
    for problem in registry.unreadable():
        st.error(plain(problem))
    st.info("There is no model yet. Whoever runs this app can train one, or copy a bundle into the models folder:")
    st.code("derm train --preset quick --data PATH", language="sh")


def sample_picker() -> list[Upload]:
    """Pictures drawn by our own code, none of them a photograph; the chosen one, if any."""
    st.caption("Drawn by this program, to try the page with. They are not photographs, and a reading of them "
               "means nothing.")
    drawn = resources.drawn_samples()
    with st.container(horizontal=True):
        for title, picture in drawn.items():
            with st.container(width=_THUMBNAIL, gap="xsmall"):
                st.image(picture, width=_THUMBNAIL, alt=title)
                if st.button(title, key=f"sample-{title}", width="stretch"):
                    st.session_state["sample"] = title
    chosen = str(st.session_state.get("sample"))
    return [Upload(chosen.replace(":", ","), drawn[chosen], drawn=True)] if chosen in drawn else []


def reliability(bundle: Bundle, skin: SkinType | None) -> str:
    """One sentence: how often the model was right in validation, on this skin-type group if one is chosen."""
    where = f"photographs of {f'skin types {skin.group}' if skin else 'all skin types'}".replace("-", "–")
    figure = bundle.figures.get(f"accuracy:{skin.group}" if skin else "accuracy")
    if figure is None:
        return f"How often this model is right on {where} has not been measured."
    value, low, high = (None if figure[key] is None else percent(figure[key]) for key in ("value", "low", "high"))
    if value is None:
        return f"Too few {where} (n = {figure['n']}) to say how often this model is right on them."
    return (f"On {figure['n']} validation {where}, the first answer was right in {value}"
            f" (95 % interval {low} to {high}).")


def reliability_note(bundle: Bundle, skin: SkinType | None) -> None:
    """That sentence, set apart beside the result."""
    st.html(f'<p class="derm-note">{escape(reliability(bundle, skin))}</p>')


def about_model(bundle: Bundle, skin: SkinType | None) -> None:
    """Which model, trained on what, how well measured, behind one click."""
    with st.popover(f"About the model: {bundle.name} {bundle.version}", icon=":material/info:", type="tertiary"):
        st.markdown(f"**{plain(bundle.name)}**, version {plain(bundle.version)}")
        st.markdown(f"Trained on {plain(bundle.data_name)}{_counts(bundle)}; {len(bundle.classes)} conditions;"
                    f" network {plain(bundle.backbone)}.")
        if bundle.members:
            st.markdown(f"**An ensemble** ({bundle.vote} vote) of {plain(', '.join(bundle.members))}.")
        st.markdown(reliability(bundle, None))
        if skin:
            st.markdown(reliability(bundle, skin))
        st.markdown(f"**Intended use:** {plain(bundle.intended_use)}")
        st.markdown(f"**Licence:** {plain(bundle.licence)}")


def _counts(bundle: Bundle) -> str:
    if "train" not in bundle.counts:
        return ""
    held = f", {bundle.counts['val']:,} held back for validation" if "val" in bundle.counts else ""
    return f" ({bundle.counts['train']:,} photographs{held})"
