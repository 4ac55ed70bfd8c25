"""What every part of the Fairness page is handed: whose predictions, and by which rules. Draws nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from derm.fairness import groups
from derm.fairness.answers import Decision
from derm.fairness.cases import Cases
from derm.fairness.measures import MEASURES, Measure
from derm.ui.figures import Origin


@dataclass(frozen=True, eq=False)
class Source:
    """One model's predictions. `key` stands in addresses and, with a hash of what was read, in caches as `digest`.

    `version` is '' where the file does not say; `notes` are sentences on how it was read or measured; `partition3`
    says which conditions are benign, malignant or non-neoplastic.
    """

    key: str
    name: str
    version: str
    digest: str
    cases: Cases
    unlabelled: int
    notes: tuple[str, ...]
    partition3: Mapping[str, str]

    @property
    def title(self) -> str:
        """The name, with the version where there is one."""
        return f"{self.name} {self.version}".strip()


@dataclass(frozen=True)
class Rules:
    """What somebody chose: groups, measure, thresholds, the smallest n that is compared, what is left out."""

    by: str
    metric: str
    decision: Decision
    minimum: int
    without_duplicates: bool
    without_missing: bool

    @property
    def measure(self) -> Measure:
        """The measure that the page shows."""
        return MEASURES[self.metric]


@dataclass(frozen=True, eq=False)
class View:
    """Predictions under rules: the `cases` that are left and the group of each (`derm.fairness.groups.assign`).

    `left_out` is how many were taken away by the rules.
    """

    source: Source
    rules: Rules
    cases: Cases
    assigned: pd.Series
    left_out: int

    def key(self, *, threshold: bool) -> str:
        """Equal where the same cases are in the same groups and the same of them got an answer and, with
        `threshold`, were called malignant. Measure and minimum are not in it."""
        rules = self.rules
        flagged = rules.decision.malignant_threshold if threshold else ""
        return (f"{self.source.digest} {rules.by} {rules.decision.abstain_below} {flagged} "
                f"{rules.without_duplicates} {rules.without_missing}")

    @property
    def origin(self) -> Origin:
        """What an exported chart says of itself."""
        said = f"{self.source.title}: {len(self.cases):,} cases"
        return Origin(self.source.key, self.source.name, said + (
            f" of {len(self.cases) + self.left_out:,}" if self.left_out else ""))

    @property
    def missing(self) -> int:
        """How many cases are in no recorded group."""
        counts = self.assigned.value_counts()
        return int(sum(n for name, n in counts.items() if not groups.compared(str(name))))


def view(source: Source, rules: Rules, *, near: frozenset[str] | None) -> View:
    """The source under the rules. `near` are the ids that repeat a training picture, None where nobody knows."""
    cases, assigned = source.cases, groups.assign(source.cases.table, by(rules.by))
    keep = np.ones(len(cases), dtype=bool)
    if rules.without_missing:
        keep &= np.array([groups.compared(str(name)) for name in assigned], dtype=bool)
    if rules.without_duplicates and near:
        keep &= ~cases.table["image_id"].isin(near).to_numpy()
    if keep.all():
        return View(source, rules, cases, assigned, 0)
    left = cases.where(keep)
    return View(source, rules, left, groups.assign(left.table, by(rules.by)), int((~keep).sum()))


def by(said: str) -> str | list[str]:
    """'fst3 x x_sex' -> ['fst3', 'x_sex']: the columns that groups are made of."""
    parts = said.split(groups.JOINT)
    return parts[0] if len(parts) == 1 else parts
