import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from derm.explore.agreement import Reading, agreement, ita_agreement, ita_by_type, readings
from derm.fairness.figure import Figure, proportion
from tests.explore.tables import explored

SCALES = Reading("Scale v Centaur", "fst", "fst_other", "Scale", "Centaur")


def annotated(n: int, *, seed: int = 0, missing: float = 0.1) -> pd.DataFrame:
    """Two annotators of n pictures who mostly agree; each leaves some out."""
    rng = np.random.default_rng(seed)
    first = rng.integers(1, 7, n)
    second = np.clip(first + rng.choice([-2, -1, 0, 1], n, p=[0.05, 0.2, 0.6, 0.15]), 1, 6)
    return explored({name: np.where(rng.random(n) < missing, None, values)
                     for name, values in (("fst", first), ("fst_other", second))})


@pytest.mark.parametrize("seed", range(3))
def test_figures_are_scikit_learns_over_the_pictures_both_speak_of(seed):
    table = annotated(400, seed=seed)
    both = table.dropna(subset=["fst", "fst_other"])
    a, b = both["fst"].to_numpy(int), both["fst_other"].to_numpy(int)
    found = agreement(table, SCALES)
    assert found.n == len(both) == found.matrix["n"].sum()
    assert found.exact == proportion(int((a == b).sum()), len(both))
    assert found.within_one == proportion(int((np.abs(a - b) <= 1).sum()), len(both))
    assert found.kappa.value == pytest.approx(cohen_kappa_score(a, b))
    assert found.weighted_kappa.value == pytest.approx(cohen_kappa_score(a, b, weights="quadratic"))
    cells = found.matrix.set_index(["a", "b"])["n"]
    assert cells["III", "II"] == ((a == 3) & (b == 2)).sum()
    assert len(cells) == 36


def test_kappa_interval_is_that_of_resampled_pictures():
    table = annotated(150, missing=0)
    a, b = (table[name].to_numpy(int) for name in ("fst", "fst_other"))
    rng = np.random.default_rng(1)
    drawn = [cohen_kappa_score(a[rows], b[rows], weights="quadratic")
             for rows in rng.integers(150, size=(400, 150))]
    found = agreement(table, SCALES).weighted_kappa
    assert (found.low, found.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.02)
    assert agreement(table, SCALES, seed=0).kappa == agreement(table, SCALES, seed=0).kappa


def test_too_few_pictures_leave_counts_only():
    found = agreement(annotated(19, missing=0), SCALES)
    assert {found.exact, found.within_one, found.kappa, found.weighted_kappa} == {Figure(None, None, None, 19)}
    assert found.matrix["n"].sum() == 19


def test_kappa_is_undefined_where_all_is_one_type():
    found = agreement(explored({"fst": [2] * 30, "fst_other": [2] * 30}), SCALES)
    assert found.kappa == Figure(None, None, None, 30)
    assert found.exact.value == 1


def test_monk_tones_are_laid_evenly_onto_types():
    tones, types = list(range(1, 11)), [1, 2, 2, 3, 3, 4, 5, 5, 6, 6]
    found = agreement(explored({"mst": tones * 3, "fst": types * 3}), Reading("", "mst", "fst", "", ""))
    assert found.exact.value == 1
    assert found.matrix["a"].unique().tolist() == [str(tone) for tone in tones]  # shown as they are
    assert "No official" in found.note
    assert "1 is I, 2-3 II, 4-5 III, 6 IV, 7-8 V, 9-10 VI" in found.note


def test_a_published_group_is_held_against_the_group_of_the_type():
    table = explored({"fst": [1, 2, 3, 5, None], "x_skin_group": ["I-II", "I-II", "V-VI", "III-IV", "V-VI"]})
    (reading,) = readings(table)
    cells = agreement(table, reading).matrix.set_index(["a", "b"])["n"]
    assert cells[cells > 0].to_dict() == {("I-II", "I-II"): 2, ("V-VI", "III-IV"): 1, ("III-IV", "V-VI"): 1}


@pytest.mark.parametrize(("columns", "titles"), [
    ({"fst": [1], "fst_other": [2]}, ["Scale v Centaur"]),
    ({"fst": [1, None], "fst_other": [None, 2]}, []),
    ({"fst": [1], "x_fst_self": [2], "mst": [3]},
     ["Self-reported v dermatologist", "Monk tone v Fitzpatrick type"]),
    ({"fst": [None], "x_skin_group": ["V-VI"]}, []),
    ({"condition": ["acne"]}, []),
])
def test_readings_are_those_that_some_picture_has_both_of(columns, titles):
    assert [reading.title for reading in readings(explored(columns), source="ajl")] == titles


def test_annotators_nobody_named_are_first_and_second():
    table = explored({"fst": [1], "fst_other": [2]})
    assert [reading.title for reading in readings(table, source="own")] == ["First annotator v Second annotator"]


def test_angles_by_type_are_tukeys_boxes():
    angles = [*range(100), 900.0, *range(5), None]
    table = explored({"fst": [2] * 101 + [6] * 5 + [2], "ita": angles})
    found = ita_by_type(table).set_index("fst")
    assert found.loc["II", ["n", "q1", "median", "q3"]].tolist() == [101, 25, 50, 75]
    assert found.loc["II", ["low_whisker", "high_whisker"]].tolist() == [0, 99]  # 900 lies outside
    assert found.loc["VI", "n"] == 5
    assert np.isnan(found.loc["VI", "median"])
    assert found["n"].sum() == 106


def test_estimated_types_are_held_against_annotated_ones():
    light, dark = 60.0, -40.0
    table = explored({"fst": [1] * 20 + [6] * 19 + [1, 3], "ita": [light] * 20 + [dark] * 20 + [None]})
    found = ita_agreement(table)
    assert found.n == 40
    assert found.exact == proportion(39, 40)
    cells = found.matrix.set_index(["a", "b"])["n"]
    assert (cells["I", "I"], cells["VI", "VI"], cells["VI", "I"]) == (20, 19, 1)
    assert ita_agreement(explored({"fst": [1, 2]})) is None
