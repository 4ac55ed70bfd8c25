"""The predictions table: what evaluation writes and every audit reads. Knows pandas and files; no Keras.

Columns: image_id, group_id, split, fst, condition (missing where unknown) and p:<condition> per class. Those of
other people may have `predicted` instead of probabilities, other names (`derm.foreign`) and further columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from derm import foreign
from derm.datasets import reading
from derm.datasets.columns import answers
from derm.errors import ConfigError, DatasetError
from derm.schema import PROBABILITY_PREFIX

KEYS = ("image_id", "group_id", "split", "fst", "condition")
_TEXT = ("split", "prediction_set")
_LABELS = ("condition", "predicted")
_UNKNOWN = ("", "NA", "NaN", "nan", "None", "<NA>")  # in every column but the ids: an image may be called "NA"
_TOLERANCE = 1e-3  # by which rounded probabilities may fail to add up to 1


@dataclass(frozen=True, eq=False)
class Loaded:
    """A predictions `table`, the columns that have another name there (`names`, theirs -> ours), and what one must
    know of how the file was understood, a sentence each."""

    table: pd.DataFrame
    names: Mapping[str, str]
    notes: tuple[str, ...]


def table(rows: pd.DataFrame, *, classes: Sequence[str], probabilities: np.ndarray) -> pd.DataFrame:
    """The predictions table of canonical `rows` and `probabilities`, float [n, classes], rows in order.

    Keys that `rows` lacks are missing.
    """
    keys = rows.reindex(columns=list(KEYS)).reset_index(drop=True)
    keys["fst"] = keys["fst"].astype("Int8")
    for name in ("image_id", "group_id", "split", "condition"):
        keys[name] = keys[name].astype("string[pyarrow]")
    columns = [f"{PROBABILITY_PREFIX}{name}" for name in classes]
    return pd.concat([keys, pd.DataFrame(probabilities, columns=columns)], axis=1)


def write(path: Path, predictions: pd.DataFrame) -> None:
    """Write as Parquet or CSV, by the name's ending. Raises `ConfigError` for another ending."""
    check_ending(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        predictions.to_parquet(path, index=False)
    else:
        predictions.to_csv(path, index=False)


def check_ending(path: Path) -> None:
    """Raises `ConfigError` unless the name ends in .parquet or .csv; worth asking before long work."""
    if path.suffix not in (".parquet", ".csv"):
        raise ConfigError(f"{path}: expected a name that ends in .parquet or .csv.", "out")


def read(path: Path, *, rename: Mapping[str, str] | None = None, renormalise: bool = False) -> pd.DataFrame:
    """The table of `load`."""
    return load(path, rename=rename, renormalise=renormalise).table


def load(path: Path, *, rename: Mapping[str, str] | None = None, renormalise: bool = False) -> Loaded:
    """Anybody's predictions, from Parquet or (for any other ending) CSV: the file's columns in their order, the
    probabilities last, float64.

    `rename`, theirs -> ours, says what columns and conditions are that cannot be guessed. Probabilities that do
    not add up to 1 are divided by their sum with `renormalise`. Raises `DatasetError`, with the offending cells,
    for a file that is no table, has no rows or no predictions, repeats an image_id, or has a skin type or a
    probability that is none.
    """
    rename = dict(rename or {})
    frame, renamed = _frame(path, rename)
    keys, labels = _keys(frame, rename)
    p, classes = _by_condition(frame, rename)
    theirs = dict(zip(renamed.values(), renamed, strict=True))
    foreign.refuse_unused(rename, [theirs.get(name, name) for name in frame.columns], labels | classes)
    notes = [*foreign.told(renamed, by_hand=rename, read=labels | classes),
             *_check_probabilities(p, keys["image_id"], renormalise=renormalise)]
    if "image_id" not in frame:
        notes.append("No column names the images; the rows are numbered.")
    if "x_skin_group" in keys and "x_skin_group" not in frame:
        notes.append("The skin types are groups of two (I-II, III-IV, V-VI).")
    return Loaded(pd.DataFrame(keys | p, copy=False), renamed, tuple(notes))


def _frame(path: Path, rename: Mapping[str, str]) -> tuple[pd.DataFrame, dict[str, str]]:
    """The file under our names, probabilities as numbers and all else as text; our name of each renamed column."""
    try:
        names = reading.header(path)
        renamed = foreign.columns(names, rename=rename)
        ours = {name: renamed.get(name, name) for name in names}
        p = [name for name, own in ours.items() if own.startswith(PROBABILITY_PREFIX)]
        frame = reading.read(path, required=(), numbers=p)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror or error}); expected a predictions table as "
                           "Parquet or CSV.") from error
    columns = list(map(str, frame.columns))
    if twice := [name for name in columns if list(ours.values()).count(ours[name]) > 1]:
        raise DatasetError(f"{path}: several columns are the same one of ours. Map or rename all but one", twice)
    if not p and "predicted" not in ours.values():
        raise DatasetError(f"{path}: no column says what the model predicted; expected probabilities "
                           "('p:<condition>', a column each) or 'predicted'. Say which one it is, as in "
                           "derm audit --map THEIRS=predicted; there are", columns)
    return frame.rename(columns=renamed), renamed


