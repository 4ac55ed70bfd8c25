"""The datasheet of a data set, in Markdown or as one HTML page. Knows findings and words; reads no files.

What it tells follows the documentation items of STANDING Together (2024, www.datadiversity.org): identity, origin,
who is in the data and who is not, how labels came about, what is missing, known errors and limits. What the files
do not tell is named rather than left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import jinja2
import pandas as pd
from markdown_it import MarkdownIt

from derm import __version__
from derm.explore import agreement, counts
from derm.explore.codes import MISSING, NUMERALS, numbers
from derm.fairness.figure import TOO_FEW, proportion
from derm.inspection import skintone
from derm.inspection.findings import DARK, Findings
from derm.schema import FST_GROUPS, display_name

# What ought to be known of the people, and how the columns that tell it begin.
_ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "sex": ("x_sex",), "age": ("x_age",), "race or ethnicity": ("x_race", "x_combined_race", "x_ethnic"),
    "skin type": ("fst", "mst", "x_skin_group", "x_fst_self"), "body site": ("x_body",),
    "the person (so that pictures of one can be kept together)": ("x_patient", "x_case"),
}
_TOLD = ("x_sex", "x_age_group", "x_combined_race", "x_body_site")
_UNMEASURED = "Not measured: no picture is on this disk."
_MOST = 15  # values of a column told one by one
_UNTOLD = ("why, when and with whose money the pictures were taken", "consent and ethical review",
           "who was not asked or did not take part", "how the people who gave labels and skin types were chosen",
           "whether any of it was changed before it was published")


def markdown(found: Findings, *, today: date) -> str:
    """The datasheet, as told on `today`: a heading, then sections of tables and lists."""
    parts: Mapping[str, Callable[[Findings], Iterator[str]]] = {
        "Identity and origin": _identity, "Who is in it": _people, "Who is missing": _gaps,
        "Conditions by skin type": _conditions, "How labels and skin types came about": _labels,
        "Missing values": _missing, "Repeats and leaks": _repeats, "Quality of the pictures": _quality,
        "Known limits": _limits}
    lines = [f"# Datasheet: {_plain(found.dataset.name)}", "", *_summary(found)]
    for title, part in parts.items():
        lines += ["", f"## {title}", "", *part(found)]
    lines += ["", "## About this datasheet", "",
              f"Made on {today.day} {today:%B %Y} by Derm {__version__} from the files themselves; fingerprint of "
              f"the data `{found.dataset.fingerprint}`. In brackets the 95 % interval: Wilson's score interval for"
              " shares, the bootstrap over pictures for kappa, both as if the pictures were a random sample."
              f" Under n = {TOO_FEW} no share is given."]
    return "\n".join(lines) + "\n"


def html(text: str) -> str:
    """A Markdown datasheet as one page that needs nothing but itself, light or dark as the reader's screen is."""
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    title = text.partition("\n")[0].removeprefix("# ")
    return _PAGE.render(title=title, body=body.replace("<table>", '<div class="wide"><table>')
                        .replace("</table>", "</table></div>"))


def _summary(found: Findings) -> Iterator[str]:
    images, known = len(found.table), sum(found.groups.values())
    dark = f", and {_share(found.groups[DARK], known)} of those are on types {DARK}" if known else ""
    yield (f"{images:,} pictures of skin, {found.table['path'].notna().sum():,} of them on this disk, of "
           f"{len(found.cells):,} conditions. The skin type is known of {_share(known, images)}{dark}.")
    if found.errors:
        yield from ("", f"**Not fit for use as it is.** Errors, under Known limits: {len(found.errors)}.")


def _identity(found: Findings) -> Iterator[str]:
    source = found.dataset.source
    how = [f"({i}) {step}" for i, step in enumerate(source.how, 1)]
    yield from _table([
        ("", ""), ("Name", source.name), ("Homepage", source.homepage), ("Licence", source.licence),
        ("Citation", source.citation),
        ("Pictures as published", f"{source.images:,}" if source.images else "not stated"),
        ("How to get it", " ".join(how) or "not stated"), ("Skin type", source.skin_type),
        ("Splits", _listed(found.table["split"].value_counts()) or "none published")])
    yield from ("", f"Not told by the files, so not known here: {'; '.join(_UNTOLD)}. Ask the publisher, or read "
                    "the citation, before relying on it.")


