"""Data of one's own: a folder for each condition, or a table that dataset.toml explains (docs/data.md)."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pandas as pd

from derm.datasets.columns import numbers
from derm.datasets.conditions import PARTITION3, to_slug
from derm.datasets.description import FILE, FURTHER, Description, describe
from derm.datasets.reading import files, header, listing, read
from derm.datasets.source import Adapter, Source
from derm.datasets.table import (
    Dataset,
    canonical,
    fingerprint,
    mark_missing,
    scale,
    slug,
    spelled_out,
    stay_inside,
)
from derm.errors import DatasetError, first_five
from derm.images import EXTENSIONS

SOURCE = Source(
    key="own", name="own data", homepage="", licence="not stated", citation="", images=None,
    skin_type="as its owner says",
    how=("Put the pictures of each condition into a folder of its name,",
         f"or lay a {FILE} beside your CSV or Parquet table: see docs/data.md."),
    limits=("Only its owner knows who was asked and who is missing, and who said the labels and skin types, and "
            "how: tell whoever reads figures from it.",
            "Without group_id, pictures of one patient can be on both sides of a split, which flatters a model."))
_SCALES = {"fst": 6, "fst_other": 6, "mst": 10, "x_fst_self": 6}
_SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
           "test": "test", "testing": "test"}
_PICTURES = {f".{extension}" for extension in EXTENSIONS}
_TABLES = (".csv", ".tsv", ".parquet", ".toml")


def load(root: Path) -> Dataset:
    """The pictures, labelled by the folder they are in, or the rows of the table that dataset.toml names.

    Rows whose picture is not on disk have no `path` and are a problem. Folders called train, val or test above
    those of the conditions are the split. Raises `DatasetError` for what is not said clearly.
    """
    told = describe(root)
    sizes = {str(PurePosixPath(told.images, name)): size for name, size in files(root / told.images).items()}
    table, unmapped = _table(root, told, list(sizes))
    table, lost = mark_missing(table, sizes)
    problems = [DatasetError(f"{root}: pictures named in {told.table} are missing. Mend or remove the rows", lost)]
    source = replace(SOURCE, name=told.name or root.resolve().name, licence=told.licence or SOURCE.licence,
                     citation=told.citation, images=len(table))
    return Dataset(source, root, table, tuple(table["condition"].cat.categories), fingerprint(table, sizes),
                   notes=_notes(root, told, set(sizes) - set(table["path"].dropna())), unmapped=unmapped,
                   problems=tuple(problems if lost else ()))


def _table(root: Path, told: Description, names: list[str]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The canonical table and the names of conditions that nobody explains."""
    frame = _listed(root, told) if told.table else _filed(root, told, names)
    blank = pd.Series("", index=frame.index, dtype="str")
    condition, unmapped = _conditions(root, told, frame.get("condition", blank))
    partition3, group = slug(frame.get("partition3", blank)), frame.get("group_id", blank)
    return canonical(frame.assign(
        condition=condition, partition3=partition3.mask(partition3 == "", condition.map(PARTITION3)),
        group_id=group.mask(group == "", frame["image_id"]), x_excluded=False)), unmapped


def _filed(root: Path, told: Description, names: list[str]) -> pd.DataFrame:
    """A row a picture: image_id, path, condition and split as text."""
    pictures = [PurePosixPath(name) for name in names if PurePosixPath(name).suffix.lower() in _PICTURES]
    folders = [picture.relative_to(told.images).parts[:-1] for picture in pictures]
    if not any(folders):
        raise DatasetError(f"{root}: no pictures in folders named after conditions; found {listing(root)}. Make "
                           f"such folders, or describe a table in {FILE} (docs/data.md).")
    strange = {*to_slug(pd.Series(sorted(set().union(*folders))))[1]} - told.conditions.keys()
    # The innermost folder that is called after a condition; further ones below it may be a patient each.
    names = [next((name for name in reversed(parts) if name not in strange), "".join(parts[-1:]))
             for parts in folders]
    paths = [str(picture) for picture in pictures]
    return pd.DataFrame({
        "image_id": paths, "path": paths, "condition": names,
        "split": [_SPLITS.get(parts[0].lower(), "") if len(parts) > 1 else "" for parts in folders],
    })


