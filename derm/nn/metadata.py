"""What is known beside the photograph (age, sex, symptoms) as numbers for a network. Knows tables; no Keras.

A specification says how each column becomes numbers; it is measured on the training part and kept in the bundle.
Of every column the first number is 1 where the value is missing, so that no row is left out and a photograph may
come without any of it. The others are a number's distance from the training mean in standard deviations, whether
an answer is yes, or which of the categories it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from derm.bundle_rules import metadata_width
from derm.errors import ConfigError

Spec = Mapping[str, Mapping[str, Any]]

# A category of fewer training rows is too rare to learn from; it is read as OTHER.
FEW = 5
OTHER = "other"
_MANY = 20  # rows from which whole numbers that never repeat are taken for an id, not a measurement
# The share of the training photographs shown without any metadata, so that the answer without it stays good.
WITHHELD = 0.3
_FAR = 5.0  # standard deviations: an age typed in months must not outweigh the photograph
# What people write in a cell or after an equals sign, in lower case.
_BLANK = dict.fromkeys(("", "na", "n/a", "nan", "none", "unk", "unknown", "not known"))
_ANSWERS = {"yes": True, "true": True, "no": False, "false": False}


def names(text: str) -> tuple[str, ...]:
    """The columns that the setting `metadata` names, in order: "x_age, x_sex"."""
    return tuple(dict.fromkeys(name for part in text.split(",") if (name := part.strip())))


def fit(table: pd.DataFrame, columns: Sequence[str]) -> dict[str, dict[str, Any]]:
    """How each of the columns of the training rows is read, as JSON holds it, by name in order:

    {"kind": "number", "mean": 51.2, "sd": 17.4}, {"kind": "answer"} (yes or no) or {"kind": "category",
    "categories": ["female", "male"]}. Raises `ConfigError` for a column that the data set does not have, one that
    is all missing and one that only tells the rows apart.
    """
    return {name: _described(table, name) for name in columns}


def width(spec: Spec) -> int:
    """How many numbers a row becomes; 0 without metadata."""
    return metadata_width(spec)


def encode(spec: Spec, table: pd.DataFrame) -> np.ndarray:
    """float32 [rows, width]. A column that the table does not have is missing everywhere; others are not read.

    Raises `ConfigError` for a value that is not of its column's kind.
    """
    parts = [_encoded(name, column, table.get(name, _nothing(table))) for name, column in spec.items()]
    return np.concatenate(parts, axis=1) if parts else np.empty((len(table), 0), np.float32)


def encode_one(spec: Spec, values: Mapping[str, Any]) -> np.ndarray:
    """float32 [1, width] of one photograph's values by column; {} if nothing is known of it."""
    return encode(spec, row(spec, values))


def row(spec: Spec, values: Mapping[str, Any]) -> pd.DataFrame:
    """One photograph's values, `read`, as a table of one row. Raises `ConfigError` for a column that is not of
    `spec` and a value of another kind."""
    said = {named(spec, name): value for name, value in values.items()}
    return read(spec, pd.DataFrame([said], index=[0], dtype=object))


def named(spec: Spec, name: str) -> str:
    """The column of `spec` called so, with or without its x_. Raises `ConfigError` if there is none."""
    for column in spec:
        if name in (column, column.removeprefix("x_")):
            return column
    raise ConfigError(f"metadata = '{name[:100]}': not read by this model; expected some of "
                      f"{', '.join(spec) or 'none, as it reads photographs alone'}.", "metadata")


def read(spec: Spec, table: pd.DataFrame) -> pd.DataFrame:
    """The columns of `spec` that the table has, with or without their x_, whether data or as people write it: "54"
    is a number, "Yes" an answer, "Female" the category "female", blank and "unknown" missing.

    Raises `ConfigError` for a value of another kind; a row is named by the index where that is text.
    """
    there = {name: own for name in spec for own in (name.removeprefix("x_"), name) if own in table}
    return pd.DataFrame({name: _read(name, spec[name], table[own]) for name, own in there.items()}, table.index)


def unheard(spec: Spec, table: pd.DataFrame) -> list[str]:
    """A sentence on each category of a table, `read`, that the network did not learn."""
    learnt = {name: spec[name]["categories"] for name in spec if name in table and "categories" in spec[name]}
    return [f"{name} = {value!r} is none of those learnt ({', '.join(categories)}); it is read as '{OTHER}'."
            for name, categories in learnt.items()
            for value in table[name].dropna().unique() if value not in (*categories, OTHER)]


