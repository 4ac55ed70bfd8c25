"""Tables and folders as they lie on disk, in whatever state. Knows files; no data set and no condition."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import re
import stat
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from derm.errors import DatasetError

PARQUET = ".parquet"
_SEPARATORS = (",", ";", "\t")
_HEAD = 2**20   # characters that hold the header and the first row
_NO_NUMBER = re.compile(r"conversion error to double: invalid value ('.*')")
_BLOCK = 2**22  # bytes read at a time; longer rows are refused


def listing(folder: Path) -> str:
    """The first five names in a folder, for an error that says what was found there."""
    if not folder.is_dir():
        return "no such folder"
    return ", ".join(sorted(entry.name for entry in folder.iterdir())[:5]) or "an empty folder"


def files(folder: Path) -> dict[str, int]:
    """Bytes of every file below the folder by its relative path, in order; {} if there is no such folder.

    Hidden files and folders are passed over. Links are followed, but no folder is entered twice.
    Raises `OSError` for a folder that may not be read.
    """
    found: dict[str, int] = {}
    entered = set()
    for place, folders, names in os.walk(folder, onerror=_refuse, followlinks=True):
        here = os.stat(place)
        if (here.st_dev, here.st_ino) in entered:
            folders.clear()
            continue
        entered.add((here.st_dev, here.st_ino))
        # Links last: what they repeat then keeps its own name.
        folders[:] = sorted((name for name in folders if not name.startswith(".")),
                            key=lambda name: (os.path.islink(os.path.join(place, name)), name))
        above = "" if place == str(folder) else Path(place).relative_to(folder).as_posix() + "/"
        for name in sorted(name for name in names if not name.startswith(".")):
            with contextlib.suppress(OSError):  # a link to nowhere, or to itself
                if stat.S_ISREG((status := os.stat(os.path.join(place, name))).st_mode):
                    found[above + name] = status.st_size
    return found


def _refuse(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def header(path: Path) -> tuple[str, ...]:
    """The column names of a CSV or Parquet file, stripped. Raises `DatasetError` if it is neither."""
    names = _schema(path).names if path.suffix == PARQUET else _header(path)[0]
    return tuple(name.strip() for name in names)


def read(path: Path, *, required: Sequence[str], only: bool = False,
         numbers: Collection[str] = ()) -> pd.DataFrame:
    """`read_parquet` for a file called so, else `read_csv`."""
    found = read_parquet if path.suffix == PARQUET else read_csv
    return found(path, required=required, only=only, numbers=numbers)


def has_columns(path: Path, columns: Sequence[str]) -> bool:
    """Whether the CSV file is there and its header names all of these columns.

    Raises `DatasetError` if it is there and is no CSV file, `OSError` if it may not be read.
    """
    return path.is_file() and set(columns) <= set(header(path))


def read_csv(path: Path, *, required: Sequence[str], only: bool = False,
             numbers: Collection[str] = ()) -> pd.DataFrame:
    """Every cell as stripped text, blank cells as '': pandas would turn 'NA' into missing, '00123' into 123. The
    columns called `numbers` as float64, blank and NaN as missing.

    UTF-8 or UTF-16; commas, semicolons or tabs. Columns without a name are passed over, and with `only`
    all but the required ones. Needs little more memory than the text itself. Raises `DatasetError` for a
    file that is no such table, has no rows, lacks a column or repeats one, or a row with too many or too
    few cells.
    """
    try:
        names, separator, encoding = _header(path)
        _check_columns(path, [name.strip() for name in names if name.strip()], required)
        wanted = [name for name in names if name.strip() in required or (name.strip() and not only)]
        odd_quotes = _look_through(path, encoding)
        table = _parse(path, wanted, separator, encoding, numbers)
    except (OSError, ValueError, KeyError) as error:
        raise DatasetError(f"{path}: not a readable CSV file ({error}). Download it again, or save it as CSV "
                           "in UTF-8.") from error
    if odd_quotes and any("\n" in str(column[-1]) for column in table.columns if len(table)):
        raise DatasetError(f"{path}: row {len(table) + 1} opens a quotation mark that is never closed; the rows "
                           "after it are lost. Close it.")
    return _frame(path, table)


def read_parquet(path: Path, *, required: Sequence[str], only: bool = False,
                 numbers: Collection[str] = ()) -> pd.DataFrame:
    """As `read_csv`, from a Parquet file: numbers as they are written, 4.0 as '4', missing as ''."""
    _check_columns(path, _schema(path).names, required)
    try:
        table = pyarrow.parquet.read_table(path, columns=list(required) if only else None)
        columns = [column.cast(pa.float64()) if name.strip() in numbers else pc.utf8_trim_whitespace(_text(column))
                   for name, column in zip(table.column_names, table.columns, strict=True)]
    except (OSError, ValueError, NotImplementedError) as error:
        raise DatasetError(f"{path}: not a Parquet file of plain columns ({error}). Write it again.") from error
    return _frame(path, pa.table(columns, names=[name.strip() for name in table.column_names]))


def _schema(path: Path) -> pa.Schema:
    try:
        return pyarrow.parquet.read_schema(path)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: not a readable Parquet file ({error}). Write it again.") from error


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_floating(column.type):  # what pandas makes of whole numbers with gaps
        column = pc.if_else(pc.is_nan(column), None, column)
    return pc.fill_null(column.cast(pa.large_string()), "")


def _header(path: Path) -> tuple[list[str], str, str]:
    """The names as written, the separator and the encoding."""
    with path.open("rb") as file:
        encoding = "utf-16" if file.read(2) in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        with path.open(encoding=encoding, newline="") as text:
            head = text.read(_HEAD)
        records = {separator: list(_first_two(head, separator)) for separator in _SEPARATORS}
    except UnicodeError as error:
        raise DatasetError(f"{path}: not a readable CSV file ({error}). Save it as CSV in UTF-8.") from error
    except csv.Error as error:  # a cell longer than csv.field_size_limit()
        raise DatasetError(f"{path}: a cell that seems never to end ({error}). Close the quotation mark in row 1 "
                           "or 2, or save the table as CSV in UTF-8.") from error
    if not records[","]:
        raise DatasetError(f"{path}: an empty file; expected a CSV file with a header. Download it again.")
    # The one that cuts the first row into as many cells as the header; then, into the most.
    separator = max(_SEPARATORS, key=lambda s: (len(set(map(len, records[s]))) == 1 and len(records[s][0]) > 1,
                                                len(records[s][0])))
    return records[separator][0], separator, encoding


def _first_two(head: str, separator: str) -> Iterator[list[str]]:
    rows = (row for row in csv.reader(io.StringIO(head, newline=""), delimiter=separator) if row)
    for row, _ in zip(rows, range(2), strict=False):
        yield row


def _check_columns(path: Path, names: list[str], required: Sequence[str]) -> None:
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise DatasetError(f"{path}: columns that appear twice. Rename or remove one of each", repeated)
    if absent := [name for name in required if name not in names]:
        raise DatasetError(f"{path}: columns are missing; found {', '.join(names[:10])}. Is this the right data "
                           "set?", absent)


def _look_through(path: Path, encoding: str) -> bool:
    """Whether the number of quotation marks is odd. Raises `ValueError` for what is not text."""
    quotes = 0
    with path.open(encoding=encoding, newline="") as text:
        while block := text.read(_HEAD):
            if "\0" in block:
                raise ValueError("it holds NUL bytes, so it is damaged or not text")
            quotes += block.count('"')
    return quotes % 2 == 1


def _parse(path: Path, names: list[str], separator: str, encoding: str, numbers: Collection[str]) -> pa.Table:
    ragged = []

    def refuse(row: pyarrow.csv.InvalidRow) -> str:
        ragged.append(row)
        return "error"

    types = {name: pa.float64() if name.strip() in numbers else pa.large_string() for name in names}
    try:
        reader = pyarrow.csv.open_csv(
            path, pyarrow.csv.ReadOptions(use_threads=False, block_size=_BLOCK, encoding=encoding),
            pyarrow.csv.ParseOptions(delimiter=separator, newlines_in_values=True, invalid_row_handler=refuse),
            pyarrow.csv.ConvertOptions(include_columns=names, column_types=types, strings_can_be_null=False))
        batches = [[column if column.type == pa.float64() else pc.utf8_trim_whitespace(column)
                    for column in batch.columns] for batch in reader]
    except ValueError as error:
        if not ragged and (cell := _NO_NUMBER.search(str(error))):
            raise DatasetError(f"{path}: {cell[1]} where a number is expected. Mend the cell; decimals have a "
                               "point, as in 0.25. The columns of numbers are", list(numbers)) from error
        if not ragged:
            raise
        row = ragged[0]
        raise DatasetError(f"{path}: row {row.number} (the header is row 1) has {row.actual_columns} cells; the "
                           f"header has {row.expected_columns}. Mend the row; a cell with a {separator!r} in it "
                           "belongs in quotation marks.") from error
    columns = [pa.chunked_array([batch[i] for batch in batches], kind) for i, kind in enumerate(types.values())]
    return pa.table(columns, names=[name.strip() for name in names])


def _frame(path: Path, table: pa.Table) -> pd.DataFrame:
    if not len(table):
        raise DatasetError(f"{path}: a header but no rows. Download it again.")
    return table.to_pandas(types_mapper={pa.large_string(): pd.StringDtype(na_value=float("nan"))}.get)
