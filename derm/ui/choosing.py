"""Which model to ask, and what each costs and brings. Knows Streamlit and bundles; times nothing itself."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from derm import registry
from derm.registry import Bundle
from derm.ui import components, resources

_FEW = 4  # as many are shown at once, with their phrases


def model_picker(found: Sequence[Bundle]) -> Bundle:
    """The model to ask, the first of `found` (the default one) unless somebody chose another."""
    offered = offers(found)
    if (default := registry.default()) != found[0].name:
        st.warning(components.plain(f"The default model, {default}, cannot be used; `derm models` says why to "
                                    "whoever runs this app."), icon=":material/warning:")
    if len(offered) == 1:
        return offered[0]
    names = [bundle.name for bundle in offered]
    if len(offered) <= _FEW:
        chosen = st.radio("Model", names, key="model", captions=[phrase(bundle) for bundle in offered])
        return offered[names.index(chosen)] if chosen in names else offered[0]
    chosen = st.selectbox("Model", names, key="model")
    bundle = offered[names.index(chosen)] if chosen in names else offered[0]
    st.caption(phrase(bundle))
    return bundle


def say_when_timed(bundle: Bundle, found: Sequence[Bundle]) -> None:
    """Load the model; until it is there and its phrase can tell the seconds, a line that will tell them, where
    there is a choice at all.

    Only that line is drawn anew: with the whole page, photographs that are looked at would flicker.
    """
    resources.warm_up(bundle)
    if len(offers(found)) > 1 and resources.seconds(bundle) is None:
        _line(bundle)


@st.fragment(run_every=1)
def _line(bundle: Bundle) -> None:
    seconds = resources.seconds(bundle)
    if seconds is None:  # of a model that cannot be loaded it stays so
        st.caption("Its speed on this machine is being measured.")
    else:
        st.caption(f"About {_rounded(seconds)}\N{NO-BREAK SPACE}s a photograph on this machine.")


def offers(found: Sequence[Bundle]) -> list[Bundle]:
    """Those to choose from: all but the members of an ensemble, which answer through it; the first one always."""
    parts = {name for bundle in found for name in bundle.members}
    return [bundle for bundle in found if bundle is found[0] or bundle.name not in parts]


def phrase(bundle: Bundle) -> str:
    """'Accuracy 0.62 [0.58–0.66], n = 571; one network, 11 MB, about 0.05 s a photograph on this machine': what it
    brings and what it costs; no seconds before they were measured."""
    figure = bundle.figures.get("accuracy", {"value": None, "low": None, "high": None, "n": 0})
    brings = "Accuracy not measured"
    if figure["value"] is not None:
        brings = (f"Accuracy {figure['value']:.2f} [{figure['low']:.2f}–{figure['high']:.2f}], "
                  f"n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{figure['n']:,}")
    if bundle.judges:
        brings += f"; {bundle.judges}"
    costs = ["one network" if not bundle.members else f"{len(bundle.members)} networks",
             f"{max(1, round(registry.size(bundle) / 1e6))}\N{NO-BREAK SPACE}MB"]
    if (seconds := resources.seconds(bundle)) is not None:
        costs.append(f"about {_rounded(seconds)}\N{NO-BREAK SPACE}s a photograph on this machine")
    return f"{brings}; {', '.join(costs)}"


def _rounded(seconds: float) -> str:
    """One digit that counts: '0.05', '0.3', '2'; never 0."""
    return f"{float(f'{max(seconds, 0.001):.1g}'):g}"
