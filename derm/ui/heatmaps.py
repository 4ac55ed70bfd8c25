"""The photograph beside where the model looked. Redraws from heat maps already there, not from the network;
only the slower methods on request go back to it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import streamlit as st

from derm import overlay
from derm.registry import Bundle
from derm.schema import Diagnosis, SkinType, display_name
from derm.ui import downloads, resources
from derm.ui.components import plain
from derm.ui.downloads import View
from derm.ui.readings import Reading, explain

CAPTION = "A heat map shows where the model looked. It is not evidence that the model is right."
GRAD_CAM = "gradcam"
# (how people know it, what it shows). All but the first are names of derm.nn.explain.METHODS; listed here
# too, because that module would bring in Keras before the page is drawn; a test holds the two together.
WAYS: Mapping[str, tuple[str, str]] = {
    GRAD_CAM: ("Grad-CAM", "the regions that speak for the condition, coarse but dependable"),
    "gradcam++": ("Grad-CAM++", "like Grad-CAM, clearer where a finding appears several times"),
    "layercam": ("LayerCAM", "finer than Grad-CAM, from every place on its own"),
    "smoothgrad": ("SmoothGrad", "which pixels matter, averaged over noisy copies; takes a few seconds"),
    "saliency": ("Saliency", "which single pixels the answer hangs on; often grainy"),
}
TOGETHER = "All together"
_STORE = "ways"


@st.fragment
def panel(reading: Reading, diagnosis: Diagnosis, bundle: Bundle, skin: SkinType | None) -> None:
    """Photograph, overlay and their controls; a fragment, so that they alone are drawn again."""
    key = reading.key[:16]
    condition = _condition_picker(diagnosis, key)
    member = _member_picker(diagnosis, key)
    left, right = st.columns(2)
    left.image(reading.photo.pixels, caption="Photograph", width="stretch", output_format="JPEG",
               alt="The photograph as uploaded")
    place = right.container()
    st.caption(CAPTION)
    opacity = st.slider("Strength of the overlay", 0, 100, 50, format="%d%%", key=f"opacity-{key}") / 100
    way = _way_picker(key)
    heatmap = _heatmap(reading, diagnosis, bundle, condition=condition, way=way, member=member)
    blended = overlay.blend(reading.photo.pixels, heatmap, opacity=opacity)
    name, method = display_name(condition), _way_name(way) + (f" of {member}" if member else "")
    downloads.of_one(View(reading, diagnosis, condition, method, blended), bundle, skin)
    # Last, so that whoever sees the new overlay has the new buttons too: the old ones end with this run.
    place.image(blended, caption=plain(f"{method}: {name}"), width="stretch", output_format="JPEG",
                alt=f"Heat map for {name} over the photograph")


def _condition_picker(diagnosis: Diagnosis, key: str) -> str:
    conditions = list(diagnosis.heatmaps)
    chosen = st.pills("Where the model looked for", conditions, format_func=display_name, default=conditions[0],
                      required=True, wrap=True, key=f"condition-{key}")
    return chosen or conditions[0]


def _member_picker(diagnosis: Diagnosis, key: str) -> str | None:
    """The member of an ensemble whose map to show; None for that of all together."""
    if not diagnosis.members:
        return None
    chosen = st.pills("Which of the networks", [TOGETHER, *diagnosis.members], default=TOGETHER, required=True,
                      wrap=True, key=f"member-{key}")
    return chosen if chosen in diagnosis.members else None


def _way_picker(key: str) -> str:
    with st.expander("More ways to see"):
        way = st.pills("Method", list(WAYS), format_func=_way_name, default=GRAD_CAM, required=True, wrap=True,
                       key=f"way-{key}", label_visibility="collapsed") or GRAD_CAM
        st.caption(f"{_way_name(way)}: {WAYS[way][1]}.")
    return way


def _way_name(way: str) -> str:
    return WAYS[way][0]


def _heatmap(reading: Reading, diagnosis: Diagnosis, bundle: Bundle, *, condition: str, way: str,
             member: str | None) -> np.ndarray:
    """The heat map asked for; Grad-CAM's, with the reason said, if the other one fails."""
    grad_cam = (diagnosis.members[member] if member else diagnosis.heatmaps)[condition]
    if way == GRAD_CAM:
        return grad_cam
    store: dict[tuple[str, str, str, str | None], np.ndarray] = st.session_state.setdefault(_STORE, {})
    wanted = (reading.key, condition, way, member)
    if wanted not in store:
        try:
            with st.spinner(f"{_way_name(way)} is being computed …"):
                found = _compute(reading, bundle, condition=condition, way=way, member=member)
        except Exception as error:
            st.error(plain(explain(error)))
            return grad_cam
        for old in [known for known in store if known[0] != reading.key]:  # keeps a long session small
            del store[old]
        store[wanted] = found
    return store[wanted]


def _compute(reading: Reading, bundle: Bundle, *, condition: str, way: str, member: str | None) -> np.ndarray:
    from derm.nn import explain as saliency
    from derm.nn.ensemble import Ensemble

    model = resources.predictor(bundle)
    if member and isinstance(model, Ensemble):
        model = model.members[member]
    return saliency.explain(model, reading.photo.pixels, condition, way)
