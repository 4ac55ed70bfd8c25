"""`derm audit`: whom a model serves worse, from anybody's predictions file. Knows arguments and printing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from derm import audit_report, predictions, registry
from derm.audit_report import Source
from derm.cli.console import errors, say, table, wide
from derm.errors import ConfigError, DatasetError
from derm.fairness import paired, words
from derm.fairness.audit import KEY_METRICS, Audit, audit, one_vs_rest
from derm.fairness.figure import Figure
from derm.fairness.groups import ALL
from derm.fairness.measures import MEASURES
from derm.fairness.paired import Change
from derm.predictions import Loaded
from derm.schema import display_name

_SIDE_BY_SIDE = 4  # measures in one table
_RATES = {"sensitivity": "Sensitivity", "specificity": "Specificity", "ppv": "PPV", "npv": "NPV"}
_AREAS = {"auroc": "AUROC", "auprc": "AUPRC"}
_GATE = 2  # exit status where a gap is surely larger than allowed


def run(path: Path, *, by: Sequence[str], against: Path | None, rename: Sequence[str], renormalise: bool,
        metrics: Sequence[str], condition: str | None, max_gap: float | None, as_json: bool, html: Path | None,
        csv: Path | None, model: str | None, version: str | None) -> int:
    """Audit the predictions at `path`; print and write what was found. The exit status: 2 where the lower bound of
    a gap exceeds `max_gap`, else 0."""
    names = _named(rename)
    loaded = predictions.load(_file(path), rename=names, renormalise=renormalise)
    by = [loaded.names.get(name, name) for name in by]
    found = audit(loaded.table, by=by, metrics=metrics or KEY_METRICS)
    one = {} if condition is None else one_vs_rest(loaded.table, condition=condition, by=by)
    other = None if against is None else _Other.read(against, names, loaded, found, by, renormalise)
    if html is not None:
        source = replace(_source(path, model, version), notes=loaded.notes)
        _write(html, audit_report.html(found, source=source, created=date.today()).encode())
    if csv is not None:
        _write(csv, audit_report.csv(found))
    if as_json:
        say(json.dumps(audit_report.to_json(found) | {"notes": loaded.notes}
                       | ({"condition": condition, "one_vs_rest": audit_report.one_vs_rest(one)} if one else {})
                       | ({} if other is None else {"against": other.json()}), indent=1))
    else:
        _print(str(path), found, loaded.notes)
        if condition is not None:
            _print_one(condition, one)
        if other is not None:
            other.print()
    return 0 if max_gap is None else _gate(found, max_gap)


def _named(pairs: Sequence[str]) -> dict[str, str]:
    """The arguments of --map. Raises `ConfigError` for one without '='."""
    named = {}
    for pair in pairs:
        theirs, _, ours = (part.strip() for part in pair.rpartition("="))
        if not theirs or not ours:
            raise ConfigError(f"--map {pair}: expected THEIRS=OURS, as in 'skin=fst' or '1=malignant'.", "map")
        named[theirs] = ours
    return named


def _file(path: Path) -> Path:
    """The predictions of a model's folder; else the path itself."""
    return path / "predictions.parquet" if path.is_dir() else path


def _source(path: Path, model: str | None, version: str | None) -> Source:
    """Whose predictions these are: as said, else as the bundle beside the file says."""
    file = _file(path)
    if (file.parent / registry.DESCRIPTION).is_file() and file.name == "predictions.parquet":
        bundle = registry.read(file.parent)
        model, version = model or bundle.name, version or bundle.version
    return Source(model or "", version or "", file.name)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    errors.print(Text(f"Written: {path}"), soft_wrap=True)


def _gate(found: Audit, max_gap: float) -> int:
    """Raises `DatasetError` where nothing could be compared: a gate that cannot see is not to let through."""
    if not found.gaps:
        raise DatasetError("--max-gap: no two groups can be compared, so nothing can be said of their gap. "
                           + " ".join(found.notes))
    wide_gaps = [gap for gap in found.gaps if gap.low > max_gap]
    for gap in wide_gaps:
        errors.print(Text(f"derm: the gap in {words.subject(gap.metric)} is surely above {max_gap:g}: "
                          f"{gap.value:.2f} {words.interval(gap.low, gap.high)}, {gap.worst} the worst and "
                          f"{gap.best} the best."), soft_wrap=True)
    return _GATE if wide_gaps else 0


