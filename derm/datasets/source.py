"""What is known of a publisher's data set before any of it is on disk. Knows words; no files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Source:
    """A data set as published. `how` are the steps to get it by hand; `limits` what a user must know of it."""

    key: str            # "pad-ufes-20": the word on the command line
    name: str           # "PAD-UFES-20": what people call it
    homepage: str
    licence: str
    citation: str
    images: int | None  # as published; None if that is up to the user
    skin_type: str      # who said what about skin, in a phrase
    how: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    fetchable: bool = False  # `derm data fetch` can download it


@dataclass(frozen=True)
class Adapter:
    """How to tell a source's folder from others, and how to read it (into a `table.Dataset`)."""

    source: Source
    recognise: Callable[[Path], bool]
    load: Callable[[Path], Any]
