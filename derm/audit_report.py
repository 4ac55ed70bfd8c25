"""An audit as a document: one self-contained printable page, CSV or JSON. Knows what was found; no files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import jinja2
import pandas as pd

from derm import __version__, sheet
from derm.errors import ConfigError
from derm.explore.export import csv_bytes
from derm.fairness import words
from derm.fairness.audit import Audit, GroupFigures
from derm.fairness.figure import TOO_FEW, Figure
from derm.fairness.gaps import Gap
from derm.fairness.groups import ALL
from derm.fairness.measures import MEASURES

_WIDTH = 160  # of a bar drawn at its full scale


@dataclass(frozen=True)
class Source:
    """Whose predictions were audited: a model and its version, and the file they came from; '' where not known.
    `notes` are what one must know of how that file was understood."""

    model: str
    version: str
    file: str = ""
    notes: tuple[str, ...] = ()


def to_json(audit: Audit) -> dict[str, Any]:
    """What `derm audit --json` prints, ready for `json.dumps`; what has no value is null."""
    return {
        "by": audit.by, "n": audit.n, "n_missing": audit.n_missing, "n_unlabelled": audit.n_unlabelled,
        "level": audit.level, "decision": asdict(audit.decision),
        "overall": _metrics(audit.overall),
        "groups": [{"group": each.group, "n": each.n, "compared": each.compared,
                    "metrics": _metrics(each.figures)} for each in audit.groups],
        "gaps": [asdict(gap) for gap in audit.gaps],
        "worst": {name: asdict(each) for name, each in audit.worst.items()},
        "versus_rest": {name: [asdict(each) for each in some] for name, some in audit.versus.items()},
        "parity": _metrics(audit.parity),
        "summary": words.sentences(audit),
    }


def csv(audit: Audit) -> bytes:
    """A row a figure: those of each group and of all, then the gaps (`group` the worst, `against` the best), plain
    and adjusted for condition mix, then each group against the rest. UTF-8; what has no value is empty."""
    rows: list[dict[str, Any]] = [
        {"kind": "figure", "group": name, "metric": metric, **asdict(figure)}
        for name, figures in [*((each.group, each.figures) for each in audit.groups), (ALL, audit.overall)]
        for metric, figure in figures.items()]
    for gap in audit.gaps:
        ends = {"group": gap.worst, "against": gap.best, "metric": gap.metric}
        rows.append({"kind": "gap", **ends, "value": gap.value, "low": gap.low, "high": gap.high,
                     "n": gap.n_worst, "n_against": gap.n_best, "p": gap.p})
        if gap.adjusted:
            rows.append({"kind": "adjusted gap", **ends, **asdict(gap.adjusted)})
    rows += [{"kind": "versus rest", "against": "all others", "metric": metric, "group": each.group,
              "value": each.value, "low": each.low, "high": each.high, "n": each.n, "n_against": each.n_rest,
              "p": each.p} for metric, some in audit.versus.items() for each in some]
    columns = ["kind", "metric", "group", "against", "value", "low", "high", "n", "n_against", "p", "coverage"]
    return csv_bytes(pd.DataFrame(rows, columns=columns).astype({"n_against": "Int64"}))


def html(audit: Audit, *, source: Source, created: date) -> str:
    """One HTML page, A4 when printed, that needs nothing but itself.

    Raises `ConfigError` where one cannot tell whose figures they are or on what they rest: without a model, a
    version or any photograph.
    """
    absent = [name for name, there in (("model", source.model), ("version", source.version),
                                       ("n", audit.n)) if not there]
    if absent:
        raise ConfigError(f"the report would lack the {' and the '.join(absent)}; figures without are not to be "
                          "passed on. Say which model and version made the predictions.", absent[0])
    measured = [name for name in MEASURES if name in audit.overall]
    first = [name for name in audit.metrics if name in measured]
    return _PAGE.render(
        audit=audit, source=source, created=f"{created.day} {created:%B %Y}", derm=__version__,
        grouping=words.grouping(audit), missing=_missing(audit), decision=_decision(audit),
        level=f"{100 * audit.level:g} %",
        sentences=[text.replace(" = ", "\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}")
                   for text in words.sentences(audit)],
        gaps=[_gap_row(audit, gap) for gap in audit.gaps],
        parts=[_part(audit, name) for name in first],
        further=[_part(audit, name) for name in measured if name not in first], too_few=TOO_FEW)


def one_vs_rest(found: Mapping[str, Mapping[str, Figure]]) -> list[dict[str, Any]]:
    """The figures of one condition, by group, in the shape that `to_json` gives those of groups."""
    return [{"group": group, "metrics": _metrics(figures)} for group, figures in found.items()]


def worst_first(audit: Audit, metric: str) -> list[GroupFigures]:
    """The groups, the worst in `metric` first; then those without a value, then those that are not compared."""
    sign = -1 if MEASURES[metric].better == "lower" else 1

    def place(each: GroupFigures) -> tuple[bool, bool, float]:
        value = each.figures[metric].value if metric in each.figures else None
        return not each.compared, value is None, 0.0 if value is None else sign * value

    return sorted(audit.groups, key=place)


def _metrics(figures: Mapping[str, Figure]) -> dict[str, Any]:
    return {name: asdict(figure) for name, figure in figures.items()}


@dataclass(frozen=True)
class _Bar:
    """One line of a chart; lengths in the units of the drawing, None where there is no value."""

    name: str
    n: str
    text: str
    worst: bool
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class _Part:
    label: str
    sentence: str
    bars: list[_Bar]
    scale: str


def _part(audit: Audit, metric: str) -> _Part:
    ordered = worst_first(audit, metric)
    figures = {each.group: (each.figures[metric], each.n) for each in ordered if metric in each.figures}
    figures[ALL] = audit.overall[metric], audit.n
    highest = max([1.0, *(figure.high for figure, _ in figures.values() if figure.high is not None)])
    worst = next((gap.worst for gap in audit.gaps if gap.metric == metric), None)
    return _Part(MEASURES[metric].label, MEASURES[metric].sentence,
                 [_bar(name, *each, _WIDTH / highest, name == worst) for name, each in figures.items()],
                 f"0 to {highest:.3g}")


def _bar(name: str, figure: Figure, n: int, unit: float, worst: bool) -> _Bar:
    value, low, high = (None if end is None else round(max(0.0, end) * unit, 1)
                        for end in (figure.value, figure.low, figure.high))
    return _Bar(name, f"{figure.n:,}", words.text(figure, n), worst, value, low, high)


def _gap_row(audit: Audit, gap: Gap) -> Sequence[str]:
    adjusted = "not adjusted"
    if gap.adjusted:
        adjusted = (f"{gap.adjusted.value:.2f} {words.interval(gap.adjusted.low, gap.adjusted.high)}\n"
                    f"n = {gap.adjusted.n:,} ({100 * gap.adjusted.coverage:.0f} % of cases)")
    worst, best = (f"{name}\n{figure.text}\nn = {figure.n:,}" for name in (gap.worst, gap.best)
                   for figure in [audit.group(name).figures[gap.metric]])
    return (MEASURES[gap.metric].label, worst, best, f"{gap.value:.2f} {words.interval(gap.low, gap.high)}",
            "< 0.001" if gap.p < 0.001 else f"{gap.p:.2g}", adjusted)


def _missing(audit: Audit) -> str:
    text = f"{audit.n_missing:,} of {audit.n:,} ({100 * audit.n_missing / audit.n:.0f} %)"
    return f"{text}; {audit.n_unlabelled:,} more left out, without true condition" if audit.n_unlabelled else text


def _decision(audit: Audit) -> str:
    threshold, below = audit.decision.malignant_threshold, audit.decision.abstain_below
    text = ("the leading condition is malignant" if threshold is None
            else f"the probabilities of malignant conditions add up to {threshold:g} or more")
    return f"{text}; no answer below a leading probability of {below:g}" if below else text


_PAGE = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True,
                           undefined=jinja2.StrictUndefined).from_string("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Fairness audit of {{ source.model }}, {{ created }}</title>
<style>
""" + sheet.CSS + """\
h2 { font-size: 12pt; margin: 6mm 0 2mm; }
h3 { font-size: 10.5pt; margin: 4mm 0 0; }
p, ul { margin: 1.5mm 0; }
ul { padding-left: 5mm; }
li { margin-bottom: 1mm; }
.lead { font-size: 12pt; font-weight: 600; }
.notice { background: #fff4d6; border-left: 1mm solid #b7791f; padding: 1.5mm 3mm; margin: 3mm 0; }
.quiet { color: #46566a; font-size: 9pt; }
.wide { overflow-x: auto; }
section, table { break-inside: avoid; }
table { border-collapse: collapse; width: 100%; font-size: 9.5pt; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: 0.8mm 4mm 0.8mm 0;
  border-bottom: 0.2mm solid #d5dce4; overflow-wrap: anywhere; }
th { font-weight: 500; color: #46566a; }
.about th { width: 52mm; }
.gaps { font-size: 8.5pt; }
.gaps th { min-width: 24mm; overflow-wrap: normal; }
.gaps th:nth-child(5) { min-width: 0; }
.gaps td { white-space: pre; padding-right: 3mm; }
.bars th { width: 42mm; min-width: 24mm; overflow-wrap: normal; }
.bars .n { width: 16mm; text-align: right; white-space: nowrap; }
.bars .figure { width: 44mm; white-space: nowrap; }
.bars tr:last-child th, .bars tr:last-child td { border-top: 0.3mm solid #8a97a6; }
svg { display: block; width: 100%; min-width: 24mm; height: 5mm; -webkit-print-color-adjust: exact;
  print-color-adjust: exact; }
</style>
</head>
<body>
{% macro chart(part) %}
<section>
<h3>{{ part.label }}</h3>
<p class="quiet">{{ part.sentence }} Bars from {{ part.scale }}.</p>
<div class="wide"><table class="bars">
<tr><th>Group</th><td class="n">n</td><td class="figure">Figure and interval</td><td></td></tr>
{% for bar in part.bars %}
<tr><th>{{ bar.name }}{% if bar.worst %} <b>(worst)</b>{% endif %}</th><td class="n">{{ bar.n }}</td>
<td class="figure">{{ bar.text }}</td><td>
{% if bar.value is not none %}
<svg viewBox="0 0 160 14" preserveAspectRatio="none" role="img" aria-label="{{ bar.name }}: {{ bar.text }}">
<rect x="0" y="0" width="160" height="14" fill="#eef1f5"/>
<rect x="0" y="2" width="{{ bar.value }}" height="10" fill="{{ '#8a4b12' if bar.worst else '#7fa8cc' }}"/>
<path d="M{{ bar.low }} 7H{{ bar.high }}M{{ bar.low }} 3.5V10.5M{{ bar.high }} 3.5V10.5" stroke="#fff"
  stroke-width="3.2" vector-effect="non-scaling-stroke"/>
<path d="M{{ bar.low }} 7H{{ bar.high }}M{{ bar.low }} 3.5V10.5M{{ bar.high }} 3.5V10.5" stroke="#111"
  stroke-width="1.4" vector-effect="non-scaling-stroke"/>
</svg>
{% endif %}
</td></tr>
{% endfor %}
</table></div>
</section>
{% endmacro %}
<header><h1>Fairness audit</h1><span>{{ created }}</span></header>
<p class="notice">Research demo, not a medical device. Figures describe these photographs, not a patient.</p>
<section>
<table class="about">
<tr><th>Model</th><td>{{ source.model }}, version {{ source.version }}</td></tr>
{% if source.file %}
<tr><th>Predictions</th><td>{{ source.file }}</td></tr>
{% endif %}
<tr><th>Photographs (n)</th><td>{{ "{:,}".format(audit.n) }}</td></tr>
<tr><th>Grouped by</th><td>{{ grouping }}</td></tr>
<tr><th>Group not recorded</th><td>{{ missing }}</td></tr>
<tr><th>Called malignant if</th><td>{{ decision }}</td></tr>
<tr><th>Intervals</th><td>{{ level }}</td></tr>
<tr><th>Made by</th><td>Derm {{ derm }}</td></tr>
</table>
</section>
<section>
<h2>In words</h2>
<p class="lead">{{ sentences[0] }}</p>
<ul>
{% for sentence in sentences[1:] %}
<li>{{ sentence }}</li>
{% endfor %}
{% for note in source.notes %}
<li>{{ note }}</li>
{% endfor %}
</ul>
</section>
{% if gaps %}
<h2>Gaps between the worst and the best group</h2>
<div class="wide"><table class="gaps">
<tr><th>Measure</th><th>Worst</th><th>Best</th><th>Gap</th><th>p</th><th>With the same condition mix</th></tr>
{% for row in gaps %}
<tr><th>{{ row[0] }}</th>{% for cell in row[1:] %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</table></div>
<p class="quiet">The interval is that of the gap itself. p allows for the number of measures (Holm). With the same
condition mix: what is left of the gap among the conditions that both groups have, each weighing alike in both.</p>
{% endif %}
<h2>Measures by group, the worst first</h2>
{% for part in parts %}
{{ chart(part) }}
{% endfor %}
{% if further %}
<h2>Further measures</h2>
{% for part in further %}
{{ chart(part) }}
{% endfor %}
{% endif %}
<p class="quiet">In brackets the {{ level }} interval: Wilson's for shares, the bootstrap for the rest. n is the
number of photographs that a figure is measured on; under {{ too_few }} none is given.</p>
</body>
</html>
""")
