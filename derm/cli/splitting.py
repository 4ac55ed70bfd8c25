"""`derm data dedup` and `derm data split`: what is there twice, and parts that share nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
from rich.text import Text

from derm import atomic, datasets, exclusions, leaks, splits
from derm.cli.console import progress, say, table, wide
from derm.datasets import Dataset
from derm.errors import ConfigError, DatasetError, first_five
from derm.explore.export import csv_bytes
from derm.fairness.figure import TOO_FEW
from derm.fairness.groups import SKIN_TYPE_GROUPS
from derm.schema import display_name
from derm.settings import settings

_COLUMNS = ["image_a", "image_b", "split_a", "split_b", "distance", "same_condition"]
_SHOWN = 10   # pairs and groups; files have them all
_NAMED = 3    # up to so many parts a cell counts each, else the smallest and the largest
_WORDS = {"identical": "the same file", "conflicting": "with different conditions",
          "across_splits": "across the publisher's splits", "across_sets": "across the two data sets"}


def dedup(data: Path, other: Path | None, *, out: Path | None, as_json: bool) -> None:
    """Print the near-duplicates in `data`, or within and across two data sets; `out` takes a row a pair."""
    if other is not None and data.resolve() == other.resolve():
        raise ConfigError(f"{data} and {other} are the same folder; name another data set, or only one.", "other")
    both = [datasets.load(folder, strict=False) for folder in (data, other) if folder is not None]
    found, broken = _compared(*both)
    if out is not None:
        marked = found.assign(same_condition=found["same_condition"].map({True: "true", False: "false"}))
        atomic.write_bytes(out, csv_bytes(marked[_COLUMNS]))
    if as_json:
        rows = found.astype(object).where(found.notna(), None).to_dict("records")
        facts = [{"name": each.name, "root": str(each.root), "images": len(each.table),
                  "on_disk": int(each.table["path"].notna().sum())} for each in both]
        print(json.dumps({"sets": facts, "unreadable": broken, **leaks.counts(found), "rows": rows}))
        return
    for each in both:
        say(f"{each.name} ({each.root}): {_seen(each, broken)}.")
    _say_counts(found)
    _print_pairs(found)
    if out is not None:
        say(f"Written: {out}, a row for each of {len(found):,} pairs.")


def split(data: Path | None, *, fractions: str, seed: int, exclude: Path | None, out: Path | None,
          verify: Path | None) -> int:
    """Split a data set and save the parts, or `verify` a saved file; the exit status: 1 if something crosses."""
    dataset = _named(data)
    if verify is not None:
        return _verify(verify, dataset)
    if dataset is None:
        raise ConfigError("No data set; name its folder: derm data split DATA, or DERM_DATA.", "data")
    if dataset.problems:
        raise dataset.problems[0]
    known = dataset.table
    listed = exclusions.ids(exclude, known=known["image_id"]) if exclude else frozenset()
    why_not = splits.left_out(known, pictures=bool(known["path"].notna().any()), listed=listed)
    used = why_not.isna().to_numpy()
    reasons = [f"{count:,} {reason}" for reason, count in why_not.value_counts().items()]
    if not used.any():
        raise DatasetError(f"{dataset.name} ({dataset.root}): no picture may be trained on: {'; '.join(reasons)}.")
    units, checked = _units(dataset)
    rows = known[used]
    parts = splits.split(rows, fractions=fractions, groups=units[used], seed=seed)
    first = known["image_id"].groupby(units).transform("first")  # what a group is called
    out = out or Path(f"split-{dataset.source.key}.csv")
    splits.write(out, rows.assign(split=parts, group=first[used]))
    say(f"{dataset.name} ({dataset.root}), {fractions}, seed {seed}: {_sizes(parts)}.")
    for reason in reasons:
        say(f"Left out: {reason}.")
    say(f"Kept together: {checked}.")
    _say_repeats(known, units, used)
    _print_counts(splits.counts(rows, parts), list(parts.cat.categories))
    one = " --set fold=1" if "fold1" in parts.cat.categories else ""
    say(f"Written: {out}. Train on it: derm train --split-file {out}{one}\n"
        f"Check it: derm data split {dataset.root} --verify {out}")
    return 0


def _verify(path: Path, dataset: Dataset | None) -> int:
    """Say what of a saved split was checked and what crosses; 1 if anything does."""
    if dataset is None:
        saved, tested = splits.read(path), []
        if "group" not in saved:
            raise DatasetError(f"{path}: no column 'group' to go by. Name the data set that it splits: "
                               f"derm data split DATA --verify {path}")
        units = pd.factorize(saved["group"])[0]
        say(f"{path}: {_sizes(saved['split'])}.\nChecked: only the groups that the file itself names. To have "
            f"pictures and patients compared, name the data set: derm data split DATA --verify {path}")
    else:
        known = dataset.table
        saved = splits.read(path, known=known["image_id"])
        at = pd.Index(known["image_id"]).get_indexer(saved["image_id"])
        every, checked = _units(dataset)
        units, published = every[at], (known["split"] == "test").fillna(False).to_numpy()[at]
        tested = list(saved.loc[published & (saved["split"] != "test"), "image_id"])
        say(f"{path}: {_sizes(saved['split'])}.\nChecked against {dataset.name} ({dataset.root}): {checked}; and "
            "that none of the publisher's test part is trained on.")
        _say_repeats(known, every, np.isin(np.arange(len(known)), at))
    crossing = splits.leaks(saved["split"], units)
    if tested:
        say(f"Trained on, though in the publisher's test part: {first_five(tested)}")
    if crossing:
        _print_crossing(saved, units, crossing)
    if tested or crossing:
        return 1
    say(f"Nothing crosses: each of the {len(np.unique(units)):,} groups is within one part.")
    return 0


def _named(data: Path | None) -> Dataset | None:
    """The data set named, else the one in the settings, if that folder is one."""
    folder = data or settings().data
    if folder is None or (data is None and datasets.detect(folder) is None):
        return None
    return datasets.load(folder, strict=False)


def _compared(*both: Dataset) -> tuple[pd.DataFrame, list[str]]:
    """`leaks.pairs` of one data set or of two, and the files that are no readable pictures, left out of it."""
    paths = [str(each.root / path) if isinstance(path, str) else ""
             for each in both for path in each.table["path"]]
    with progress("Comparing pictures", sum(map(bool, paths))) as update:
        try:
            return leaks.pairs(*both, cache=settings().cache, progress=update), []
        except DatasetError as error:
            broken = set(error.items)
            usable = np.array([path not in broken for path in paths])
            return leaks.pairs(*both, cache=settings().cache, progress=update, usable=usable), sorted(broken)


def _seen(dataset: Dataset, broken: list[str]) -> str:
    """Which of the pictures could be compared."""
    images, there = len(dataset.table), int(dataset.table["path"].notna().sum())
    unreadable = [path for path in broken if Path(path).is_relative_to(dataset.root)]
    seen = there - len(unreadable)
    return (f"{'all' if seen == images else f'{seen:,} of'} {images:,} pictures compared"
            + (f", {images - there:,} are not on disk" if there < images else "")
            + (f", unreadable {first_five(unreadable)}" if unreadable else ""))


def _units(dataset: Dataset) -> tuple[np.ndarray, str]:
    """What must stay together (`splits.units`) and how it was found out."""
    found, broken = _compared(dataset)
    known = dataset.table
    sizes = known["group_id"].value_counts()
    given = (f"{(sizes > 1).sum():,} patients, cases or lesions (group_id) with several pictures"
             if sizes.max() > 1 else "no patients, cases or lesions, as its publisher names none")
    near = (f"{len(found):,} near-duplicate pairs ({_seen(dataset, broken)})" if known["path"].notna().any()
            else "near-duplicates unknown, as no picture is on disk")
    return splits.units(known, leaks.groups(known, found)), f"{near}; {given}"


def _sizes(parts: pd.Series) -> str:
    """'2,857 images: train 2,286, val 571'."""
    sizes = parts.value_counts()
    names = sorted(sizes.index, key=lambda name: (name != "train", len(name), name))
    return f"{len(parts):,} images: " + ", ".join(f"{name} {sizes[name]:,}" for name in names)


def _say_counts(found: pd.DataFrame) -> None:
    counts = leaks.counts(found)
    details = ", ".join(f"{counts[key]:,} {words}" for key, words in _WORDS.items() if counts[key])
    say(f"Near-duplicate pairs: {counts['pairs']:,}, linking {counts['images']:,} pictures in "
        f"{counts['groups']:,} groups{f'; {details}' if details else ''}.")
    for row in leaks.shared(found).itertuples():
        say(f"Pictures of {row.set}'s {row.split} part that also sit in its {row.other} part, the same or nearly: "
            f"{row.images:,}.")


def _print_pairs(found: pd.DataFrame) -> None:
    if found.empty:
        return
    made = table(f"{min(len(found), _SHOWN):,} of {len(found):,} pairs, different conditions first",
                 "Pictures", "Data set", "Split", "Condition", "Bits apart", "")
    for pair in found.head(_SHOWN).itertuples():
        notes = [word for word, yes in (("same file", pair.identical), ("mirrored", pair.mirrored)) if yes]
        cells = [[str(text) if pd.notna(text := getattr(pair, f"{column}_{side}")) else "not known"
                  for side in "ab"] for column in ("image", "set", "split", "condition")]
        cells[-1] = [display_name(condition) for condition in cells[-1]]
        made.add_row(*(Text("\n".join(lines)) for lines in cells), f"{pair.distance} of 64", ", ".join(notes))
        made.add_section()
    wide.print(made)


def _say_repeats(known: pd.DataFrame, units: np.ndarray, used: np.ndarray) -> None:
    """Tell of the publisher's test pictures, outside the split, that repeat one in it."""
    test = (known["split"] == "test").fillna(False).to_numpy() & ~used
    if repeats := int(np.isin(units[test], units[used]).sum()):
        say(f"Pictures of the publisher's test part that repeat one in this split: {repeats:,} of {test.sum():,}; "
            "what is trained on it knows them.")


