"""Whose predictions the Fairness page offers: the bundles there are, and files dropped onto the page. Caches.

A dropped file is in memory as long as its session, and on disk for the moment in which it is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory

import streamlit as st

from derm import predictions
from derm.datasets import reading
from derm.datasets.conditions import PARTITION3
from derm.errors import DatasetError
from derm.fairness import audit
from derm.fairness.cases import cases
from derm.registry import Bundle
from derm.ui import resources
from derm.ui.fairness.view import Source

_FILE, _YOURS = "file-", " (your file)"


@dataclass(frozen=True, eq=False)
class Offer:
    """A model that can be looked at; either a bundle, or a file's name and bytes."""

    key: str
    title: str
    bundle: Bundle | None = None
    data: bytes = b""

    @property
    def suffix(self) -> str:
        """How the file's name ends: what decides how it is read."""
        return PurePath(self.title.removesuffix(_YOURS)).suffix.lower()


def bundles() -> list[Offer]:
    """The models with predictions, the default one first."""
    return [Offer(bundle.name, f"{bundle.name} {bundle.version}", bundle) for bundle in resources.bundles()
            if "predictions.parquet" in bundle.sha256]


def dropped(files: Sequence[tuple[str, bytes]]) -> list[Offer]:
    """Files as offers, one for each different content, the last one first."""
    found = {f"{_FILE}{hashlib.sha256(data).hexdigest()[:12]}": (name, data) for name, data in files}
    return [Offer(key, f"{PurePath(name).name}{_YOURS}", data=data)
            for key, (name, data) in reversed(found.items())]


def source(offer: Offer, *, rename: Mapping[str, str], renormalise: bool) -> Source:
    """What is offered, read. Raises `DatasetError` that says what is wrong with it."""
    if offer.bundle is not None:
        stamp = offer.bundle.sha256["predictions.parquet"]
        return _of_bundle(f"{offer.key} {stamp} {offer.bundle.judges}", _bundle=offer.bundle)
    return _of_file(offer.key, offer.title, tuple(sorted(rename.items())), renormalise, _offer=offer)


def is_file(key: str) -> bool:
    """Whether the key is that of a dropped file."""
    return key.startswith(_FILE)


def columns(offer: Offer) -> list[str]:
    """The columns of a dropped file, as it calls them; none if it is no table."""
    try:
        with _on_disk(offer) as path:
            return [str(name) for name in reading.header(path)]
    except (DatasetError, OSError):
        return []


@st.cache_resource(max_entries=8, show_spinner="Reading the predictions …")
def _of_bundle(stamp: str, *, _bundle: Bundle) -> Source:
    table = predictions.read(_bundle.path("predictions.parquet"))
    judged = table[table["split"] == "test"] if table["split"].eq("test").any() else table  # as its card
    return Source(key=_bundle.name, name=_bundle.name, version=_bundle.version, digest=_digest(stamp),
                  cases=cases(judged, partition3=_bundle.partition3),
                  unlabelled=int(judged["condition"].isna().sum()),
                  notes=(f"For the figures, {_bundle.judges}.",) if _bundle.judges else (),
                  partition3={**PARTITION3, **_bundle.partition3})


@st.cache_resource(max_entries=4, show_spinner="Reading the file …")
def _of_file(key: str, title: str, rename: tuple[tuple[str, str], ...], renormalise: bool, *,
             _offer: Offer) -> Source:
    with _on_disk(_offer) as path:
        try:
            loaded = predictions.load(path, rename=dict(rename), renormalise=renormalise)
        except DatasetError as error:  # not by the name of the folder that it passes through
            raise DatasetError(str(error).replace(f"{path}: ", "")) from error
    found = audit.to_cases(loaded.table)
    said = found.table[["condition", "partition3"]].dropna() if "partition3" in found.table else None
    return Source(key=key, name=title.removesuffix(_YOURS), version="",
                  digest=_digest(f"{key} {rename} {renormalise}"), cases=found,
                  unlabelled=len(loaded.table) - len(found), notes=loaded.notes,
                  partition3={**PARTITION3, **({} if said is None else dict(said.to_numpy()))})


@contextmanager
def _on_disk(offer: Offer) -> Iterator[Path]:
    """The file where a reader of files can see it, for as long as that takes."""
    with TemporaryDirectory(prefix="derm-") as folder:
        path = Path(folder) / f"predictions{offer.suffix}"
        path.write_bytes(offer.data)
        yield path


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
