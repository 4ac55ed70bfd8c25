"""How far to trust a reading of this patient's skin: the reliability card, the prediction set, when to give no
answer, and known cases like this one. Knows Streamlit and wording; measures nothing, the bundle says it all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from derm import conformal, thumbnails
from derm.errors import ImageError
from derm.registry import Bundle
from derm.schema import FST_GROUPS, Diagnosis, KnownCase, SkinType, display_name
from derm.settings import settings
from derm.ui import components, theme
from derm.ui.charts import percent
from derm.ui.readings import UNLIKE

MALIGNANT = "malignant"
ALL = conformal.ALL
NOT_MEASURED = ("For this model prediction sets, known cases and how well it does on each condition and skin type "
                "have not been measured. Whoever runs this app can have it done:")
_SIDE = 132  # pixels of a known case's picture: all four in a row, two on a telephone
Figures = Mapping[str, Mapping[str, Any]]


def refusals(diagnosis: Diagnosis, bundle: Bundle, skin: SkinType | None) -> list[str]:
    """Why there should be no answer, a sentence each; empty if there should be one."""
    found = [UNLIKE] if diagnosis.unlike else []
    held = possible(diagnosis, bundle, skin)
    if 2 * len(held) > len(diagnosis.classes):
        found.append(f"No answer: {len(held)} of {len(diagnosis.classes)} conditions stay possible, so the "
                     "photograph does not decide between them. Another photograph, sharper or closer, may.")
    return found


def possible(diagnosis: Diagnosis, bundle: Bundle, skin: SkinType | None) -> list[str]:
    """The prediction set for the skin type's group, most probable first; empty if the bundle has no limits."""
    if not bundle.conformal:
        return []
    group = np.array([skin.group if skin else ALL], dtype=object)
    held = conformal.sets(diagnosis.probabilities[None], _limits(bundle), group)
    order = np.argsort(-diagnosis.probabilities, kind="stable")
    return [diagnosis.classes[i] for i in order if held[0, i]]


def prediction_set(diagnosis: Diagnosis, bundle: Bundle, skin: SkinType | None) -> None:
    """The conditions that stay possible, and on whom that was measured."""
    if not (held := possible(diagnosis, bundle, skin)):
        return
    names = "".join(f"<li>{escape(display_name(name))}</li>" for name in held)
    count = "one condition stays" if len(held) == 1 else f"{len(held)} conditions stay"
    st.html(f'<div class="derm-set"><p><strong>{_level(bundle)} prediction set:</strong> {count} possible.</p>'
            f'<ul>{names}</ul><p class="derm-rest">{escape(measured_on(bundle, skin))}</p></div>')


def measured_on(bundle: Bundle, skin: SkinType | None) -> str:
    """On which photographs the limit of the prediction set was measured, and that it was pooled if it was."""
    limits = _limits(bundle)
    group = skin.group if skin and skin.group in limits else ALL
    pooled = f", too few of them of {_skin(skin.group)} to go by those alone" if skin and group == ALL else ""
    return (f"Such a set holds the right one in {_level(bundle)} of cases, by {limits[group].n:,} held-out "
            f"photographs of {_skin(group)}{pooled}.")


def card(diagnosis: Diagnosis, bundle: Bundle, skin: SkinType | None) -> None:
    """The reliability card: one sentence, two small charts, and what the model was trained on."""
    if not bundle.sensitivity:
        components.reliability_note(bundle, skin)
        return
    leading = diagnosis.top(1)[0].condition
    charts = [_chart(f"Recognised, of cases of {_small(leading)}", bundle.sensitivity.get(leading, {}), skin)]
    if MALIGNANT in bundle.sensitivity:
        charts.append(_chart("Called malignant, of malignant cases", bundle.sensitivity[MALIGNANT], skin))
    by = f"; {bundle.judges}" if bundle.judges else ""
    st.html(f'<div class="derm-note">{escape(sentence(leading, bundle, skin))}</div>'
            f'<div class="derm-groups">{"".join(charts)}</div>'
            f'<p class="derm-rest">{escape(coverage(leading, bundle, skin))} Bars: 95\N{NO-BREAK SPACE}% '
            f"intervals, on photographs held out from training{escape(by)}.</p>")


def sentence(leading: str, bundle: Bundle, skin: SkinType | None) -> str:
    """How well the model does on malignant conditions and on the leading one, on this skin: for a clinician."""
    start = f"On {_skin(skin.group)}" if skin else "Skin type not stated"
    parts, worst = [], ""
    if MALIGNANT in bundle.sensitivity:
        worst, figure = _chosen(bundle.sensitivity[MALIGNANT], skin)
        parts.append(_said(figure, "this model called {value} of {n} malignant cases malignant ({interval})",
                           "how many malignant cases it calls malignant is not known: {few}")
                     + _where(worst, skin))
    group, figure = _chosen(bundle.sensitivity.get(leading, {}), skin)
    where = " there, again its worst" if not skin and worst == group != ALL else _where(group, skin)
    name = _small(leading)
    parts.append(_said(figure, f"it recognised {{value}} of {{n}} cases of {name} ({{interval}})",
                       f"how often it recognises {name} is not known: {{few}}") + where)
    return f"{start}{',' if skin else ':'} {'; '.join(parts)}."


def coverage(condition: str, bundle: Bundle, skin: SkinType | None) -> str:
    """How many photographs of the condition, on which skin, the model was trained on; '' if that is not known."""
    counts = bundle.training.get(condition)
    if counts is None:
        return ""
    total, name = sum(counts.values()), _small(condition)
    if skin:
        n = counts.get(skin.group, 0)
        return (f"{n:,} photograph{'' if n == 1 else 's'} of {name} on {_skin(skin.group)} "
                f"{'was' if n == 1 else 'were'} used for training, of {total:,} in all.")
    each = ", ".join(f"{counts.get(group, 0):,} on {_dashed(group)}" for group in FST_GROUPS)
    return f"{total:,} photographs of {name} were used for training: {each}."


