"""Whether a new model may take its place beside the default one: not if a skin-type group would be served worse.

Knows bundles and their recorded predictions; no Keras, no Streamlit.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from derm import atomic, predictions, registry
from derm.bundle_rules import CARD
from derm.errors import DatasetError, ModelError
from derm.fairness import confusions, differences, groups, measures, paired, resampling
from derm.fairness.audit import to_cases
from derm.fairness.cases import Cases
from derm.fairness.confusions import Tallies
from derm.fairness.figure import TOO_FEW, tails
from derm.registry import Bundle
from derm.schema import FST_GROUPS

METRICS = ("accuracy", "macro_f1", "malignant_sensitivity")
_PREDICTIONS = "predictions.parquet"
_TELLING = 6  # fewer answers that differ cannot be told from chance: no sign test of them reaches 5 %
_MOST = 0.5  # of one model's photographs that both must have held out to be compared photograph by photograph


@dataclass(frozen=True)
class GroupDifference:
    """The candidate's value minus the default's in `metric` on a skin-type group (or "all"), with its interval;
    None where there are too few, of either model for what takes both. `n` and `n_default` are the photographs of
    each that it is measured on, the same ones if paired."""

    group: str
    metric: str
    n: int
    n_default: int
    candidate: float | None
    default: float | None
    value: float | None
    low: float | None
    high: float | None

    @property
    def is_worse(self) -> bool:
        """Whether the candidate does worse on this skin-type group, and the whole interval says so."""
        return self.group in FST_GROUPS and self.high is not None and self.high < 0

    def __str__(self) -> str:
        """'macro F1 on skin types V-VI 0.31 against 0.45: difference -0.14 [-0.22 to -0.06], n = 120'."""
        where = f"{_called(self.metric)} on {_people(self.group)}"
        n = f"n = {self.n:,}" if self.n == self.n_default else f"n = {self.n:,} and {self.n_default:,}"
        if self.value is None or self.low is None or self.high is None:
            return f"{where}: too few to compare ({n})"
        return (f"{where} {self.candidate:.2f} against {self.default:.2f}: difference {self.value:+.2f} "
                f"[{self.low:+.2f} to {self.high:+.2f}], {n}")


@dataclass(frozen=True)
class Verdict:
    """A candidate held against the default model, group by group. `default` is '' where there is none yet;
    `paired` says whether both were asked the same photographs; `obstacle` is why nothing could be compared, else
    ''; with `unmeasured` that is the candidate's own fault."""

    candidate: str
    default: str
    paired: bool
    differences: tuple[GroupDifference, ...] = ()
    obstacle: str = ""
    unmeasured: bool = False

    @property
    def worse(self) -> tuple[GroupDifference, ...]:
        """Where a skin-type group is served worse, beyond the interval of the difference."""
        return tuple(each for each in self.differences if each.is_worse)

    @property
    def too_few(self) -> tuple[str, ...]:
        """Skin-type groups of which too few were held out to tell; no reason to refuse, but to be said."""
        return self._untold(METRICS[0])

    @property
    def too_few_malignant(self) -> tuple[str, ...]:
        """Further groups with too few malignant cases held out to tell whether more of them are missed."""
        return tuple(name for name in self._untold("malignant_sensitivity") if name not in self.too_few)

    @property
    def untold(self) -> str:
        """What could not be told for want of photographs, in sentences; '' where all was."""
        return " ".join(f"Too few {what} to tell for {_listed(names)}." for what, names in (
            ("photographs", self.too_few), ("malignant cases", self.too_few_malignant)) if names)

    @property
    def is_refused(self) -> bool:
        """Whether only a written reason lets the candidate in."""
        return bool(self.worse) or self.unmeasured

    @property
    def reason(self) -> str:
        """Why it is refused, or why not, with what could not be told."""
        if self.obstacle:
            return self.obstacle
        few = f" {self.untold}" if self.untold else ""
        if self.worse:
            found = "; ".join(map(str, self.worse))
            return f"{self.candidate} does worse than {self.default}: {found} ({self.how}).{few}"
        if set(self.too_few) == set(FST_GROUPS):
            return (f"Whether {self.candidate} serves a skin-type group worse than {self.default} cannot be told "
                    f"({self.how}).{few}")
        return (f"No skin-type group is shown to be served worse by {self.candidate} than by {self.default} "
                f"({self.how}).{few}")

    def _untold(self, metric: str) -> tuple[str, ...]:
        """The skin-type groups in which there was too little to compare `metric`."""
        return tuple(each.group for each in self.differences
                     if each.group in FST_GROUPS and each.metric == metric and each.value is None)

    @property
    def how(self) -> str:
        """How the two were compared, a phrase."""
        return ("both models asked the same photographs, which neither learnt from" if self.paired else
                "each model on the photographs that it held out; they are not the same ones")