def _print(title: str, found: Audit, notes: Sequence[str]) -> None:
    for note in notes:
        say(f"Note: {note}")
    metrics = [name for name in found.metrics if name in found.overall]
    order = audit_report.worst_first(found, metrics[0]) if metrics else found.groups
    say(f"{title} by {words.grouping(found)}, worst group first")
    for start in range(0, len(metrics), _SIDE_BY_SIDE):
        some = metrics[start:start + _SIDE_BY_SIDE]
        shown = table("", "", "n", *(MEASURES[name].label for name in some))
        for each in order:
            shown.add_row(escape(each.group), f"{each.n:,}",
                          *(_cell(each.figures.get(name), each.n) for name in some))
        shown.add_section()
        shown.add_row(ALL, f"{found.n:,}", *(_cell(found.overall[name], found.n) for name in some))
        wide.print(_folded(shown, 0))
    if found.gaps:
        wide.print(_folded(_gaps(found), 1, 2))
    for sentence in words.sentences(found):
        say(f"- {sentence}")
    say(f"In brackets the {100 * found.level:g} % interval; n is what a figure is measured on.")


def _print_one(condition: str, figures: Mapping[str, Mapping[str, Figure]]) -> None:
    """One condition against all others, group by group."""
    for names in (_RATES, _AREAS):
        shown = table(f"{display_name(condition)} against all other conditions", "", *names.values())
        for group, each in figures.items():
            shown.add_row(escape(group), *(_cell(each.get(name), each["selection_rate"].n) for name in names))
        wide.print(_folded(shown, 0))


def _cell(figure: Figure | None, n: int) -> str:
    if figure is None:
        return "not measured"
    return f"{words.text(figure, n)} ({'n = ' if figure.value is None else ''}{figure.n:,})"


def _folded(shown: Table, *columns: int) -> Table:
    """The table with these columns folded where it would be too wide: figures are not to be cut short."""
    for number in columns:
        shown.columns[number].no_wrap, shown.columns[number].overflow = False, "fold"
    return shown


def _gaps(found: Audit) -> Table:
    shown = table("Gap between the worst and the best group", "", "worst", "best", "gap", "p (Holm)",
                  "with the same condition mix")
    for gap in found.gaps:
        left = gap.adjusted
        shown.add_row(MEASURES[gap.metric].label, escape(gap.worst), escape(gap.best),
                      f"{gap.value:.2f} {words.interval(gap.low, gap.high)}", f"{gap.p:.2g}",
                      "not adjusted" if left is None else
                      f"{left.value:.2f} {words.interval(left.low, left.high)}, n = {left.n:,}")
    return shown


@dataclass(frozen=True)
class _Other:
    """The model that ours is put beside."""

    path: Path
    notes: tuple[str, ...]
    ours: Audit
    found: Audit
    changes: Sequence[Change]

    @classmethod
    def read(cls, path: Path, names: Mapping[str, str], loaded: Loaded, ours: Audit, by: Sequence[str],
             renormalise: bool) -> _Other:
        """Audited as ours was. Raises `DatasetError` that names the file."""
        try:
            theirs = predictions.load(_file(path), rename=names, renormalise=renormalise)
            found = audit(theirs.table, by=by, metrics=ours.metrics)
            changes = paired.changes(loaded.table, theirs.table, by=by, metrics=ours.metrics)
        except DatasetError as error:
            raise DatasetError(f"--against {path}: {error}") from error
        return cls(path, theirs.notes, ours, found, changes)

    def json(self) -> dict[str, Any]:
        """Its own audit, and the differences from ours."""
        return audit_report.to_json(self.found) | {
            "notes": self.notes, "differences": [asdict(change) for change in self.changes]}

    def print(self) -> None:
        """Side by side, and what changes on the photographs of both."""
        for note in self.notes:
            say(f"Note on {self.path}: {note}")
        say(f"Against {self.path}: the other model minus this one, on the photographs of both")
        shown = table("", "", "group", "this model", "other model", "difference")
        for change in self.changes:
            shown.add_row(MEASURES[change.metric].label, escape(change.group),
                          *(_side(each, change) for each in (self.ours, self.found)), _difference(change))
        wide.print(_folded(shown, 1))
        say(f"- The other model: {words.headline(self.found)}")


def _side(found: Audit, change: Change) -> str:
    if change.group == ALL:
        return _cell(found.overall.get(change.metric), found.n)
    group = next((each for each in found.groups if each.group == change.group), None)
    return _cell(group.figures.get(change.metric), group.n) if group else "no such group"


def _difference(change: Change) -> str:
    if change.value is None or change.low is None or change.high is None:
        return f"too few (n = {change.n:,})"
    return f"{change.value:+.2f} {words.interval(change.low, change.high)}, n = {change.n:,}"
