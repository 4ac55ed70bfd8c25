import threading
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from derm import datasets, samples
from derm.datasets import Dataset
from derm.inspection.scan import Scan, joined, scan


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Fourteen drawn pictures, the first two of them twice; the last file is cut short."""
    root = samples.write_dataset(tmp_path / "ajl", per_class=4, test=2, duplicates=2)
    found = datasets.load(root)
    last = root / found.table["path"].iloc[-1]
    last.write_bytes(last.read_bytes()[:500])
    return found


def run(dataset: Dataset, **further: object) -> Scan:
    return scan(dataset, **{"cache": None, "progress": None, **further})


def test_every_picture_has_a_row(dataset):
    found = run(dataset)
    assert found.table.index.tolist() == dataset.table["image_id"].tolist()
    assert found.table["unreadable"].tolist() == [False] * 15 + [True]
    assert found.table["flags"].tolist()[-1] == "unreadable"
    assert isinstance(found.table["flags"].dtype, pd.CategoricalDtype)
    assert found.table["ita"].dtype == "Float64"
    assert found.table["ita"].notna().tolist() == [True] * 15 + [False]


def test_copies_share_a_group_and_the_others_have_none(dataset):
    found = run(dataset)
    groups = found.table["duplicate_group"]
    assert len(found.pairs) == 2
    assert groups.notna().sum() == 4
    for pair in found.pairs.itertuples():
        assert groups[pair.image_a] == groups[pair.image_b]


def test_joined_says_yes_no_or_not_measured(dataset):
    table = joined(dataset.table, run(dataset))
    assert list(table.columns) == [*dataset.table.columns, "flags", "ita", "duplicate"]
    assert table["duplicate"].dtype == "boolean"
    assert table["duplicate"].value_counts().to_dict() == {False: 12, True: 4}
    backwards = dataset.table.iloc[::-1]
    pd.testing.assert_frame_equal(joined(backwards, run(dataset)), table.iloc[::-1])


@pytest.mark.parametrize("kept", [0, 5])
def test_rows_without_a_picture_are_missing(dataset, kept):
    table = dataset.table.copy()
    table.loc[kept:, "path"] = None
    found = joined(table, run(replace(dataset, table=table)))
    there = [True] * kept + [False] * (len(table) - kept)
    for column in ("flags", "ita", "duplicate"):
        assert found[column].notna().tolist() == there, column


def test_progress_is_one_count(dataset, tmp_path):
    calls = []
    for _ in range(2):
        calls.clear()
        run(dataset, cache=tmp_path / "cache", progress=lambda *call: calls.append(call))
        assert calls == sorted(calls)
        assert calls[-1] == (32, 32)
        assert {total for _, total in calls} == {32}
    assert len(calls) <= 4  # the second time there is nothing to do


def test_two_at_once(dataset, tmp_path):
    found, threads = [], [threading.Thread(target=lambda: found.append(run(dataset, cache=tmp_path / "cache")))
                          for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    pd.testing.assert_frame_equal(found[0].table, found[2].table)
