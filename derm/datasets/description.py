"""dataset.toml: what the owner of a data set says of it. Knows its keys and what they may hold; no picture."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from derm.datasets.reading import listing
from derm.errors import DatasetError
from derm.schema import COLUMNS

FILE = "dataset.toml"
# Further columns that the pages know; any other is called x_ and something.
FURTHER = ("source", "fst_self", "age", "age_group", "sex", "body_site")


@dataclass(frozen=True)
class Description:
    """Its keys are the fields. `table` and `images` lie in its folder; '' for no table, and for that folder.

    `columns` holds their columns by ours, `conditions` our slugs by their names.
    """

    name: str = ""
    licence: str = ""
    citation: str = ""
    table: str = ""
    images: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    conditions: Mapping[str, str] = field(default_factory=dict)


def describe(root: Path) -> Description:
    """What the folder's dataset.toml says; the defaults if it has none.

    Raises `DatasetError` naming the first key that is unknown or holds something else than it may.
    """
    path = root / FILE
    if not path.is_file():
        return Description()
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: not valid TOML ({error}). Mend the line.") from error
    _check_keys(path, told)
    description = Description(**told)
    _check_places(path, description)
    _check_columns(path, description)
    for name, slug in description.conditions.items():
        if not re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", slug):
            raise DatasetError(f"{path}: [conditions] {name!r} = {slug!r}; expected small letters and hyphens, "
                               "such as 'basal-cell-carcinoma'.")
    return description


def _check_keys(path: Path, told: Mapping[str, Any]) -> None:
    _refuse_unknown(path, "the file", told, [f.name for f in fields(Description)])
    for key, value in told.items():
        if key not in ("columns", "conditions"):
            texts = {key: value}
        elif isinstance(value, dict):
            texts = {f"[{key}] {name}": text for name, text in value.items()}
        else:
            raise DatasetError(f"{path}: {key} = {value!r}; expected a section [{key}].")
        if wrong := [name for name, text in texts.items() if not isinstance(text, str)]:
            raise DatasetError(f"{path}: {wrong[0]} = {texts[wrong[0]]!r}; expected text in quotes.")


def _check_places(path: Path, told: Description) -> None:
    for key, place in (("table", told.table), ("images", told.images)):
        if place.startswith(("/", "\\")) or ":" in place or ".." in re.split(r"[/\\]", place):
            raise DatasetError(f"{path}: {key} = {place!r}; expected a place in this folder, without '..'. "
                               "Move it here, or link to it.")
    if told.table and not (path.parent / told.table).is_file():
        raise DatasetError(f"{path}: table = {told.table!r} is not there; found {listing(path.parent)}.")
    if not (path.parent / told.images).is_dir():
        raise DatasetError(f"{path}: images = {told.images!r} is not a folder; found {listing(path.parent)}.")


def _check_columns(path: Path, told: Description) -> None:
    named = [key for key in told.columns if not re.fullmatch("x_(?!excluded$)[a-z0-9_]+", key)]
    _refuse_unknown(path, "[columns]", named, (*COLUMNS, *FURTHER, "x_... (any other)"))
    if told.columns and not told.table:
        raise DatasetError(f"{path}: [columns] without a table. Add a line such as table = 'rows.csv'.")
    if told.table and not {"path", "image_id"} & set(told.columns):
        raise DatasetError(f"{path}: [columns] must say which column is path (or image_id, if there are no "
                           "pictures).")


def _refuse_unknown(path: Path, section: str, keys: Collection[str], allowed: Collection[str]) -> None:
    if unknown := [key for key in keys if key not in allowed]:
        raise DatasetError(f"{path}: unknown in {section}; expected one of {', '.join(allowed)}. Mend", unknown)