def known(spec: Spec, table: pd.DataFrame) -> list[dict[str, Any]]:
    """What each row says of the columns of `spec`; a missing value is left out."""
    rows = table.reindex(columns=list(spec)).astype(object).to_dict("records")
    return [{str(name): value for name, value in one.items() if pd.notna(value)} for one in rows]


def withheld(encoded: np.ndarray, spec: Spec, *, seed: int, epoch: int) -> np.ndarray:
    """A copy of float32 [n, width] in which WITHHELD of the rows have lost all, others each epoch."""
    lost = np.random.default_rng((seed, epoch)).random(len(encoded)) < WITHHELD
    return np.where(lost[:, None], encode_one(spec, {}), encoded)


def _nothing(table: pd.DataFrame) -> pd.Series:
    return pd.Series(None, index=table.index, dtype=object)


def _described(table: pd.DataFrame, name: str) -> dict[str, Any]:
    further = [column for column in table.columns if column.startswith("x_")]
    if name not in further:
        raise ConfigError(f"metadata = '{name}': the data set has no such column; expected some of "
                          f"{', '.join(further) or 'none, as it has no further columns'}.", "metadata")
    known = table[name].dropna()
    if known.empty:
        raise ConfigError(f"metadata = '{name}': missing in all {len(table):,} training photographs; leave it "
                          "out.", "metadata")
    if pd.api.types.is_bool_dtype(known):
        return {"kind": "answer"}
    if pd.api.types.is_numeric_dtype(known):
        return _number(known.astype(np.float64), name)
    counts = known.astype(str).value_counts()
    shared = sorted({*counts.index[counts >= FEW]} - {OTHER})
    if not shared:
        raise ConfigError(f"metadata = '{name}': none of its {len(counts):,} values is shared by {FEW} training "
                          "photographs, so nothing can be learnt from it (is it an id?); leave it out.",
                          "metadata")
    return {"kind": "category", "categories": shared}


def _number(known: pd.Series, name: str) -> dict[str, Any]:
    if len(known) >= _MANY and known.is_unique and (known % 1 == 0).all():
        raise ConfigError(f"metadata = '{name}': {len(known):,} training photographs and as many values, all "
                          "whole numbers: an id, from which nothing can be learnt; leave it out.", "metadata")
    return {"kind": "number", "mean": float(known.mean()), "sd": float(known.std(ddof=0)) or 1.0}


def _read(name: str, column: Mapping[str, Any], values: pd.Series) -> pd.Series:
    kind = column["kind"]
    learnt = {name.casefold(): name for name in column.get("categories", ())}
    words = _BLANK | (_ANSWERS if kind == "answer" else learnt)
    plain = values.astype(object).map(lambda value: words.get(str(value).strip().casefold(), value))
    if kind == "category":
        return plain
    return pd.Series(_numbers(name, kind, plain), values.index, object).map(
        bool if kind == "answer" else float, na_action="ignore")


def _numbers(name: str, kind: str, values: pd.Series) -> np.ndarray:
    """float64 [rows], NaN where missing; of answers 0 and 1."""
    missing = values.isna().to_numpy(dtype=bool)
    number = pd.to_numeric(values.astype(object), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    fits = np.isfinite(number) if kind == "number" else np.isin(number, (0, 1))
    if (wrong := ~missing & ~fits).any():
        at, value = next(values[wrong].items())
        raise ConfigError(f"{name} = {value!r}{f' ({at})' if isinstance(at, str) else ''}; expected "
                          f"{'a number' if kind == 'number' else 'true or false'}, or nothing.", name)
    return number


def _encoded(name: str, column: Mapping[str, Any], values: pd.Series) -> np.ndarray:
    """float32 [rows, the column's width], the first 1 where missing."""
    missing = values.isna().to_numpy(dtype=bool)
    if column["kind"] == "category":
        text = values.astype(object).where(~missing, "").astype(str).to_numpy(dtype=object)
        known = np.stack([text == value for value in column["categories"]], axis=1)
        parts = np.column_stack([missing, known, ~missing & ~known.any(axis=1)])
    else:
        number = _numbers(name, column["kind"], values)
        if column["kind"] == "number":
            number = np.clip((number - column["mean"]) / column["sd"], -_FAR, _FAR)
        parts = np.column_stack([missing, np.where(missing, 0, number)])
    return parts.astype(np.float32)
