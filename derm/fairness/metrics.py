"""How good is a model, and for whom? Figures with n and an interval, from a predictions table.

Knows tables and arrays; not files, Keras or Streamlit. The table has `condition`, `fst` and one column
`p:<condition>` a class; rows without a condition are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import ndtri

from derm.errors import DatasetError
from derm.schema import FST_GROUPS, PROBABILITY_PREFIX

TOO_FEW = 20
BINS = 15
NOT_RECORDED = "not recorded"
GROUPS = (*FST_GROUPS, NOT_RECORDED)
LABELS = {
    "accuracy": "Accuracy",
    "top3": "Top-3 accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "weighted_f1": "Weighted F1",
    "kappa": "Cohen's kappa",
    "ece": "Expected calibration error",
}
_CELLS_AT_ONCE = 2_000_000  # replicates x cells held in memory


@dataclass(frozen=True)
class Figure:
    """A measured value with its interval; None where n is below TOO_FEW or the measure has no value."""

    value: float | None
    low: float | None
    high: float | None
    n: int

    @property
    def text(self) -> str:
        """'0.61 [0.57-0.65]', or why there is no value; for where n stands beside it."""
        if self.value is None or self.low is None or self.high is None:
            return "too few" if self.n < TOO_FEW else "undefined"
        return f"{self.value:.2f} [{self.low:.2f}-{self.high:.2f}]"

    def __str__(self) -> str:
        """'0.61 [0.57-0.65], n = 572' or 'too few (n = 7)'."""
        return f"{self.text} (n = {self.n:,})" if self.value is None else f"{self.text}, n = {self.n:,}"


@dataclass(frozen=True)
class Tallies:
    """What the measures need of confusion counts, [..., C] each: right, truly so, said to be so."""

    right: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray


def probabilities_of(table: pd.DataFrame) -> tuple[tuple[str, ...], np.ndarray]:
    """The classes and their probabilities, float64 [n, C], of a predictions table.

    Raises `DatasetError` if there are no `p:` columns or a row is not a distribution.
    """
    columns = [name for name in table.columns if str(name).startswith(PROBABILITY_PREFIX)]
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


def summary(predictions: pd.DataFrame, *, n_boot: int = 2000, seed: int = 0,
            level: float = 0.95) -> dict[str, Figure]:
    """Each measure of LABELS over all labelled rows.

    accuracy and top3: Wilson's score interval. Those of the confusion counts: percentiles of `n_boot`
    multinomial resamples, which is the bootstrap over photographs. ece: see `calibration_error`.
    """
    truth, classes, p = _labelled(predictions)
    n = len(truth)
    if n < TOO_FEW:
        return {name: Figure(None, None, None, n) for name in LABELS}
    top3 = np.argsort(-p, axis=1, kind="stable")[:, :3]
    counts = np.zeros((len(classes), len(classes)), dtype=np.int64)
    np.add.at(counts, (truth, top3[:, 0]), 1)
    point = scores(Tallies(counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)))
    drawn = scores(resample(counts, n_boot=n_boot, seed=seed))
    figures = {name: percentile(float(point[name]), drawn[name], n, level) for name in point}
    figures["accuracy"] = proportion(int((top3[:, 0] == truth).sum()), n, level=level)
    figures["top3"] = proportion(int((top3 == truth[:, None]).any(axis=1).sum()), n, level=level)
    figures["ece"] = calibration_error(p.max(axis=1), top3[:, 0] == truth, n_boot=n_boot, seed=seed,
                                       level=level)
    return {name: figures[name] for name in LABELS}


def by_skin_type(predictions: pd.DataFrame, *, n_boot: int = 2000, seed: int = 0,
                 level: float = 0.95) -> dict[str, dict[str, Figure]]:
    """`summary` of each of GROUPS, all of them, in that order."""
    group = skin_type_group(predictions["fst"])
    return {name: summary(predictions[group == name], n_boot=n_boot, seed=seed, level=level)
            for name in GROUPS}


def by_condition(predictions: pd.DataFrame, *, n_boot: int = 2000, seed: int = 0,
                 level: float = 0.95) -> dict[str, dict[str, Figure]]:
    """`sensitivity` (Wilson) and `f1` (bootstrap) of each class; n is the photographs that show it."""
    truth, classes, p = _labelled(predictions)
    counts = np.zeros((len(classes), len(classes)), dtype=np.int64)
    np.add.at(counts, (truth, p.argmax(axis=1)), 1)
    tallies = Tallies(counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0))
    point, drawn = f1(tallies), f1(resample(counts, n_boot=n_boot, seed=seed))
    found: dict[str, dict[str, Figure]] = {}
    for i, name in enumerate(classes):
        n = int(tallies.truth[i])
        found[name] = {"sensitivity": proportion(int(tallies.right[i]), n, level=level),
                       "f1": percentile(float(point[i]), drawn[:, i], n, level)}
    return found


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


def skin_type_group(fst: pd.Series) -> pd.Series:
    """One of GROUPS for each Fitzpatrick skin type 1 to 6; missing is 'not recorded'."""
    named = {number: FST_GROUPS[(number - 1) // 2] for number in range(1, 7)}
    return fst.astype("Float64").map(named).astype(object).fillna(NOT_RECORDED)


def proportion(hits: int, n: int, *, level: float = 0.95) -> Figure:
    """hits / n with Wilson's score interval, as `proportions`."""
    if n < TOO_FEW:
        return Figure(None, None, None, n)
    value, low, high = (float(number) for number in proportions(hits, n, level=level))
    return Figure(value, low, high, n)


