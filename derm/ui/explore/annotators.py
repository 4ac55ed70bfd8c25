"""Who said which skin type, and whether they agree: a matrix for each pair, and the pixels' own estimate."""

from __future__ import annotations

import streamlit as st

from derm.explore import agreement
from derm.explore.agreement import Agreement, Reading
from derm.fairness.figure import Figure
from derm.ui import plots, words
from derm.ui.components import plain
from derm.ui.explore import exports
from derm.ui.explore.view import View

_ESTIMATED = Reading("", "", "", "Estimate", "Annotation")


def panel(view: View) -> None:
    """Each pair of readings that the filtered pictures have, then the estimated angle against the annotation."""
    readings = agreement.readings(view.table, source=view.dataset.source.key)
    if not readings:
        st.info("These pictures have one reading of the skin type at most, so there is nothing to compare it "
                "with. Reset the filters, or choose a data set with two readings, such as Fitzpatrick17k.")
    for reading in readings:
        st.subheader(plain(reading.title), anchor=False)
        _agreement(view, agreement.agreement(view.table, reading), reading, key=f"agree-{reading.a}-{reading.b}")
    _angle(view)


def _agreement(view: View, found: Agreement, reading: Reading, *, key: str) -> None:
    """A sentence, the matrix and its figures."""
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.markdown(_sentence(found))
        chart = plots.agreement_map(found.matrix, rows=reading.rows, columns=reading.columns)
        exports.show(view, chart, key=key)
    with right:
        _figures(found, key=key)
        if found.note:
            st.caption(plain(words.dashed(found.note)))


def _sentence(found: Agreement) -> str:
    if found.exact.value is None or found.within_one.value is None:
        return f"Only {found.n} pictures have both: too few to say how far they agree."
    return (f"Of {found.n:,} pictures, both say the same on **{words.share(found.exact.value)}** and are at most "
            f"one step apart on **{words.share(found.within_one.value)}**.")


def _figures(found: Agreement, *, key: str) -> None:
    with st.container(key=f"derm-tiles-{key}"):
        _share("Exactly the same", found.exact, "The share of pictures on which both say the same.")
        _share("Within one step", found.within_one, "The share on which they differ by one step at most.")
        _kappa("Kappa", found.kappa, "Agreement beyond chance (Cohen): 1 is full, 0 is what guessing would give.")
        _kappa("Weighted kappa", found.weighted_kappa,
               "The same, but a near miss counts less than a far one (quadratic weights).")


def _share(label: str, figure: Figure, explained: str) -> None:
    st.metric(label, words.percent(figure), words.spread(figure), delta_color="off", delta_arrow="off",
              help=explained)


def _kappa(label: str, figure: Figure, explained: str) -> None:
    value = figure.text if figure.value is None else f"{figure.value:.2f}"
    st.metric(label, value, words.spread(figure, shares=False), delta_color="off", delta_arrow="off",
              help=explained)


def _angle(view: View) -> None:
    from derm.inspection.skintone import LIMITS

    st.subheader("Estimated from the picture", anchor=False)
    found = agreement.ita_agreement(view.table) if "ita" in view.table else None
    if found is None:
        st.info("The angle of these pictures has not been measured"
                + (" yet: this part fills in by itself when measuring is done." if view.pictures else
                   ": none of them is on disk. `derm data list` says how to get them."))
        return
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.markdown("The individual typology angle (ITA) says how light the skin in a picture looks: about 60 "
                    "degrees for very light skin, below −30 for very dark. A box holds the middle half of the "
                    "pictures of a type.")
        exports.show(view, plots.ita_boxes(agreement.ita_by_type(view.table)), key="ita")
    with right:
        st.markdown("**What the angle cannot tell**")
        st.caption(plain(LIMITS))
    _agreement(view, found, _ESTIMATED, key="ita-agree")
