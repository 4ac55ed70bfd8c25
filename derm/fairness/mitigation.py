"""What might narrow a gap, and what it would cost each group. Knows cases; changes no model.

What is fitted (a temperature, a threshold) is fitted on four fifths of a group's cases and measured on the fifth
left out, all five in turn, cases of one cluster staying together: otherwise it would be praised for what it had
seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from derm.errors import ConfigError, DatasetError
from derm.fairness.answers import Answers, answers
from derm.fairness.cases import Cases
from derm.fairness.figure import TOO_FEW
from derm.fairness.groups import compared
from derm.fairness.measures import LEADING, Decision
from derm.fairness.shares import shares

FOLDS = 5
_LOG2_TEMPERATURES = np.linspace(-2, 2, 25)
_LEAST = 1e-6  # a probability below that is taken for that: a file may have rounded it to 0
_VALUES_AT_ONCE = 4_000_000


def group_temperature(cases: Cases, groups: pd.Series, *, seed: int = 0) -> tuple[dict[str, float], Cases]:
    """A temperature for each of `groups` (of `groups.assign`) that may be compared and has TOO_FEW cases of
    classes that the model knows, 0.25 to 4, and the cases as they would be with it.

    Above 1 the model was too sure of that group (Guo et al. 2017, ICML). Each case's probabilities are those of
    the temperature fitted without it; groups without one keep theirs. The leading class stays the same. Raises
    `DatasetError` where there are no probabilities.
    """
    if cases.p is None:
        raise DatasetError("these predictions have no probabilities (columns 'p:<condition>'), so no temperature"
                           " can be fitted.")
    losses, folds = _losses(cases), _folds(cases.clusters, seed)
    usable = cases.truth < cases.known
    found: dict[str, float] = {}
    each = np.ones(len(cases))
    for name, own in _parts(groups):
        if not compared(name) or (own & usable).sum() < TOO_FEW:
            continue
        found[name] = _best(losses[own & usable])
        for fold in range(FOLDS):
            rest = own & usable & (folds != fold)
            each[own & (folds == fold)] = _best(losses[rest]) if rest.any() else 1
    return found, replace(cases, p=_tempered(cases.p, each[:, None]))


def group_thresholds(cases: Cases, groups: pd.Series, *, sensitivity: float, decision: Decision = LEADING,
                     seed: int = 0, level: float = 0.95) -> pd.DataFrame:
    """The highest threshold for malignant that gives each of `groups` (of `groups.assign`) that `sensitivity`,
    and what it would do to the group; one row a group.

    group, threshold (NaN below TOO_FEW malignant cases and where the group is not recorded); n malignant cases,
    n_benign others; sensitivity_before, _before_low, _before_high, sensitivity_after ..., and specificity
    likewise: before by `decision`, after by thresholds fitted without the case. NaN where n is below TOO_FEW.
    Raises `DatasetError` where there are no probabilities, or nothing is known to be malignant.
    """
    if not 0 < sensitivity <= 1:
        raise ConfigError(f"sensitivity = {sensitivity}: expected more than 0, at most 1.", "sensitivity")
    given = answers(cases, decision=decision)
    if given.score is None:
        raise DatasetError("these predictions have no probabilities of malignant conditions, so no threshold can"
                           " be fitted; expected columns 'p:<condition>', some known to be malignant.")
    folds = _folds(cases.clusters, seed)
    kept = np.ones(len(cases), dtype=bool) if given.abstained is None else ~given.abstained
    rows = []
    for name, own in _parts(groups):
        fitted, after = _refitted(given.where(own & kept), folds[own & kept], sensitivity, may=compared(name))
        rows.append({"group": name, "threshold": fitted, **_rates(given.where(own & kept), after, level)})
    return pd.DataFrame(rows)


def abstention(cases: Cases, groups: pd.Series, *, below: float, decision: Decision = LEADING,
               level: float = 0.95) -> pd.DataFrame:
    """What not answering where the leading probability is less than `below` would do to each of `groups` (of
    `groups.assign`); one row a group. Nothing is fitted.

    group, n; abstained, abstained_low, abstained_high: the share without an answer; n_after: the cases with one;
    accuracy_before (by `decision`), accuracy_before_low ..., accuracy_after ...; n_malignant, and
    malignant_abstained, ..._low, ..._high: the share of the malignant ones that get no answer, 0 cases where
    none is known to be. NaN where n is below TOO_FEW. Raises `ConfigError` where there are no probabilities.
    """
    before = answers(cases, decision=decision)
    after = answers(cases, decision=replace(decision, abstain_below=below))
    silent, was_silent = (np.zeros(len(cases), dtype=bool) if each.abstained is None else each.abstained
                          for each in (after, before))
    malignant = np.zeros(len(cases), dtype=bool) if after.malignant is None else after.malignant
    right = after.truth == after.predicted
    rows = []
    for name, own in _parts(groups):
        parts = {"abstained": (silent, own), "accuracy_before": (right, own & ~was_silent),
                 "accuracy_after": (right, own & ~silent), "malignant_abstained": (silent, own & malignant)}
        found = {key: _share(hit, within, cases.clusters, level) for key, (hit, within) in parts.items()}
        counts = {"n": "abstained", "n_before": "accuracy_before", "n_after": "accuracy_after",
                  "n_malignant": "malignant_abstained"}
        rows.append({"group": name, **{count: int(found[key]["n"]) for count, key in counts.items()},
                     **{column: value for key in parts for column, value in _columns(key, found[key]).items()}})
    return pd.DataFrame(rows)


def _parts(groups: pd.Series) -> Iterator[tuple[str, np.ndarray]]:
    codes = groups.cat.codes.to_numpy()
    for number, name in enumerate(groups.cat.categories):
        yield str(name), codes == number


def _folds(clusters: np.ndarray, seed: int) -> np.ndarray:
    """The part, 0 to FOLDS - 1, that each case is left out with, int64 [n]."""
    names, number = np.unique(clusters, return_inverse=True)
    return np.random.default_rng(seed).permutation(len(names))[number] % FOLDS


def _losses(cases: Cases) -> np.ndarray:
    """Minus the logarithm of the probability of the truth at each of the temperatures, float64 [n,
    temperatures]."""
    assert cases.p is not None
    inverse = (2.0 ** -_LOG2_TEMPERATURES).astype(np.float32)
    losses = np.empty((len(cases), len(inverse)))
    size = max(1, _VALUES_AT_ONCE // max(cases.known * len(inverse), 1))
    for start in range(0, len(cases), size):
        logits = np.log(np.maximum(cases.p[start:start + size, :cases.known], _LEAST)).astype(np.float32)
        logits -= logits.max(axis=1, keepdims=True)
        own = logits[np.arange(len(logits)), np.minimum(cases.truth[start:start + size], cases.known - 1)]
        for i, factor in enumerate(inverse):
            losses[start:start + size, i] = np.log(np.exp(logits * factor).sum(axis=1)) - own * factor
    return losses


def _best(losses: np.ndarray) -> float:
    """The temperature with the least loss: the lowest point of the parabola through the best of those tried and
    its neighbours."""
    total = losses.mean(axis=0)
    i = int(np.clip(total.argmin(), 1, len(total) - 2))
    left, middle, right = total[i - 1:i + 2]
    bend = left - 2 * middle + right
    step = float(np.clip((left - right) / (2 * bend), -1, 1)) if bend > 0 else 0.0
    return float(2 ** (_LOG2_TEMPERATURES[i] + step * (_LOG2_TEMPERATURES[1] - _LOG2_TEMPERATURES[0])))


def _tempered(p: np.ndarray, temperature: np.ndarray) -> np.ndarray:
    powers = (p / p.max(axis=1, keepdims=True)) ** (1 / temperature)
    return powers / powers.sum(axis=1, keepdims=True)


def _refitted(on: Answers, folds: np.ndarray, sensitivity: float, *, may: bool) -> tuple[float, np.ndarray | None]:
    """The threshold fitted on all of a group, and whether each case is called malignant by the one fitted
    without it, bool [n]; NaN and None if the group may have none or has too few malignant cases."""
    assert on.malignant is not None
    assert on.score is not None
    if not may or on.malignant.sum() < TOO_FEW:
        return np.nan, None
    flagged = np.zeros(len(on), dtype=bool)
    for fold in range(FOLDS):
        held = folds == fold
        flagged[held] = on.score[held] >= _threshold(on.score[on.malignant & ~held], sensitivity)
    return _threshold(on.score[on.malignant], sensitivity), flagged


def _threshold(scores: np.ndarray, sensitivity: float) -> float:
    """The highest one that at least that share of the scores reaches; 0 where there are none."""
    if not len(scores):
        return 0.0
    return float(np.sort(scores)[::-1][int(np.ceil(round(sensitivity * len(scores), 9))) - 1])


def _rates(on: Answers, after: np.ndarray | None, level: float) -> dict[str, float]:
    """n, n_benign and the two rates before and after, these being missing where nothing was fitted."""
    assert on.malignant is not None
    assert on.flagged is not None
    found: dict[str, float] = {"n": int(on.malignant.sum()), "n_benign": int((~on.malignant).sum())}
    for name, wanted, within in (("sensitivity", True, on.malignant), ("specificity", False, ~on.malignant)):
        for when, flagged in (("before", on.flagged), ("after", after)):
            hit = np.zeros(len(on), dtype=bool) if flagged is None else flagged == wanted
            share = _columns(f"{name}_{when}", _share(hit, within, on.clusters, level))
            found |= dict.fromkeys(share, np.nan) if flagged is None else share
    return found


def _share(hit: np.ndarray, within: np.ndarray, clusters: np.ndarray, level: float) -> pd.Series:
    """n, value, low and high of the share of the cases `within` that are hit, bool [n] each."""
    one_cell = np.zeros(int(within.sum()), dtype=np.int64)
    return shares(hit[within], one_cell, 1, clusters=clusters[within], level=level).iloc[0]


def _columns(name: str, share: pd.Series) -> dict[str, float]:
    return {name: float(share["value"]), f"{name}_low": float(share["low"]), f"{name}_high": float(share["high"])}
