"""Predictions made up for the tests of derm.fairness."""

from __future__ import annotations

import numpy as np
import pandas as pd

from derm.fairness.cases import Cases, cases
from derm.fairness.figure import Sample

CLASSES = ("acne", "eczema", "melanoma", "squamous")
PARTITION3 = {"acne": "non-neoplastic", "eczema": "non-neoplastic",
              "melanoma": "malignant", "squamous": "malignant"}


def table(n: int, *, seed: int = 0, skill: float = 1.5) -> pd.DataFrame:
    """n photographs over all skin types, some of none, and a model that knows more or less of them."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(len(CLASSES), size=n)
    logits = rng.normal(size=(n, len(CLASSES))) + skill * np.eye(len(CLASSES))[truth]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    made = pd.DataFrame(p, columns=[f"p:{name}" for name in CLASSES])
    made["condition"] = np.array(CLASSES)[truth]
    made["fst"] = pd.array(rng.choice([1, 2, 3, 4, 5, 6, None], n), dtype="Int8")
    return made


def made_cases(n: int, *, seed: int = 0, skill: float = 1.5) -> Cases:
    return cases(table(n, seed=seed, skill=skill), partition3=PARTITION3)


def cases_of(rows: pd.DataFrame) -> Cases:
    """Cases of a table of our classes."""
    return cases(rows, partition3=PARTITION3)


def group(names: list[str] | np.ndarray, order: tuple[str, ...]) -> pd.Series:
    """The groups of cases, as `groups.assign` gives them."""
    return pd.Series(pd.Categorical(names, categories=order, ordered=True))


def share(hits: int, n: int, *, effect: float = 1.0) -> Sample:
    """A proportion; its replicates are not looked at."""
    return Sample(hits / n, np.full(3, hits / n), n, hits, effect)
