"""Lists of images to leave out of training: who reads the Explore page writes them, `derm train` takes them.

A list is a CSV with the columns image_id and reason. Knows files; no pictures.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pandas as pd
from filelock import FileLock

from derm import atomic
from derm.datasets.table import read_csv
from derm.errors import DatasetError

COLUMNS = ("image_id", "reason")


def read(path: Path) -> pd.DataFrame:
    """The list, text columns image_id and reason ('' where the file has none).

    Raises `DatasetError` for a file that is not a CSV with a column image_id.
    """
    frame = read_csv(path, required=COLUMNS[:1])
    listed = frame.reindex(columns=list(COLUMNS), fill_value="").drop_duplicates("image_id")
    return listed[listed["image_id"] != ""].reset_index(drop=True)


def ids(path: Path, *, known: Collection[str]) -> frozenset[str]:
    """The image ids on the list. Raises `DatasetError` as `read` does, and for ids that are not among those
    `known`: a list for another data set would leave out nothing, and nobody would notice."""
    listed = frozenset(read(path)["image_id"])
    if strange := sorted(listed - frozenset(known)):
        raise DatasetError(f"{path}: images that are not in this data set; was the list made for another one?",
                           strange)
    return listed


def mark(path: Path, image_id: str, reason: str | None) -> pd.DataFrame:
    """Put an image on the list with a reason, or take it off with None; the list as it is then.

    Safe with several people at once. The file is replaced in one step, and removed with its last line.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        known = read(path) if path.is_file() else pd.DataFrame(columns=list(COLUMNS), dtype="str")
        rest = known[known["image_id"] != image_id]
        if reason is not None:
            line = pd.DataFrame([{"image_id": image_id, "reason": reason}], dtype="str")
            rest = pd.concat([rest, line], ignore_index=True)
        if rest.empty:
            path.unlink(missing_ok=True)
        else:
            atomic.write_bytes(path, rest.to_csv(index=False).encode())
    return rest.reset_index(drop=True)
