"""How far those who said the skin type agree, and how far the pixels bear them out. Knows tables; no pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from derm.explore.codes import GROUP, NUMERALS, Coded, coded, joint, numbers
from derm.fairness.figure import TOO_FEW, Figure, percentile, proportion

# What a source calls its two annotations, `fst` and `fst_other`, by its key.
ANNOTATORS: Mapping[str, tuple[str, str]] = dict.fromkeys(("ajl", "counts", "fitzpatrick17k"),
                                                          ("Scale", "Centaur"))
ITA = "ita"
MONK_NOTE = ("No official table turns the ten Monk tones into Fitzpatrick types. For the figures, tones 1-10 are "
             "laid evenly and in order onto types I-VI: 1 is I, 2-3 II, 4-5 III, 6 IV, 7-8 V, 9-10 VI.")
ITA_NOTE = ("The type is estimated from the colour of the picture (individual typology angle). Light, camera, the "
            "lesion and whatever else is in the picture shift it, so it cannot tell who is right: a low agreement "
            "does not make the annotation wrong.")
_WHO_NOTE = {"x_fst_self": "People judge their own skin in person; dermatologists see a photograph."}
_GROUP_NOTE = "Groups of two types each: 'within one' means the next group."


@dataclass(frozen=True)
class Reading:
    """Two columns that say the same thing: `a` down and `b` across, as the table names them, and in words."""

    title: str
    a: str
    b: str
    rows: str
    columns: str


@dataclass(frozen=True, eq=False)
class Agreement:
    """How often a and b say the same. `matrix` is a, b, n for every pair of values, missing ones left out; n is
    the pictures that both speak of. Below TOO_FEW of them the figures hold n only."""

    title: str
    matrix: pd.DataFrame
    n: int
    exact: Figure
    within_one: Figure
    kappa: Figure
    weighted_kappa: Figure
    note: str


def readings(table: pd.DataFrame, *, source: str | None = None) -> list[Reading]:
    """The pairs of annotations that some picture has both of. `source`, the key of the data set's source, gives
    the two annotators their names."""
    first, second = ANNOTATORS.get(source or "", ("First annotator", "Second annotator"))
    seen = "Dermatologist" if "x_fst_self" in table else "Fitzpatrick type"
    possible = [Reading(f"{first} v {second}", "fst", "fst_other", first, second),
                Reading("Self-reported v dermatologist", "x_fst_self", "fst", "Self-reported", "Dermatologist"),
                Reading("Monk tone v Fitzpatrick type", "mst", "fst", "Monk tone", seen),
                Reading("Skin-type group v Fitzpatrick type", "x_skin_group", GROUP, "Group as published",
                        "Group of the type")]
    return [reading for reading in possible if _both(table, reading)]


def agreement(table: pd.DataFrame, reading: Reading, *, n_boot: int = 2000, seed: int = 0) -> Agreement:
    """Exact and within-one agreement (Wilson), Cohen's kappa (1960) and kappa with quadratic weights (Cohen 1968,
    Psychol. Bull. 70:213-220), both with the percentiles of `n_boot` multinomial resamples of the counts."""
    a, b = _sides(table, reading)
    note = MONK_NOTE if reading.a == "mst" else _GROUP_NOTE if reading.b == GROUP else _WHO_NOTE.get(reading.a, "")
    return _agreement(reading.title, a, b, note, n_boot, seed)


def ita_by_type(table: pd.DataFrame) -> pd.DataFrame:
    """The individual typology angle (degrees) of the pictures of each type: fst, n, low_whisker, q1, median, q3,
    high_whisker; whiskers end at the last picture within 1.5 interquartile ranges (Tukey). Missing types are
    left out; below TOO_FEW pictures all but n are NaN."""
    angle, skin = numbers(table, ITA), coded(table, "fst")
    known = ~np.isnan(angle)
    angle, codes = angle[known], skin.codes[known]
    return pd.DataFrame([{"fst": name, **_box(np.sort(angle[codes == number]))}
                         for number, name in enumerate(skin.names)])


def ita_agreement(table: pd.DataFrame, *, n_boot: int = 2000, seed: int = 0) -> Agreement | None:
    """The type estimated from each picture's angle against the annotated one; None if no angle was measured."""
    from derm.inspection.skintone import estimate_type

    angle = numbers(table, ITA)
    if np.isnan(angle).all():
        return None
    estimated = Coded(np.nan_to_num(estimate_type(angle), nan=0).astype(np.int8) - np.int8(1), NUMERALS)
    return _agreement("Estimated from the picture v annotated", estimated, coded(table, "fst"), ITA_NOTE,
                      n_boot, seed)


