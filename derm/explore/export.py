"""A table as a CSV file that a spreadsheet can open without running anything in it. Knows tables."""

from __future__ import annotations

import pandas as pd

_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_bytes(table: pd.DataFrame) -> bytes:
    """The table as UTF-8 CSV (RFC 4180) with a header, without its index; missing cells are empty.

    Text that a spreadsheet would take for a formula (it starts with = + - @, a tab or a line's end) gets an
    apostrophe before it, headers too; numbers stay as they are. See OWASP, CSV Injection.
    """
    safe = table.apply(_safe).set_axis([_escaped(str(name)) for name in table.columns], axis=1)
    # With these line ends a carriage return inside a cell is quoted, else what follows it would start a row.
    return safe.to_csv(index=False, lineterminator="\r\n").encode()


def _safe(column: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column
    text = column.astype("str")
    return text.where(~text.str.startswith(_STARTS).fillna(False), "'" + text)


def _escaped(text: str) -> str:
    return f"'{text}" if text.startswith(_STARTS) else text
