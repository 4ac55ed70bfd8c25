import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import calibration_curve

from derm.errors import DatasetError
from derm.fairness import calibration
from derm.fairness.figure import proportions
from derm.fairness.groups import assign
from derm.fairness.measures import Decision
from tests.fairness.made import cases_of, made_cases, table


@pytest.mark.parametrize("bins", [5, 10, 15])
def test_the_curve_is_scikit_learns(bins: int) -> None:
    cases = made_cases(2000)
    assert cases.confidence is not None
    found = calibration.curve(cases, bins=bins)
    right, confidence = calibration_curve(cases.truth == cases.predicted, cases.confidence, n_bins=bins)
    there = found["n"] > 0
    assert found.loc[there, "confidence"].tolist() == pytest.approx(list(confidence))
    enough = found["n"] >= 20
    assert found.loc[enough, "right"].tolist() == pytest.approx(list(right[enough[there]]))
    assert found["n"].sum() == 2000
    assert len(found) == bins


def test_bins_have_wilsons_interval_or_none() -> None:
    found = calibration.curve(made_cases(300))
    for row in found.itertuples():
        expected = proportions(0 if np.isnan(row.right) else round(row.right * row.n), row.n)
        ends = row.right, row.right_low, row.right_high
        assert ends == pytest.approx(tuple(map(float, expected)), nan_ok=True)
    assert found["right"].isna().any()
    assert (found["n"] < 20).eq(found["right"].isna()).all()


def test_ends_belong_to_the_bins() -> None:
    rows = pd.DataFrame({"p:acne": [1.0, 0.5, 0.6, 0.7], "p:eczema": [0.0, 0.5, 0.4, 0.3], "condition": "acne"})
    found = calibration.curve(cases_of(rows))
    assert found["n"].tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 0, 1]
    assert (found["low"].iloc[0], found["high"].iloc[-1]) == (0, 1)


def test_cases_without_an_answer_are_left_out() -> None:
    found = calibration.curve(made_cases(500), decision=Decision(abstain_below=0.6))
    assert found.loc[found["low"] < 0.59, "n"].eq(0).all()
    assert found["n"].sum() > 0


def test_each_group_has_its_curve() -> None:
    cases = made_cases(500)
    groups = assign(cases.table, "fst3")
    found = calibration.by_group(cases, groups)
    assert list(dict.fromkeys(found["group"])) == ["I-II", "III-IV", "V-VI", "not recorded"]
    own = found[found["group"] == "V-VI"].drop(columns="group").reset_index(drop=True)
    pd.testing.assert_frame_equal(own, calibration.curve(cases.where(groups == "V-VI")))


def test_a_group_of_nobody_is_empty() -> None:
    cases = made_cases(100)
    groups = assign(cases.table.assign(fst=pd.array([1] * 100, dtype="Int8")), "fst3")
    found = calibration.by_group(cases, groups)
    assert found.loc[found["group"] == "V-VI", "n"].tolist() == [0] * 10


def test_without_probabilities_there_is_no_curve() -> None:
    rows = table(30).filter(["condition"]).assign(predicted="acne")
    with pytest.raises(DatasetError, match="no probabilities"):
        calibration.curve(cases_of(rows))
