"""Which data sets the Explore page offers, and one of them made ready to look at. Caches; draws nothing.

Only folders that whoever runs the app has named are offered: a visitor cannot point the page at the disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from derm import datasets
from derm.datasets import Dataset, counts
from derm.settings import settings
from derm.ui.explore import measuring
from derm.ui.explore.view import View

COUNTS = "counts"


@dataclass(frozen=True)
class Choice:
    """A data set that can be opened; `adapter` is COUNTS for the one that comes with Derm."""

    title: str
    adapter: str
    root: Path

    @property
    def key(self) -> str:
        """Short and stable: it stands in addresses and names the list of excluded pictures."""
        return self.adapter if self.adapter == COUNTS else f"{self.adapter}-{self.root.resolve().name}"


def choices() -> list[Choice]:
    """Those in the data folder first, then the counts that come with Derm."""
    folder = settings().data
    found = datasets.on_disk(folder) if folder else []
    named = [Choice(f"{datasets.ADAPTERS[key].source.name} ({root.resolve().name})", key, root)
             for key, root in found]
    return [*named, Choice(counts.SOURCE.name, COUNTS, counts.FILE.parent)]


def whole(choice: Choice) -> View:
    """The data set unfiltered, with what was measured of its pictures so far."""
    if choice.adapter == COUNTS:
        dataset, scan = _counts(), None
    else:
        dataset = _load(choice.adapter, str(choice.root), _stamp(choice.root))
        scan = measuring.finished(dataset)
    table = dataset.table if scan is None else _joined(dataset.fingerprint, _dataset=dataset, _scan=scan)
    return View(dataset, table, table, scan, choice.key, settings().exclusions / f"{choice.key}.csv")


def filtered(view: View, kept: np.ndarray) -> View:
    """The same with only the rows that are kept, bool [rows]."""
    table = view.whole if kept.all() else view.whole[kept]
    return View(view.dataset, table, view.whole, view.scan, view.key, view.list_path)


@st.cache_resource(max_entries=1, show_spinner=False)
def _counts() -> Dataset:
    return counts.bundled()


@st.cache_resource(max_entries=3, show_spinner="Reading the data set …")
def _load(adapter: str, root: str, stamp: str) -> Dataset:
    return datasets.load(Path(root), adapter=adapter, strict=False)


@st.cache_resource(max_entries=3, show_spinner=False)
def _joined(fingerprint: str, *, _dataset: Dataset, _scan: object) -> pd.DataFrame:
    from derm.inspection.scan import Scan, joined

    assert isinstance(_scan, Scan)
    return joined(_dataset.table, _scan)


def _stamp(root: Path) -> str:
    """Changes when a file or folder directly in `root` does: reading every photograph's date would be slow."""
    return "\n".join(f"{entry.name} {entry.stat().st_mtime_ns}" for entry in sorted(root.iterdir())
                     if not entry.is_symlink() or entry.exists())
