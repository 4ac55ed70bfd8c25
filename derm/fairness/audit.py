"""One model audited: every group's figures, the gaps between them, what to beware of. Knows predictions tables;
not files, and not how it is said (`words`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import pandas as pd

from derm.datasets.conditions import PARTITION3
from derm.errors import ConfigError, DatasetError, first_five
from derm.fairness import gaps, groups, measures
from derm.fairness.cases import Cases
from derm.fairness.cases import cases as cases_of
from derm.fairness.figure import TOO_FEW, Figure, Sample
from derm.fairness.gaps import Difference, Gap, Worst
from derm.fairness.measures import LEADING, MEASURES, Decision
from derm.fairness.resampling import repeated
from derm.schema import PARTITIONS, display_name

# What is compared unless one says otherwise; the first that has a gap leads the report.
KEY_METRICS = ("malignant_sensitivity", "malignant_specificity", "malignant_auroc", "accuracy", "top3",
               "balanced_accuracy", "macro_f1", "ece")


class _Drawn(TypedDict):
    decision: Decision
    n_boot: int
    seed: int


@dataclass(frozen=True)
class GroupFigures:
    """One group: its n, whether it is compared with others, and its figures by the name of the measure."""

    group: str
    n: int
    compared: bool
    figures: Mapping[str, Figure]


@dataclass(frozen=True)
class Audit:
    """What was found of one model, grouped `by` one or several columns.

    `n` labelled photographs, `n_missing` of them in no recorded group, `n_unlabelled` left out as nobody knows
    their condition. `groups` in the order of `fairness.groups`. `metrics` were to be compared; `gaps`, `worst`
    (simultaneous interval of the worst group) and `versus` (each group against the rest) are there for those that
    two groups can be compared in. p values of `gaps` are Holm-adjusted over them. `parity`: fairlearn's
    differences between groups in malignant decisions. `notes` are what one must know, a sentence each. Intervals
    are of `level`.
    """

    by: str
    metrics: tuple[str, ...]
    n: int
    n_missing: int
    n_unlabelled: int
    groups: tuple[GroupFigures, ...]
    overall: Mapping[str, Figure]
    gaps: tuple[Gap, ...]
    worst: Mapping[str, Worst]
    versus: Mapping[str, tuple[Difference, ...]]
    parity: Mapping[str, Figure]
    notes: tuple[str, ...]
    level: float
    decision: Decision

    @property
    def lead(self) -> Gap | None:
        """The gap that matters most: that of the first of its metrics, None if nothing could be compared."""
        return self.gaps[0] if self.gaps else None

    def group(self, name: str) -> GroupFigures:
        """The group of that name."""
        return next(group for group in self.groups if group.group == name)


def audit(predictions: pd.DataFrame | Cases, *, by: str | Sequence[str] = "fst3",
          metrics: Sequence[str] = KEY_METRICS, decision: Decision = LEADING, n_boot: int = 2000, seed: int = 0,
          level: float = 0.95) -> Audit:
    """Audit a predictions table (`derm.predictions`) or the cases made of one, comparing groups in `metrics`.

    Raises `DatasetError` for a table without truth, or without the column to group by, and `ConfigError` for a
    measure that is none.
    """
    if unknown := [name for name in metrics if name not in MEASURES]:
        raise ConfigError(f"{unknown[0]!r}: no such measure; expected one of {', '.join(MEASURES)}.", "metrics")
    cases = predictions if isinstance(predictions, Cases) else to_cases(predictions)
    assigned = groups.assign(cases.table, by)
    drawn: _Drawn = {"decision": decision, "n_boot": n_boot, "seed": seed}
    samples = measures.by_group(cases, assigned, **drawn)
    counts = assigned.value_counts()
    found = gaps.gaps(samples, [name for name in metrics if any(name in each for each in samples.values())],
                      level=level)
    names = [gap.metric for gap in found]
    against = gaps.versus_rests(samples, cases, assigned, names, level=level, **drawn)
    worst = {name: gaps.worst_group(samples, name, level=level) for name in names}
    return Audit(
        by=by if isinstance(by, str) else groups.JOINT.join(by),
        metrics=tuple(metrics),
        n=len(cases),
        n_missing=sum(int(n) for name, n in counts.items() if not groups.compared(str(name))),
        n_unlabelled=0 if isinstance(predictions, Cases) else len(predictions) - len(cases),
        groups=tuple(GroupFigures(name, int(counts[name]), groups.compared(name), _figures(each, level))
                     for name, each in samples.items()),
        overall=_figures(measures.samples(cases, **drawn), level),
        gaps=tuple(gaps.adjust(gap, cases, assigned, decision=decision, level=level) for gap in found),
        worst={name: each for name, each in worst.items() if each is not None},
        versus={name: tuple(each) for name, each in against.items()},
        parity=_parity(cases, assigned, level, drawn),
        notes=tuple(notes(cases, assigned)),
        level=level, decision=decision)


def one_vs_rest(predictions: pd.DataFrame, *, condition: str, by: str | Sequence[str] = "fst3", n_boot: int = 2000,
                seed: int = 0, level: float = 0.95) -> dict[str, dict[str, Figure]]:
    """`measures.one_vs_rest` of each group and, as "all", of everybody.

    Raises `DatasetError` for a condition that neither the model nor the file knows.
    """
    cases = to_cases(predictions)
    assigned = groups.assign(cases.table, by)
    parts = {str(name): cases.where((assigned == name).to_numpy()) for name in assigned.cat.categories}
    return {name: _figures(measures.one_vs_rest(part, condition=condition, n_boot=n_boot, seed=seed), level)
            for name, part in {**parts, groups.ALL: cases}.items()}


def to_cases(predictions: pd.DataFrame) -> Cases:
    """The labelled rows as cases. What is benign or malignant is said by the file's own column `partition3`, else
    by Derm's table of conditions; a condition may also be just called "malignant" or "benign".

    Raises `DatasetError` if nobody's condition is known.
    """
    if "condition" not in predictions or not predictions["condition"].notna().any():
        raise DatasetError("the true condition is known of no row, so nothing can be audited; expected a column "
                           "'condition'. Name the one that holds the truth (derm audit --map THEIRS=condition).")
    said: dict[str, str] = {}
    if "partition3" in predictions:
        pairs = predictions[["condition", "partition3"]].dropna().astype(str).drop_duplicates()
        said = dict(zip(pairs["condition"], pairs["partition3"], strict=True))
    return cases_of(predictions, partition3={**PARTITION3, **{kind: kind for kind in PARTITIONS}, **said})


def _figures(samples: Mapping[str, Sample], level: float) -> dict[str, Figure]:
    return {name: sample.figure(level) for name, sample in samples.items()}


def _parity(cases: Cases, assigned: pd.Series, level: float, drawn: _Drawn) -> dict[str, Figure]:
    """Nothing where no condition is known to be malignant."""
    if cases.malignant is None:
        return {}
    return {"equal_opportunity": gaps.equal_opportunity(cases, assigned, level=level, **drawn),
            "equalised_odds": gaps.equalised_odds(cases, assigned, level=level, **drawn),
            "demographic_parity": gaps.demographic_parity(cases, assigned, level=level, **drawn)}


def notes(cases: Cases, assigned: pd.Series) -> Iterator[str]:
    """What one must know before reading a figure, a sentence each."""
    sizes = [int(n) for name, n in assigned.value_counts().items() if groups.compared(str(name))]
    if not sum(sizes):
        yield "The group is recorded of no photograph, so nothing can be compared."
    elif sum(n >= TOO_FEW for n in sizes) < 2:
        yield f"Fewer than two groups have {TOO_FEW} photographs, so nothing can be compared."
    if strange := [display_name(name) for name in cases.classes[cases.known:]]:
        yield f"Conditions that the model never predicts, so it is always wrong there {first_five(strange)}."
    if cases.malignant is None:
        yield ("No condition is known to be malignant or benign, so nothing is said of malignant ones. Say what "
               "the labels are (derm audit --map LABEL=malignant), or add a column 'partition3'.")
    elif cases.unplaced:
        yield ("Conditions not known to be malignant or benign, counted as not malignant "
               f"{first_five([display_name(name) for name in cases.unplaced])}.")
    if cases.p is None:
        yield "The file has no probabilities; what needs them is not measured."
    elif n := int((cases.p.argmax(axis=1) != cases.predicted).sum()):
        yield f"What the file says was predicted is not the most probable condition in {n:,} rows."
    if n := int(cases.abstained.sum()):
        yield f"The model abstained on {n:,} photographs, which count in its abstention rate only."
    if repeated(cases.clusters) is not None:
        yield "Several photographs share a group_id; the intervals allow for it."
