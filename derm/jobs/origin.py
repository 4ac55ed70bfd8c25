"""What the data of a run was when it began, and what has changed since. Knows tables and files; no pixels."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pandas as pd

from derm import atomic
from derm.datasets import Dataset
from derm.errors import JobError, first_five

FILE = "data.csv.gz"
_NAMES = {"condition": "labelled otherwise", "fst": "of another skin type", "path": "moved",
          "size": "with another file"}


def record(run: Path, dataset: Dataset) -> None:
    """Keep what `Dataset.fingerprint` is made of in the run's folder, once."""
    if not (run / FILE).exists():
        text = _facts(dataset).to_csv(index=False)
        atomic.write_bytes(run / FILE, gzip.compress(text.encode(), mtime=0))


def check(run: Path, dataset: Dataset) -> None:
    """Nothing, if the data is as it was when the run began. Raises `JobError` that says what changed."""
    if (run / FILE).exists() and (found := changes(run, dataset)):
        raise JobError(f"{dataset.root}: the data changed since the run {run.name} was started: "
                       f"{'; '.join(found)}. Restore it, or start a new run.")


def changes(run: Path, dataset: Dataset) -> tuple[str, ...]:
    """What is different now, a phrase each, such as "2 photographs labelled otherwise (a, b)"."""
    text = gzip.decompress((run / FILE).read_bytes()).decode()
    then = pd.read_csv(io.StringIO(text), dtype="str", keep_default_na=False).set_index("image_id")
    now = _facts(dataset).set_index("image_id")
    both = then.index.intersection(now.index)
    found = {"gone": then.index.difference(now.index), "new": now.index.difference(then.index)}
    found |= {name: both[(then.loc[both, key] != now.loc[both, key]).to_numpy()] for key, name in _NAMES.items()}
    return tuple(f"{len(ids):,} photograph{'s' * (len(ids) > 1)} {name} {first_five(sorted(ids))}"
                 for name, ids in found.items() if len(ids))


def _facts(dataset: Dataset) -> pd.DataFrame:
    """image_id, condition, fst, path, size as text, '' where missing."""
    facts = dataset.table[["image_id", "condition", "fst", "path"]].astype("str").fillna("")
    # A table of text has no missing value, and a number's would be written so.
    facts = facts.mask(dataset.table[list(facts.columns)].isna(), "")
    return facts.assign(size=[_size(dataset.root / path) if path else "" for path in facts["path"]])


def _size(path: Path) -> str:
    return str(path.stat().st_size) if path.is_file() else "missing"
