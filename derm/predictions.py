"""The predictions table: what evaluation writes and every audit reads. Knows pandas and files; no Keras.

Columns: image_id, group_id, split, fst, condition (missing where unknown) and p:<condition> per class.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from derm.errors import ConfigError, DatasetError
from derm.schema import PROBABILITY_PREFIX

KEYS = ("image_id", "group_id", "split", "fst", "condition")

# Spelt out, because pandas would take the image "NA" for a missing one.
_MISSING = ["", "NA", "NaN", "nan", "None", "<NA>"]
_CSV_MISSING = {"group_id": [""], "split": _MISSING, "fst": [*_MISSING, "-1"], "condition": _MISSING}
_CSV_TYPES = {"fst": "Int8"} | dict.fromkeys(("image_id", "group_id", "split", "condition"), "string[pyarrow]")


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


def read(path: Path) -> pd.DataFrame:
    """A predictions table from Parquet or CSV. Raises `DatasetError` if it is neither."""
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        return pd.read_csv(path, dtype=_CSV_TYPES, na_values=_CSV_MISSING, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: cannot be read ({error}); expected a predictions table as Parquet "
                           "or CSV.") from error
