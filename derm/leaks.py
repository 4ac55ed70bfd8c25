"""Near-duplicates within and across data sets and their splits. Knows labels and splits; compares no pixels."""

from __future__ import annotations

import filecmp
from pathlib import Path

import numpy as np
import pandas as pd

from derm import duplicates
from derm.datasets import Dataset
from derm.signatures import Progress

_SIDES = ("image", "path", "set", "split", "condition")
_MD5 = r"[0-9a-f]{32}"


def pairs(dataset: Dataset, other: Dataset | None = None, *, cache: Path | None = None,
          progress: Progress | None = None, usable: np.ndarray | None = None) -> pd.DataFrame:
    """One row a near-duplicate pair, the worst first: conflicting labels, then those that cross, then the nearest.

    image_a, image_b, path_a, path_b (relative), set_a, set_b (names), split_a, split_b, condition_a, condition_b;
    distance (bits of 64) and difference (0..255), both 0 where only the published MD5 ids say so; mirrored;
    same_condition (boolean, missing where a label is); identical (the same bytes, or the same MD5 id);
    crosses (different data sets, or different splits of the publisher).

    `usable`, bool over the rows of `dataset` and then of `other`, says which pictures can be decoded; for one
    that cannot and is not ruled out, `DatasetError` names it. `cache` and `progress` as in `duplicates.pairs`.
    """
    rows = _rows(dataset, other)
    seen = rows["file"].notna().to_numpy() if usable is None else rows["file"].notna().to_numpy() & usable
    there = np.flatnonzero(seen)
    found = duplicates.pairs(list(rows["file"].iloc[there]), cache=cache, progress=progress)
    found["a"], found["b"] = there[found["a"]], there[found["b"]]
    published = _published(rows)
    both = pd.concat([found, published], ignore_index=True).drop_duplicates(["a", "b"], ignore_index=True)
    both["identical"] = _identical(rows["file"].to_numpy(), both, published)
    return _described(rows, both)


def groups(table: pd.DataFrame, found: pd.DataFrame) -> np.ndarray:
    """Group numbers, int [rows of `table`], of one data set's images as linked by its `pairs`."""
    ids = pd.Index(table["image_id"])
    return duplicates.merge(len(ids), ids.get_indexer(found["image_a"]), ids.get_indexer(found["image_b"]))


def counts(found: pd.DataFrame) -> dict[str, int]:
    """How many pairs there are, the groups and images they link, and the pairs that are identical, of conflicting
    conditions, across the publisher's splits and across data sets."""
    sides, across = _sides(found), found["set_a"] != found["set_b"]
    nodes = pd.factorize(sides["set"] + "\t" + sides["image"])[0]
    images = nodes.max(initial=-1) + 1
    linked = duplicates.merge(images, nodes[:len(found)], nodes[len(found):])
    return {"pairs": len(found), "groups": len(np.unique(linked)), "images": int(images),
            "identical": int(found["identical"].sum()), "conflicting": int((~found["same_condition"]).sum()),
            "across_splits": int((found["crosses"] & ~across).sum()), "across_sets": int(across.sum())}


def shared(found: pd.DataFrame) -> pd.DataFrame:
    """How many images of a split, other than train, repeat one of another: columns set, split, other, images."""
    inside = found[found["crosses"] & (found["set_a"] == found["set_b"])]
    sides = _sides(inside)
    held_out = sides[sides["split"] != "train"].groupby(["set", "split", "other"])
    return held_out["image"].nunique().rename("images").reset_index()


def names(dataset: Dataset, other: Dataset) -> tuple[str, str]:
    """What to call two data sets so that they can be told apart."""
    if dataset.name == other.name:
        return f"{dataset.name} (first)", f"{other.name} (second)"
    return dataset.name, other.name


def _rows(dataset: Dataset, other: Dataset | None) -> pd.DataFrame:
    """Both tables, one after the other, as text; `file` is where the picture is, or missing."""
    both = [dataset] if other is None else [dataset, other]
    called = [dataset.name] if other is None else names(dataset, other)
    parts = [each.table[["image_id", "path", "split", "condition"]].astype("str")
             .rename(columns={"image_id": "image"})
             .assign(set=name, file=pd.Series([each.root / path if isinstance(path, str) else None
                                               for path in each.table["path"]], each.table.index, dtype=object))
             for each, name in zip(both, called, strict=True)]
    return pd.concat(parts, ignore_index=True)


def _published(rows: pd.DataFrame) -> pd.DataFrame:
    """Pairs of the same MD5 id in two data sets: the same file, by what its publishers say."""
    ids = rows["image"].str.lower()
    known = pd.DataFrame({"id": ids, "set": rows["set"], "at": rows.index})[ids.str.fullmatch(_MD5)]
    twice = known.merge(known, on="id", suffixes=("_a", "_b"))
    twice = twice[(twice["set_a"] != twice["set_b"]) & (twice["at_a"] < twice["at_b"])]
    return pd.DataFrame({"a": twice["at_a"], "b": twice["at_b"], "distance": np.uint8(0), "mirrored": False,
                         "difference": 0.0})


def _sides(found: pd.DataFrame) -> pd.DataFrame:
    """Both images of every pair, the first ones first: set, image, split, and the `other`'s split."""
    return pd.concat([
        pd.DataFrame({"set": found[f"set_{this}"], "image": found[f"image_{this}"],
                      "split": found[f"split_{this}"], "other": found[f"split_{that}"]})
        for this, that in ("ab", "ba")], ignore_index=True)


def _identical(files: np.ndarray, both: pd.DataFrame, published: pd.DataFrame) -> np.ndarray:
    said = pd.MultiIndex.from_frame(both[["a", "b"]]).isin(pd.MultiIndex.from_frame(published[["a", "b"]]))
    same = [_same_bytes(files[a], files[b]) for a, b in zip(both["a"], both["b"], strict=True)]
    return said | np.array(same, dtype=bool)


def _same_bytes(first: Path | None, second: Path | None) -> bool:
    try:
        return first is not None and second is not None and filecmp.cmp(first, second, shallow=False)
    except OSError:  # gone since it was compared
        return False


def _described(rows: pd.DataFrame, both: pd.DataFrame) -> pd.DataFrame:
    sides = {f"{column}_{side}": rows[column].take(both[side].to_numpy()).reset_index(drop=True)
             for column in _SIDES for side in "ab"}
    table = pd.DataFrame(sides).assign(**both[["distance", "difference", "mirrored"]])
    known = table[["condition_a", "condition_b"]].notna().all(axis=1)
    split = table[["split_a", "split_b"]].notna().all(axis=1)
    table["same_condition"] = (table["condition_a"] == table["condition_b"]).astype("boolean").mask(~known)
    table["identical"] = both["identical"]
    table["crosses"] = ((table["set_a"] != table["set_b"])
                        | (split & (table["split_a"] != table["split_b"])))
    agrees = table["same_condition"].fillna(True).astype(bool)
    order = np.lexsort((table["difference"], table["distance"], ~table["crosses"], agrees))
    return table.iloc[order].reset_index(drop=True)
