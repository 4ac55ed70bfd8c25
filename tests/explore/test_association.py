import numpy as np
import pandas as pd
import pytest
from scipy.stats.contingency import association as oracle

from derm.explore import association as module
from derm.explore.association import MOST_COLUMNS, association, confounding
from tests.explore.tables import explored


def mixed(n: int = 600, *, seed: int = 0) -> pd.DataFrame:
    """Columns of every kind: sex goes with condition and age with site; flags with nothing."""
    rng = np.random.default_rng(seed)
    condition, age = rng.choice(5, n), rng.uniform(0, 90, n)
    return explored({
        "condition": [f"c{number}" for number in condition],
        "fst": np.where(rng.random(n) < 0.2, None, rng.integers(1, 7, n)),
        "partition3": rng.choice(["benign", "malignant"], n), "split": ["train"] * n,
        "x_sex": np.where(rng.random(n) < 0.7, np.where(condition < 2, "f", "m"), "o"),
        "x_site": np.where(age < 30, "face", np.where(age < 60, "arm", "leg")),
        "x_itch": pd.array(rng.choice([True, None], n), dtype="boolean"),
        "x_note": [f"note {row}" for row in range(n)],
        "x_age": pd.array(np.where(rng.random(n) < 0.1, np.nan, age), dtype="Float64"),
        "flags": rng.choice(["", "dark"], n), "duplicate": [False] * n})


def bergsma(a: pd.Series, b: pd.Series) -> float:
    counts = pd.crosstab(a, b)
    n, (r, c) = counts.to_numpy().sum(), counts.shape
    phi2 = oracle(counts.to_numpy(), method="cramer")**2 * min(r - 1, c - 1)
    most = min(r - (r - 1)**2 / (n - 1), c - (c - 1)**2 / (n - 1)) - 1
    return float(np.sqrt(max(0, phi2 - (r - 1) * (c - 1) / (n - 1)) / most))


@pytest.mark.parametrize("n", [300, 5000])  # columns are counted together in different ways
def test_v_is_the_bias_corrected_one_of_the_rows_that_know_both(n):
    table = mixed(n)
    found = association(table).set_index(["a", "b"])
    plain = table.assign(x_age=pd.qcut(table["x_age"].astype(float), 4))
    for (a, b), row in found.iterrows():
        known = plain[[a, b]].dropna()
        assert row["n"] == len(known)
        assert row["v"] == pytest.approx(bergsma(known[a], known[b]), abs=1e-9), (a, b)
        assert row["low"] <= row["v"] <= row["high"]
    assert found.loc[("condition", "x_sex"), "low"] > 0.4
    assert found.loc[("x_site", "x_age"), "low"] > 0.5
    assert found.loc[("condition", "flags"), "low"] == 0


def test_constants_roll_ups_and_free_text_are_left_out():
    found = association(mixed())
    assert {*found["a"], *found["b"]} == {"condition", "fst", "x_sex", "x_site", "x_age", "flags"}
    assert len(found) == 15


def test_at_most_sixteen_columns_and_too_few_rows_have_no_v():
    table = explored({f"x_{number}": ["a", "b"] * 9 for number in range(20)})
    found = association(table)
    assert len(found) == MOST_COLUMNS * (MOST_COLUMNS - 1) // 2
    assert found["n"].eq(18).all()
    assert found[["v", "low", "high"]].isna().all(axis=None)


def test_a_side_that_is_constant_where_both_are_known_has_no_v():
    table = explored({"x_a": ["p", "q"] * 20, "x_b": ["y", None] * 10 + ["z", None] * 10})
    row = association(table).iloc[0]
    assert row["n"] == 20
    assert np.isnan(row["v"])


@pytest.mark.parametrize("strength", [0.0, 0.35, 0.8])
def test_interval_holds_the_truth_about_as_often_as_it_says(strength):
    table = (np.eye(6) * strength + (1 - strength) / 6) / 6  # V of this is its strength
    rng = np.random.default_rng(0)
    figures = [module._cramer(rng.multinomial(500, table.ravel()).reshape(6, 6)) for _ in range(300)]
    held = np.mean([low <= strength <= high for _, low, high, _ in figures])
    assert held >= 0.91
    assert np.mean([v for v, *_ in figures]) == pytest.approx(strength, abs=0.03)


def test_nothing_to_relate_is_an_empty_frame():
    assert association(explored({"fst": [1, 2]}).iloc[:0]).empty
    assert association(explored({"fst": [1, 1]})).columns.tolist() == ["a", "b", "v", "low", "high", "n"]


def sources(light: int = 80, dark: int = 20) -> pd.DataFrame:
    """Source A has dark skin and acne; B is light, with acne and 25 keloids and 3 warts of its own."""
    rows = [("A", 1, "acne")] * 50 + [("A", 6, "acne")] * 50 + [("B", 2, "acne")] * (light - 28)
    rows += [("B", 2, "keloid")] * 25 + [("B", 2, "wart")] * 3 + [("B", 5, "acne")] * dark
    rows += [("B", None, "acne")] * 7 + [(None, 6, "lupus")] * 30
    return explored(dict(zip(("x_source", "fst", "condition"), zip(*rows, strict=True), strict=True)))


def test_confounding_says_who_gives_which_skin_and_conditions():
    found = confounding(sources())
    shares = found.shares.set_index(["source", "group"])
    assert shares.loc[("A", "V-VI"), ["n", "known", "share"]].tolist() == [50, 100, 0.5]
    assert shares.loc[("B", "V-VI"), ["n", "known", "share"]].tolist() == [20, 100, 0.2]
    assert shares.loc[("B", "V-VI"), "low"] < 0.2 < shares.loc[("B", "V-VI"), "high"]
    assert found.alone.to_dict("records") == [{"source": "B", "condition": "keloid", "n": 25},
                                              {"source": "B", "condition": "wart", "n": 3}]
    assert found.fst.n == 200
    assert found.condition.n == 207
    text = " ".join(found.sentences).replace("\N{NO-BREAK SPACE}", " ")
    assert "50 % [40-60, n = 100] of the pictures from A, but only 20 % [13-29, n = 100] of those from B" in text
    assert "Only B has keloid." in text  # three warts are too few to say so
    assert "Source and skin type go together" in text


def test_sources_that_do_not_differ_are_not_said_to():
    table = explored({"x_source": ["A", "B"] * 100, "fst": [1, 1, 5, 5] * 50,
                      "condition": ["a", "a", "b", "b"] * 50})
    text = " ".join(confounding(table).sentences)
    assert "no clear difference" in text
    assert "Source and skin type show no clear link" in text


@pytest.mark.parametrize("columns", [{"fst": [1]}, {"x_source": ["A", "A"]}, {"x_source": [None, "A"]}])
def test_one_source_confounds_nothing(columns):
    assert confounding(explored(columns)) is None


def test_a_source_of_too_few_pictures_has_no_share():
    found = confounding(explored({"x_source": ["A"] * 30 + ["B"] * 3, "fst": [1] * 33}))
    assert found.shares.set_index("source").loc["B", "share"].isna().all()
    assert found.fst.value is None
