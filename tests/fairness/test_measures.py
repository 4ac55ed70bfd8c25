from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_negative_rate
from sklearn import metrics as oracle

from derm.errors import ConfigError, DatasetError
from derm.fairness.cases import Cases
from derm.fairness.groups import assign
from derm.fairness.measures import MEASURES, Decision, by_group, one_vs_rest, samples
from tests.fairness.made import CLASSES, cases_of, made_cases, table

MALIGNANT = [name for name in MEASURES if name.startswith("malignant_")]


def sklearns(found: Cases) -> dict[str, float]:
    """The same measures by scikit-learn, from the arrays."""
    truth, said, p = found.truth, found.predicted, found.p
    assert p is not None
    sick, flagged, score = truth >= 2, said >= 2, p[:, 2:].sum(axis=1)
    return {
        "accuracy": oracle.accuracy_score(truth, said),
        "balanced_accuracy": oracle.balanced_accuracy_score(truth, said),
        "macro_f1": oracle.f1_score(truth, said, average="macro"),
        "weighted_f1": oracle.f1_score(truth, said, average="weighted"),
        "top3": oracle.top_k_accuracy_score(truth, p, k=3, labels=range(4)),
        "malignant_sensitivity": oracle.recall_score(sick, flagged),
        "malignant_specificity": oracle.recall_score(~sick, ~flagged),
        "malignant_ppv": oracle.precision_score(sick, flagged),
        "malignant_npv": oracle.precision_score(~sick, ~flagged),
        "malignant_auroc": oracle.roc_auc_score(sick, score),
        "malignant_auprc": oracle.average_precision_score(sick, score),
        "malignant_selection_rate": flagged.mean(),
        "kappa": oracle.cohen_kappa_score(truth, said),
        "brier": oracle.brier_score_loss(truth, p, labels=range(4), scale_by_half=False),
    }


@pytest.mark.parametrize(("n", "seed"), [(400, 0), (60, 1)])
def test_values_are_scikit_learns(n: int, seed: int) -> None:
    cases = made_cases(n, seed=seed)
    found, expected = samples(cases, n_boot=10), sklearns(cases)
    assert {name: found[name].value for name in expected} == pytest.approx(expected)
    assert list(found) == [*(name for name in MEASURES if name in {*expected, "ece"})]
    sick = int((cases.truth >= 2).sum())
    assert found["malignant_sensitivity"].n == sick
    assert found["malignant_specificity"].n == n - sick
    assert found["malignant_auroc"].n == min(sick, n - sick)
    assert found["kappa"].n == n
    for name, sample in found.items():
        assert len(sample.drawn) == 10
        assert (sample.hits is not None) == MEASURES[name].proportion
        if sample.hits is not None:
            assert sample.hits / sample.n == pytest.approx(sample.value)


def macro_f1(truth: np.ndarray, said: np.ndarray) -> float:
    return float(oracle.f1_score(truth, said, average="macro"))


@pytest.mark.parametrize(("name", "metric", "malignant"), [
    ("accuracy", oracle.accuracy_score, False), ("macro_f1", macro_f1, False),
    ("balanced_accuracy", oracle.balanced_accuracy_score, False), ("kappa", oracle.cohen_kappa_score, False),
    ("malignant_sensitivity", oracle.recall_score, True), ("malignant_specificity", true_negative_rate, True),
    ("malignant_ppv", oracle.precision_score, True), ("malignant_selection_rate", selection_rate, True),
])
def test_groups_are_fairlearns(name: str, metric: Callable[..., float], malignant: bool) -> None:
    cases = made_cases(500)
    groups = assign(cases.table, "fst3")
    truth, said = (cases.truth >= 2, cases.predicted >= 2) if malignant else (cases.truth, cases.predicted)
    frame = MetricFrame(metrics=metric, y_true=truth, y_pred=said, sensitive_features=groups.astype(str))
    found = by_group(cases, groups, n_boot=5)
    assert list(found) == ["I-II", "III-IV", "V-VI", "not recorded"]
    assert {group: table[name].value for group, table in found.items()} == pytest.approx(dict(frame.by_group))


