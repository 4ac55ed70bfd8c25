"""Sources of photographs, one adapter a file; each returns a `Dataset` with the canonical table."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from derm.datasets import ajl, ddi, fitzpatrick17k, ham10000, own, pad_ufes, scin
from derm.datasets.reading import listing
from derm.datasets.source import Adapter, Source
from derm.datasets.table import Dataset
from derm.errors import ConfigError, DatasetError

__all__ = ["ADAPTERS", "Adapter", "Dataset", "Source", "detect", "load", "on_disk"]

# In the order in which a folder is tried.
ADAPTERS: Mapping[str, Adapter] = {module.ADAPTER.source.key: module.ADAPTER for module in (
    ajl, fitzpatrick17k, scin, ddi, pad_ufes, ham10000, own)}


def load(root: Path, *, adapter: str | None = None, strict: bool = True) -> Dataset:
    """The data set in the folder `root`, read by the adapter named or, without one, by the files found there.

    A file is taken for its folder. Raises `DatasetError` if no adapter knows the folder, another one than
    the one named does, or it cannot be read, and, if `strict`, for the first of its `problems`;
    `ConfigError` for an unknown adapter.
    """
    if adapter is not None and adapter not in ADAPTERS:
        raise ConfigError(f"No adapter '{adapter}'; expected one of {', '.join(ADAPTERS)}.", "adapter")
    try:
        root = _folder(root)
        dataset = _adapter(root, adapter).load(root)
    except OSError as error:
        raise _unreadable(root, error) from error
    if strict and dataset.problems:
        raise dataset.problems[0]
    return dataset


def _adapter(root: Path, named: str | None) -> Adapter:
    if named and ADAPTERS[named].recognise(root):
        return ADAPTERS[named]
    found = detect(root)
    if named is None and found is None:
        raise DatasetError(f"{root}: no known data set; found {listing(root)}. Expected one of "
                           f"{', '.join(a.source.name for a in ADAPTERS.values())} (docs/data.md). "
                           "Name the folder with DERM_DATA, derm.toml or --data.")
    if named and found:
        raise DatasetError(f"{root}: not {ADAPTERS[named].source.name}; this looks like "
                           f"{ADAPTERS[found].source.name}: use --adapter {found}.")
    return ADAPTERS[found or named or ""]  # the one named, if none is found: it says best what it misses


def detect(root: Path) -> str | None:
    """The key of the first adapter that recognises the folder.

    If none does, raises `DatasetError` for a folder, or a file that one of them looks at, that cannot be read.
    """
    obstacles: list[DatasetError] = []
    for key, adapter in ADAPTERS.items():
        try:
            if adapter.recognise(_folder(root)):
                return key
        except DatasetError as error:
            obstacles.append(error)
        except OSError as error:
            obstacles.append(_unreadable(root, error))
    if obstacles:
        raise obstacles[0]
    return None


def on_disk(folder: Path) -> list[tuple[str, Path]]:
    """(adapter's key, root) of the data sets in a folder: itself, or else those directly below it, by name.

    Raises `DatasetError` if the folder cannot be read; what below it cannot is left out.
    """
    folder = _folder(folder)
    if key := detect(folder):
        return [(key, folder)]
    found = []
    for root in sorted(folder.iterdir()) if folder.is_dir() else []:
        with contextlib.suppress(DatasetError, OSError):
            if root.is_dir() and (key := detect(root)):
                found.append((key, root))
    return found


def _folder(root: Path) -> Path:
    """The folder itself; that of a file, such as its CSV."""
    return Path(root).parent if Path(root).is_file() else Path(root)


def _unreadable(root: Path, error: OSError) -> DatasetError:
    return DatasetError(f"{error.filename or root}: cannot be read ({error.strerror or error}). Ask its owner for "
                        "the right to read it.")
