"""Sources of photographs, one adapter a file; each returns a `Dataset` with the canonical table."""

from __future__ import annotations

from pathlib import Path

from derm.datasets import ajl
from derm.datasets.table import Dataset, listing
from derm.errors import ConfigError, DatasetError

__all__ = ["ADAPTERS", "Dataset", "load"]

ADAPTERS = {"ajl": ajl.load}
_MARKS = {"ajl": ajl.MARK}


def load(root: Path, *, adapter: str | None = None) -> Dataset:
    """The data set in the folder `root`, read by the adapter named or, without one, by the files found there.

    Raises `DatasetError` if no adapter knows the folder or its contents are at fault, `ConfigError` for an
    unknown adapter.
    """
    root = Path(root)
    if adapter is not None:
        if adapter not in ADAPTERS:
            raise ConfigError(f"No adapter '{adapter}'; expected one of {', '.join(ADAPTERS)}.", "adapter")
        return ADAPTERS[adapter](root)
    for name, mark in _MARKS.items():
        if (root / mark).is_file():
            return ADAPTERS[name](root)
    marks = ", ".join(f"{mark} ({name})" for name, mark in _MARKS.items())
    raise DatasetError(f"{root}: no known data set; found {listing(root)}. Expected one of these files: "
                       f"{marks}. Name the folder with DERM_DATA, derm.toml or --data.")