def test_a_threshold_decides_what_is_called_malignant() -> None:
    cases = made_cases(300)
    assert cases.p is not None
    flagged = cases.p[:, 2:].sum(axis=1) >= 0.2
    found = samples(cases, decision=Decision(malignant_threshold=0.2), measures=MALIGNANT, n_boot=5)
    assert list(found) == MALIGNANT
    assert found["malignant_selection_rate"].value == pytest.approx(flagged.mean())
    assert 1 - found["malignant_specificity"].value == pytest.approx(
        false_positive_rate(cases.truth >= 2, flagged))
    leading = samples(cases, measures=MALIGNANT, n_boot=5)
    assert found["malignant_auroc"].value == leading["malignant_auroc"].value


def test_cases_without_an_answer_count_as_abstentions_only() -> None:
    rows = table(300)
    stated = np.arange(300) % 10 == 0
    found = samples(cases_of(rows.assign(abstained=stated)), n_boot=5)
    answered = samples(cases_of(rows[~stated]), n_boot=5)
    assert (found["abstention_rate"].value, found["abstention_rate"].n) == (0.1, 300)
    assert "abstention_rate" not in answered
    assert {name: sample.value for name, sample in found.items() if name in answered} == {
        name: sample.value for name, sample in answered.items()}
    unsure = rows[[f"p:{name}" for name in CLASSES]].max(axis=1) < 0.5
    below = samples(cases_of(rows.assign(abstained=stated)), decision=Decision(abstain_below=0.5), n_boot=5)
    assert below["abstention_rate"].value == (stated | unsure).mean()
    assert below["accuracy"].n == (~(stated | unsure)).sum()


def test_sets_have_a_size_and_a_coverage() -> None:
    rows = table(40)
    rows["prediction_set"] = ["acne;eczema", "melanoma"] * 20
    found = samples(cases_of(rows), n_boot=5)
    assert found["set_size"].value == 1.5
    held = [truth in text for truth, text in zip(rows["condition"], rows["prediction_set"], strict=True)]
    assert found["set_coverage"].hits == sum(held)


def test_labels_alone_allow_what_needs_no_probabilities() -> None:
    rows = table(200)
    said = [CLASSES[i] for i in cases_of(rows).predicted]
    found = samples(cases_of(rows[["condition", "fst"]].assign(predicted=said)), n_boot=5)
    assert list(found) == ["accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "malignant_sensitivity",
                           "malignant_specificity", "malignant_ppv", "malignant_npv", "malignant_selection_rate",
                           "kappa"]
    for decision in (Decision(malignant_threshold=0.3), Decision(abstain_below=0.3)):
        with pytest.raises(ConfigError, match="no probabilities"):
            samples(cases_of(rows[["condition"]].assign(predicted=said)), decision=decision)


@pytest.mark.parametrize("condition", ["eczema", "squamous"])
def test_one_against_the_rest_is_scikit_learns(condition: str) -> None:
    cases = made_cases(300)
    number = CLASSES.index(condition)
    truth, said = cases.truth == number, cases.predicted == number
    assert cases.p is not None
    found = one_vs_rest(cases, condition=condition, n_boot=5)
    assert {name: sample.value for name, sample in found.items()} == pytest.approx({
        "sensitivity": oracle.recall_score(truth, said), "specificity": oracle.recall_score(~truth, ~said),
        "ppv": oracle.precision_score(truth, said), "npv": oracle.precision_score(~truth, ~said),
        "selection_rate": said.mean(), "auroc": oracle.roc_auc_score(truth, cases.p[:, number]),
        "auprc": oracle.average_precision_score(truth, cases.p[:, number])})
    assert found["ppv"].n == said.sum()
    with pytest.raises(DatasetError, match="scabies"):
        one_vs_rest(cases, condition="scabies")


