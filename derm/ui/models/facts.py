"""What a model is, in words: its network or members, when and on what it was made, its size, its figures by skin
type. Makes text and HTML; measures nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from html import escape
from typing import Any

from derm import importing, registry
from derm.fairness.figure import Figure
from derm.fairness.measures import MEASURES
from derm.registry import Bundle
from derm.schema import FST_GROUPS, plain_name
from derm.ui import scores, words
from derm.ui.charts import percent

MEASURED = ("accuracy", "macro_f1")
_NAMES = {"I-II": "I–II", "III-IV": "III–IV", "V-VI": "V–VI"}


def kind(bundle: Bundle) -> str:
    """'One network (mobilenetv2, 224 pixels)', or which models an ensemble asks."""
    if bundle.members:
        how = {"soft": "their probabilities averaged", "hard": "by majority"}.get(bundle.vote, bundle.vote)
        return f"An ensemble of {words.listed(bundle.members)}, {how}{_weights(bundle)}"
    mean = f", the weights of {words.listed(bundle.averaged)} averaged" if bundle.averaged else ""
    say = f"; known cases have {percent(bundle.known_cases)} of the say" if bundle.known_cases else ""
    return f"One network ({bundle.backbone}, {bundle.input_size} pixels{mean}{say})"


def lines(bundle: Bundle) -> list[tuple[str, str]]:
    """What is known of it, a title and a text each."""
    found = [("What", kind(bundle)), ("Conditions", f"{len(bundle.classes)}"), ("Learnt from", _data(bundle)),
             ("Made", _when(bundle.created)), ("Size", f"{size(bundle) / 1e6:,.1f} MB")]
    if bundle.judges:
        found.append(("Measured", bundle.judges[0].upper() + bundle.judges[1:]))
    if bundle.metadata:
        read = words.listed([plain_name(name) for name in bundle.metadata])
        found.append(("Also reads", f"{read}, where known. Its figures are measured with what was recorded of the "
                                    "photographs held out, not from the photograph alone"))
    if bundle.override:
        found.append(("Let in although worse", bundle.override))
    return found


def size(bundle: Bundle) -> int:
    """Bytes on disk; of an ensemble with its members'."""
    return registry.size(bundle)


def is_imported(bundle: Bundle) -> bool:
    """Whether it came as somebody else's file."""
    return bundle.data_name == importing.UNKNOWN_DATA


def figure(bundle: Bundle, measure: str, group: str = "") -> Figure | None:
    """What was measured of it, over all or for a skin-type group; None where it was not."""
    found = bundle.figures.get(f"{measure}:{group}" if group else measure)
    return None if found is None else Figure(**found)


def ranges(bundle: Bundle) -> str:
    """Accuracy and macro F1, over all and by skin-type group: words over a bar of the interval. HTML."""
    sections = []
    for measure in MEASURED:
        found = {name: one for name in ("", *FST_GROUPS) if (one := figure(bundle, measure, name))}
        rows = "".join(_row(name, one, share=MEASURES[measure].proportion) for name, one in found.items())
        if rows:
            sections.append(f"<section><h5>{escape(MEASURES[measure].label)}</h5>"
                            f'<ul class="derm-ranges">{rows}</ul></section>')
    return f'<div class="derm-groups">{"".join(sections)}</div>' if sections else ""


def table(said: Mapping[str, str] | list[tuple[str, str]]) -> str:
    """Titles and texts under one another, HTML; nothing in them is markup."""
    rows = dict(said).items()
    return "".join(f'<p class="derm-fact"><span>{escape(title)}</span> {escape(text)}</p>' for title, text in rows)


def _row(group: str, one: Figure, *, share: bool) -> str:
    name = _NAMES.get(group, "All")
    if one.value is None or one.low is None or one.high is None:
        said, bar = f"{one.text} ({scores.n(one.n)})", ""
    else:
        said = f"{scores.value(one, share=share)} ({scores.interval(one, share=share)}), {scores.n(one.n)}"
        bar = (f'<div class="derm-range" aria-hidden="true"><i style="left: {100 * one.low:.1f}%; '
               f'width: {100 * (one.high - one.low):.1f}%"></i><b style="left: {100 * one.value:.1f}%"></b></div>')
    return (f'<li><div class="derm-row"><span>{name}</span><span>{escape(said)}</span></div>{bar}</li>')


def _weights(bundle: Bundle) -> str:
    return f" ({', '.join(f'{100 * share:.0f} %' for share in bundle.weights)})" if bundle.weights else ""


def _data(bundle: Bundle) -> str:
    if is_imported(bundle):
        return "Not known here"
    counts = bundle.counts
    held = [f"{counts[split]:,} held out for {called}"
            for split, called in (("val", "validation"), ("test", "a test")) if split in counts]
    learnt = [f"{counts['train']:,} photographs"] if "train" in counts else []
    if bundle.judges:
        held = ["each held out by some members"]
    return ": ".join(filter(None, (bundle.data_name, ", ".join(learnt + held))))


def _when(created: str) -> str:
    try:
        moment: Any = datetime.fromisoformat(created)
    except ValueError:
        return created
    return f"{moment.day} {moment:%B %Y}"