def _keys(frame: pd.DataFrame, rename: Mapping[str, str]) -> tuple[dict[str, pd.Series], dict[str, str]]:
    """Every column but the probabilities, typed, and the slug of each name of a condition."""
    ids = frame.get("image_id", "row " + (frame.index + 1).astype("str").to_series(frame.index))
    _check_ids(ids)
    labels: dict[str, str] = {}
    found = {} if "image_id" in frame else {"image_id": ids.astype("string[pyarrow]")}
    for name in map(str, frame.columns):
        if name in _LABELS:
            found[name], slugs = foreign.labels(_known(frame[name]), rename=rename)
            labels |= slugs
        elif not name.startswith(PROBABILITY_PREFIX):
            found |= _column(name, frame[name], ids)
    if "predicted" in found and found["predicted"].isna().any():
        raise DatasetError("predicted is blank in these rows; expected a condition in each. Mend or remove them",
                           list(ids[found["predicted"].isna()]))
    return found, labels


def _column(name: str, text: pd.Series, ids: pd.Series) -> dict[str, pd.Series]:
    """A column of text as what it is; of skin types in groups that is another column too."""
    if name in ("image_id", "group_id"):
        return {name: text.replace("", None).astype("string[pyarrow]")}
    text = _known(text)
    named = pd.DataFrame({"image_id": ids, name: text})
    if name in foreign.SCALES:
        return foreign.skin_types(named, name)
    if name == "abstained":
        return {name: answers(named, name, ids="image_id")}
    return {name: text.replace("", None).astype("string[pyarrow]") if name in _TEXT else _further(text)}


def _known(text: pd.Series) -> pd.Series:
    return text.mask(text.isin(_UNKNOWN), "")


def _check_ids(ids: pd.Series) -> None:
    if (ids == "").any():
        raise DatasetError(f"{(ids == '').sum():,} rows have no image_id; every image needs one.")
    if (twice := ids.duplicated()).any():
        raise DatasetError("image_id must be unique; these have several rows. Keep one each, or call the column "
                           "group_id if it names patients (derm audit --map THEIRS=group_id)",
                           list(ids[twice].unique()))


def _further(text: pd.Series) -> pd.Series:
    """A column of somebody's own: numbers if all are, codes such as "007" and other text as categories."""
    codes, values = pd.factorize(text)
    names = pd.Series(values, dtype="str")
    numbers = pd.to_numeric(names.where(names != ""), errors="coerce")
    if ((numbers.notna() | (names == "")) & ~names.str.match(r"0\d")).all():
        return pd.Series(numbers.to_numpy(dtype=np.float64)[codes], index=text.index)
    return text.where(text != "").astype("category")


def _by_condition(frame: pd.DataFrame, rename: Mapping[str, str]) -> tuple[dict[str, pd.Series], dict[str, str]]:
    """The probabilities under p:<slug>, and the slug of each name of a condition."""
    columns = {name.removeprefix(PROBABILITY_PREFIX): frame[name] for name in map(str, frame.columns)
               if name.startswith(PROBABILITY_PREFIX)}
    slugs = foreign.conditions(list(columns), rename=rename)
    if twice := [name for name, slug in slugs.items() if list(slugs.values()).count(slug) > 1]:
        raise DatasetError("Several columns of probabilities are of one condition. Add them up, or rename all but "
                           "one", twice)
    return {PROBABILITY_PREFIX + slugs[name]: values for name, values in columns.items()}, slugs


def _check_probabilities(p: dict[str, pd.Series], ids: pd.Series, *, renormalise: bool) -> Iterator[str]:
    """Says what it changes in `p`, a column at a time: a file of millions of rows is not to be held twice."""
    if not p:
        return
    highest = np.inf if renormalise else 1 + _TOLERANCE
    _refuse(p, ids, lambda values: ~((values >= 0) & (values <= highest) & np.isfinite(values)),
            "probabilities must be 0 to 1; these are not. Mend or remove the rows"
            + ("" if renormalise else "; per cent can be divided by their sum (derm audit --renormalise)"))
    total = np.sum([values.to_numpy() for values in p.values()], axis=0)
    wrong = np.abs(total - 1) > _TOLERANCE
    if not wrong.any():
        return
    if not renormalise or (total == 0).any():
        raise DatasetError(
            "probabilities must add up to 1 in each row; these do not. Mend them"
            + ("" if renormalise else ", or have them divided by their sum (derm audit --renormalise)"),
            [f"{name}: {sum_:.4g}" for name, sum_ in zip(ids[wrong], total[wrong], strict=True)])
    for name, values in p.items():
        p[name] = values / total
    yield f"Probabilities that do not add up to 1 were divided by their sum: {wrong.sum():,} of {len(ids):,} rows."


def _refuse(p: Mapping[str, pd.Series], ids: pd.Series, wrong: Callable[[np.ndarray], np.ndarray],
            message: str) -> None:
    found = [f"{row}: {name} = {'blank' if np.isnan(value) else f'{value:g}'}" for name, values in p.items()
             if (bad := wrong(values.to_numpy())).any() for row, value in zip(ids[bad], values[bad], strict=True)]
    if found:
        raise DatasetError(message, found)