def proportions(hits: ArrayLike, n: ArrayLike, *,
                level: float = 0.95) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """hits / n and Wilson's score interval, low and high (Wilson 1927, J. Am. Stat. Assoc. 22:209-212), float64
    of the shape that hits and n have together; NaN where n is below TOO_FEW."""
    hits, n = np.broadcast_arrays(np.asarray(hits, dtype=np.float64), np.asarray(n, dtype=np.float64))
    n = np.where(n < TOO_FEW, np.nan, n)
    share, z2 = hits / n, ndtri((1 + level) / 2) ** 2
    centre = (hits + z2 / 2) / (n + z2)
    half = np.sqrt(z2 * (share * (1 - share) * n + z2 / 4)) / (n + z2)
    # Exactly 0 and 1 where nobody or everybody is hit: rounding must not leave 1e-17.
    return share, np.where(hits == 0, 0 * n, centre - half), np.where(hits == n, 1.0, centre + half)


def resample(counts: np.ndarray, *, n_boot: int, seed: int) -> Tallies:
    """`n_boot` bootstrap replicates of confusion counts [C, C] (row: truth), as tallies [n_boot, C].

    Drawing n rows with replacement and counting them is a multinomial draw over the cells, so the cost
    depends on the non-empty cells, not on the number of rows.
    """
    n_classes, n = len(counts), int(counts.sum())
    if n == 0:
        nothing = np.zeros((n_boot, n_classes))
        return Tallies(nothing, nothing, nothing)
    truth, predicted = np.nonzero(counts)
    share = counts[truth, predicted] / n
    to_truth, to_predicted = np.eye(n_classes)[truth], np.eye(n_classes)[predicted]
    to_right = to_truth * (truth == predicted)[:, None]
    rng = np.random.default_rng(seed)
    parts = [[drawn @ to for to in (to_right, to_truth, to_predicted)]
             for size in _blocks(n_boot, len(share))
             for drawn in [rng.multinomial(n, share, size=size).astype(np.float64)]]
    return Tallies(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def scores(tallies: Tallies) -> dict[str, np.ndarray]:
    """The measures of confusion counts, [...] each; NaN where one has no value.

    Macro F1 averages over the classes that occur in truth or prediction and balanced accuracy over those
    in truth, as scikit-learn does; kappa is Cohen's (1960).
    """
    n = tallies.truth.sum(axis=-1)
    each, said = f1(tallies), tallies.truth + tallies.predicted > 0
    recall = _ratio(tallies.right, tallies.truth)
    agreed = _ratio(tallies.right.sum(axis=-1), n)
    chance = _ratio((tallies.truth * tallies.predicted).sum(axis=-1), n**2)
    return {
        "balanced_accuracy": _ratio(np.nansum(recall, axis=-1), (tallies.truth > 0).sum(axis=-1)),
        "macro_f1": _ratio(np.nansum(each, axis=-1), said.sum(axis=-1)),
        "weighted_f1": _ratio(np.nansum(each * tallies.truth, axis=-1), n),
        "kappa": _ratio(agreed - chance, 1 - chance),
    }


def f1(tallies: Tallies) -> np.ndarray:
    """F1 of each class, [..., C]; NaN for a class that is neither there nor predicted."""
    return _ratio(2 * tallies.right, tallies.truth + tallies.predicted)


def calibration_error(confidence: np.ndarray, right: np.ndarray, *, n_boot: int = 2000, seed: int = 0,
                      level: float = 0.95) -> Figure:
    """Expected calibration error of the leading class in BINS equal-width bins (Guo et al. 2017, ICML).

    The interval is that of the bootstrap over rows, moved back by the bootstrap's own bias: the measure
    adds up absolute values, so every resample of a finite sample looks worse calibrated than the sample.
    """
    n = len(confidence)
    if n < TOO_FEW:
        return Figure(None, None, None, n)
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    gap = confidence - right
    value = float(np.abs(np.bincount(bins, gap, BINS)).sum() / n)
    rng = np.random.default_rng(seed)
    drawn = []
    for size in _blocks(n_boot, n):
        picked = rng.integers(n, size=(size, n))
        cell = bins[picked] + BINS * np.arange(size)[:, None]
        sums = np.bincount(cell.ravel(), gap[picked].ravel(), BINS * size).reshape(size, BINS)
        drawn.append(np.abs(sums).sum(axis=1) / n)
    errors = np.concatenate(drawn)
    low, high = np.quantile(errors, _tails(level)) - (errors.mean() - value)
    return Figure(value, max(0.0, float(low)), min(1.0, float(high)), n)


def _labelled(predictions: pd.DataFrame) -> tuple[np.ndarray, tuple[str, ...], np.ndarray]:
    """Truth as class numbers [n], the classes, probabilities [n, C]. A condition that the model does not
    know becomes a further class with probability 0: always wrong."""
    if "condition" not in predictions:
        raise DatasetError("no column 'condition' among the predictions; expected the true labels.")
    table = predictions[predictions["condition"].notna()]
    classes, p = probabilities_of(table)
    condition = table["condition"].astype(object)
    unknown = sorted(set(condition) - set(classes))
    classes = (*classes, *unknown)
    truth = pd.Index(classes).get_indexer(pd.Index(condition))
    return truth, classes, np.pad(p, ((0, 0), (0, len(unknown))))


def percentile(value: float, drawn: np.ndarray, n: int, level: float = 0.95) -> Figure:
    """`value`, measured on n things, with the interval that holds `level` of its bootstrap replicates `drawn`."""
    drawn = drawn[np.isfinite(drawn)]
    if n < TOO_FEW or np.isnan(value) or not len(drawn):
        return Figure(None, None, None, n)
    low, high = np.quantile(drawn, _tails(level))
    return Figure(value, float(low), float(high), n)


def _tails(level: float) -> tuple[float, float]:
    return (1 - level) / 2, (1 + level) / 2


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """top / bottom, NaN where bottom is 0."""
    top, bottom = np.asarray(top, dtype=np.float64), np.asarray(bottom, dtype=np.float64)
    return np.divide(top, bottom, out=np.full(np.broadcast(top, bottom).shape, np.nan), where=bottom != 0)


def _blocks(total: int, width: int) -> Iterator[int]:
    """Sizes that add up to `total`, each times `width` within memory."""
    size = max(1, _CELLS_AT_ONCE // max(width, 1))
    for start in range(0, total, size):
        yield min(size, total - start)