def _people(found: Findings) -> Iterator[str]:
    table = found.table
    first, second = agreement.ANNOTATORS.get(found.dataset.source.key, ("Annotated", "Second annotator"))
    columns = {first: "fst", second: "fst_other", "Self-reported": "x_fst_self"}
    told = {title: _shares(table, column) for title, column in columns.items()
            if column in table and table[column].notna().any()}
    if told:
        rows = ((value, *(column.get(value, "0") for column in told.values())) for value in (*NUMERALS, MISSING))
        yield from _table([("Fitzpatrick type", *told), *rows])
        yield ""
    yield from _table([("Skin-type group", "Pictures", "Share of those known"),
                       *((group, f"{n:,}", _percent(n, sum(found.groups.values())))
                         for group, n in found.groups.items())])
    for column in _TOLD:
        if column in table and table[column].notna().any():
            yield from ("", *_values(table, column))
    ages = numbers(table, "x_age")
    if known := int((ages == ages).sum()):
        low, middle, high = pd.Series(ages).quantile([0.05, 0.5, 0.95])
        yield from ("", f"Age known of {_share(known, len(table))}: median {middle:.0f}, the middle "
                        f"nine tenths {low:.0f} to {high:.0f} years.")


def _gaps(found: Findings) -> Iterator[str]:
    table = found.table
    untold = [what for what, columns in _ATTRIBUTES.items()
              if not any(str(name).startswith(columns) and table[name].notna().any() for name in table.columns)]
    if untold:
        yield from (f"Recorded of nobody: {', '.join(untold)}. Who is missing by these cannot be seen.", "")
    if not found.gaps:
        yield f"No condition has fewer than {TOO_FEW} pictures on a skin type."
    yield from (f"- {_plain(counts.sentence(gap))}" for gap in found.gaps)


def _conditions(found: Findings) -> Iterator[str]:
    columns = [name for name in (*FST_GROUPS, MISSING) if name in found.cells]
    yield from _table([("Condition", *columns, "All"),
                       *((display_name(str(name)), *(f"{row[column]:,}" for column in columns), f"{row.sum():,}")
                         for name, row in found.cells.iterrows())])
    if unlabelled := int(found.table["condition"].isna().sum()):
        yield from ("", f"{unlabelled:,} further pictures have no condition.")
    if found.dataset.unmapped:
        yield from ("", "Published names that Derm does not know, kept as they are: "
                        f"{_plain(', '.join(found.dataset.unmapped))}.")


def _labels(found: Findings) -> Iterator[str]:
    wrong = found.table["qc"].value_counts()
    yield f"Skin type: {_plain(found.dataset.source.skin_type)}."
    yield from ("", f"The publisher's quality notes: {_plain(_listed(wrong)) or 'none'}.", "")
    if not found.agreements:
        yield "Nobody's skin type was judged twice, so how far annotators agree cannot be told."
        return
    yield from _table([("Who said the skin type", "n", "The same", "At most one apart", "Kappa", "Weighted kappa"),
                       *((each.title, f"{each.n:,}", *(figure.text for figure in (
                           each.exact, each.within_one, each.kappa, each.weighted_kappa)))
                         for each in found.agreements)])
    for note in dict.fromkeys(each.note for each in found.agreements if each.note):
        yield from ("", _plain(note))


def _missing(found: Findings) -> Iterator[str]:
    told = found.missingness[~found.missingness["yes_or_blank"]]
    rows = [(column, f"{missing:,}", _percent(missing, n))
            for column, missing, n in _rows(told, "column", "missing", "n") if missing]
    if rows:
        yield from _table([("Column", f"Missing of {len(found.table):,}", "Share"), *rows])
    else:
        yield "None."
    if blank := int(found.missingness["yes_or_blank"].sum()):
        yield from ("", f"{blank} further columns: {counts.YES_OR_BLANK[0].lower()}{counts.YES_OR_BLANK[1:]}")


def _repeats(found: Findings) -> Iterator[str]:
    repeats = found.repeats
    if not found.measured:
        yield _UNMEASURED
        return
    if not repeats.pairs:
        yield "No near-duplicates were found."
        return
    yield ("Pairs that are the same picture or nearly, or show the same lesion from the same side: "
           f"{repeats.pairs:,}. They link {_share(repeats.images, len(found.table))}; groups: {repeats.groups:,}.")
    for each in repeats.across:
        yield from ("", f"**Leak**: {_share(len(each.images), each.n)} of {_plain(each.split)} also sit in "
                        f"{_plain(each.other)}. A model trained on {_plain(each.other)} has seen them.")
    if repeats.conflicting:
        yield from ("", f"Pairs whose conditions differ: {len(repeats.conflicting):,}. At most one of each is "
                        "right, unless both apply.")


