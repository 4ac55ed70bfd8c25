"""What a model answered to each case, once it is decided when an answer is malignant and when there is none.

Knows cases; measures nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np

from derm.errors import ConfigError
from derm.fairness.cases import Cases
from derm.fairness.resampling import repeated


@dataclass(frozen=True)
class Decision:
    """When an answer counts as malignant, and when there is none.

    Malignant: the leading condition is; or, with a threshold, the probabilities of the malignant ones add up to at
    least that. No answer: the file says so (`abstained`), or the leading probability is below `abstain_below`.
    """

    malignant_threshold: float | None = None
    abstain_below: float = 0.0

    def __post_init__(self) -> None:
        for key in ("malignant_threshold", "abstain_below"):
            value = getattr(self, key)
            if value is not None and not 0 <= value <= 1:
                raise ConfigError(f"{key} = {value}: expected a probability, 0 to 1.", key)


LEADING = Decision()


@dataclass(frozen=True, eq=False)
class Answers:
    """What is measured of each case, [n] each; None where the file does not say.

    `truth` and `predicted` are numbers of classes. `malignant` is whether the truth is, `flagged` whether the
    answer is, `score` the probability of that; `confidence` is that of the leading class. `in_top3`, `brier`,
    `set_size`, `covered` and `clusters` are those of `Cases`; `abstained` is whether there was no answer.
    """

    n_classes: int
    truth: np.ndarray
    predicted: np.ndarray
    clusters: np.ndarray
    in_top3: np.ndarray | None = None
    malignant: np.ndarray | None = None
    flagged: np.ndarray | None = None
    score: np.ndarray | None = None
    confidence: np.ndarray | None = None
    brier: np.ndarray | None = None
    set_size: np.ndarray | None = None
    covered: np.ndarray | None = None
    abstained: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.truth)

    def where(self, mask: np.ndarray) -> Answers:
        """Those of the cases, bool [n], that `mask` is true for."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: each[mask] for name, each in given.items() if isinstance(each, np.ndarray)})

    @property
    def answered(self) -> Answers:
        """The cases that were given an answer."""
        return self if self.abstained is None else self.where(~self.abstained)

    @cached_property
    def repeated(self) -> np.ndarray | None:
        """The clusters, if any has several cases."""
        return repeated(self.clusters)


def answers(cases: Cases, *, decision: Decision) -> Answers:
    """The answers to `cases`. Raises `ConfigError` for a threshold where there are no probabilities."""
    score = cases.malignant_probability
    malignant = flagged = None
    if cases.malignant is not None:
        malignant, flagged = cases.malignant[cases.truth], cases.malignant[cases.predicted]
        if decision.malignant_threshold is not None:
            if score is None:
                raise ConfigError("there are no probabilities in these predictions, so no threshold for malignant"
                                  " can be set; leave it out.", "malignant_threshold")
            flagged = score >= decision.malignant_threshold
    return Answers(
        n_classes=len(cases.classes), truth=cases.truth, predicted=cases.predicted, clusters=cases.clusters,
        in_top3=cases.in_top3, malignant=malignant, flagged=flagged, score=score, confidence=cases.confidence,
        brier=cases.brier, set_size=cases.set_size, covered=cases.covered,
        abstained=_abstained(cases, decision.abstain_below))


def _abstained(cases: Cases, below: float) -> np.ndarray | None:
    stated = "abstained" in cases.table
    if not below:
        return cases.abstained if stated else None
    if cases.confidence is None:
        raise ConfigError("there are no probabilities in these predictions, so there is no certainty to abstain"
                          " below; leave it out.", "abstain_below")
    return cases.abstained | (cases.confidence < below)