def _listed(root: Path, told: Description) -> pd.DataFrame:
    """The rows of the table with the columns that dataset.toml names, by our names; as text, but for numbers."""
    raw = read(root / told.table, required=tuple(dict.fromkeys(told.columns.values())), only=True)
    frame = pd.DataFrame({f"x_{key}" if key in FURTHER else key: raw[name] for key, name in told.columns.items()})
    if "path" in frame:
        path = frame["path"].str.replace("\\", "/").str.replace(r"^\./", "", regex=True)
        stay_inside(path)
        frame["path"] = path.mask(path != "", f"{PurePosixPath(told.images)}/" + path) if told.images else path
    if "image_id" not in frame:
        frame["image_id"] = frame["path"]
    if "split" in frame:
        frame["split"] = _split(frame["split"].str.lower())
    for column, highest in _SCALES.items():
        if column in frame:
            frame[column] = scale(frame.assign(**{column: spelled_out(frame[column])}), column, ids="image_id",
                                  highest=highest)
    if "x_age" in frame:
        frame["x_age"] = numbers(frame, "x_age", ids="image_id")
    return frame


def _split(word: pd.Series) -> pd.Series:
    if unknown := sorted(set(word.unique()) - {"", *_SPLITS}):
        raise DatasetError("split must be train, val, test or blank. Mend these values", unknown)
    return word.replace(_SPLITS)


def _conditions(root: Path, told: Description, names: pd.Series) -> tuple[pd.Series, tuple[str, ...]]:
    """Slugs, the owner's own first, and the names that neither the owner nor Derm's table explains."""
    present = sorted(names.unique())
    if unused := [name for name in told.conditions if name not in present]:
        raise DatasetError(f"{root / FILE}: [conditions] explains names that are not there; found "
                           f"{first_five(present)}. Mend", unused)
    slugs, unmapped = to_slug(names)
    own = names.map(told.conditions).astype("str")
    return own.fillna(slugs), tuple(name for name in unmapped if name not in told.conditions)


def _notes(root: Path, told: Description, unused: set[str]) -> tuple[str, ...]:
    notes = []
    if told.table and (columns := [c for c in header(root / told.table) if c and c not in told.columns.values()]):
        notes.append(f"Columns of {told.table} left out, as [columns] does not name them {first_five(columns)}.")
    if left := sorted(unused - {FILE, told.table}):
        notes.append(f"Files left out, as they are {'not in the table' if told.table else 'not pictures'} "
                     f"{first_five(left)}.")
    return tuple(notes)


def recognise(root: Path) -> bool:
    """Whether there is a dataset.toml or, without any table, two folders of pictures (or below train, val)."""
    if (root / FILE).is_file():
        return True
    if not root.is_dir() or any(entry.suffix.lower() in _TABLES for entry in root.iterdir()):
        return False
    folders = [entry for entry in root.iterdir() if not entry.name.startswith(".")]
    folders += [inner for folder in folders if folder.name.lower() in _SPLITS for inner in folder.glob("*")]
    return sum(map(_only_pictures, folders)) > 1


def _only_pictures(folder: Path) -> bool:
    """Whether there are pictures directly in the folder, and no table that explains them."""
    with contextlib.suppress(OSError):  # a file, or nothing for us
        kinds = {os.path.splitext(entry.name)[1].lower() for entry in os.scandir(folder)}
        return bool(kinds & _PICTURES) and kinds.isdisjoint(_TABLES)
    return False


ADAPTER = Adapter(SOURCE, recognise, load)
