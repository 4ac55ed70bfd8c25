import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from derm import datasets, duplicates, splits
from derm.errors import ConfigError, DatasetError

PARTS = {"80/20": {"train", "val"}, "80/10/10": {"train", "val", "test"}}


def table_of(conditions, fst=None, group_id=None) -> pd.DataFrame:
    count = len(conditions)
    return pd.DataFrame({
        "condition": pd.Categorical(list(conditions)),
        "fst": pd.array([None] * count if fst is None else fst, dtype="Int8"),
        "group_id": [str(i) for i in range(count)] if group_id is None else group_id,
    }, index=range(100, 100 + count))


@st.composite
def grouped(draw):
    """Groups of one to four rows; all rows of a group share one condition, its skin types vary."""
    group_conditions = draw(st.lists(st.sampled_from("abcd"), min_size=10, max_size=60))
    sizes = draw(st.lists(st.integers(1, 4), min_size=len(group_conditions), max_size=len(group_conditions)))
    groups = np.repeat(np.arange(len(sizes)), sizes)
    fst = draw(st.lists(st.sampled_from([None, 1, 3, 6]), min_size=len(groups), max_size=len(groups)))
    return table_of([group_conditions[g] for g in groups], fst), groups


@given(grouped(), st.sampled_from(sorted(PARTS)), st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_no_group_crosses_and_no_condition_is_forgotten(data, fractions, seed):
    table, groups = data
    found = splits.split(table, fractions=fractions, groups=groups, seed=seed)
    assert found.index.equals(table.index)
    assert found.notna().all()
    assert splits.leaks(found, groups) == []
    pd.testing.assert_series_equal(found, splits.split(table, fractions=fractions, groups=groups, seed=seed))
    by_condition = pd.Series(groups, index=table.index).groupby(table["condition"], observed=True)
    for condition, members in by_condition:
        if members.nunique() >= 5:
            assert set(found[table["condition"] == condition]) == PARTS[fractions]


def test_group_id_stays_together_too():
    table = table_of(list("ab") * 30, group_id=[f"patient {i // 4}" for i in range(60)])
    near = np.arange(60)
    near[[0, 59]] = 0  # one duplicate links the first patient and the last
    found = splits.split(table, groups=near, seed=0)
    assert splits.leaks(found, table["group_id"].to_numpy()) == []
    assert splits.leaks(found, near) == []
    assert found.iloc[0] == found.iloc[59]


@pytest.mark.parametrize(("fractions", "shares"), [("80/20", {"train": 80, "val": 20}),
                                                    ("80/10/10", {"train": 80, "val": 10, "test": 10})])
def test_shares_are_kept_in_every_stratum(fractions, shares):
    table = table_of(np.repeat(["acne", "keloid"], 200), np.tile([1, 1, 1, 4, 6], 80))
    found = splits.split(table, fractions=fractions, groups=np.arange(400), seed=1)
    strata = [table["condition"].astype(str), table["fst"].astype(int)]
    counts = pd.crosstab(strata, found, normalize="index") * 100
    for name, share in shares.items():
        assert counts[name].between(share - 3, share + 3).all()


def test_the_seed_matters():
    table = table_of(list("ab") * 50)
    first, second = (splits.split(table, groups=np.arange(100), seed=seed) for seed in (0, 1))
    assert (first != second).any()


def test_rare_conditions_need_no_warning():
    table = table_of(["rare", *"a" * 30], [6, *[1] * 30])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert set(splits.split(table, fractions="80/10/10", groups=np.arange(31), seed=0)) == PARTS["80/10/10"]


@pytest.mark.parametrize("fractions", sorted(PARTS))
@pytest.mark.parametrize("count", [1, 2])
def test_a_rare_condition_is_learnt_before_it_is_judged(fractions, count):
    table = table_of("a" * 12 + "b" * 12 + "cdefgh" * count)
    for seed in range(3):
        found = splits.split(table, fractions=fractions, groups=np.arange(len(table)), seed=seed)
        assert set(table.loc[found == "train", "condition"]) == set("abcdefgh")


def test_tiny_data_still_has_every_part():
    table = table_of(list("abcde") * 2)
    assert set(splits.split(table, fractions="80/10/10", groups=np.arange(10), seed=0)) == PARTS["80/10/10"]


def test_refuses_other_fractions():
    with pytest.raises(ConfigError, match=r"'70/30'; expected one of 80/20, 80/10/10") as caught:
        splits.split(table_of("ab"), fractions="70/30", groups=np.arange(2), seed=0)
    assert caught.value.key == "fractions"


@pytest.mark.parametrize("conditions", ["", "aaaa", "aaaaaaaa"])
def test_too_few_groups(conditions):
    groups = np.arange(len(conditions)) % 4
    with pytest.raises(DatasetError, match="needs at least 5 photographs"):
        splits.split(table_of(conditions), groups=groups, seed=0)


def test_leaks_names_the_group():
    found = pd.Series(["train", "val", "train", "train", None])
    assert splits.leaks(found, np.array([7, 7, 8, 8, 7])) == [7]


def test_drawn_pictures(drawn_root):
    table = datasets.load(drawn_root).table
    rows = table[table["split"] == "train"]
    groups = duplicates.groups([drawn_root / path for path in rows["path"]])
    found = splits.split(rows, groups=groups, seed=0)
    assert splits.leaks(found, groups) == []
    assert rows.loc[found == "val", "condition"].nunique() == 3


@pytest.mark.parametrize(("fractions", "shares"), [("80/20", {"train": 0.8, "val": 0.2}),
                                                    ("80/10/10", {"train": 0.8, "val": 0.1, "test": 0.1})])
def test_real_photographs(ajl_groups, fractions, shares):
    table, groups = ajl_groups
    train = (table["split"] == "train").to_numpy()
    rows, groups = table[train], groups[train]
    found = splits.split(rows, fractions=fractions, groups=groups, seed=0)
    assert splits.leaks(found, groups) == []
    assert len(set(groups)) < len(rows)
    for name, share in shares.items():
        assert abs((found == name).mean() - share) < 0.02
        assert rows.loc[found == name, "condition"].nunique() == 21