def compare(candidate: Bundle, default: Bundle | None) -> Verdict:
    """The candidate against the default model, in accuracy, macro F1 and, where some conditions are malignant,
    sensitivity for these, of all photographs and of each skin-type group, with intervals of 95 %.

    Photograph by photograph on those that both held out, if these are most of what one of them did; else as two
    independent samples. """
    if default is None or (default.folder == candidate.folder):
        return Verdict(candidate.name, "", False, obstacle="There is no other default model to compare it with.")
    tables = []
    for each in (candidate, default):
        try:
            tables.append(_held_out(each))
        except DatasetError as error:
            return Verdict(candidate.name, default.name, False, obstacle=str(error), unmeasured=each is candidate)
    theirs, ours = tables
    shared = set(theirs["image_id"]) & set(ours["image_id"])
    if len(shared) > _MOST * min(len(theirs), len(ours)):
        # If the two disagree about what the photographs show, they are not the same ones after all.
        with contextlib.suppress(DatasetError):
            return Verdict(candidate.name, default.name, True, tuple(_paired(ours, theirs, shared)))
    return Verdict(candidate.name, default.name, False, tuple(_apart(ours, theirs)))


def promote(run: Path, name: str, *, override: str = "", models: Path | None = None) -> Bundle:
    """Copy the bundle in `run` to the models as `name`, unless a skin-type group would be served worse than by the
    default model. `override`, a written reason, lets it in all the same and is recorded in the bundle and its
    card.
    Raises `ModelError` that names the group and the amount, or as `registry.promote` does.
    """
    registry.check_name(name)
    now = default_model(models)
    recorded = _recorded(compare(registry.read(run), now), override, "Promoted")
    promoted = registry.promote(run, name, models=models, override=recorded)
    if now is not None:  # said by nobody so far, the default would be whichever comes first by name
        registry.set_default(now.name, models=models)
    return promoted


def set_default(name: str, *, override: str = "", models: Path | None = None) -> None:
    """Make `name` the model that is used when none is named, on the same terms as `promote`. A default model that
    is damaged is no obstacle.

    Raises `ModelError` that names the group and the amount, or if `name` is not there or damaged.
    """
    bundle = registry.find(name, models=models)
    if problems := registry.verify(bundle):
        raise ModelError(problems[0])
    if recorded := _recorded(as_default(bundle, models=models), override, "Made the default"):
        if (card := bundle.path(CARD)).is_file():
            lines = [card.read_text(encoding="utf-8"), *registry.overridden(recorded), ""]
            atomic.write_bytes(card, "\n".join(lines).encode())
        registry.write(bundle.folder, replace(bundle, override=recorded))
    registry.set_default(name, models=models)


def as_default(bundle: Bundle, *, models: Path | None = None) -> Verdict:
    """A model held against the default one of now; against none if that is damaged, for it serves nobody."""
    now = None
    with contextlib.suppress(ModelError):
        now = default_model(models)
    return compare(bundle, now)


def _recorded(verdict: Verdict, override: str, done: str) -> str:
    """What the bundle is to say of a reason that was given; '' where none was needed. Raises `ModelError` where
    there should be one."""
    reason = " ".join(override.split())
    if not verdict.is_refused:
        return ""
    if not reason:
        raise ModelError(f"{verdict.reason} To use it all the same, give a written reason, which goes into its "
                         "card.")
    return f"{verdict.reason} {done} all the same: {reason}"


def default_model(models: Path | None = None) -> Bundle | None:
    """The model that is used when none is named; None where there is none yet."""
    try:
        return registry.find(models=models)
    except ModelError:
        if registry.list_bundles(models):
            raise
        return None


def _held_out(bundle: Bundle) -> pd.DataFrame:
    """The labelled photographs that the model was measured on, none of which it learnt from."""
    path = bundle.path(_PREDICTIONS)
    if not path.is_file():
        raise DatasetError(f"{bundle.name} has no {_PREDICTIONS}, so nothing is known of how it does on each skin "
                           "type.")
    table = predictions.read(path).drop(columns="abstained", errors="ignore")
    table = table[table["condition"].notna() & (table["split"] != "train").fillna(True)]
    if table.empty:
        raise DatasetError(f"{bundle.name}: its {_PREDICTIONS} holds no photograph whose condition is known.")
    return table.assign(partition3=table["condition"].map(bundle.partition3)).reset_index(drop=True)


