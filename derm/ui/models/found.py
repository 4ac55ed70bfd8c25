"""Which models there are, and in what state: read anew each time, hashed anew only when a file changed."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from derm import registry
from derm.errors import ModelError
from derm.registry import Bundle
from derm.settings import settings


@dataclass(frozen=True)
class Found:
    """A model's folder: its `bundle`, None if that cannot be used; what is wrong with it (`problems`); whether it
    is the one used where none is named, and the ensembles that it is a member of."""

    name: str
    bundle: Bundle | None
    problems: tuple[str, ...]
    is_default: bool
    used_by: tuple[str, ...] = ()


def models() -> list[Found]:
    """All of them, the default first, then by name; folders half written are no models yet."""
    names = [path.parent.name for path in settings().models.glob(f"*/{registry.DESCRIPTION}")
             if not path.parent.name.startswith(".")]
    bundles = {bundle.name: bundle for bundle in registry.list_bundles()}
    default = registry.default()
    return [_found(name, default, bundles) for name in sorted(names, key=lambda name: (name != default, name))]


def _found(name: str, default: str | None, bundles: dict[str, Bundle]) -> Found:
    used_by = tuple(other.name for other in bundles.values() if name in other.members)
    try:
        bundle = registry.find(name)
    except ModelError as error:
        return Found(name, None, (str(error),), name == default, used_by)
    return Found(name, bundle, _problems(_stamps(bundle), _bundle=bundle), name == default, used_by)


def _stamps(bundle: Bundle) -> tuple[tuple[str, int, int], ...]:
    """Every file of it and its members by size and time of change."""
    paths = [one.path(name) for one in (bundle, *registry.members(bundle))
             for name in (registry.DESCRIPTION, *sorted(one.sha256))]
    seen = [(path, path.stat()) for path in paths if path.is_file()]
    return tuple((str(path), stat.st_size, stat.st_mtime_ns) for path, stat in seen)


@st.cache_data(max_entries=64, show_spinner="Checking the files …")
def _problems(stamps: tuple[tuple[str, int, int], ...], *, _bundle: Bundle) -> tuple[str, ...]:
    return registry.verify(_bundle)
