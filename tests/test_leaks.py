"""Pairs within and across data sets: who is in them, what their labels and splits say. On drawn blotches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from derm import datasets, leaks
from derm.datasets import Dataset
from derm.datasets.table import canonical
from derm.errors import DatasetError
from tests.conftest import blotches

COLUMNS = ["image_a", "image_b", "path_a", "path_b", "set_a", "set_b", "split_a", "split_b", "condition_a",
           "condition_b", "distance", "difference", "mirrored", "same_condition", "identical", "crosses"]


def dataset(root: Path, rows: dict[str, tuple[int | None, str, str]], *, key: str = "ajl",
            quality: int = 90) -> Dataset:
    """Of image ids and, of each, the blotches it shows (None: not on disk), its condition and its split."""
    root.mkdir(exist_ok=True)
    for image_id, (seed, _, _) in rows.items():
        if seed is not None:
            blotches(seed).save(root / f"{image_id}.jpg", quality=quality)
    table = canonical(pd.DataFrame(
        [{"image_id": image_id, "path": "" if seed is None else f"{image_id}.jpg", "condition": condition,
          "split": split, "group_id": image_id} for image_id, (seed, condition, split) in rows.items()]))
    return Dataset(datasets.ADAPTERS[key].source, root, table, (), "")


@pytest.fixture
def one(tmp_path: Path) -> Dataset:
    return dataset(tmp_path / "one", {
        "a": (0, "acne", "train"), "b": (1, "eczema", "train"), "c": (0, "acne", "test"),
        "d": (2, "acne", "train"), "e": (1, "acne", "train"), "f": (3, "", ""),
        "g": (3, "acne", "train"), "h": (None, "acne", "train")})


def test_one_data_set(one):
    found = leaks.pairs(one)
    assert list(found) == COLUMNS
    # Conflicting labels, then what crosses the splits, then the rest.
    assert found[["image_a", "image_b"]].to_numpy().tolist() == [["b", "e"], ["a", "c"], ["f", "g"]]
    assert found["same_condition"].tolist() == [False, True, pd.NA]
    assert found["same_condition"].dtype == "boolean"
    assert found["crosses"].tolist() == [False, True, False]  # a blank split is no other split
    assert found["identical"].all()
    assert (found["distance"] == 0).all()
    assert found.loc[1, ["path_a", "split_a", "split_b", "condition_b", "set_a"]].tolist() == [
        "a.jpg", "train", "test", "acne", "AJL 2025"]
    assert leaks.counts(found) == {"pairs": 3, "groups": 3, "images": 6, "identical": 3, "conflicting": 1,
                                   "across_splits": 1, "across_sets": 0}
    assert leaks.shared(found).to_numpy().tolist() == [["AJL 2025", "test", "train", 1]]


def test_groups_link_the_rows_of_the_table(one):
    groups = leaks.groups(one.table, leaks.pairs(one))
    assert groups[0] == groups[2]
    assert groups[1] == groups[4]
    assert groups[5] == groups[6]
    assert len(set(groups)) == 5


def test_saved_again_is_near_but_not_identical(tmp_path):
    first = dataset(tmp_path / "one", {"a": (0, "acne", "")})
    second = dataset(tmp_path / "two", {"a": (0, "eczema", ""), "b": (1, "acne", "")}, key="ddi", quality=50)
    found = leaks.pairs(first, second)
    assert found[["set_a", "image_a", "set_b", "image_b"]].to_numpy().tolist() == [["AJL 2025", "a", "DDI", "a"]]
    assert found[["identical", "crosses", "same_condition"]].to_numpy().tolist() == [[False, True, False]]
    assert found["difference"].item() > 0
    assert leaks.counts(found)["across_sets"] == 1
    assert leaks.shared(found).empty


def test_two_data_sets_of_one_name_can_be_told_apart(tmp_path):
    both = [dataset(tmp_path / name, {"a": (0, "acne", ""), "b": (0, "acne", "")}) for name in ("one", "two")]
    found = leaks.pairs(*both)
    assert found["crosses"].tolist() == [True] * 4 + [False] * 2
    assert set(found["set_a"]) == {"AJL 2025 (first)", "AJL 2025 (second)"}
    assert leaks.counts(found)["groups"] == 1


@pytest.mark.parametrize("upper", [False, True])
def test_published_md5_ids_match_without_pictures(tmp_path, upper):
    ids = ["0" * 31 + str(number) for number in range(3)]
    first = dataset(tmp_path / "one", {ids[0]: (0, "acne", "train"), ids[1]: (None, "acne", "test"),
                                       "not-md5": (None, "acne", "")})
    shown = [image_id.upper() for image_id in ids] if upper else ids
    second = dataset(tmp_path / "two", {shown[1]: (None, "eczema", ""), shown[2]: (None, "acne", ""),
                                        "not-md5": (None, "acne", "")}, key="ddi")
    found = leaks.pairs(first, second)
    assert found[["image_a", "image_b"]].to_numpy().tolist() == [[ids[1], shown[1]]]
    assert found[["distance", "difference", "identical", "crosses", "mirrored"]].iloc[0].tolist() == [
        0, 0.0, True, True, False]
    assert not found["same_condition"].item()


def test_a_pair_found_both_ways_is_told_once_as_measured(tmp_path):
    ids = "ab" * 16
    first = dataset(tmp_path / "one", {ids: (0, "acne", "")})
    second = dataset(tmp_path / "two", {ids: (0, "acne", "")}, key="ddi", quality=50)
    found = leaks.pairs(first, second)
    assert len(found) == 1
    assert found["difference"].item() > 0
    assert found["identical"].item()  # says the publisher: the same file, saved again since


def test_only_usable_pictures_are_opened(one):
    (one.root / "d.jpg").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"1 in all: \S+d.jpg"):
        leaks.pairs(one)
    usable = (one.table["image_id"] != "d").to_numpy()
    assert len(leaks.pairs(one, usable=usable)) == 3


@pytest.mark.parametrize("rows", [{}, {"a": (None, "acne", "")}, {"a": (0, "acne", "")}])
def test_few_or_no_pictures(tmp_path, rows):
    made = dataset(tmp_path / "one", {"a": (None, "acne", ""), **rows})
    made = replace(made, table=made.table[:len(rows)])
    found = leaks.pairs(made)
    assert found.empty
    assert list(found) == COLUMNS
    assert found["same_condition"].dtype == "boolean"
    assert found["crosses"].dtype == found["identical"].dtype == bool
    assert leaks.counts(found) == dict.fromkeys(leaks.counts(found), 0)
    assert leaks.shared(found).empty
    np.testing.assert_array_equal(leaks.groups(made.table, found), range(len(rows)))


def test_real_photographs(ajl_root, tmp_path):
    """At least 28 test photographs of AJL are known to repeat a training one."""
    found = leaks.pairs(datasets.load(ajl_root), cache=tmp_path)
    crossing = found[found["crosses"]]
    tested = set(crossing.loc[crossing["split_b"] == "test", "image_b"])
    assert 28 <= len(tested) <= 100
    assert leaks.shared(found)["images"].tolist() == [len(tested)]
    conflicting = (~found["same_condition"]).fillna(False)
    assert conflicting[:conflicting.sum()].all()
    assert conflicting.sum() >= 5