@pytest.mark.parametrize("n", [0, 1, 5])
def test_hardly_a_case_is_no_error(n: int) -> None:
    cases = made_cases(5).where(np.arange(5) < n)
    assert {str(sample.figure()) for sample in samples(cases).values()} == {
        f"too few (n = {sample.n})" for sample in samples(cases).values()}


def test_one_kind_of_case_has_no_area() -> None:
    found = samples(cases_of(table(200).query("condition in ('acne', 'eczema')")), n_boot=5)
    for name in ("malignant_auroc", "malignant_auprc", "malignant_sensitivity"):
        assert np.isnan(found[name].value)
        assert found[name].n == 0
    assert found["malignant_specificity"].figure().value is not None


def test_a_group_that_nobody_is_in_is_there_with_nobody() -> None:
    cases = cases_of(table(60).assign(fst=pd.array([1] * 60, dtype="Int8")))
    found = by_group(cases, assign(cases.table, "fst"), n_boot=5)
    assert list(found) == ["I", "II", "III", "IV", "V", "VI"]
    assert str(found["VI"]["macro_f1"].figure()) == "too few (n = 0)"


def test_the_same_seed_gives_the_same_and_groups_are_drawn_apart() -> None:
    cases = made_cases(80)
    twice = pd.concat([cases.table, cases.table]).assign(x_half=["a"] * 80 + ["b"] * 80)
    halves = cases_of(twice)
    found = by_group(halves, assign(halves.table, "x_half"), n_boot=50, seed=3)
    again = by_group(halves, assign(halves.table, "x_half"), n_boot=50, seed=3)
    for name in found["a"]:
        assert found["a"][name].value == found["b"][name].value
        np.testing.assert_array_equal(found["a"][name].drawn, again["a"][name].drawn)
    assert not np.allclose(found["a"]["kappa"].drawn, found["b"]["kappa"].drawn)
    assert abs(np.corrcoef(found["a"]["accuracy"].drawn, found["b"]["accuracy"].drawn)[0, 1]) < 0.5


def test_photographs_of_one_patient_are_not_independent() -> None:
    rows = pd.concat([table(60)] * 4, ignore_index=True)  # every patient four times, alike
    alone = samples(cases_of(rows), n_boot=500)
    together = samples(cases_of(rows.assign(group_id=np.arange(240) % 60)), n_boot=500)
    once = samples(cases_of(table(60)), n_boot=500)
    for name in ("accuracy", "malignant_sensitivity", "macro_f1", "malignant_auroc", "brier"):
        figures = [found[name].figure() for found in (alone, once)]
        narrow, wide = (figure.high - figure.low for figure in figures if figure.low is not None)
        figure = together[name].figure()
        assert figure.value == pytest.approx(alone[name].value)
        assert figure.high - figure.low == pytest.approx(wide, rel=0.15), name
        assert narrow < 0.65 * wide


def test_all_right_with_several_photographs_a_patient_is_as_unsure_as_patients_are_few() -> None:
    rows = table(120)
    rows = rows.assign(predicted=rows["condition"], group_id=np.arange(120) % 30)
    found = samples(cases_of(rows), measures=["accuracy"], n_boot=50)["accuracy"]
    assert found.design_effect == 4
    assert found.figure().low == pytest.approx(30 / (30 + 1.96**2), abs=1e-3)


@pytest.mark.parametrize(("call", "words"), [
    (lambda: samples(made_cases(5), measures=["recall"]), "recall"),
    (lambda: Decision(malignant_threshold=1.2), "0 to 1"),
    (lambda: Decision(abstain_below=float("nan")), "0 to 1"),
])
def test_what_is_unknown_or_out_of_range_is_refused(call: Callable[[], object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        call()


def test_every_measure_is_explained() -> None:
    for measure in MEASURES.values():
        assert measure.sentence.endswith(".")
        assert measure.label[0].isupper()