def _print_counts(counts: pd.DataFrame, parts: list[str]) -> None:
    """Each condition and skin-type group in every part, and how many are too small to tell anything."""
    one_by_one = len(parts) <= _NAMED
    made = table(f"Pictures: {' / '.join(parts) if one_by_one else 'smallest-largest fold'}",
                 "Condition", *SKIN_TYPE_GROUPS, "All")

    def cell(row: pd.Series) -> str:
        return " / ".join(f"{n:,}" for n in row) if one_by_one else f"{row.min():,}-{row.max():,}"

    for name, row in (*counts.iterrows(), ("all", counts.sum())):
        made.add_row(Text(display_name(str(name))), *(cell(row[group]) for group in SKIN_TYPE_GROUPS),
                     cell(row.groupby(level=1, observed=True).sum()[parts]))
    wide.print(made)
    for part in parts if one_by_one else parts[:1]:
        cells = counts.xs(part, axis=1, level=1)[list(SKIN_TYPE_GROUPS[:3])].to_numpy()
        few = (cells > 0) & (cells < TOO_FEW)
        say(f"{part}: of {cells.size:,} cells (a condition on a skin-type group), empty {(cells == 0).sum():,}, "
            f"under {TOO_FEW} pictures and too few to judge by {few.sum():,}.")


def _print_crossing(saved: pd.DataFrame, units: np.ndarray, crossing: list[int]) -> None:
    say(f"Groups in several parts (near-duplicates, or of one patient, case or lesion): {len(crossing):,}.")
    made = table(f"{min(len(crossing), _SHOWN)} of {len(crossing):,}", "Pictures", "Part")
    for unit in crossing[:_SHOWN]:
        members = saved[units == unit].head(_SHOWN)
        made.add_row(Text("\n".join(members["image_id"])), Text("\n".join(members["split"])))
        made.add_section()
    wide.print(made)
