"""What there is to say of a data set: who is in it and who is not, what is wrong with it. Knows tables; prints
nothing. `derm data check` and the datasheet say it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from derm import images
from derm.datasets import Dataset
from derm.errors import first_five
from derm.explore import agreement, counts
from derm.explore.agreement import Agreement
from derm.explore.codes import GROUP, MISSING, coded
from derm.explore.counts import Gap, Overview
from derm.inspection.quality import UNREADABLE, WORDS
from derm.inspection.scan import Scan, joined
from derm.schema import FST_GROUPS

DARK = FST_GROUPS[-1]
_WRONG = "wrong"  # in the publisher's quality note: "3 Wrongly labelled"


@dataclass(frozen=True)
class Across:
    """The pictures of one of the publisher's splits, of `n`, that have a near-duplicate in an`other`."""

    split: str
    other: str
    images: tuple[str, ...]
    n: int


@dataclass(frozen=True)
class Repeats:
    """Near-duplicates: so many pairs, linking `images` in `groups`. `conflicting` are the pairs whose conditions
    differ, in words; `across` what the publisher's splits share."""

    pairs: int
    groups: int
    images: int
    across: tuple[Across, ...]
    conflicting: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Findings:
    """`table` is the data set's with what was measured; `groups` the pictures of each skin-type group, `cells`
    those of each condition (row) and group (column, and "Missing"); `flags` the pictures of each quality word that
    some have, `unreadable` those that cannot be read and why. `errors` are what keeps the data set from being
    used, `warnings` what to look at."""

    dataset: Dataset
    table: pd.DataFrame
    overview: Overview
    groups: Mapping[str, int]
    cells: pd.DataFrame
    gaps: tuple[Gap, ...]
    agreements: tuple[Agreement, ...]
    missingness: pd.DataFrame
    flags: Mapping[str, tuple[str, ...]]
    unreadable: Mapping[str, str]
    repeats: Repeats
    errors: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def measured(self) -> bool:
        """Whether any picture was there to look at: without, `flags` and `repeats` say nothing."""
        return self.overview.flagged is not None


def find(dataset: Dataset, scan: Scan) -> Findings:
    """Everything that `scan` and the table of `dataset` tell."""
    table = joined(dataset.table, scan)
    cells = counts.coverage(table, "condition", GROUP)
    flags = {word: ids for word in WORDS if word != UNREADABLE and (ids := _flagged(scan, word))}
    unreadable = scan.table.loc[scan.table["unreadable"], "reason"].to_dict()
    repeats = _repeats(table, scan)
    return Findings(
        dataset=dataset, table=table, overview=counts.overview(table),
        groups=dict(zip(FST_GROUPS, coded(table, GROUP).counts.tolist(), strict=False)),
        cells=cells.pivot(index="row", columns="column", values="n").drop(index=MISSING, errors="ignore"),
        gaps=tuple(counts.gaps(counts.coverage(table))),
        agreements=tuple(agreement.agreement(table, reading)
                         for reading in agreement.readings(table, source=dataset.source.key)),
        missingness=counts.missingness(dataset.table), flags=flags, unreadable=unreadable, repeats=repeats,
        errors=_errors(dataset, unreadable), warnings=_warnings(dataset, flags, repeats))


def _flagged(scan: Scan, word: str) -> tuple[str, ...]:
    text = scan.table["flags"].astype("str").fillna("")
    return tuple(text.index[[word in flags.split(";") for flags in text]])


def _repeats(table: pd.DataFrame, scan: Scan) -> Repeats:
    pairs = scan.pairs
    sides = pd.DataFrame({"image": [*pairs["image_a"], *pairs["image_b"]],
                          "split": [*pairs["split_a"], *pairs["split_b"]],
                          "other": [*pairs["split_b"], *pairs["split_a"]]})
    crossing = sides[sides["split"].notna() & sides["other"].notna() & (sides["split"] != sides["other"])]
    sizes = {str(split): n for split, n in table["split"].value_counts().items()}
    shared = {(str(split), str(other)): tuple(dict.fromkeys(part["image"]))
              for (split, other), part in crossing.groupby(["split", "other"])}
    across = [Across(split, other, ids, sizes[split]) for (split, other), ids in shared.items()
              if split != "train"]
    differing = pairs[pairs["same_condition"].eq(False).fillna(False).astype(bool)]
    conflicting = [f"{pair.image_a} ({pair.condition_a}) and {pair.image_b} ({pair.condition_b})"
                   for pair in differing.itertuples()]
    return Repeats(len(pairs), scan.table["duplicate_group"].nunique(), sides["image"].nunique(), tuple(across),
                   tuple(conflicting))


def _errors(dataset: Dataset, unreadable: Mapping[str, str]) -> tuple[str, ...]:
    found = [str(problem) for problem in dataset.problems]
    if unreadable:
        found.append("Pictures that cannot be read. Replace or remove them "
                     f"{first_five(list(unreadable.values()))}")
    return tuple(found)


def _warnings(dataset: Dataset, flags: Mapping[str, tuple[str, ...]], repeats: Repeats) -> tuple[str, ...]:
    table, others, unnamed = dataset.table, *_strays(dataset)
    wrong = table["qc"].astype("str").str.contains(_WRONG, case=False).fillna(False).astype(bool)
    found = {
        "Condition names that Derm does not know, kept as they are": dataset.unmapped,
        **{f"Pictures of {a.split} that also sit in {a.other}, the same or nearly": a.images
           for a in repeats.across},
        "Near-duplicates with different conditions": repeats.conflicting,
        "Wrongly labelled, says the publisher": tuple(table.loc[wrong, "image_id"]),
        **{f"Pictures flagged {word}": ids for word, ids in flags.items()},
        "Files among the pictures that are none": others,
        "Pictures on disk that no row names": unnamed,
    }
    return tuple(f"{what} {first_five(items)}" for what, items in found.items() if items)


def _strays(dataset: Dataset) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The files beside the pictures that are none, and the pictures that no row names; relative to the root.

    In the root itself, where tables and notes lie, only pictures count.
    """
    named = set(dataset.table["path"].dropna())
    others, unnamed = [], []
    for folder in sorted({os.path.dirname(path) for path in named}):
        for file in _files(dataset.root / folder):
            path = os.path.join(folder, file)
            if path in named:
                continue
            if Path(file).suffix.lower().lstrip(".") in images.EXTENSIONS:
                unnamed.append(path)
            elif folder:
                others.append(path)
    return tuple(others), tuple(unnamed)


def _files(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if not entry.is_dir())
    except OSError:
        return []
