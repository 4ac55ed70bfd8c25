"""What is measured of a model's answers: each measure with its bootstrap replicates, overall and by group.

Knows cases, and what a measure is called; no gaps between groups.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

from derm.errors import ConfigError, DatasetError
from derm.fairness import confusions, probabilities, ranks
from derm.fairness.answers import LEADING, Answers, Decision, answers
from derm.fairness.cases import Cases
from derm.fairness.figure import Sample
from derm.fairness.resampling import Seed


@dataclass(frozen=True)
class Measure:
    """What a measure is called, what it says in one sentence, and which way is better."""

    name: str
    label: str
    sentence: str
    better: Literal["higher", "lower", "neither"] = "higher"
    proportion: bool = False


_ALL = (
    Measure("accuracy", "Accuracy", "How often the model's first answer is the true condition.", proportion=True),
    Measure("balanced_accuracy", "Balanced accuracy",
            "The sensitivity for each condition, averaged so that rare conditions count as much as common ones."),
    Measure("macro_f1", "Macro F1", "The balance of missed cases and false alarms for each condition, averaged so"
            " that rare conditions count as much as common ones."),
    Measure("weighted_f1", "Weighted F1", "The balance of missed cases and false alarms for each condition,"
            " averaged by how common the condition is."),
    Measure("top3", "Top-3 accuracy", "How often the true condition is among the model's first three answers.",
            proportion=True),
    Measure("malignant_sensitivity", "Sensitivity, malignant",
            "Of the cases that are malignant, the share that the model calls malignant.", proportion=True),
    Measure("malignant_specificity", "Specificity, malignant",
            "Of the cases that are not malignant, the share that the model does not call malignant.",
            proportion=True),
    Measure("malignant_ppv", "Positive predictive value, malignant",
            "Of the cases that the model calls malignant, the share that are; it depends on how common malignant"
            " conditions are here.", proportion=True),
    Measure("malignant_npv", "Negative predictive value, malignant",
            "Of the cases that the model does not call malignant, the share that are not; it depends on how common"
            " malignant conditions are here.", proportion=True),
    Measure("malignant_auroc", "AUROC, malignant", "How often a malignant case gets a higher malignant probability"
            " than one that is not: 0.5 is chance, 1 is perfect."),
    Measure("malignant_auprc", "AUPRC, malignant", "The share of true alarms among all alarms, averaged over all"
            " thresholds; chance is how common malignant conditions are here."),
    Measure("malignant_selection_rate", "Called malignant",
            "The share of all cases that the model calls malignant, rightly or not.", "neither", proportion=True),
    Measure("kappa", "Cohen's kappa",
            "How far the model agrees with the true conditions beyond what chance would give: 0 is chance, 1 is"
            " perfect."),
    Measure("brier", "Brier score", "How far the model's probabilities are from the truth, from 0 for perfect to 2"
            " for sure and always wrong.", "lower"),
    Measure("ece", "Expected calibration error",
            "How far the model's stated certainty is, on average, from how often it is right.", "lower"),
    Measure("abstention_rate", "Abstention rate",
            "The share of cases for which the model gives no answer.", "lower", proportion=True),
    Measure("set_size", "Prediction-set size",
            "How many conditions the model's set of possible answers holds, on average.", "lower"),
    Measure("set_coverage", "Prediction-set coverage",
            "How often the model's set of possible answers holds the true condition.", proportion=True),
)
MEASURES: dict[str, Measure] = {measure.name: measure for measure in _ALL}
_Family = Callable[[Answers, int, Seed], dict[str, Sample]]


def samples(cases: Cases, *, decision: Decision = LEADING, measures: Collection[str] | None = None,
            n_boot: int = 2000, seed: Seed = 0) -> dict[str, Sample]:
    """Those of `measures` (all of MEASURES by default) that the file allows, in the order of MEASURES.

    Cases without an answer count in the abstention rate only. Raises `ConfigError` for a measure of another name
    and for a threshold where there are no probabilities.
    """
    return _samples(answers(cases, decision=decision), _wanted(measures), n_boot, seed)


def by_group(cases: Cases, groups: pd.Series, *, decision: Decision = LEADING,
             measures: Collection[str] | None = None, n_boot: int = 2000,
             seed: Seed = 0) -> dict[str, dict[str, Sample]]:
    """`samples` of each of `groups`, which `groups.assign(cases.table, ...)` gives, in the order of their
    categories; also of those that nobody is in. The groups' replicates are independent of each other.
    """
    given, wanted = answers(cases, decision=decision), _wanted(measures)
    seeds = (seed,) if isinstance(seed, int) else seed
    codes = groups.cat.codes.to_numpy()
    return {str(name): _samples(given.where(codes == number), wanted, n_boot, (*seeds, number))
            for number, name in enumerate(groups.cat.categories)}


def one_vs_rest(cases: Cases, *, condition: str, decision: Decision = LEADING, n_boot: int = 2000,
                seed: Seed = 0) -> dict[str, Sample]:
    """sensitivity, specificity, ppv, npv and selection_rate for the cases of `condition` against all others and,
    where there are probabilities, auroc and auprc.

    Raises `DatasetError` for a condition that neither the model nor the cases know.
    """
    if condition not in cases.classes:
        raise DatasetError(f"{condition!r}: no such condition; expected one of these.", cases.classes)
    number = cases.classes.index(condition)
    given = answers(cases, decision=decision)
    one = replace(given, malignant=given.truth == number, flagged=given.predicted == number,
                  score=None if cases.p is None else cases.p[:, number]).answered
    found = _rates(one, n_boot, seed)
    return found if one.score is None else found | _areas(one, n_boot, seed)


def _wanted(measures: Collection[str] | None) -> frozenset[str]:
    if unknown := sorted(set(measures or ()) - set(MEASURES)):
        raise ConfigError(f"{unknown[0]!r}: no such measure; expected one of {', '.join(MEASURES)}.", "measures")
    return frozenset(MEASURES if measures is None else measures)


def _samples(given: Answers, wanted: frozenset[str], n_boot: int, seed: Seed) -> dict[str, Sample]:
    found: dict[str, Sample] = {}
    answered = given.answered
    for names, needs, measured in _FAMILIES:
        on = given if needs == "abstained" else answered
        if getattr(on, needs) is not None and not wanted.isdisjoint(names):
            found |= zip(names, measured(on, n_boot, seed).values(), strict=True)
    return {name: found[name] for name in MEASURES if name in wanted and name in found}


def _counts(on: Answers, n_boot: int, seed: Seed) -> dict[str, Sample]:
    return confusions.confusion(on.truth, on.predicted, on.n_classes, clusters=on.repeated, n_boot=n_boot,
                                seed=seed)


def _rates(on: Answers, n_boot: int, seed: Seed) -> dict[str, Sample]:
    assert on.malignant is not None
    assert on.flagged is not None
    return confusions.binary(on.malignant, on.flagged, clusters=on.repeated, n_boot=n_boot, seed=seed)


def _areas(on: Answers, n_boot: int, seed: Seed) -> dict[str, Sample]:
    assert on.malignant is not None
    assert on.score is not None
    return ranks.areas(on.malignant, on.score, clusters=on.repeated, n_boot=n_boot, seed=seed)


def _calibration(on: Answers, n_boot: int, seed: Seed) -> dict[str, Sample]:
    assert on.confidence is not None
    return {"ece": probabilities.calibration_error(on.confidence, on.truth == on.predicted, clusters=on.repeated,
                                                   n_boot=n_boot, seed=seed)}


def _share(needs: str) -> _Family:
    def measured(on: Answers, n_boot: int, seed: Seed) -> dict[str, Sample]:
        return {needs: confusions.share(getattr(on, needs), clusters=on.repeated, n_boot=n_boot, seed=seed)}
    return measured


def _mean(needs: str) -> _Family:
    def measured(on: Answers, n_boot: int, seed: Seed) -> dict[str, Sample]:
        return {needs: probabilities.mean(getattr(on, needs), clusters=on.repeated, n_boot=n_boot, seed=seed)}
    return measured


# What is measured together, what of the answers it needs, and how; in the order in which the samples come.
_FAMILIES: tuple[tuple[tuple[str, ...], str, _Family], ...] = (
    (("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "kappa"), "predicted", _counts),
    (("malignant_sensitivity", "malignant_specificity", "malignant_ppv", "malignant_npv",
      "malignant_selection_rate"), "flagged", _rates),
    (("malignant_auroc", "malignant_auprc"), "score", _areas),
    (("ece",), "confidence", _calibration),
    *(((name,), needs, _share(needs)) for name, needs in (
        ("top3", "in_top3"), ("abstention_rate", "abstained"), ("set_coverage", "covered"))),
    *(((name,), needs, _mean(needs)) for name, needs in (("brier", "brier"), ("set_size", "set_size"))),
)
