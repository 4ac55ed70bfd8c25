"""Models beside one another, group by group, and how sure a difference is. Widgets and wording."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from derm import promotion
from derm.fairness.measures import MEASURES
from derm.promotion import GroupDifference, Verdict
from derm.registry import Bundle
from derm.schema import FST_GROUPS
from derm.ui import figures, resources, words
from derm.ui.components import plain
from derm.ui.figures import Origin
from derm.ui.models import chart, facts
from derm.ui.models.found import Found
from derm.ui.scores import ALL

_OFFERED = ("accuracy", "macro_f1", "top3", "balanced_accuracy", "weighted_f1", "ece")


def panel(found: Sequence[Found]) -> None:
    """The models that were chosen: their figures in each group, then each against the first, photograph by
    photograph where both held out the same ones."""
    usable = {one.name: one.bundle for one in found
              if one.bundle and not one.problems and one.bundle.figures}
    if len(usable) < 2:
        st.info("Two models with figures are needed to compare. Train another one, or evaluate an imported one.")
        return
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    with left:
        names = st.multiselect("Models", list(usable), default=list(usable)[:2], key="compared",
                               bind="query-params", max_selections=len(chart.COLOURS),
                               placeholder="Choose two or more")
    with right:
        measure = st.selectbox("Figure", _OFFERED, format_func=lambda name: MEASURES[name].label, key="figure",
                               bind="query-params")
    chosen = [usable[name] for name in names]
    if len(chosen) < 2:
        st.info("Choose two or more models.")
        return
    _chart(chosen, measure)
    st.subheader(f"Against {plain(chosen[0].name)}", anchor=False)
    for other in chosen[1:]:
        _against(other, chosen[0])


def _chart(chosen: Sequence[Bundle], measure: str) -> None:
    said = MEASURES[measure]
    measured = {bundle.name: {group: one for group, key in ((ALL, ""), *((name, name) for name in FST_GROUPS))
                              if (one := facts.figure(bundle, measure, key))} for bundle in chosen}
    drawn = chart.group_points(measured, label=said.label, share=said.proportion)
    origin = Origin("-".join(bundle.name for bundle in chosen), "models", words.listed(list(measured)))
    figures.show(origin, drawn, key=f"models-{measure}")
    least = [f"{name} on {words.dashed(group)} (n = {one.n})" for name, groups in measured.items()
             for group, one in groups.items() if one.value is None]
    better = {"lower": "Lower is better."}.get(said.better, "")
    few = f"Too few photographs for a figure: {words.listed(least)}." if least else ""
    intervals = "Lines are 95\N{NO-BREAK SPACE}% intervals; each model on the photographs that it held out."
    parts = [f"Of {one.name}, also in the table below, {one.judges}." for one in chosen if one.judges]
    st.caption(" ".join(filter(None, (intervals, better, plain(few), *map(plain, parts)))))


def _against(other: Bundle, first: Bundle) -> None:
    """The differences of one model from the first, by group, those beyond their interval named before all."""
    verdict = _compared(f"{resources.digest(other)} {resources.digest(first)}", _other=other, _first=first)
    st.markdown(f"**{plain(other.name)}**")
    if verdict.obstacle:
        st.info(plain(verdict.obstacle))
        return
    st.caption(f"{plain(other.name)} minus {plain(first.name)}; {verdict.how}.")
    if verdict.worse:
        where = words.listed(list(dict.fromkeys(words.dashed(each.group) for each in verdict.worse)))
        st.error(f"Worse on skin types {where}: the whole interval of the difference is below 0.",
                 icon=":material/trending_down:")
    st.html(table(verdict))


@st.cache_data(max_entries=32, show_spinner="Comparing photograph by photograph …")
def _compared(key: str, *, _other: Bundle, _first: Bundle) -> Verdict:
    return promotion.compare(_other, _first)


def table(verdict: Verdict) -> str:
    """A row a group: n and the difference in each measure with its interval, HTML."""
    by: dict[str, list[GroupDifference]] = {}
    for each in verdict.differences:
        by.setdefault(each.group, []).append(each)
    head = "".join(f"<th>{escape(MEASURES[each.metric].label)}</th>" for each in next(iter(by.values()), []))
    rows = "".join(
        f"<tr><th>{escape(_group(group))}</th><td>{_n(first)}</td>"
        + "".join(_cell(each, first) for each in (first, *others)) + "</tr>"
        for group, (first, *others) in by.items())
    return (f'<div class="derm-scroll"><table class="derm-differences"><thead><tr>'
            f"<th>Skin types</th><th>n</th>{head}</tr></thead><tbody>{rows}</tbody></table></div>")


def _cell(each: GroupDifference, first: GroupDifference) -> str:
    """With its own n, if that is not the one of the row, which is that of the `first`."""
    n = "" if _n(each) == _n(first) else f" <span>n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{_n(each)}</span>"
    if each.value is None or each.low is None or each.high is None:
        return f"<td>too few{n}</td>"
    scale, digits, unit = (100, 1, "\N{NO-BREAK SPACE}points") if MEASURES[each.metric].proportion else (1, 2, "")
    value, low, high = (_signed(scale * number, digits) for number in (each.value, each.low, each.high))
    mark = ' class="derm-worse"' if each.high < 0 else ' class="derm-better"' if each.low > 0 else ""
    return f"<td{mark}>{value}{unit} <span>{low} to {high}</span>{n}</td>"


def _signed(number: float, digits: int) -> str:
    text = f"{number:+.{digits}f}".replace("-", "−")
    return text if float(f"{number:.{digits}f}") else text[1:]


def _n(each: GroupDifference) -> str:
    return f"{each.n:,}" if each.n == each.n_default else f"{each.n:,} and {each.n_default:,}"


def _group(group: str) -> str:
    return "All" if group not in FST_GROUPS else words.dashed(group)
