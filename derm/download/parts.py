"""A file on its way: its first bytes on disk, and what asks a host for the rest. Knows HTTP's ranges and files.

The bytes are in the hidden `.NAME.part`; `.NAME.version` beside it keeps how the host names the version they are
of (ETag or Last-Modified). The file gets its name in one step, once it is whole.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import requests

from derm.download.hosts import Passing

_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")


class Part:
    """What has arrived of the file `target`, from this or an earlier call."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(f".{target.name}.part")
        self._version = target.with_name(f".{target.name}.version")

    @property
    def size(self) -> int:
        """Its bytes so far."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def headers(self, *, checked: bool) -> dict[str, str]:
        """What asks for the rest only; nothing where two versions could be mixed up without anybody noticing:
        the host named none, and the whole is not to be `checked` by a digest."""
        version = self._version.read_text("latin-1").strip() if self._version.is_file() else ""
        if not self.size or not (version or checked):
            return {}
        return {"Range": f"bytes={self.size}-"} | ({"If-Range": version} if version else {})

    def place(self, answer: requests.Response) -> int | None:
        """Make ready for the body of an answer 200 (everything anew), 206 (the rest) or 416 (nothing is left);
        the bytes of the whole file, where the answer tells. Raises `Passing` if it goes on somewhere else."""
        if answer.status_code == 200:
            self._begin(answer.headers)
            length = answer.headers.get("Content-Length", "")
            return int(length) if length.isdecimal() and "Content-Encoding" not in answer.headers else None
        found = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        start = int(found[1]) if found and found[1] else None
        whole = int(found[2]) if found and found[2] != "*" else None
        if not self.size or self.size != (whole if answer.status_code == 416 else start):
            self.drop()
            raise Passing("the host does not go on where it was asked to", wait=0)
        return whole

    def _begin(self, headers: Mapping[str, str]) -> None:
        """Forget what was there; remember the version that now begins."""
        self.drop()
        self.target.parent.mkdir(parents=True, exist_ok=True)
        tag = headers.get("ETag", "")
        # A weak tag (W/...) does not promise the same bytes.
        version = tag if tag and not tag.startswith("W/") else headers.get("Last-Modified", "")
        if version and "Content-Encoding" not in headers:
            self._version.write_text(version, "latin-1")

    def drop(self) -> None:
        """Forget what has arrived."""
        self.path.unlink(missing_ok=True)
        self._version.unlink(missing_ok=True)

    def finish(self) -> None:
        """Give the file its name."""
        self._version.unlink(missing_ok=True)
        os.replace(self.path, self.target)
