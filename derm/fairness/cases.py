"""The labelled rows of a predictions table as arrays, ready to be counted. Knows tables; measures nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from derm.datasets.conditions import PARTITION3, to_slug
from derm.errors import DatasetError
from derm.schema import PROBABILITY_PREFIX

SET_SEPARATOR = ";"  # between the slugs of `prediction_set`


@dataclass(frozen=True, eq=False)
class Cases:
    """n labelled cases and what a model said of them.

    `table` holds their rows, numbered 0 to n - 1. `truth` and `predicted`, int64 [n], number the `classes`: first
    the `known` ones of the model, then conditions that only occur as truth. `p`, float64 [n, C], is None where the
    file says no more than what was predicted. `malignant`, bool [C], is None where no class is known to be benign
    or malignant; `unplaced` are the classes of which that is not known, counted as not malignant. `clusters`,
    int64 [n], numbers the `group_id`. `abstained`, bool [n], is all False without such a column. `set_size`, int64
    [n], and `covered`, bool [n], are those of the column `prediction_set`, None without it.
    """

    table: pd.DataFrame
    classes: tuple[str, ...]
    known: int
    truth: np.ndarray
    predicted: np.ndarray
    p: np.ndarray | None
    malignant: np.ndarray | None
    unplaced: tuple[str, ...]
    clusters: np.ndarray
    abstained: np.ndarray
    set_size: np.ndarray | None
    covered: np.ndarray | None

    def __len__(self) -> int:
        return len(self.truth)

    def where(self, mask: np.ndarray | pd.Series) -> Cases:
        """Those of the cases, bool [n], that `mask` is true for."""
        keep = np.asarray(mask, dtype=bool)

        def part(values: np.ndarray | None) -> np.ndarray | None:
            return None if values is None else values[keep]

        return Cases(table=self.table[keep].reset_index(drop=True), classes=self.classes, known=self.known,
                     truth=self.truth[keep], predicted=self.predicted[keep], p=part(self.p),
                     malignant=self.malignant, unplaced=self.unplaced, clusters=self.clusters[keep],
                     abstained=self.abstained[keep], set_size=part(self.set_size), covered=part(self.covered))

    @cached_property
    def confidence(self) -> np.ndarray | None:
        """The probability of the leading class, float64 [n]."""
        return None if self.p is None else self.p.max(axis=1, initial=0)

    @cached_property
    def malignant_probability(self) -> np.ndarray | None:
        """The probabilities of the malignant classes added up, float64 [n]."""
        return None if self.p is None or self.malignant is None else self.p @ self.malignant.astype(np.float64)

    @cached_property
    def in_top3(self) -> np.ndarray | None:
        """Whether the truth is one of the three most probable classes, the first of equals being so; bool [n]."""
        if self.p is None:
            return None
        own = self.p[np.arange(len(self)), self.truth, None]
        equals_before = (self.p == own) & (np.arange(len(self.classes)) < self.truth[:, None])
        return ((self.p > own) | equals_before).sum(axis=1) < np.where(self.truth < self.known, 3, 0)

    @cached_property
    def brier(self) -> np.ndarray | None:
        """Each case's Brier score, 0 to 2: the squared errors of its probabilities added up, float64 [n]."""
        if self.p is None:
            return None
        own = self.p[np.arange(len(self)), self.truth]
        return np.einsum("nc,nc->n", self.p, self.p) - 2 * own + 1


def cases(predictions: pd.DataFrame, *, partition3: Mapping[str, str] | None = None) -> Cases:
    """The rows of `predictions` that have a condition. `partition3` says which conditions are benign, malignant or
    non-neoplastic; without it, `derm.datasets.conditions` does.

    A condition that the model does not know becomes a further class with probability 0: always wrong. Where there
    is a column `predicted` that, and not the most probable class, is what the model said. The cases' table gets a
    column `partition3` if it has none and some condition's is known. Raises `DatasetError` if there is no
    `condition`, neither probabilities nor `predicted`, or if a row is no distribution or names an unknown class.
    """
    if "condition" not in predictions:
        raise DatasetError("no column 'condition' among the predictions; expected the true labels.")
    table = predictions[predictions["condition"].notna()].reset_index(drop=True)
    known, p, said = _answers(table)
    classes = (*known, *sorted(set(table["condition"].astype(object)) - set(known)))
    truth = _numbers(table["condition"], classes)
    kinds = _kinds(classes, partition3)
    placed = kinds.notna().to_numpy()
    if "partition3" not in table and placed.any():
        table["partition3"] = kinds.take(truth).to_numpy()
    size, covered = _sets(table)
    return Cases(
        table=table, classes=classes, known=len(known), truth=truth, predicted=said,
        p=p if p is None or len(classes) == len(known) else np.pad(p, ((0, 0), (0, len(classes) - len(known)))),
        malignant=(kinds == "malignant").to_numpy(dtype=bool, na_value=False) if placed.any() else None,
        unplaced=tuple(np.array(classes, dtype=object)[~placed]), clusters=_clusters(table),
        abstained=_abstained(table), set_size=size, covered=covered)


