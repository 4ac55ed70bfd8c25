import numpy as np
import pandas as pd
import pytest

from derm.errors import DatasetError
from derm.fairness import curves, measures
from derm.fairness.groups import assign
from derm.fairness.measures import Decision
from tests.fairness.made import cases_of, made_cases, table


@pytest.mark.parametrize("below", [0.0, 0.5])
@pytest.mark.parametrize("clustered", [False, True])
def test_each_point_is_what_that_threshold_decides(clustered: bool, below: float) -> None:
    rows = table(400, seed=1)
    cases = cases_of(rows.assign(group_id=np.arange(400) // 2) if clustered else rows)
    groups = assign(cases.table, "fst3")
    found = curves.thresholds(cases, groups, points=11, decision=Decision(abstain_below=below))
    assert found.groupby("group", sort=False).size().to_dict() == dict.fromkeys(groups.cat.categories, 11)
    names = ["malignant_sensitivity", "malignant_specificity"]
    for at in (0.0, 0.3, 0.8, 1.0):
        decision = Decision(float(np.linspace(0, 1, 11)[round(at * 10)]), below)
        expected = measures.by_group(cases, groups, decision=decision, measures=names, n_boot=4000)
        for row in found[np.isclose(found["threshold"], at)].itertuples():
            sensitivity, specificity = (expected[row.group][name].figure() for name in names)
            assert (row.n, row.n_benign) == (sensitivity.n, specificity.n)
            for figure, value, low, high in ((sensitivity, row.sensitivity, row.sens_low, row.sens_high),
                                             (specificity, row.specificity, row.spec_low, row.spec_high)):
                if figure.value is None:
                    assert np.isnan(value)
                else:
                    assert value == pytest.approx(figure.value)
                    assert (low, high) == pytest.approx((figure.low, figure.high),
                                                        abs=0.02 if clustered else 1e-9)


def test_a_higher_threshold_calls_fewer_malignant() -> None:
    cases = made_cases(300)
    found = curves.thresholds(cases, assign(cases.table, "fst3"))
    for _, own in found.groupby("group"):
        assert own["sensitivity"].dropna().is_monotonic_decreasing
        assert own["specificity"].dropna().is_monotonic_increasing
    assert (found["sens_low"].dropna() <= found["sens_high"].dropna()).all()


def test_a_score_on_the_threshold_is_malignant() -> None:
    rows = pd.DataFrame({"p:acne": 0.4, "p:melanoma": 0.6, "condition": ["melanoma"] * 30, "fst": 1})
    cases = cases_of(rows)
    found = curves.thresholds(cases, assign(cases.table, "fst3"), points=11)
    own = found[found["group"] == "I-II"]
    assert own["sensitivity"].tolist() == [1] * 7 + [0] * 4


def test_too_few_have_n_and_no_value() -> None:
    cases = made_cases(60)
    found = curves.thresholds(cases, assign(cases.table, "fst"))
    assert found["n"].between(1, 19).all()
    assert found[["sensitivity", "sens_low", "specificity", "spec_high"]].isna().all(axis=None)


@pytest.mark.parametrize("rows", [
    table(30).filter(["condition", "fst"]).assign(predicted="acne"),
    pd.DataFrame({"p:one": [0.4] * 30, "p:two": [0.6] * 30, "condition": "one", "fst": 1}),
], ids=["no probabilities", "no condition is known to be malignant"])
def test_no_threshold_can_be_tried(rows: pd.DataFrame) -> None:
    cases = cases_of(rows)
    with pytest.raises(DatasetError, match="no threshold can be tried"):
        curves.thresholds(cases, assign(cases.table, "fst3"))
