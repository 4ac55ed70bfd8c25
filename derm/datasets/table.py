"""The canonical table and what adapters need to build it. Knows CSV and pandas; no publisher's format."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from derm.datasets.source import Source
from derm.errors import DatasetError
from derm.schema import COLUMNS, PARTITIONS

_TEXT = ("image_id", "path", "group_id")
_CATEGORIES = ("condition", "partition3", "partition9", "split", "qc")
_NUMBERS = ("fst", "fst_other", "mst")


@dataclass(frozen=True, eq=False)
class Dataset:
    """A source of photographs: its canonical `table` (docs/contracts.md), with paths relative to `root`.

    `classes` are the conditions in order; `fingerprint` changes with the labels, skin types and files.
    `notes` are what a reader must know, `unmapped` the published condition names that no slug is known for,
    `problems` what is wrong with it; with any of those, it is not for training.
    """

    source: Source
    root: Path
    table: pd.DataFrame
    classes: tuple[str, ...]
    fingerprint: str
    notes: tuple[str, ...] = ()
    unmapped: tuple[str, ...] = ()
    problems: tuple[DatasetError, ...] = ()

    @property
    def name(self) -> str:
        """What people call it."""
        return self.source.name


def listing(folder: Path) -> str:
    """The first five names in a folder, for an error that says what was found there."""
    if not folder.is_dir():
        return "no such folder"
    return ", ".join(sorted(entry.name for entry in folder.iterdir())[:5]) or "an empty folder"


def has_columns(path: Path, columns: Sequence[str]) -> bool:
    """Whether the file's first line names all of these columns; False for anything that cannot be read."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            header = file.readline(2**16)
    except (OSError, UnicodeDecodeError):
        return False
    return set(columns) <= {name.strip().strip('"') for name in re.split("[,;\t]", header)}


def read_csv(path: Path, *, required: Sequence[str]) -> pd.DataFrame:
    """Every cell as stripped text, blank cells as '': pandas would turn 'NA' into missing, '00123' into 123.

    Raises `DatasetError` for a file that is not a CSV, has no rows or lacks a required column.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(path, dtype="str", keep_default_na=False, index_col=False,
                                encoding="utf-8-sig")
    except (OSError, ValueError, pd.errors.ParserError, pd.errors.ParserWarning) as error:
        raise DatasetError(f"{path}: not a readable CSV file ({error}). Download it again.") from error
    frame.columns = frame.columns.str.strip()
    if absent := [column for column in required if column not in frame.columns]:
        found = ", ".join(map(str, frame.columns[:10]))
        raise DatasetError(f"{path}: columns are missing; found {found}. Is this the right data set?", absent)
    if frame.empty:
        raise DatasetError(f"{path}: a header but no rows. Download it again.")
    return frame.fillna("").apply(lambda column: column.str.strip())


def scale(frame: pd.DataFrame, column: str, *, ids: str, highest: int = 6) -> pd.Series:
    """A skin-type column of text as Int8 1..`highest`; blank and -1 are missing.

    Raises `DatasetError` naming the rows that hold anything else.
    """
    text = frame[column].replace("", "-1")
    number = pd.to_numeric(text, errors="coerce").fillna(0)
    wrong = (number != -1) & ~number.isin(range(1, highest + 1))
    if wrong.any():
        rows = [f"{row}: {value!r}" for row, value in zip(frame.loc[wrong, ids], text[wrong], strict=True)]
        raise DatasetError(f"{column} must be 1 to {highest}, or -1 or blank where unknown. "
                           "Mend or remove these rows", rows)
    return number.astype("Int8").mask(number == -1)


def canonical(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with every canonical column, typed; absent columns are all missing, '' is missing.

    Columns prefixed `x_` are kept after them. Raises `DatasetError` for blank or repeated image_ids and
    for an unknown three-way partition.
    """
    table = frame.reindex(columns=[*COLUMNS, *(c for c in frame.columns if c.startswith("x_"))])
    for column in _TEXT:
        table[column] = table[column].astype("str").replace("", None)
    for column in _CATEGORIES:
        text = table[column].astype("str").replace("", None)
        table[column] = pd.Categorical(text, categories=sorted(text.dropna().unique()))
    for column in _NUMBERS:
        table[column] = table[column].astype("Int8")
    _check(table)
    table["partition3"] = table["partition3"].cat.set_categories(PARTITIONS)
    return table.reset_index(drop=True)


def _check(table: pd.DataFrame) -> None:
    ids = table["image_id"]
    if ids.isna().any():
        raise DatasetError(f"{ids.isna().sum()} rows have no image id; every image needs one.")
    if repeated := list(ids[ids.duplicated()].unique()):
        raise DatasetError("Image ids must be unique. Remove the repeated rows", repeated)
    if unknown := [p for p in table["partition3"].cat.categories if p not in PARTITIONS]:
        raise DatasetError(f"Partitions must be {', '.join(PARTITIONS)}. Mend", unknown)


def fingerprint(table: pd.DataFrame, sizes: Mapping[str, int]) -> str:
    """SHA-256 of the sorted (image_id, condition, fst, path, file size) rows: cheap, as no pixel is read."""
    columns = table[["image_id", "condition", "fst", "path"]].astype("object")
    rows = sorted("\t".join(map(str, (*row, sizes.get(row[-1], ""))))
                  for row in columns.where(columns.notna(), "").itertuples(index=False, name=None))
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()
