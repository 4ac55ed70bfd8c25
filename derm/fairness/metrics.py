"""What training, cards and the command line say of a model: a few measures, overall, by skin type and by
condition.

Knows predictions tables; not files, Keras or Streamlit. The table has `condition`, `fst` and one column
`p:<condition>` a class; rows without a condition are left out. What the model declines to answer is measured all
the same: this is what it would have said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import pandas as pd

from derm.fairness import confusions
from derm.fairness.cases import Cases, cases
from derm.fairness.figure import Figure, proportion
from derm.fairness.groups import SKIN_TYPE_GROUPS, skin_type_group
from derm.fairness.measures import MEASURES, samples

LABELS = {name: MEASURES[name].label for name in (
    "accuracy", "top3", "balanced_accuracy", "macro_f1", "weighted_f1", "kappa", "ece")}


def summary(predictions: pd.DataFrame, *, n_boot: int = 2000, seed: int = 0,
            level: float = 0.95) -> dict[str, Figure]:
    """Each measure of LABELS over all labelled rows, with the interval of `Sample.figure`."""
    return _summary(_cases(predictions), n_boot, seed, level)


def by_skin_type(predictions: pd.DataFrame, *, n_boot: int = 2000, seed: int = 0,
                 level: float = 0.95) -> dict[str, dict[str, Figure]]:
    """`summary` of each of SKIN_TYPE_GROUPS, all of them, in that order."""
    found = _cases(predictions)
    group = skin_type_group(found.table["fst"])
    return {name: _summary(found.where(group == name), n_boot, seed, level) for name in SKIN_TYPE_GROUPS}


def by_condition(predictions: pd.DataFrame, *, n_boot: int = 2000, seed: int = 0,
                 level: float = 0.95) -> dict[str, dict[str, Figure]]:
    """`sensitivity` (Wilson) and `f1` (bootstrap) of each class; n is the photographs that show it."""
    found = _cases(predictions)
    f1 = confusions.each_f1(found.truth, found.predicted, len(found.classes), n_boot=n_boot, seed=seed)
    right = found.truth[found.truth == found.predicted]
    return {name: {"sensitivity": proportion(int((right == i).sum()), f1[i].n, level=level),
                   "f1": f1[i].figure(level)} for i, name in enumerate(found.classes)}


def figures(predictions: pd.DataFrame, *, n_boot: int = 2000,
            seed: int = 0) -> dict[str, dict[str, float | int | None]]:
    """What a bundle records: "accuracy" over all rows, "accuracy:V-VI" over a group, and so on."""
    table = summary(predictions, n_boot=n_boot, seed=seed)
    for group, measures in by_skin_type(predictions, n_boot=n_boot, seed=seed).items():
        table |= {f"{name}:{group}": figure for name, figure in measures.items()}
    return {name: asdict(figure) for name, figure in table.items()}


def rows(groups: Mapping[str, Mapping[str, Figure]], measures: Sequence[str]) -> list[tuple[str, ...]]:
    """A plain table for pages, cards and terminals: a header, then a row a group, its n stated once."""
    header = ("", "n", *(LABELS.get(name, name) for name in measures))
    lines = [(group, f"{table[measures[0]].n:,}", *(table[name].text for name in measures))
             for group, table in groups.items()]
    return [header, *lines]


def _cases(predictions: pd.DataFrame) -> Cases:
    return cases(predictions.drop(columns="abstained", errors="ignore"))


def _summary(found: Cases, n_boot: int, seed: int, level: float) -> dict[str, Figure]:
    measured = samples(found, measures=LABELS, n_boot=n_boot, seed=seed)
    return {name: measured[name].figure(level) for name in LABELS}
