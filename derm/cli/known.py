"""What is known of the patients beside their photographs, as `derm predict` is told it. Knows what people type and
their tables; how a value becomes numbers is `derm.nn.metadata`'s."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from derm.datasets import reading
from derm.errors import ConfigError, DatasetError
from derm.nn import metadata
from derm.registry import Bundle

PHOTOGRAPH = ("image_id", "path", "file", "filename")  # names the photograph: the first of them that is there


def beside(bundle: Bundle, files: Sequence[Path], *, assign: Sequence[str],
           path: Path | None) -> pd.DataFrame | None:
    """A row a file in the columns that the model reads: alike for all by `assign` ("age=54"), or from the table at
    `path`; None if neither is given. Says on standard error what is not taken as written.

    Raises `ConfigError` and `DatasetError` for what cannot be meant.
    """
    if not assign and path is None:
        return None
    if assign and path is not None:
        raise ConfigError("--meta and --metadata both say what is known; give one of them.", "metadata")
    if not bundle.metadata:
        raise ConfigError(f"{bundle.name} reads photographs alone; leave out "
                          f"{'--meta' if path is None else '--metadata'}, or name a model trained with metadata.",
                          "metadata")
    found = _same(bundle, assign, files) if path is None else _listed(bundle, path, files)
    for line in metadata.unheard(bundle.metadata, found):
        _note(line)
    return found


def _same(bundle: Bundle, assign: Sequence[str], files: Sequence[Path]) -> pd.DataFrame:
    values: dict[str, Any] = {}
    for text in assign:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--meta {text[:100]}: expected COLUMN=VALUE, such as age=54.", "metadata")
        column = metadata.named(bundle.metadata, name.strip())
        if column in values:
            raise ConfigError(f"--meta {text[:100]}: {column} is given twice.", "metadata")
        values[column] = value
    one = metadata.row(bundle.metadata, values)
    return one.loc[[0] * len(files)].reset_index(drop=True)


def _listed(bundle: Bundle, path: Path, files: Sequence[Path]) -> pd.DataFrame:
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; expected a table of what is known.", "metadata")
    frame = reading.read(path, required=())
    column = next((name for name in PHOTOGRAPH if name in frame), None)
    if column is None:
        raise DatasetError(f"{path}: no column names the photographs; expected one of {', '.join(PHOTOGRAPH)}; "
                           f"found {', '.join(frame.columns[:10])}.")
    if twice := sorted(set(frame.loc[frame[column].duplicated(), column])):
        raise DatasetError(f"{path}: photographs with more than one row. Keep one of each", twice)
    found = metadata.read(bundle.metadata, frame.set_index(column))
    if found.columns.empty:
        raise DatasetError(f"{path}: none of the columns that {bundle.name} reads ({', '.join(bundle.metadata)}); "
                           f"found {', '.join(frame.columns[:10])}.")
    rows = [_row(file, found.index) for file in files]
    if absent := rows.count(None):
        _note(f"{absent:,} of {len(files):,} photographs are not in {path}; nothing is known of them.")
    names = pd.Series(rows, dtype=object).dropna()
    if shared := sorted(set(names[names.duplicated()])):  # or somebody's age would go to another patient
        raise DatasetError(f"{path}: rows that several photographs are called as. Name them by path", shared)
    return found.reindex(rows).reset_index(drop=True)


def _row(file: Path, names: pd.Index) -> str | None:
    """How the table names the file: by its path, the end of that, or its name without the ending."""
    ends = ["/".join(file.parts[i:]) for i in range(1, len(file.parts))]
    return next((name for name in (file.as_posix(), *ends, file.stem) if name in names), None)


def _note(text: str) -> None:
    print(f"derm: {text}", file=sys.stderr, flush=True)