def _quality(found: Findings) -> Iterator[str]:
    if not found.measured:
        yield _UNMEASURED
        return
    there = int(found.table["path"].notna().sum())
    counted = {"unreadable": found.unreadable} | dict(found.flags)
    yield from _table([("Flag", f"Pictures of {there:,}", "Share"),
                       *((word, f"{len(ids):,}", _percent(len(ids), there))
                         for word, ids in counted.items())])
    boxes = agreement.ita_by_type(found.table)
    if boxes["n"].sum():
        yield from ("", "The colour of the skin in the pictures, as individual typology angle (ITA, degrees; the "
                        "lighter, the larger), by annotated type:", "",
                    *_table([("Type", "n", "Median", "Middle half"), *_boxes(boxes)]),
                    "", skintone.LIMITS)


def _limits(found: Findings) -> Iterator[str]:
    told = (*found.dataset.source.limits, *found.dataset.notes)
    lines = [*(f"**Error**: {_plain(text)}" for text in found.errors), *map(_plain, told)]
    yield from (f"- {line}" for line in lines or ["None are recorded; that does not mean there are none."])


def _values(table: pd.DataFrame, column: str) -> Iterator[str]:
    spread = counts.distribution(table, column).sort_values("n", ascending=False, kind="stable")
    shown, rest = spread.head(_MOST), spread.iloc[_MOST:]
    rows = [(value, f"{n:,}", _percent(n, len(table))) for value, n in _rows(shown, "value", "n")]
    if len(rest):
        others = int(rest["n"].sum())
        rows.append((f"{len(rest):,} other values", f"{others:,}", _percent(others, len(table))))
    title = column.removeprefix("x_").replace("_", " ").capitalize()
    yield from _table([(title, "Pictures", "Share of all"), *rows])


def _shares(table: pd.DataFrame, column: str) -> dict[str, str]:
    return {value: f"{n:,}: {_percent(n, len(table))}"
            for value, n in _rows(counts.distribution(table, column), "value", "n")}


def _boxes(boxes: pd.DataFrame) -> Iterator[tuple[str, ...]]:
    for fst, n, q1, median, q3 in _rows(boxes, "fst", "n", "q1", "median", "q3"):
        yield fst, f"{n:,}", *((f"{median:.0f}", f"{q1:.0f} to {q3:.0f}") if n >= TOO_FEW else ("too few", ""))


def _rows(frame: pd.DataFrame, *columns: str) -> Iterator[tuple[Any, ...]]:
    return frame[list(columns)].itertuples(index=False, name=None)


def _share(hits: int, n: int) -> str:
    """'65 of 1,227 pictures (5.3 % [4.2-6.7])'; under TOO_FEW without the share."""
    return f"{hits:,} of {n:,} pictures" + (f" ({_percent(hits, n)})" if n >= TOO_FEW else "")


def _percent(hits: int, n: int) -> str:
    """'5.3 % [4.2-6.7]' or 'too few': some of these shares are so small that two decimals say nothing."""
    figure = proportion(hits, n)
    if figure.value is None or figure.low is None or figure.high is None:
        return figure.text
    return f"{100 * figure.value:.1f} % [{100 * figure.low:.1f}-{100 * figure.high:.1f}]"


def _listed(sizes: pd.Series) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in sizes.items())


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """The lines of a table: a heading, then the rows; numbers to the right."""
    right = [all(re.match(r"-?\d|too few", row[i]) for row in rows[1:]) for i in range(len(rows[0]))]
    for i, row in enumerate(rows):
        yield f"| {' | '.join(map(_plain, row))} |"
        if i == 0:
            yield f"| {' | '.join('---:' if digits else '---' for digits in right)} |"


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return re.sub(r"([\\`*<>|]|\](?=\())", r"\\\1", " ".join(text.split()))


_PAGE = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{{ title }}</title>
<style>
:root { color-scheme: light dark;
  --ink: #1d2733; --quiet: #46566a; --line: #d5dce4; --paper: #fff; --mark: #1f4e79; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e3e8ee; --quiet: #a5b3c3; --line: #3a4756; --paper: #161c23; --mark: #8dbbe6; } }
@page { size: A4; margin: 16mm; }
body { font: 16px/1.55 system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; color: var(--ink);
  background: var(--paper); max-width: 52rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; line-height: 1.2; border-bottom: 2px solid var(--mark); padding-bottom: .5rem; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; color: var(--mark); break-after: avoid; }
.wide { overflow-x: auto; margin: .8rem 0; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .3rem 1.2rem .3rem 0;
  border-bottom: 1px solid var(--line); }
th { color: var(--quiet); font-weight: 600; }
td { overflow-wrap: anywhere; min-width: 6.5rem; }
td[style] { white-space: nowrap; min-width: 0; }
thead:not(:has(th:not(:empty))) { display: none; }
tr { break-inside: avoid; }
code { font-size: .9em; overflow-wrap: anywhere; }
</style>
</head>
<body>
{{ body | safe }}
</body>
</html>
""")