def probabilities_of(table: pd.DataFrame) -> tuple[tuple[str, ...], np.ndarray]:
    """The classes and their probabilities, float64 [n, C], of a predictions table.

    Raises `DatasetError` if there are no `p:` columns or a row is not a distribution.
    """
    columns = _probability_columns(table)
    if len(columns) < 2:
        raise DatasetError(f"no columns '{PROBABILITY_PREFIX}<condition>' among {list(table.columns)[:10]};"
                           " expected one a class. Is this a predictions table?")
    try:
        values = table[columns].to_numpy(dtype=np.float64, na_value=np.nan)
    except ValueError as error:
        raise DatasetError(f"a probability is not a number ({error}). Mend the table.") from error
    bad = ~((values >= 0).all(axis=1) & (np.abs(values.sum(axis=1) - 1) < 1e-3))
    if bad.any():
        raise DatasetError("probabilities must be 0 to 1 and add up to 1 in each row; these rows do not.",
                           [str(row) for row in np.flatnonzero(bad)])
    return tuple(name.removeprefix(PROBABILITY_PREFIX) for name in columns), values


def _probability_columns(table: pd.DataFrame) -> list[str]:
    return [name for name in table.columns if str(name).startswith(PROBABILITY_PREFIX)]


def _answers(table: pd.DataFrame) -> tuple[tuple[str, ...], np.ndarray | None, np.ndarray]:
    """The model's classes, its probabilities if there are some, and the number of the class that it said."""
    if "predicted" not in table:
        classes, p = probabilities_of(table)
        return classes, p, p.argmax(axis=1)
    said = table["predicted"]
    if said.isna().any():
        raise DatasetError("the column 'predicted' is empty in these rows; expected a condition in each.",
                           [str(row) for row in np.flatnonzero(said.isna())])
    if not _probability_columns(table):
        classes = tuple(sorted(set(said.astype(object))))
        return classes, None, _numbers(said, classes)
    classes, p = probabilities_of(table)
    if strange := sorted(set(said.astype(object)) - set(classes)):
        raise DatasetError("the column 'predicted' names conditions without a column of probabilities.", strange)
    return classes, p, _numbers(said, classes)


def _numbers(names: pd.Series, classes: tuple[str, ...]) -> np.ndarray:
    return pd.Index(classes, dtype=object).get_indexer(pd.Index(names.astype(object)))


def _kinds(classes: tuple[str, ...], partition3: Mapping[str, str] | None) -> pd.Series:
    """The partition of each class, by its name as it is, else by the slug of that; missing where unknown."""
    names, known = pd.Series(classes, dtype=object), PARTITION3 if partition3 is None else partition3
    return names.map(known).fillna(to_slug(names)[0].map(known)).astype("string")


def _clusters(table: pd.DataFrame) -> np.ndarray:
    """The number of each row's `group_id`; one without is alone."""
    alone = np.arange(len(table))
    if "group_id" not in table:
        return alone
    codes, names = pd.factorize(table["group_id"])
    return np.where(codes < 0, len(names) + alone, codes)


def _abstained(table: pd.DataFrame) -> np.ndarray:
    if "abstained" not in table:
        return np.zeros(len(table), dtype=bool)
    return table["abstained"].astype("boolean").fillna(False).to_numpy(dtype=bool)


def _sets(table: pd.DataFrame) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The size of each prediction set, and whether it holds the true condition. A missing one is empty."""
    if "prediction_set" not in table:
        return None, None
    each = [set(filter(None, text.split(SET_SEPARATOR))) for text in table["prediction_set"].fillna("")]
    covered = [truth in found for truth, found in zip(table["condition"], each, strict=True)]
    return np.array([len(found) for found in each], dtype=np.int64), np.array(covered, dtype=bool)
