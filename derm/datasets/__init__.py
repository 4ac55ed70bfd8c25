"""Sources of photographs, one adapter a file; each returns a `Dataset` with the canonical table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from derm.datasets import ajl
from derm.datasets.source import Adapter, Source
from derm.datasets.table import Dataset, listing
from derm.errors import ConfigError, DatasetError

__all__ = ["ADAPTERS", "Adapter", "Dataset", "Source", "detect", "load", "on_disk"]

# In the order in which a folder is tried.
ADAPTERS: Mapping[str, Adapter] = {adapter.source.key: adapter for adapter in (ajl.ADAPTER,)}


def load(root: Path, *, adapter: str | None = None, strict: bool = True) -> Dataset:
    """The data set in the folder `root`, read by the adapter named or, without one, by the files found there.

    Raises `DatasetError` if no adapter knows the folder or it cannot be read, and, if `strict`, for the
    first of its `problems`; `ConfigError` for an unknown adapter.
    """
    root = Path(root)
    if adapter is not None and adapter not in ADAPTERS:
        raise ConfigError(f"No adapter '{adapter}'; expected one of {', '.join(ADAPTERS)}.", "adapter")
    key = adapter or detect(root)
    if key is None:
        raise DatasetError(f"{root}: no known data set; found {listing(root)}. Expected one of "
                           f"{', '.join(a.source.name for a in ADAPTERS.values())}. Name the folder with "
                           "DERM_DATA, derm.toml or --data.")
    dataset = ADAPTERS[key].load(root)
    if strict and dataset.problems:
        raise dataset.problems[0]
    return dataset


def detect(root: Path) -> str | None:
    """The key of the first adapter that recognises the folder."""
    return next((key for key, adapter in ADAPTERS.items() if adapter.recognise(root)), None)


def on_disk(folder: Path) -> list[tuple[str, Path]]:
    """(adapter's key, root) of the data sets in a folder: itself, or else those directly below it, by name."""
    if key := detect(folder):
        return [(key, folder)]
    below = sorted(entry for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []
    return [(key, root) for root in below if (key := detect(root))]
