"""A ZIP archive from the web, unpacked into a folder without harm. Knows ZIP and files; no data set.

When all of it is out, `.NAME.unpacked` beside the archive says what came of it, and the archive may go.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from derm import images
from derm.download.fetch import is_safe, trouble
from derm.errors import DatasetError

# Of an archive that holds more than this many times its own size, nothing is unpacked: photographs hardly shrink.
_SWELLS = 100
_LEADS_OUT = re.compile(r"^[/\\]|^[A-Za-z]:|(^|[/\\])\.\.([/\\]|$)")


def unpack(archive: Path, folder: Path, *, pictures_into: str | None = None, digest: str | None = None,
           tick: Callable[[int, int], None] | None = None) -> int:
    """How many files are out: all, under their own folders; or, with `pictures_into`, the pictures, side by side
    in that folder.

    Files that are there already are kept, so that it can go on after a kill. `digest` is remembered for
    `is_unpacked`. `tick` is called with the files out and the bytes of the archive done with. Raises
    `DatasetError` for a damaged archive, and, before anything is written, for one that leads out of the folder,
    has two files for one place or swells beyond reason.
    """
    try:
        with zipfile.ZipFile(archive) as zipped:
            members = _members(zipped, archive, pictures_into)
            size = 0
            for done, (path, info) in enumerate(members.items(), 1):
                _write(zipped, info, folder / path)
                size += info.compress_size
                if tick:
                    tick(done, size)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DatasetError(f"{archive}: not a readable archive ({error}). Remove it and fetch it "
                           "again.") from error
    except OSError as error:
        raise trouble(folder, error) from error
    files = {path: info.file_size for path, info in members.items()}
    _record(archive).write_text(json.dumps({"digest": digest, "files": files}), encoding="utf-8")
    return len(files)


def is_unpacked(archive: Path, folder: Path, *, digest: str | None) -> bool:
    """Whether the archive with this digest was unpacked here and all that came of it is still there."""
    try:
        record = json.loads(_record(archive).read_text(encoding="utf-8"))
        return record["digest"] == digest and all((folder / path).stat().st_size == size
                                                  for path, size in record["files"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _record(archive: Path) -> Path:
    return archive.with_name(f".{archive.name}.unpacked")


def _members(zipped: zipfile.ZipFile, archive: Path, pictures_into: str | None) -> dict[str, zipfile.ZipInfo]:
    """Place in the folder -> member, for those to unpack; every name is judged before any is written."""
    found: dict[str, zipfile.ZipInfo] = {}
    for info in zipped.infolist():
        if _LEADS_OUT.search(info.filename):
            raise DatasetError(f"{archive}: '{info.filename}' would leave the folder; nothing was unpacked. "
                               "Remove the archive.")
        path = PurePosixPath(info.filename)
        if info.is_dir() or "__MACOSX" in path.parts or not is_safe(info.filename):
            continue
        if pictures_into is not None:
            if path.suffix.lower().lstrip(".") not in images.EXTENSIONS:
                continue
            path = PurePosixPath(pictures_into, path.name)
        if str(path) in found:
            raise DatasetError(f"{archive}: two files for one place, {path}; nothing was unpacked. "
                               "Remove the archive.")
        found[str(path)] = info
    if sum(info.file_size for info in found.values()) > _SWELLS * archive.stat().st_size:
        raise DatasetError(f"{archive}: holds more than {_SWELLS} times its size; nothing was unpacked. "
                           "Remove the archive.")
    return found


def _write(zipped: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> None:
    """The member under its name in one step; zipfile checks its CRC."""
    if target.is_file() and target.stat().st_size == info.file_size:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    with zipped.open(info) as source, part.open("wb") as sink:
        shutil.copyfileobj(source, sink, 2**20)
    os.replace(part, target)
