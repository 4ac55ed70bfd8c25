"""Figures with intervals for every skin type: the count measures and their bootstrap replicates.

    python -m benchmarks.fairness [--replicates N] [--rounds N] [--json]

The peer is fairlearn's MetricFrame(n_boot=...) with scikit-learn's functions, as its documentation has it. It
resamples rows and measures each sample anew; ours draws the counts. Both give the same eleven measures, overall
and for six groups; that the values are the same is checked first. The peer is timed on as many replicates as it
does in about a minute, and scaled; ours on all of them.

Then ours with 21 classes: many rows against few, once counted (what all replicates take beyond what two do), in
seconds of the processor, since counting a million rows is long and what else the machine does would show.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
from fairlearn.metrics import MetricFrame, selection_rate
from sklearn import metrics as sklearn

from benchmarks import timing
from derm.fairness.cases import Cases, cases
from derm.fairness.groups import assign
from derm.fairness.measures import by_group, samples

ROWS, CLASSES = 16_577, 114  # Fitzpatrick17k's
MANY, FEW_CLASSES = 1_000_000, 21
MINUTE = 60.0
OURS, PEER = "derm, counts drawn", "fairlearn, rows resampled"
MEASURES = ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "top3", "malignant_sensitivity",
            "malignant_specificity", "malignant_ppv", "malignant_npv", "malignant_selection_rate", "kappa")


def made_up(rows: int, classes: int, *, seed: int = 0) -> Cases:
    """Cases of six skin types, as often one as the other, and a model that is right about six times in ten."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(classes, size=rows)
    p = rng.exponential(size=(rows, classes))
    p[np.arange(rows), truth] += rng.exponential(scale=1.5 * np.log(classes), size=rows)
    p /= p.sum(axis=1, keepdims=True)
    names = [f"condition-{number:03}" for number in range(classes)]
    table = pd.DataFrame(p, columns=[f"p:{name}" for name in names])
    table["condition"] = pd.Categorical.from_codes(truth, names)
    table["fst"] = rng.integers(1, 7, rows, dtype=np.int8)
    kinds = ("malignant", "benign", "non-neoplastic")
    return cases(table, partition3={name: kinds[number % 3] for number, name in enumerate(names)})


def ours(found: Cases, *, n_boot: int) -> dict[str, dict[str, float]]:
    """The values of each group and, as "", of all; the intervals are made on the way."""
    groups = by_group(found, assign(found.table, "fst"), measures=MEASURES, n_boot=n_boot)
    groups[""] = samples(found, measures=MEASURES, n_boot=n_boot)
    [each.figure() for measured in groups.values() for each in measured.values()]
    return {group: {name: each.value for name, each in measured.items()} for group, measured in groups.items()}


def peers(found: Cases, *, n_boot: int) -> MetricFrame:
    """The same by fairlearn."""
    sick = found.malignant
    assert sick is not None

    def of_malignant(metric: Callable[..., float], **options: Any) -> Callable[..., float]:
        return lambda truth, said: metric(sick[truth], sick[said], **options)

    measured: dict[str, Callable[..., float]] = {
        "accuracy": sklearn.accuracy_score, "balanced_accuracy": sklearn.balanced_accuracy_score,
        "macro_f1": lambda truth, said: sklearn.f1_score(truth, said, average="macro"),
        "weighted_f1": lambda truth, said: sklearn.f1_score(truth, said, average="weighted"),
        "top3": lambda truth, said, hit: hit.mean(),
        "malignant_sensitivity": of_malignant(sklearn.recall_score),
        "malignant_specificity": of_malignant(sklearn.recall_score, pos_label=False),
        "malignant_ppv": of_malignant(sklearn.precision_score),
        "malignant_npv": of_malignant(sklearn.precision_score, pos_label=False),
        "malignant_selection_rate": of_malignant(selection_rate, pos_label=True),
        "kappa": sklearn.cohen_kappa_score}
    return MetricFrame(metrics=measured, y_true=found.truth, y_pred=found.predicted,
                       sensitive_features=assign(found.table, "fst").astype(str),
                       sample_params={"top3": {"hit": found.in_top3}},
                       n_boot=n_boot, ci_quantiles=[0.025, 0.975], random_state=0)


def check(found: Cases) -> None:
    """Raises `AssertionError` unless both measure the same."""
    mine, frame = ours(found, n_boot=2), peers(found, n_boot=1)
    theirs = frame.by_group.T.to_dict() | {"": frame.overall.to_dict()}
    for group, values in mine.items():
        for name, value in values.items():
            assert np.isclose(value, theirs[group][name]), (group, name, value, theirs[group][name])


def seconds(call: Callable[[], object], *, clock: Callable[[], float] = time.perf_counter) -> float:
    began = clock()
    call()
    return clock() - began


def beside(found: Cases, *, replicates: int, rounds: int) -> dict[str, Any]:
    """Seconds of both for `replicates`, the peer's scaled from what it does in about a minute."""
    one = seconds(lambda: peers(found, n_boot=1))
    two = seconds(lambda: peers(found, n_boot=2))
    timed = int(np.clip(MINUTE / max(two - one, 0.01), 2, replicates))
    each = (seconds(lambda: peers(found, n_boot=timed)) - one) / (timed - 1)
    mine = median(seconds(lambda: ours(found, n_boot=replicates)) for _ in range(rounds))
    theirs = one + each * (replicates - 1)
    return {"milliseconds": {OURS: round(1000 * mine, 1), PEER: round(1000 * theirs, 1)},
            "ratios": {PEER: round(theirs / mine, 1)}, "replicates": replicates,
            "replicates of fairlearn that were timed": timed}


def growth(*, replicates: int, rounds: int) -> dict[str, Any]:
    """How much longer many rows take than few, once counted."""
    tables = {"few": made_up(ROWS, FEW_CLASSES), "many": made_up(MANY, FEW_CLASSES)}
    taken: dict[str, list[float]] = {name: [] for name in tables}
    for _ in range(rounds):
        for name, found in tables.items():
            two, all_of_them = (seconds(partial(ours, found, n_boot=n_boot), clock=time.process_time)
                                for n_boot in (2, replicates))
            taken[name].append(all_of_them - two)
    middle = {name: median(times) for name, times in taken.items()}
    return {f"{ROWS:,} rows, {FEW_CLASSES} classes, ms": round(1000 * middle["few"]),
            f"{MANY:,} rows, {FEW_CLASSES} classes, ms": round(1000 * middle["many"]),
            "times as long": round(middle["many"] / middle["few"], 2)}


def main() -> None:
    parser = timing.parser(__doc__, rounds=5)
    parser.add_argument("--replicates", type=int, default=2000)
    arguments = parser.parse_args()
    found = made_up(ROWS, CLASSES)
    check(found)
    compared = beside(found, replicates=arguments.replicates, rounds=arguments.rounds)
    grown = growth(replicates=arguments.replicates, rounds=arguments.rounds)
    timing.show({**compared, "once counted": grown, "rounds": arguments.rounds, **timing.machine()},
                title=f"{len(MEASURES)} measures, {ROWS:,} rows x {CLASSES} classes x 6 groups",
                as_json=arguments.json)


if __name__ == "__main__":
    main()
