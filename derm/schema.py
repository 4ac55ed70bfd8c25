"""The words of the domain: skin types, conditions, predictions. Knows no files, pandas or Keras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np

# The canonical table that every adapter returns: one row an image (see docs/contracts.md).
COLUMNS = ("image_id", "path", "condition", "partition3", "partition9", "fst", "fst_other", "mst",
           "group_id", "split", "qc")
PARTITIONS = ("benign", "malignant", "non-neoplastic")
FST_GROUPS = ("I-II", "III-IV", "V-VI")
PROBABILITY_PREFIX = "p:"


class SkinType(IntEnum):
    """Fitzpatrick skin type (FST). Missing is None, never 0."""

    I = 1  # noqa: E741
    II = 2
    III = 3
    IV = 4
    V = 5
    VI = 6

    @property
    def group(self) -> str:
        """'I-II', 'III-IV' or 'V-VI'."""
        return FST_GROUPS[(self - 1) // 2]


# Overlapping labels that a clinician reads as one; Fitzpatrick17k has several names for each.
FAMILIES: Mapping[str, tuple[str, ...]] = {
    "Acne (any label)": ("acne", "acne-vulgaris"),
    "Melanoma (any label)": ("melanoma", "malignant-melanoma", "superficial-spreading-melanoma-ssm"),
    "Basal cell carcinoma (any label)": ("basal-cell-carcinoma", "basal-cell-carcinoma-morpheiform"),
    "Eczema (any label)": ("eczema", "dyshidrotic-eczema"),
}
_DISPLAY = {
    "superficial-spreading-melanoma-ssm": "Superficial spreading melanoma",
    "basal-cell-carcinoma-morpheiform": "Basal cell carcinoma, morpheaform",
    "non-neoplastic": "Non-neoplastic",
}


def display_name(condition: str) -> str:
    """The slug as a clinician would write it: 'basal-cell-carcinoma' -> 'Basal cell carcinoma'."""
    return _DISPLAY.get(condition) or condition.replace("-", " ").capitalize()


def plain_name(column: str) -> str:
    """A further column as one says it: 'x_body_site' -> 'body site'."""
    return column.removeprefix("x_").replace("_", " ")


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Prediction:
    """One line of a differential."""

    condition: str
    probability: float

    @property
    def name(self) -> str:
        """The condition as a clinician would write it."""
        return display_name(self.condition)


@dataclass(frozen=True)
class KnownCase:
    """A training photograph, as its data set labels it. `path` is relative to the data set's folder and `size` in
    bytes, so that the picture can be found where the data set is on disk."""

    image_id: str
    condition: str
    fst: SkinType | None
    path: str
    size: int


@dataclass(frozen=True)
class Diagnosis:
    """What one model says of one photograph.

    `probabilities` is float64 [classes], calibrated, sums to 1. `heatmaps` holds Grad-CAM for the
    leading conditions, each float32 [h, w] in 0..1, covering the whole photograph. `partition3` maps
    a condition to benign / malignant / non-neoplastic where the training data said so.
    `strangeness` is the distance from the training photographs over the one allowed: above 1 it is unlike them;
    None where the bundle has no reference. `similar` are the known cases most like it, nearest first.
    `members` holds the heat maps of each member of an ensemble, by its name, for the same conditions.
    `metadata` is what the model was told beside the photograph, by column: numbers, texts, and bools for answers.
    """

    model: str
    version: str
    classes: tuple[str, ...]
    probabilities: np.ndarray
    heatmaps: Mapping[str, np.ndarray]
    seconds: float
    partition3: Mapping[str, str] = field(default_factory=dict)
    strangeness: float | None = None
    similar: tuple[KnownCase, ...] = ()
    members: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def basis(self) -> str:
        """What it rests on: 'with age 54, sex female', or 'from the photograph alone'."""
        told = ", ".join(f"{plain_name(name)} {_plain(value)}" for name, value in self.metadata.items())
        return f"with {told}" if told else "from the photograph alone"

    @property
    def unlike(self) -> bool:
        """Whether the photograph is unlike the training photographs: nothing should be made of the answer."""
        return self.strangeness is not None and self.strangeness > 1

    def top(self, count: int = 5) -> list[Prediction]:
        """The differential: the `count` most probable conditions, most probable first."""
        order = np.argsort(-self.probabilities, kind="stable")[:count]
        return [Prediction(self.classes[i], float(self.probabilities[i])) for i in order]

    def families(self) -> list[Prediction]:
        """The merged reading: overlapping labels added up, most probable first."""
        return merge_families(self.classes, self.probabilities)

    def partitions(self) -> list[Prediction]:
        """Benign / malignant / non-neoplastic, in that order; empty if the bundle does not say."""
        if not set(self.classes) <= set(self.partition3):
            return []
        sums = dict.fromkeys(PARTITIONS, 0.0)
        for condition, p in zip(self.classes, self.probabilities, strict=True):
            sums[self.partition3[condition]] += float(p)
        return [Prediction(name, total) for name, total in sums.items()]


def merge_families(classes: Sequence[str], probabilities: np.ndarray) -> list[Prediction]:
    """Probabilities [classes] with each family of overlapping labels as one entry, largest first."""
    family_of = {slug: name for name, slugs in FAMILIES.items()
                 if sum(s in classes for s in slugs) > 1 for slug in slugs}
    sums: dict[str, float] = {}
    for condition, p in zip(classes, probabilities, strict=True):
        name = family_of.get(condition, condition)
        sums[name] = sums.get(name, 0.0) + float(p)
    return [Prediction(name, p) for name, p in sorted(sums.items(), key=lambda item: -item[1])]


def combine(diagnoses: Sequence[Diagnosis]) -> Diagnosis:
    """Several photographs of one finding read together: the mean of their probabilities, no heat maps
    and no known cases; what is known of the patient is the same for all.

    Raises `ValueError` if they come from different models.
    """
    first = diagnoses[0]
    if any((d.model, d.version) != (first.model, first.version) for d in diagnoses):
        raise ValueError("diagnoses of different models cannot be combined")
    mean = np.mean([d.probabilities for d in diagnoses], axis=0)
    return Diagnosis(first.model, first.version, first.classes, mean, {}, sum(d.seconds for d in diagnoses),
                     first.partition3, metadata=first.metadata)