def _paired(ours: pd.DataFrame, theirs: pd.DataFrame, shared: set[str]) -> Iterator[GroupDifference]:
    """Photograph by photograph. Raises `DatasetError` if the two files differ in what a photograph shows."""
    ours, theirs = (table[table["image_id"].isin(shared)].sort_values("image_id", ignore_index=True)
                    for table in (ours, theirs))
    a, b = to_cases(ours), to_cases(theirs)
    metrics = _metrics(a, b)
    shares = paired.changes(ours, theirs, by="fst3", metrics=[name for name in metrics if name != "macro_f1"])
    assigned = groups.assign(a.table, "fst3")
    for group in (groups.ALL, *FST_GROUPS):
        mine = np.full(len(a), True) if group == groups.ALL else (assigned == group).to_numpy()
        accuracy, *malignant = (GroupDifference(group, each.metric, each.n, each.n, each.theirs, each.ours,
                                                each.value, each.low, each.high)
                                for each in shares if each.group == group)
        f1 = [None] * 5 if accuracy.value is None else _macro_f1(a.where(mine), b.where(mine))
        yield from (accuracy, GroupDifference(group, "macro_f1", accuracy.n, accuracy.n, *f1), *malignant)


def _macro_f1(a: Cases, b: Cases, *, n_boot: int = 2000,
              seed: int = 0) -> tuple[float, float, float, float, float]:
    """Macro F1 of b and of a, their difference and its interval: the bootstrap of photographs, each drawn with
    what both models said of it."""
    names = sorted({*a.classes, *b.classes})
    at = {name: number for number, name in enumerate(names)}
    truth, said_a, said_b = (np.array([at[each.classes[i]] for i in numbers]) for each, numbers in (
        (a, a.truth), (a, a.predicted), (b, b.predicted)))
    cells, cell = np.unique(np.stack([truth, said_a, said_b]), axis=1, return_inverse=True)
    size, where = len(names), np.arange(cells.shape[1])
    columns, rows = [], []
    for number, said in enumerate(cells[1:]):  # of each model: right, truth, predicted
        right = cells[0] == said
        columns += [3 * size * number + part * size + classes for part, classes in (
            (0, said[right]), (1, cells[0]), (2, said))]
        rows += [where[right], where, where]
    held = np.concatenate(rows), np.concatenate(columns)
    parts = sparse.csr_array((np.ones(len(held[0])), held), (len(where), 6 * size))

    def statistic(totals: np.ndarray) -> Mapping[str, np.ndarray]:
        first, second = (confusions.scores(Tallies(*np.split(half, 3, axis=-1)))["macro_f1"]
                         for half in np.split(totals, 2, axis=-1))
        return {"a": first, "b": second, "off": second - first}

    drawn_from = resampling.kinds(cell.ravel(), len(where), resampling.repeated(a.clusters))
    found = resampling.bootstrap(drawn_from, parts, statistic, n_boot=n_boot, seed=seed)
    drawn = found["off"].corrected
    low, high = np.quantile(drawn[np.isfinite(drawn)], tails(0.95))
    if (said_a != said_b).sum() < _TELLING:
        low, high = min(low, 0.0), max(high, 0.0)
    return found["b"].value, found["a"].value, found["off"].value, float(low), float(high)


def _apart(ours: pd.DataFrame, theirs: pd.DataFrame) -> Iterator[GroupDifference]:
    """Of two independent samples."""
    both = [to_cases(table) for table in (ours, theirs)]
    metrics = _metrics(*both)
    found = []
    for seed, cases in enumerate(both):  # other seeds: the replicates must not go together
        assigned = groups.assign(cases.table, "fst3")
        found.append({groups.ALL: measures.samples(cases, measures=metrics, seed=seed),
                      **measures.by_group(cases, assigned, measures=metrics, seed=(seed, 1))})
    for group in (groups.ALL, *FST_GROUPS):
        for metric in metrics:
            one, other = (each.get(group, {}).get(metric) for each in found)
            n_default, n = (0 if each is None else each.n for each in (one, other))
            default, candidate = (None if each is None or each.n < TOO_FEW else each.value
                                  for each in (one, other))
            value, low, high = (differences.apart(other, one, level=0.95)
                                if one is not None and other is not None and min(n, n_default) >= TOO_FEW else
                                (None, None, None))
            yield GroupDifference(group, metric, n, n_default, candidate, default, value, low, high)


def _metrics(*both: Cases) -> tuple[str, ...]:
    """What is compared: METRICS, without the sensitivity for malignant cases where one model knows of none."""
    known = all(cases.malignant is not None and cases.malignant.any() for cases in both)
    return METRICS if known else METRICS[:-1]


def _called(metric: str) -> str:
    label = measures.MEASURES[metric].label
    return label[0].lower() + label[1:]


def _people(group: str) -> str:
    return "all photographs" if group == groups.ALL else f"skin types {group}"


def _listed(names: tuple[str, ...]) -> str:
    return " and ".join(f"skin types {name}" for name in names)
