"""The command and the file that make a run again: what the form says, as text to copy. Knows settings, no
widgets."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any

from derm.nn import config as configs
from derm.nn.config import TrainConfig

_BY_NAME = {"data": "--data", "exclude": "--exclude", "split_file": "--split-file"}


def command(config: TrainConfig, *, preset: str, run: Path | None = None) -> str:
    """The `derm train` command that trains `config`, a line an argument, for a POSIX shell."""
    usual, wanted = asdict(configs.preset(preset)), asdict(config)
    words = [f"derm train --preset {preset}"]
    words += [f"{_BY_NAME[key]} {shlex.quote(str(wanted[key]))}" for key in _BY_NAME if wanted[key]]
    words += [f"--set {shlex.quote(f'{key}={_assigned(key, value)}')}" for key, value in wanted.items()
              if key not in _BY_NAME and value != usual[key]]
    words += [f"--run {shlex.quote(str(run))}"] if run else []
    return " \\\n  ".join([*words, "--detach"])


def toml(config: TrainConfig) -> str:
    """The file of settings: what differs from the defaults, and the data."""
    usual = asdict(TrainConfig())
    return "".join(line for (key, value), line in zip(
        asdict(config).items(), config.to_toml().splitlines(keepends=True), strict=True)
        if value != usual[key]) or "# all settings are the defaults\n"


def _assigned(key: str, value: Any) -> str:
    """A value as `--set` reads it: bare where that is understood as it is meant, else as TOML."""
    bare = str(value).lower() if isinstance(value, bool) else str(value)
    if bare and configs.parse_assignments([f"{key}={bare}"])[key] == value:
        return bare
    return json.dumps(value, ensure_ascii=False)
