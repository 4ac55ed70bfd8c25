from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

from derm.errors import ConfigError, DatasetError
from derm.fairness import mitigation
from derm.fairness.cases import Cases
from derm.fairness.groups import assign
from derm.fairness.measures import Decision
from tests.fairness.made import CLASSES, cases_of, group, made_cases, table

AB = ("a", "b", "not recorded")


def calibrated(n: int, *, seed: int = 0) -> Cases:
    """Truth drawn from the probabilities that are stated, so that they are right."""
    rng = np.random.default_rng(seed)
    rows = table(n, seed=seed)
    p = rows[[f"p:{name}" for name in CLASSES]].to_numpy()
    rows["condition"] = [CLASSES[rng.choice(4, p=row)] for row in p]
    return cases_of(rows)


def sharpened(cases: Cases, power: np.ndarray | float) -> Cases:
    assert cases.p is not None
    p = cases.p ** np.broadcast_to(power, len(cases))[:, None]
    return replace(cases, p=p / p.sum(axis=1, keepdims=True))


def test_the_temperature_undoes_what_was_done_to_a_group() -> None:
    truth = calibrated(4000)
    assert truth.p is not None
    names = np.array(["a", "b"])[np.arange(4000) % 2]
    stated = sharpened(truth, np.where(names == "a", 2.0, 0.6))
    found, after = mitigation.group_temperature(stated, group(names, AB))
    assert found["a"] == pytest.approx(2.0, rel=0.1)
    assert found["b"] == pytest.approx(0.6, rel=0.1)
    assert after.p == pytest.approx(truth.p, abs=0.05)


def test_the_temperature_is_the_one_of_least_loss() -> None:
    cases = sharpened(made_cases(300, seed=4), 2.5)
    found, _ = mitigation.group_temperature(cases, group(["a"] * 300, AB))

    def loss(temperature: float) -> float:
        return float(log_loss(cases.truth, sharpened(cases, 1 / temperature).p, labels=range(4)))

    at = found["a"]
    assert loss(at) <= min(loss(at * 1.03), loss(at / 1.03))


def test_no_case_helps_to_fit_its_own_temperature() -> None:
    cases = sharpened(made_cases(60, seed=1), 2)
    of = group(["a"] * 60, AB)
    told_otherwise = replace(cases, truth=np.where(np.arange(60) == 7, (cases.truth + 1) % 4, cases.truth))
    (one, first), (two, second) = (mitigation.group_temperature(each, of) for each in (cases, told_otherwise))
    assert one != two
    assert first.p is not None
    assert second.p is not None
    assert (first.p[7] == second.p[7]).all()
    assert (first.p != second.p).any()


def test_photographs_of_one_patient_are_left_out_together() -> None:
    rows = pd.concat([table(40, seed=1)] * 2).assign(group_id=list(range(40)) * 2)
    _, after = mitigation.group_temperature(cases_of(rows), group(["a"] * 80, AB))
    assert after.p is not None
    assert after.p[:40] == pytest.approx(after.p[40:])


def test_the_leading_class_and_other_groups_stay_as_they_are() -> None:
    cases = made_cases(100, seed=2)
    names = np.repeat(["a", "b", "not recorded"], [50, 19, 31])
    found, after = mitigation.group_temperature(cases, group(names, AB))
    assert list(found) == ["a"]
    assert cases.p is not None
    assert after.p is not None
    assert (after.p.argmax(axis=1) == cases.predicted).all()
    assert after.p[50:] == pytest.approx(cases.p[50:])
    assert after.p.sum(axis=1) == pytest.approx(np.ones(100))


def test_conditions_that_the_model_does_not_know_are_not_fitted_to() -> None:
    rows = table(120)
    rows.loc[60:, "condition"] = "psoriasis"
    found, after = mitigation.group_temperature(cases_of(rows), group(["a"] * 120, AB))
    alone, _ = mitigation.group_temperature(cases_of(rows[:60]), group(["a"] * 60, AB))
    assert found == alone
    assert 0.3 < found["a"] < 3
    assert after.p is not None
    assert (after.p[:, after.known:] == 0).all()


@pytest.mark.parametrize("sensitivity", [0.5, 0.8, 0.95, 1.0])
def test_the_threshold_is_the_highest_that_is_sensitive_enough(sensitivity: float) -> None:
    cases = made_cases(300, seed=5)
    found = mitigation.group_thresholds(cases, group(["a"] * 300, AB), sensitivity=sensitivity).iloc[0]
    assert cases.malignant is not None
    assert cases.malignant_probability is not None
    score = cases.malignant_probability[cases.malignant[cases.truth]]
    assert (score >= found["threshold"]).mean() >= sensitivity
    assert (score > found["threshold"]).mean() < sensitivity