def similar(diagnosis: Diagnosis, bundle: Bundle) -> None:
    """The known cases most like this one, with a picture where the data set is on disk."""
    if not diagnosis.similar:
        return
    st.markdown("#### Similar known cases")
    say = (f" These and others like them have {percent(bundle.known_cases)} of the say in the answer."
           if bundle.known_cases else "")
    st.caption("Of the photographs for training and validation those most like this one to the network, with "
               f"their labels, which may be wrong. Likeness is no evidence of the same disease.{say}")
    with st.container(horizontal=True, key="derm-known"):
        for case in diagnosis.similar:
            with st.container(width=_SIDE, gap="xsmall"):
                if shown := picture(case):
                    st.image(shown, width=_SIDE, alt=f"Known case of {display_name(case.condition)}")
                st.html(_label(case))


def incomplete(bundle: Bundle) -> None:
    """For an older bundle: what is not known of it, and how to have it measured."""
    if not bundle.conformal:
        st.caption(NOT_MEASURED)
        st.code(f"derm models complete {bundle.name} --data PATH", language="sh")


def _level(bundle: Bundle) -> str:
    return f"{100 * bundle.conformal['level']:.0f}\N{NO-BREAK SPACE}%"


def _limits(bundle: Bundle) -> dict[str, conformal.Limit]:
    return {name: conformal.Limit(**one) for name, one in bundle.conformal["limits"].items()}


def _chosen(figures: Figures, skin: SkinType | None) -> tuple[str, Mapping[str, Any]]:
    """The group to speak of and its figure: the patient's, else the worst that was measured, else all together."""
    none = {"value": None, "low": None, "high": None, "n": 0}
    if skin:
        return skin.group, figures.get(skin.group, none)
    known = [name for name in FST_GROUPS if figures.get(name, none)["value"] is not None]
    group = min(known, key=lambda name: figures[name]["value"]) if known else ALL
    return group, figures.get(group, none)


def _where(group: str, skin: SkinType | None) -> str:
    """Which group a figure is of, where the patient's skin type does not say so already."""
    return "" if skin or group == ALL else f" on {_skin(group)}, where it does worst"


def _said(figure: Mapping[str, Any], measured: str, unknown: str) -> str:
    if figure["value"] is None:
        return unknown.format(few=_few(figure))
    low, high = percent(figure["low"]), percent(figure["high"])
    return measured.format(value=percent(figure["value"]), n=f"{figure['n']:,}",
                           interval=f"95\N{NO-BREAK SPACE}% interval {low} to {high}")


def _few(figure: Mapping[str, Any]) -> str:
    return f"too few cases (n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{figure['n']:,})"


def _chart(title: str, figures: Figures, skin: SkinType | None) -> str:
    """A row for each skin-type group: its figure in words over a bar of its interval; the patient's set off."""
    rows = "".join(_row(group, figures[group], chosen=skin is not None and skin.group == group)
                   for group in FST_GROUPS if group in figures)
    return f'<section><h5>{escape(title)}</h5><ul class="derm-ranges">{rows}</ul></section>' if rows else ""


def _row(group: str, figure: Mapping[str, Any], *, chosen: bool) -> str:
    value, low, high = figure["value"], figure["low"], figure["high"]
    if value is None:
        said, bar = _few(figure), ""
    else:
        said = f"{percent(value)} ({100 * low:.0f}–{100 * high:.0f}\N{NO-BREAK SPACE}%), n\N{NO-BREAK SPACE}=" \
               f"\N{NO-BREAK SPACE}{figure['n']:,}"
        bar = (f'<div class="derm-range" aria-hidden="true"><i style="left: {100 * low:.1f}%; '
               f'width: {100 * (high - low):.1f}%"></i><b style="left: {100 * value:.1f}%"></b></div>')
    return (f'<li{" class=derm-chosen" if chosen else ""}><div class="derm-row"><span>{_dashed(group)}</span>'
            f'<span>{escape(said)}</span></div>{bar}</li>')


def _label(case: KnownCase) -> str:
    skin = "Skin type not recorded"
    if case.fst is not None:
        swatch = f'<span class="derm-dot" style="background: {theme.SWATCHES[case.fst]}"></span>'
        skin = f"{swatch}Skin type {case.fst.name}"
    return f'<p class="derm-case"><strong>{escape(display_name(case.condition))}</strong><br>{skin}</p>'


def picture(case: KnownCase) -> bytes | None:
    """The case's picture, if the data set on disk has that very file."""
    root = settings().data
    if root is None or not case.path:
        return None
    path = (root / case.path).resolve()
    try:
        # A bundle may come from elsewhere: its paths must not lead out of the data, nor to another file.
        if not path.is_relative_to(Path(root).resolve()) or path.stat().st_size != case.size:
            return None
        return thumbnails.thumbnail(path, side=2 * _SIDE, cache=settings().cache / "thumbnails")
    except (OSError, ImageError):
        return None


def _skin(group: str) -> str:
    return "all skin types" if group == ALL else f"skin types {_dashed(group)}"


def _dashed(group: str) -> str:
    return group.replace("-", "–")


def _small(condition: str) -> str:
    """The condition within a sentence: 'Kaposi sarcoma' keeps its capital, 'Melanoma' does not."""
    name = display_name(condition)
    return name if name.split()[0] in _NAMES else name[0].lower() + name[1:]


_NAMES: Sequence[str] = ("Kaposi",)