def _both(table: pd.DataFrame, reading: Reading) -> bool:
    if reading.a not in table:
        return False
    a, b = _sides(table, reading)
    return bool(((a.codes >= 0) & (b.codes >= 0)).any())


def _sides(table: pd.DataFrame, reading: Reading) -> tuple[Coded, Coded]:
    if reading.b == GROUP:  # the group of the type itself, not filled in from the other side
        return coded(table[[reading.a]], GROUP), coded(table[["fst"]], GROUP)
    return coded(table, reading.a), coded(table, reading.b)


def _agreement(title: str, a: Coded, b: Coded, note: str, n_boot: int, seed: int) -> Agreement:
    shown = joint(a, b)[:-1, :-1]
    matrix = pd.DataFrame({"a": np.repeat(np.array(a.names, dtype=object), len(b.names)),
                           "b": np.tile(np.array(b.names, dtype=object), len(a.names)), "n": shown.ravel()})
    counts = _onto(shown, len(b.names))
    n = int(counts.sum())
    apart = np.abs(np.subtract.outer(np.arange(len(counts)), np.arange(len(counts))))
    kappa, weighted = _kappas(counts, [apart > 0, apart**2], n_boot=n_boot, seed=seed)
    return Agreement(title, matrix, n, proportion(int(counts[apart == 0].sum()), n),
                     proportion(int(counts[apart <= 1].sum()), n), kappa, weighted, note)


def _onto(counts: np.ndarray, size: int) -> np.ndarray:
    """Counts [k, size] with their k ordered rows laid evenly onto `size`: of 10, row i onto ceil(0.6 i)."""
    to = np.ceil(np.arange(1, len(counts) + 1) * size / len(counts)).astype(np.intp) - 1
    square = np.zeros((size, size), dtype=counts.dtype)
    np.add.at(square, to, counts)
    return square


def _kappas(counts: np.ndarray, weights: list[np.ndarray], *, n_boot: int, seed: int) -> list[Figure]:
    """1 - observed / expected disagreement of counts [k, k], for each weights [k, k]."""
    n = int(counts.sum())
    if n < TOO_FEW:
        return [Figure(None, None, None, n) for _ in weights]
    row, column = np.nonzero(counts)
    cells = counts[row, column]
    drawn = np.vstack([cells, np.random.default_rng(seed).multinomial(n, cells / n, size=n_boot)]) / n
    sides = np.eye(len(counts))
    down, across = drawn @ sides[row], drawn @ sides[column]
    found = []
    for weight in weights:
        expected = np.einsum("bi,ij,bj->b", down, weight.astype(np.float64), across)
        with np.errstate(divide="ignore", invalid="ignore"):
            kappa = 1 - drawn @ weight[row, column] / expected
        found.append(percentile(float(kappa[0]), kappa[1:], n))
    return found


def _box(angles: np.ndarray) -> dict[str, float]:
    """Tukey's box of sorted angles."""
    if len(angles) < TOO_FEW:
        return {"n": len(angles), **dict.fromkeys(("low_whisker", "q1", "median", "q3", "high_whisker"), np.nan)}
    q1, median, q3 = np.quantile(angles, [0.25, 0.5, 0.75])
    reach = 1.5 * (q3 - q1)
    inside = angles[np.searchsorted(angles, q1 - reach):np.searchsorted(angles, q3 + reach, side="right")]
    return {"n": len(angles), "low_whisker": float(inside[0]), "q1": float(q1), "median": float(median),
            "q3": float(q3), "high_whisker": float(inside[-1])}
