"""What a reader decided about pictures: the list of those to exclude, and the pairs to keep both of. Files only.

Kept pairs stand beside the list, in a file of the same shape whose ids are two, joined.
"""

from __future__ import annotations

import json
from pathlib import Path

import streamlit as st

from derm import exclusions
from derm.errors import DermError
from derm.ui.components import plain
from derm.ui.explore.view import View

REASONS = ("wrong label", "near-duplicate", "poor picture", "not usable for another reason")


def excluded(view: View) -> dict[str, str]:
    """The pictures on the list and why, in the order in which they were marked."""
    return _read(view.list_path)


def exclude(view: View, image_id: str, reason: str | None) -> None:
    """Put a picture on the list, or take it off with None; a list that cannot be written is told, not raised."""
    _mark(view.list_path, image_id, reason)


def pair(a: str, b: str) -> str:
    """One id of two, the same whichever comes first."""
    return json.dumps(sorted((a, b)))


def kept(view: View) -> set[str]:
    """The pairs (see `pair`) of which somebody decided to keep both."""
    return set(_read(_kept_path(view)))


def keep(view: View, both: str, yes: bool) -> None:
    """Note that both pictures of a pair are wanted, or that this is open again."""
    _mark(_kept_path(view), both, "keep both" if yes else None)


def _kept_path(view: View) -> Path:
    return view.list_path.with_suffix(".kept")


def _read(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    try:
        listed = exclusions.read(path)
    except DermError as error:
        st.error(plain(str(error)))
        return {}
    return dict(zip(listed["image_id"], listed["reason"], strict=True))


def _mark(path: Path, image_id: str, reason: str | None) -> None:
    try:
        exclusions.mark(path, image_id, reason)
    except (OSError, DermError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        st.toast(f"The list {plain(path.name)} cannot be written ({plain(str(why))}).", icon=":material/report:")
