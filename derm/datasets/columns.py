"""Columns of published text as answers, numbers and places of pictures. Knows cells; no data set."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from derm.errors import DatasetError

_YES, _NO, _UNKNOWN = ("yes", "true", "1", "1.0"), ("no", "false", "0", "0.0"), ("", "unk", "unknown")
_ANSWERS = {**dict.fromkeys(_YES, True), **dict.fromkeys(_NO, False)}


def answers(frame: pd.DataFrame, column: str, *, ids: str) -> pd.Series:
    """A column of YES/NO, True/False or 1/0 as boolean; blank and UNK are missing, never False.

    Raises `DatasetError` naming the rows that hold anything else.
    """
    text = frame[column].str.lower()
    refuse(frame, column, ~text.isin([*_ANSWERS, *_UNKNOWN]), "True, False or blank", ids=ids)
    return text.map(_ANSWERS).astype("boolean")


def numbers(frame: pd.DataFrame, column: str, *, ids: str) -> pd.Series:
    """A column of numbers as Float64, blank as missing. Raises `DatasetError` naming the rows that hold none."""
    number = pd.to_numeric(frame[column].replace("", None), errors="coerce")
    refuse(frame, column, number.isna() & (frame[column] != ""), "a number or blank", ids=ids)
    return number.astype("Float64")


def refuse(frame: pd.DataFrame, column: str, wrong: pd.Series, expected: str, *, ids: str) -> None:
    """Raise `DatasetError` naming the rows that are `wrong`, with their cells, if there are any."""
    if wrong.any():
        rows = zip(frame.loc[wrong, ids], frame.loc[wrong, column], strict=True)
        raise DatasetError(f"{column} must be {expected}. Mend or remove these rows",
                           [f"{row}: {value!r}" for row, value in rows])


def known(text: pd.Series, *unknown: str) -> pd.Series:
    """The text with the publisher's words for 'unknown' as blanks."""
    return text.mask(text.isin(unknown), "")


def places(names: pd.Series, sizes: Mapping[str, int]) -> pd.Series:
    """Where the picture of each file name lies, in whatever folder: one of the paths of `sizes`, or missing.

    A name that is in two folders is taken from the first.
    """
    where: dict[str, str] = {}
    for path in sizes:
        where.setdefault(path.rpartition("/")[2], path)
    return names.map(where)


def absent(paths: pd.Series) -> tuple[str, ...]:
    """A note of how many pictures are not on disk; nothing if all are."""
    count = int(paths.isna().sum())
    return (f"Pictures that are not on disk: {count:,} of {len(paths):,}.",) if count else ()
