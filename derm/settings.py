"""Where data, weights, models and runs live. Knows the environment and derm.toml; read once."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

from derm.errors import ConfigError

PROJECT = Path(__file__).resolve().parent.parent
_CACHE_HOME = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


@dataclass(frozen=True)
class Settings:
    """Folders. `data` and `weights` are None until somebody names them."""

    data: Path | None = None
    weights: Path | None = None
    models: Path = PROJECT / "models"
    runs: Path = Path("runs")
    exclusions: Path = Path("exclusions")
    cache: Path = _CACHE_HOME / "derm"


@cache
def settings() -> Settings:
    """The settings of this process: DERM_DATA and its siblings first, then ./derm.toml, then defaults.

    Raises `ConfigError` for a derm.toml that cannot be parsed or holds an unknown key.
    """
    return read_settings(Path("derm.toml"), dict(os.environ))


def read_settings(path: Path, environ: dict[str, str]) -> Settings:
    """Settings from one TOML file (may be absent) and one environment; relative paths in the file
    are relative to the file."""
    names = [field.name for field in fields(Settings)]
    chosen: dict[str, Path] = {}
    for name, value in _read_toml(path, names).items():
        chosen[name] = path.parent / Path(value).expanduser()
    for name in names:
        if folder := environ.get(f"DERM_{name.upper()}"):
            chosen[name] = Path(folder).expanduser()
    return Settings(**chosen)


def _read_toml(path: Path, names: list[str]) -> dict[str, str]:
    if not path.is_file():
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML ({error}). Mend the line or remove the file.") from error
    for key, value in table.items():
        if key not in names:
            raise ConfigError(f"{path}: unknown key '{key}'; expected one of {', '.join(names)}.", key)
        if not isinstance(value, str):
            raise ConfigError(f"{path}: {key} = {value!r}; expected a folder in quotes.", key)
    return table
