"""Measures of counts: who was taken for what, and shares of cases. Knows arrays; no tables of figures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from derm.fairness.figure import Sample
from derm.fairness.resampling import Kinds, Seed, bootstrap, kinds, ratio


@dataclass(frozen=True, eq=False)
class Tallies:
    """What the measures need of confusion counts, [..., C] each: right, truly so, said to be so."""

    right: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray


def confusion(truth: np.ndarray, predicted: np.ndarray, n_classes: int, *, clusters: np.ndarray | None = None,
              n_boot: int = 2000, seed: Seed = 0) -> dict[str, Sample]:
    """The measures of `scores` for class numbers int [n]."""
    drawn_from, parts = _confusion_kinds(truth, predicted, n_classes, clusters)
    measured = bootstrap(drawn_from, parts, lambda totals: scores(_tallies(totals)), n_boot=n_boot, seed=seed)
    found = {name: Sample(each.value, each.corrected, len(truth)) for name, each in measured.items()}
    right = truth == predicted
    found["accuracy"] = _proportion(right, np.ones_like(right), measured["accuracy"].drawn, clusters)
    return found


def each_f1(truth: np.ndarray, predicted: np.ndarray, n_classes: int, *, clusters: np.ndarray | None = None,
            n_boot: int = 2000, seed: Seed = 0) -> list[Sample]:
    """F1 of every class; n is the cases that are of it."""
    drawn_from, parts = _confusion_kinds(truth, predicted, n_classes, clusters)
    measured = bootstrap(drawn_from, parts,
                         lambda totals: {str(i): each for i, each in enumerate(f1(_tallies(totals)).T)},
                         n_boot=n_boot, seed=seed)
    counts = np.bincount(truth, minlength=n_classes)
    return [Sample(each.value, each.corrected, int(n)) for n, each in zip(counts, measured.values(), strict=True)]


def scores(tallies: Tallies) -> dict[str, np.ndarray]:
    """The measures of confusion counts, [...] each; NaN where one has no value.

    Macro F1 averages over the classes that occur in truth or prediction and balanced accuracy over those
    in truth, as scikit-learn does; kappa is Cohen's (1960).
    """
    n = tallies.truth.sum(axis=-1)
    each, said = f1(tallies), tallies.truth + tallies.predicted > 0
    recall = ratio(tallies.right, tallies.truth)
    agreed = ratio(tallies.right.sum(axis=-1), n)
    chance = ratio((tallies.truth * tallies.predicted).sum(axis=-1), n**2)
    return {
        "accuracy": agreed,
        "balanced_accuracy": ratio(np.nansum(recall, axis=-1), (tallies.truth > 0).sum(axis=-1)),
        "macro_f1": ratio(np.nansum(each, axis=-1), said.sum(axis=-1)),
        "weighted_f1": ratio(np.nansum(each * tallies.truth, axis=-1), n),
        "kappa": ratio(agreed - chance, 1 - chance),
    }


def f1(tallies: Tallies) -> np.ndarray:
    """F1 of each class, [..., C]; NaN for a class that is neither there nor predicted."""
    return ratio(2 * tallies.right, tallies.truth + tallies.predicted)


def share(hit: np.ndarray, *, clusters: np.ndarray | None = None, n_boot: int = 2000, seed: Seed = 0) -> Sample:
    """The share of cases that are hit, bool [n]."""
    measured = bootstrap(kinds(hit.astype(np.int64), 2, clusters), np.eye(2),
                         lambda totals: {"": ratio(totals[:, 1], totals.sum(axis=1))}, n_boot=n_boot, seed=seed)
    return _proportion(hit, np.ones_like(hit), measured[""].drawn, clusters)


def binary(positive: np.ndarray, flagged: np.ndarray, *, clusters: np.ndarray | None = None, n_boot: int = 2000,
           seed: Seed = 0) -> dict[str, Sample]:
    """sensitivity, specificity, ppv, npv and selection_rate for the cases that are positive and those that the
    model flags as such, bool [n] each. They are drawn together: replicate i of each is of the same bootstrap
    sample."""
    drawn_from = kinds(2 * positive + flagged, 4, clusters)
    measured = bootstrap(drawn_from, np.eye(4), _rates, n_boot=n_boot, seed=seed)
    of = {"sensitivity": (flagged, positive), "specificity": (~flagged, ~positive), "ppv": (positive, flagged),
          "npv": (~positive, ~flagged), "selection_rate": (flagged, np.ones_like(flagged))}
    return {name: _proportion(hit & within, within, measured[name].drawn, clusters)
            for name, (hit, within) in of.items()}


def _rates(totals: np.ndarray) -> dict[str, np.ndarray]:
    """Of totals [..., 4]: neither, only flagged, only positive, both."""
    neither, false, missed, both = np.moveaxis(totals, -1, 0)
    return {"sensitivity": ratio(both, both + missed), "specificity": ratio(neither, neither + false),
            "ppv": ratio(both, both + false), "npv": ratio(neither, neither + missed),
            "selection_rate": ratio(both + false, totals.sum(axis=-1))}


def _proportion(hit: np.ndarray, within: np.ndarray, drawn: np.ndarray, clusters: np.ndarray | None) -> Sample:
    """The share of `hit` in `within`, bool [n] each, a hit being one of them."""
    hits, n = int(hit.sum()), int(within.sum())
    value = hits / n if n else np.nan
    effect = 1.0 if clusters is None or not n else _design_effect(value, n, drawn, clusters[within])
    return Sample(value, drawn, n, hits, effect)


def _design_effect(value: float, n: int, drawn: np.ndarray, clusters: np.ndarray) -> float:
    """How many times the variance of a share is that of independent cases: as the replicates vary or, where all
    cases are alike and nothing varies, as if those of a cluster could not but be (Kish 1965)."""
    if 0 < value < 1:
        return max(1.0, float(np.nanvar(drawn)) * n / (value * (1 - value)))
    size = np.unique(clusters, return_counts=True)[1]
    return float((size**2).sum() / n)


def _confusion_kinds(truth: np.ndarray, predicted: np.ndarray, n_classes: int,
                     clusters: np.ndarray | None) -> tuple[Kinds, sparse.csr_array]:
    """The kinds of cases and what one of each cell of the confusion matrix adds to right, truth and predicted."""
    cells, at = np.unique(truth * n_classes + predicted, return_inverse=True)
    rows, columns = cells // n_classes, cells % n_classes
    right = rows == columns
    adds = np.concatenate([rows[right], n_classes + rows, 2 * n_classes + columns])
    to = np.concatenate([np.flatnonzero(right), *[np.arange(len(cells))] * 2])
    parts = sparse.csr_array((np.ones(len(adds)), (to, adds)), (len(cells), 3 * n_classes))
    return kinds(at, len(cells), clusters), parts


def _tallies(totals: np.ndarray) -> Tallies:
    return Tallies(*np.split(totals, 3, axis=-1))
