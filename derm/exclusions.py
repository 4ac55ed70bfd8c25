"""Lists of images to leave out of training: who reads the Explore page writes them, `derm train` takes them.

A list is a CSV with the columns image_id and reason. Knows files; no pictures.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pandas as pd
from filelock import FileLock

from derm.datasets.table import read_csv

COLUMNS = ("image_id", "reason")


def read(path: Path) -> pd.DataFrame:
    """The list, text columns image_id and reason ('' where the file has none).

    Raises `DatasetError` for a file that is not a CSV with a column image_id.
    """
    frame = read_csv(path, required=COLUMNS[:1])
    return frame.reindex(columns=list(COLUMNS), fill_value="").drop_duplicates("image_id", ignore_index=True)


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
            _replace(path, rest.to_csv(index=False))
    return rest.reset_index(drop=True)


def _replace(path: Path, text: str) -> None:
    with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".csv", delete=False, encoding="utf-8") as file:
        file.write(text)
    os.replace(file.name, path)