def test_thresholds_are_measured_on_cases_that_did_not_set_them() -> None:
    # Scores that say nothing: a threshold that keeps 0.9 of the malignant cases keeps 0.9 of all.
    rng = np.random.default_rng(0)
    malignant = np.arange(4000) % 2 == 0
    score = rng.random(4000)
    rows = pd.DataFrame({"p:acne": 1 - score, "p:melanoma": score,
                         "condition": np.where(malignant, "melanoma", "acne")})
    found = mitigation.group_thresholds(cases_of(rows), group(["a"] * 4000, AB), sensitivity=0.9).iloc[0]
    assert found["sensitivity_after"] == pytest.approx(0.9, abs=0.02)
    assert found["specificity_after"] == pytest.approx(0.1, abs=0.03)
    assert found["sensitivity_before"] == pytest.approx((score[malignant] > 0.5).mean())
    assert found["specificity_before"] == pytest.approx((score[~malignant] <= 0.5).mean())
    assert found["sensitivity_after_low"] < found["sensitivity_after"] < found["sensitivity_after_high"]
    assert (found["n"], found["n_benign"]) == (2000, 2000)


def test_no_case_helps_to_set_its_own_threshold() -> None:
    cases = made_cases(100, seed=3)
    found = mitigation.group_thresholds(cases, group(["a"] * 100, AB), sensitivity=1.0).iloc[0]
    assert found["sensitivity_after"] < 1  # the others' threshold misses the malignant case of the lowest score


def test_the_cost_is_in_specificity_and_only_groups_of_enough_get_a_threshold() -> None:
    cases = made_cases(400, seed=6)
    found = mitigation.group_thresholds(cases, assign(cases.table, "fst3"), sensitivity=0.98).set_index("group")
    assert (found.loc[:"V-VI", "specificity_after"] < found.loc[:"V-VI", "specificity_before"]).all()
    assert found.loc["not recorded", "n"] >= 20
    assert found.loc["not recorded"].drop(["n", "n_benign"]).isna().sum() == 7  # the threshold and all after it
    few = mitigation.group_thresholds(cases, group(["a"] * 380 + ["b"] * 20, AB), sensitivity=0.9)
    assert few["threshold"].isna().tolist() == [False, True, True]


def test_an_impossible_sensitivity_is_refused() -> None:
    cases = made_cases(50)
    with pytest.raises(ConfigError, match=r"sensitivity = 90"):
        mitigation.group_thresholds(cases, group(["a"] * 50, AB), sensitivity=90)


def test_abstaining_counts_what_it_costs_each_group() -> None:
    cases = made_cases(400, seed=7)
    assert cases.confidence is not None
    assert cases.malignant is not None
    groups = assign(cases.table, "fst3")
    found = mitigation.abstention(cases, groups, below=0.6).set_index("group")
    right, malignant = cases.truth == cases.predicted, cases.malignant[cases.truth]
    for name, row in found.iterrows():
        own = (groups == name).to_numpy()
        silent = cases.confidence < 0.6
        assert (row["n"], row["n_before"], row["n_after"]) == (own.sum(), own.sum(), (own & ~silent).sum())
        assert row["n_malignant"] == (own & malignant).sum()
        assert row["abstained"] == pytest.approx(silent[own].mean())
        assert row["accuracy_before"] == pytest.approx(right[own].mean())
        assert row["accuracy_after"] == pytest.approx(right[own & ~silent].mean())
        assert row["malignant_abstained"] == pytest.approx(silent[own & malignant].mean())
        assert row["abstained_low"] < row["abstained"] < row["abstained_high"]


def test_before_is_by_the_decision_in_force() -> None:
    cases = made_cases(200)
    of = group(["a"] * 200, AB)
    assert cases.confidence is not None
    row = mitigation.abstention(cases, of, below=0.6, decision=Decision(abstain_below=0.4)).iloc[0]
    assert (row["n_before"], row["n_after"]) == ((cases.confidence >= 0.4).sum(), (cases.confidence >= 0.6).sum())


def test_without_probabilities_nothing_can_be_tried() -> None:
    cases = cases_of(table(40).filter(["condition"]).assign(predicted="acne"))
    of = group(["a"] * 40, AB)
    with pytest.raises(DatasetError, match="no temperature can be fitted"):
        mitigation.group_temperature(cases, of)
    with pytest.raises(DatasetError, match="no threshold can be fitted"):
        mitigation.group_thresholds(cases, of, sensitivity=0.9)
    with pytest.raises(ConfigError, match="no certainty to abstain"):
        mitigation.abstention(cases, of, below=0.5)
