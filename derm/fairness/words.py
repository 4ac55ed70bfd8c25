"""An audit in plain sentences, each number with its n and interval. Knows what was found; measures nothing."""

from __future__ import annotations

from collections.abc import Iterator

from derm.fairness.audit import Audit
from derm.fairness.casemix import Adjusted
from derm.fairness.figure import TOO_FEW, Figure
from derm.fairness.gaps import Difference, Gap
from derm.fairness.groups import JOINT
from derm.fairness.measures import MEASURES

# The darkest group of each way to group by skin, by what people call it.
_DARK = {"fst3": ("V-VI",), "fst": ("V", "VI"), "mst": ("7-10",)}
_SCALES = {"fst3": "FST", "fst": "FST", "mst": "Monk", "partition3": "kind"}
_GROUPINGS = {"fst3": "skin type (FST) in three groups", "fst": "skin type (FST)", "mst": "Monk skin tone",
              "partition3": "benign, malignant or non-neoplastic"}
_PARITY = {"equal_opportunity": "equal opportunity (sensitivity)",
           "equalised_odds": "equalised odds (sensitivity and false alarms)",
           "demographic_parity": "demographic parity (share called malignant)"}


def headline(audit: Audit) -> str:
    """The gap that matters most in one sentence; without one, how good the model is over all."""
    if audit.lead is not None:
        return of_gap(audit, audit.lead)
    sizes = ", ".join(f"{each.group} {each.n:,}" for each in audit.groups)
    known = [name for name in audit.metrics if name in audit.overall and audit.overall[name].value is not None]
    said = f"; {_inside(known[0])} is {audit.overall[known[0]]} over all" if known else ""
    return f"{audit.n:,} photographs ({sizes}): the groups cannot be compared{said}."


def sentences(audit: Audit) -> list[str]:
    """What a person should take from the audit, the most important first; the last ones are its limits."""
    return [headline(audit), *_verdict(audit), *_dark_skin(audit), *_others(audit), *_parity(audit),
            *_left_out(audit), *audit.notes]


def of_gap(audit: Audit, gap: Gap) -> str:
    """'Sensitivity for malignant conditions is 0.61 [0.48-0.73] on FST V-VI, n = 56, against 0.78 [0.73-0.82] on
    FST I-II, n = 297: difference 0.17 [0.03-0.31]; after adjusting for condition mix 0.09 [-0.05 to 0.22].'"""
    worst, best = (audit.group(name).figures[gap.metric] for name in (gap.worst, gap.best))
    said = (f"{subject(gap.metric)} is {worst.text} {group(audit, gap.worst)}, n = {worst.n:,}, against "
            f"{best.text} {group(audit, gap.best)}, n = {best.n:,}: difference {_interval(gap.value, gap)}")
    if gap.adjusted is None:
        return f"{said}."
    return (f"{said}; after adjusting for condition mix {_interval(gap.adjusted.value, gap.adjusted)}, "
            f"n = {gap.adjusted.n:,}.")


def subject(metric: str) -> str:
    """What a measure is called at the start of a sentence: 'Sensitivity for malignant conditions'."""
    return MEASURES[metric].label.replace(", malignant", " for malignant conditions")


def group(audit: Audit, name: str) -> str:
    """'on FST V-VI', 'for sex F', 'on FST V-VI, sex F': a group within a sentence."""
    scales = [_SCALES.get(by) or by.removeprefix("x_").replace("_", " ") for by in audit.by.split(JOINT)]
    parts = [f"{scale} {part}" for scale, part in zip(scales, name.split(JOINT), strict=False)]
    return f"{'on' if audit.by.split(JOINT)[0] in _DARK else 'for'} {', '.join(parts)}"


def grouping(audit: Audit) -> str:
    """What the groups are of: 'skin type (FST), sex'."""
    return ", ".join(_GROUPINGS.get(by) or by.removeprefix("x_").replace("_", " ") for by in audit.by.split(JOINT))


def text(figure: Figure, n: int) -> str:
    """`figure.text` within a group of n: 'undefined' where enough are there, but none that it could be measured on
    (the sensitivity for malignant conditions of a group without any)."""
    return "undefined" if figure.n == 0 and n >= TOO_FEW else figure.text


