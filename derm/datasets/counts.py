"""How many pictures of each kind the AJL 2025 training set has, for who has no data yet: our own aggregate.

Knows a table of counts; no picture and no picture's id is in it. Make it again with
`python -m derm.datasets.counts FOLDER`.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd

from derm.datasets import ajl
from derm.datasets.table import Dataset, canonical, read_csv, scale

FILE = Path(__file__).with_name("ajl_counts.csv")
KEYS = ("condition", "partition9", "partition3", "fst", "fst_other", "qc", "duplicate", "flags")
SOURCE = replace(
    ajl.SOURCE, key="counts", name="AJL 2025 training set (counts only)", images=None,
    how=("These counts come with Derm. With the data set itself on disk (`derm data list` says how), the same "
         "page shows its pictures too.",))


def bundled() -> Dataset:
    """The counts as a data set without pictures: one row a picture, ids made up ("counted-1").

    `duplicate` and `flags` are what was measured on the photographs themselves.
    """
    frame = read_csv(FILE, required=(*KEYS, "n"))
    rows = frame.loc[frame.index.repeat(frame["n"].astype(int))].reset_index(drop=True)
    ids = "counted-" + pd.Series(range(1, len(rows) + 1)).astype("str")
    table = canonical(pd.DataFrame({
        "image_id": ids, "group_id": ids, "split": "train",
        **{column: rows[column] for column in ("condition", "partition9", "partition3", "qc")},
        **{column: scale(rows, column, ids="condition") for column in ("fst", "fst_other")}}))
    table["duplicate"] = (rows["duplicate"] == "yes").astype("boolean")
    table["flags"] = rows["flags"].astype("category")
    digest = hashlib.sha256(FILE.read_bytes()).hexdigest()
    return Dataset(SOURCE, FILE.parent, table, tuple(table["condition"].cat.categories), digest,
                   notes=("Counts only: no picture comes with Derm, so none can be shown.",))


def aggregate(table: pd.DataFrame) -> pd.DataFrame:
    """The counts of an explored table (with `duplicate` and `flags`): one row a combination, in order."""
    plain = pd.DataFrame({column: table[column].astype("str").fillna("") for column in KEYS})
    plain["duplicate"] = table["duplicate"].map({True: "yes", False: "no"}).astype("str").fillna("")
    return plain.groupby(list(KEYS), as_index=False, sort=True).size().rename(columns={"size": "n"})


def main(folder: Path) -> None:
    """Count the training set in `folder` and replace the file."""
    from derm.inspection.scan import joined, scan

    dataset = ajl.load(folder)
    train = replace(dataset, table=dataset.table[dataset.table["split"] == "train"].reset_index(drop=True))
    aggregate(joined(train.table, scan(train, cache=None, progress=None))).to_csv(FILE, index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
