"""`derm data check` and `derm data card`: what a data set holds, lacks and gets wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
from rich.markup import escape
from rich.text import Text

from derm import datasets
from derm.cli.console import errors, progress, say, table, wide
from derm.datasets import Dataset
from derm.errors import DatasetError
from derm.explore.counts import distribution, in_sentence
from derm.fairness.figure import TOO_FEW, proportion
from derm.inspection import datasheet
from derm.inspection.findings import DARK, Findings, find
from derm.inspection.scan import scan
from derm.settings import settings

_UNMEASURED = "not measured: no picture is on disk"
_KEYS = ("name", "adapter", "root", "images", "on_disk", "conditions", "fst", "missing", "quality", "unreadable",
         "duplicates", "unmapped", "notes", "errors", "warnings")


def check(data: Path, *, adapter: str | None, as_json: bool) -> int:
    """Print what there is to say of the data set in `data`; the exit status: 1 if there are errors, else 0."""
    try:
        found = _find(datasets.load(data, adapter=adapter, strict=False))
    except DatasetError as error:
        if as_json:
            say(json.dumps(dict.fromkeys(_KEYS) | {"root": str(data), "errors": [str(error)]}, indent=1))
        else:
            errors.print(Text(f"derm: {error}"), soft_wrap=True)
        return 1
    if as_json:
        say(json.dumps(_json(found), indent=1))
    else:
        _print(found)
    return 1 if found.errors else 0


def card(data: Path, *, out: Path | None) -> None:
    """Write the datasheet of the data set in `data` to `out` (HTML if it ends so, else Markdown), or print it."""
    text = datasheet.markdown(_find(datasets.load(data, strict=False)), today=date.today())
    if out is None:
        say(text)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(datasheet.html(text) if out.suffix.lower() in (".html", ".htm") else text, encoding="utf-8")
    say(f"Written: {out}")


def _find(dataset: Dataset) -> Findings:
    with progress("Reading the pictures", 2 * len(dataset.table)) as update:
        return find(dataset, scan(dataset, cache=settings().cache, progress=update))


def _print(found: Findings) -> None:
    data = found.dataset
    made = table(escape(f"{data.name} ({data.source.key}), {data.root}"), "", "")
    made.show_header = False
    made.columns[1].no_wrap, made.columns[1].overflow = False, "fold"
    for what, text in _rows(found):
        made.add_row(what, Text(text))
    made.add_section()
    for style, word, texts in (("bold red", "ERROR", found.errors), ("yellow", "warning", found.warnings)):
        for text in texts:
            made.add_row(Text(word, style=style), Text(text))
    wide.print(made)
    say(f"{_plural(len(found.errors), 'error')}, {_plural(len(found.warnings), 'warning')}. All near-duplicates: "
        f"derm data dedup {data.root}\nAll empty and small groups: derm data card {data.root}")


def _rows(found: Findings) -> Iterator[tuple[str, str]]:
    data, repeats = found.dataset, found.repeats
    splits = ", ".join(f"{n:,} {name}" for name, n in data.table["split"].value_counts().items())
    yield "Pictures", (f"{len(data.table):,}{f' ({splits})' if splits else ''}, "
                       f"{data.table['path'].notna().sum():,} on disk")
    yield "Conditions", f"{len(found.cells)}, known of {data.table['condition'].notna().sum():,} pictures"
    yield from _skin(found)
    yield "Missing values", _missing(found) or "none"
    for note in data.notes:
        yield "Note", note
    if not found.measured:
        yield "Near-duplicates", _UNMEASURED
        yield "Quality", _UNMEASURED
        return
    yield "Near-duplicates", (f"{_plural(repeats.pairs, 'pair')}; {repeats.images:,} pictures in "
                              f"{_plural(repeats.groups, 'group')}" if repeats.pairs else "none")
    yield "Quality", f"{found.overview.flagged:,} pictures flagged, {len(found.unreadable):,} unreadable"


def _skin(found: Findings) -> Iterator[tuple[str, str]]:
    known = sum(found.groups.values())
    if not known:
        yield "Skin type", "recorded of no picture"
        return
    yield "Skin type known", str(found.overview.known_fst)
    for group, n in found.groups.items():
        yield f"  of these {group}", f"{n:,}: {proportion(n, known)}"
    for each in found.agreements:
        yield each.title, (f"the same in {each.exact.text}, at most one apart in {each.within_one.text}, "
                           f"n = {each.n:,}; kappa {each.kappa.text}" if each.n >= TOO_FEW else str(each.exact))
    dark = _counted(found.cells[DARK].sort_values())
    none = [in_sentence(name) for name, n in dark.items() if n == 0]
    few = [f"{in_sentence(name)} {n}" for name, n in dark.items() if 0 < n < TOO_FEW]
    yield f"No picture on {DARK}", ", ".join(none) or "none: every condition has some"
    yield f"Under {TOO_FEW} on {DARK}", ", ".join(few) or "none"


def _missing(found: Findings) -> str:
    some = found.missingness[found.missingness["missing"] > 0]
    text = [f"{row.column} {row.missing:,}" for row in some[~some["yes_or_blank"]].itertuples()]
    if blank := int(some["yes_or_blank"].sum()):
        text.append(f"{blank} columns of yes or blank")
    return ", ".join(text)


def _json(found: Findings) -> dict[str, Any]:
    data, repeats = found.dataset, found.repeats
    duplicates = {
        "pairs": repeats.pairs, "groups": repeats.groups, "images": repeats.images,
        "across_splits": [asdict(each) | {"images": len(each.images)} for each in repeats.across],
        "conflicting": len(repeats.conflicting)}
    missing = found.missingness.set_index("column")["missing"]
    values = (
        data.name, data.source.key, str(data.root), len(data.table), int(data.table["path"].notna().sum()),
        _counted(found.cells.sum(axis=1)), _skin_json(found), _counted(missing),
        {word: len(ids) for word, ids in found.flags.items()} if found.measured else None,
        list(found.unreadable), duplicates if found.measured else None,
        list(data.unmapped), list(data.notes), list(found.errors), list(found.warnings))
    return dict(zip(_KEYS, values, strict=True))


def _skin_json(found: Findings) -> dict[str, Any]:
    return {
        "known": asdict(found.overview.known_fst), "dark": asdict(found.overview.dark),
        "types": _counted(distribution(found.table, "fst").set_index("value")["n"]),
        "groups": found.groups,
        "on_dark": _counted(found.cells[DARK]),
        "agreement": [{"title": each.title, "n": each.n, "exact": asdict(each.exact),
                       "within_one": asdict(each.within_one), "kappa": asdict(each.kappa)}
                      for each in found.agreements]}


def _counted(counts: pd.Series) -> dict[str, int]:
    return {str(name): int(n) for name, n in counts.items()}


def _plural(n: int, word: str) -> str:
    return f"{n:,} {word}" if n == 1 else f"{n:,} {word}s"
