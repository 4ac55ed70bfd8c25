"""Files written whole or not at all, readable by whoever may read the folder. Knows text; not what it says."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path


def write_bytes(path: Path, content: bytes) -> None:
    """Make `content` the file at `path` in one step, with the folders above it; `OSError` where that fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{uuid.uuid4().hex}")  # a sibling, so that the rename stays on one disk
    try:
        part.write_bytes(content)
        os.replace(part, path)
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
