"""The canonical table and what adapters need to build it. Knows pandas; no files and no publisher's format."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from derm.datasets.reading import has_columns, listing, read_csv
from derm.datasets.source import Source
from derm.errors import DatasetError
from derm.schema import COLUMNS, PARTITIONS, SkinType

__all__ = ["Dataset", "canonical", "fingerprint", "has_columns", "listing", "mark_missing", "read_csv", "scale",
           "slug", "spelled_out", "stay_inside"]

_TEXT = ("image_id", "path", "group_id")
_CATEGORIES = ("condition", "partition3", "partition9", "split", "qc")
_NUMBERS = ("fst", "fst_other", "mst")
# A path that leaves the folder it is relative to: absolute, of another drive, or climbing.
_OUTSIDE = r"^[/\\]|^[A-Za-z]:[/\\]|(?:^|[/\\])\.\.(?:[/\\]|$)|\x00"
_BEFORE_NUMBER = re.compile(r"^(?:(?:fitzpatrick|fst|monk|mst|skin|type|tone|scale)[\s_.:-]*)+")
_UNKNOWN = ("", "na", "n/a", "nan", "none", "null", "unknown", "not known", "missing", "-")
_AT_ONCE = 100_000  # rows of a fingerprint hashed at a time


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


def scale(frame: pd.DataFrame, column: str, *, ids: str, highest: int = 6) -> pd.Series:
    """A skin-type column of text as Int8 1..`highest`; blank and -1 are missing.

    Raises `DatasetError` naming the rows that hold anything else.
    """
    text = frame[column].replace("", "-1").astype("category")  # a few values, millions of rows
    known = pd.to_numeric(text.cat.categories.to_series(), errors="coerce")
    number = pd.Series(known.to_numpy()[text.cat.codes], index=text.index)
    wrong = ~number.isin((-1, *range(1, highest + 1)))
    if wrong.any():
        rows = [f"{row}: {value!r}" for row, value in zip(frame.loc[wrong, ids], text[wrong], strict=True)]
        raise DatasetError(f"{column} must be 1 to {highest}, or -1 or blank where unknown. "
                           "Mend or remove these rows", rows)
    return number.astype("Int8").mask(number == -1)


def spelled_out(text: pd.Series) -> pd.Series:
    """Skin types as people write them, for `scale`: 'Type III', 'fst 3' and '3.0' are '3', 'unknown' is ''.

    What is none of these stays as it is.
    """
    return text.map({value: _spelled_out(value) for value in text.unique()}).astype("str")


def _spelled_out(value: str) -> str:
    word = _BEFORE_NUMBER.sub("", value.lower()).removesuffix(".0")
    if word in _UNKNOWN:
        return ""
    if word.upper() in SkinType.__members__:
        return str(int(SkinType[word.upper()]))
    return word if word.isdigit() else value


def stay_inside(names: pd.Series) -> None:
    """Nothing, if all names are relative and none climbs with '..'. Raises `DatasetError` naming those."""
    known = names.dropna()
    if outside := list(known[known.str.contains(_OUTSIDE)]):
        raise DatasetError("Image names that leave the data set's folder; expected paths relative to it, "
                           "without '..'. Mend or remove their rows", outside)


def slug(text: pd.Series) -> pd.Series:
    """'Benign dermal' as 'benign-dermal'."""
    return text.str.lower().str.replace(" ", "-")


def canonical(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with every canonical column, typed; absent columns are all missing, '' is missing.

    Columns prefixed `x_` are kept after them, text as categories. Raises `DatasetError` for blank or
    repeated image_ids, an id with two labels, a path that leaves the data set's folder and an unknown
    three-way partition.
    """
    table = frame.reindex(columns=[*COLUMNS, *(c for c in frame.columns if c.startswith("x_"))])
    for column in _TEXT:
        table[column] = table[column].astype("str").replace("", None)
    for column in (*_CATEGORIES, *table.columns[len(COLUMNS):]):
        if column in _CATEGORIES or pd.api.types.is_string_dtype(table[column]):
            table[column] = table[column].astype("str").replace("", None).astype("category")
    for column in _NUMBERS:
        table[column] = table[column].astype("Int8")
    _check(table)
    table["partition3"] = table["partition3"].cat.set_categories(PARTITIONS)
    return table.reset_index(drop=True)


def _check(table: pd.DataFrame) -> None:
    ids = table["image_id"]
    if ids.isna().any():
        raise DatasetError(f"{ids.isna().sum()} rows have no image id; every image needs one.")
    if not ids.is_unique:
        raise _repeated(table.loc[ids.duplicated(keep=False), ["image_id", "condition"]].astype("str"))
    stay_inside(ids)
    stay_inside(table["path"])
    if unknown := [p for p in table["partition3"].cat.categories if p not in PARTITIONS]:
        raise DatasetError(f"Partitions must be {', '.join(PARTITIONS)}. Mend", unknown)


def _repeated(rows: pd.DataFrame) -> DatasetError:
    labels: dict[str, list[str]] = {}
    for name, label in rows.dropna().drop_duplicates().itertuples(index=False):
        labels.setdefault(name, []).append(label)
    if two := [f"{name}: {' and '.join(said)}" for name, said in labels.items() if len(said) > 1]:
        return DatasetError("Image ids must be unique; these have two labels. Keep the right one", two)
    return DatasetError("Image ids must be unique; these have two rows. Remove the repeated ones",
                        list(rows["image_id"].unique()))


def mark_missing(table: pd.DataFrame, sizes: Mapping[str, int]) -> tuple[pd.DataFrame, list[str]]:
    """The canonical table with `path` missing where no such file is on disk, and those paths, sorted."""
    lost = table["path"].notna() & ~table["path"].isin(sizes.keys())
    return table.assign(path=table["path"].mask(lost)), sorted(table.loc[lost, "path"])


def fingerprint(table: pd.DataFrame, sizes: Mapping[str, int]) -> str:
    """SHA-256 of the sorted (image_id, condition, fst, path, file size) rows: cheap, as no pixel is read."""
    columns = [table[column] for column in ("image_id", "condition", "fst", "path")]
    columns.append(columns[-1].map({path: str(size) for path, size in sizes.items()}))
    text = [pa.array(column.astype("str").fillna(""), pa.large_string()) for column in columns]
    rows = pc.binary_join_element_wise(*text, pa.scalar("\t", pa.large_string()))
    order = pc.sort_indices(rows)  # by bytes of UTF-8, which is also the order of Python's strings
    digest = hashlib.sha256()
    for start in range(0, len(order), _AT_ONCE):
        part = rows.take(order[start:start + _AT_ONCE]).to_pylist()
        digest.update(("\n" * bool(start) + "\n".join(part)).encode())
    return digest.hexdigest()