def interval(low: float, high: float) -> str:
    """'[0.03-0.31]', with 'to' where a minus would be read as a hyphen."""
    return f"[{low:.2f}{' to ' if low < 0 else '-'}{high:.2f}]"


def _interval(value: float, of: Gap | Adjusted | Difference) -> str:
    return f"{value:.2f} {interval(of.low, of.high)}"


def _verdict(audit: Audit) -> Iterator[str]:
    """Whether the leading gap may be chance, and whether case mix may explain it."""
    gap = audit.lead
    if gap is None:
        return
    if gap.low <= 0:
        yield ("The interval of this difference includes 0: these data do not show that the groups differ, nor do "
               f"they rule out a difference of up to {max(gap.high, -gap.low):.2f}.")
    elif gap.p < 1 - audit.level:
        yield f"The interval of this difference leaves out 0: it is unlikely to be chance ({_p(gap.p)})."
    else:
        yield (f"The interval of this difference leaves out 0, but {len(audit.gaps)} measures were compared, and "
               f"one such difference among so many may be chance ({_p(gap.p)}).")
    if gap.low > 0 and gap.adjusted is not None:
        shared = f"the conditions that both groups have ({100 * gap.adjusted.coverage:.0f} % of their cases)"
        if gap.adjusted.low > 0:
            yield f"Condition mix does not explain it: it remains among {shared}, given the same mix."
        else:
            yield f"Condition mix may explain it: among {shared}, given the same mix, the interval includes 0."


def _dark_skin(audit: Audit) -> Iterator[str]:
    """How dark skin fares, also where another group is the worst."""
    gap = audit.lead
    for name in _DARK.get(audit.by, ()):
        if gap is None or name not in (each.group for each in audit.groups):
            continue
        figure = audit.group(name).figures[gap.metric]
        rest = next((each for each in audit.versus[gap.metric] if each.group == name), None)
        if rest is None:
            yield f"Dark skin ({_SCALES[audit.by]} {name}): {figure}, so nothing can be said of it."
            continue
        yield (f"Dark skin ({_SCALES[audit.by]} {name}) compared with all other skin types together: "
               f"{_inside(gap.metric)} {figure}; difference {_interval(rest.value, rest)} to the other "
               f"{rest.n_rest:,}, {_p(rest.p)}.")


def _others(audit: Audit) -> Iterator[str]:
    """The further gaps: each that its interval tells from 0, the rest by name."""
    sure = [gap for gap in audit.gaps[1:] if gap.low > 0]
    for gap in sure:
        yield f"{of_gap(audit, gap).removesuffix('.')} ({_p(gap.p)}, allowing for {len(audit.gaps)} measures)."
    if unsure := [_inside(gap.metric) for gap in audit.gaps[1:] if gap not in sure]:
        yield f"No difference is shown, as the interval includes 0, in {', '.join(unsure)}."
    if lost := [_inside(name) for name in audit.metrics if audit.gaps
                and name in audit.overall and name not in (gap.metric for gap in audit.gaps)]:
        yield f"Not compared, as fewer than two groups have {TOO_FEW} cases for it: {', '.join(lost)}."


def _parity(audit: Audit) -> Iterator[str]:
    """The differences in malignant decisions, as fairlearn defines them."""
    known = [f"{_PARITY[name]} {figure}" for name, figure in audit.parity.items() if figure.value is not None]
    if known:
        yield f"Largest differences between groups in malignant decisions: {'; '.join(known)}."


def _left_out(audit: Audit) -> Iterator[str]:
    """Groups that are shown and not compared, and rows that are not even shown."""
    few = [f"{each.group} (n = {each.n:,})" for each in audit.groups if each.compared and each.n < TOO_FEW]
    if few:
        yield f"Too few photographs for a figure, under {TOO_FEW}: {', '.join(few)}."
    if 0 < audit.n_missing < audit.n:
        yield (f"The group is not recorded for {audit.n_missing:,} of {audit.n:,} photographs; they are shown, "
               "but not compared.")
    if audit.n_unlabelled:
        yield f"Left out, as their true condition is not known: {audit.n_unlabelled:,} photographs."


def _inside(metric: str) -> str:
    """The measure within a sentence; an abbreviation keeps its capitals."""
    text = subject(metric)
    return text if text[1].isupper() or text.startswith("Cohen") else text[0].lower() + text[1:]


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
