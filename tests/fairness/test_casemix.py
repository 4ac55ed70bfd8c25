from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from statsmodels.stats.proportion import confint_proportions_2indep

from derm.fairness.casemix import Adjusted, adjusted_gap
from derm.fairness.cases import Cases
from derm.fairness.measures import Decision
from tests.fairness.made import cases_of, group, made_cases

Counted = dict[tuple[str, str], tuple[int, int]]  # (group, condition) -> right, all


def counted(counts: Counted) -> tuple[Cases, pd.Series]:
    """Cases of which so many are right, the others being taken for acne (acne for eczema)."""
    rows = [(name, truth, truth if i < right else "eczema" if truth == "acne" else "acne")
            for (name, truth), (right, n) in counts.items() for i in range(n)]
    frame = pd.DataFrame(rows, columns=["group", "condition", "predicted"])
    return cases_of(frame[["condition", "predicted"]]), group(frame["group"].to_numpy(), ("a", "b"))


def adjusted(counts: Counted, metric: str = "accuracy") -> Adjusted | None:
    return adjusted_gap(*counted(counts), metric, worst="b", best="a")


def test_a_gap_of_the_mix_alone_goes_away() -> None:
    # Right in 9 of 10 acnes and 3 of 10 melanomas whoever has them; b has more melanoma.
    found = adjusted({("a", "acne"): (90, 100), ("a", "melanoma"): (6, 20),
                      ("b", "acne"): (18, 20), ("b", "melanoma"): (30, 100)})
    assert found is not None
    assert found.value == pytest.approx(0)
    assert found.low < 0 < found.high
    assert (found.n, found.coverage) == (240, 1)


def test_a_gap_that_the_mix_hides_shows() -> None:
    found = adjusted({("a", "acne"): (18, 20), ("a", "melanoma"): (80, 100),
                      ("b", "acne"): (80, 100), ("b", "melanoma"): (9, 20)})
    assert found is not None
    assert found.value == pytest.approx(0.5 * (0.9 - 0.8) + 0.5 * (0.8 - 0.45))
    assert found.low > 0


def test_the_standard_is_the_mix_of_both_groups_in_what_both_have() -> None:
    found = adjusted({("a", "acne"): (30, 40), ("a", "eczema"): (5, 10), ("a", "melanoma"): (25, 25),
                      ("b", "acne"): (10, 20), ("b", "eczema"): (20, 30), ("b", "squamous"): (0, 15)})
    assert found is not None
    assert found.value == pytest.approx(0.6 * (30 / 40 - 10 / 20) + 0.4 * (5 / 10 - 20 / 30))
    assert (found.n, found.coverage) == (100, pytest.approx(100 / 140))


def test_balanced_accuracy_counts_each_condition_alike() -> None:
    found = adjusted({("a", "acne"): (30, 40), ("a", "eczema"): (5, 10),
                      ("b", "acne"): (10, 20), ("b", "eczema"): (20, 30)}, "balanced_accuracy")
    assert found is not None
    assert found.value == pytest.approx((0.75 + 0.5) / 2 - (0.5 + 2 / 3) / 2)


def test_with_one_condition_it_is_the_plain_gap() -> None:
    found = adjusted({("a", "acne"): (70, 80), ("b", "acne"): (30, 50)})
    assert found is not None
    assert (found.low, found.high) == pytest.approx(confint_proportions_2indep(70, 80, 30, 50, method="newcomb"))


def test_all_right_is_not_certain() -> None:
    found = adjusted({("a", "acne"): (30, 30), ("a", "melanoma"): (1, 1),
                      ("b", "acne"): (30, 30), ("b", "melanoma"): (1, 1)})
    assert found is not None
    assert (found.value, found.low) == (0, pytest.approx(-found.high))
    assert found.high > 0.08


@pytest.mark.parametrize("metric", ["malignant_sensitivity", "malignant_specificity"])
def test_sensitivity_and_specificity_are_of_their_own_cases(metric: str) -> None:
    found = adjusted({("a", "melanoma"): (20, 30), ("a", "squamous"): (20, 20), ("a", "acne"): (30, 30),
                      ("b", "melanoma"): (10, 30), ("b", "squamous"): (5, 10), ("b", "acne"): (20, 20)}, metric)
    assert found is not None
    sensitivity = metric == "malignant_sensitivity"
    assert found.n == (90 if sensitivity else 50)
    assert found.value == pytest.approx(60 / 90 * (20 / 30 - 10 / 30) + 30 / 90 * (1 - 0.5) if sensitivity else 0)


def test_lower_is_better_keeps_the_gaps_sign() -> None:
    cases = made_cases(400, seed=1)
    assert cases.brier is not None
    groups = group(np.where(np.arange(400) % 2, "a", "b"), ("a", "b"))
    found = adjusted_gap(cases, groups, "brier", worst="b", best="a")
    frame = pd.DataFrame({"brier": cases.brier, "group": groups, "truth": cases.truth})
    means = frame.pivot_table(values="brier", index="truth", columns="group", observed=True)
    mix = frame["truth"].value_counts(normalize=True)
    assert found is not None
    assert found.value == pytest.approx(((means["b"] - means["a"]) * mix).sum())
    assert found.low < found.value < found.high


@pytest.mark.parametrize("ties", [False, True])
def test_auroc_is_scikit_learns_with_weights(ties: bool) -> None:
    cases = made_cases(500, seed=2, skill=0.7)
    if ties:
        cases = replace(cases, p=np.eye(4)[cases.predicted])
    groups = group(np.where((np.arange(500) % 3 == 0) == (cases.truth % 2 == 0), "a", "b"), ("a", "b"))
    found = adjusted_gap(cases, groups, "malignant_auroc", worst="b", best="a")
    assert cases.malignant is not None
    assert found is not None
    both = np.bincount(cases.truth)
    values = []
    for name in ("a", "b"):
        own = (groups == name).to_numpy()
        weight = (both / np.bincount(cases.truth[own]))[cases.truth[own]]
        values.append(roc_auc_score(cases.malignant[cases.truth[own]], cases.where(own).malignant_probability,
                                    sample_weight=weight))
    assert found.value == pytest.approx(values[0] - values[1])
    assert found.low < found.value < found.high


@pytest.mark.parametrize("metric", ["macro_f1", "kappa", "malignant_ppv", "ece", "malignant_auprc", "set_size"])
def test_what_cannot_be_adjusted_is_not(metric: str) -> None:
    cases = made_cases(200)
    groups = group(["a"] * 100 + ["b"] * 100, ("a", "b"))
    assert adjusted_gap(cases, groups, metric, worst="a", best="b") is None


@pytest.mark.parametrize("counts", [
    {("a", "acne"): (30, 40), ("b", "melanoma"): (30, 40)},
    {("a", "acne"): (10, 19), ("a", "eczema"): (30, 40), ("b", "acne"): (30, 40)},
], ids=["nothing in common", "too few in common"])
def test_without_enough_in_common_nothing_is_said(counts: Counted) -> None:
    assert adjusted(counts) is None


def test_a_file_without_probabilities_has_no_adjusted_auroc() -> None:
    assert adjusted({("a", "acne"): (30, 40), ("a", "melanoma"): (30, 40), ("b", "acne"): (30, 40),
                     ("b", "melanoma"): (30, 40)}, "malignant_auroc") is None


def test_abstaining_counts_where_it_is_measured_and_nowhere_else() -> None:
    cases = made_cases(300, seed=3)
    assert cases.confidence is not None
    groups = group(np.where(np.arange(300) % 2, "a", "b"), ("a", "b"))
    decision = Decision(abstain_below=0.6)
    rate = adjusted_gap(cases, groups, "abstention_rate", worst="b", best="a", decision=decision)
    accuracy = adjusted_gap(cases, groups, "accuracy", worst="b", best="a", decision=decision)
    assert rate is not None
    assert accuracy is not None
    assert (rate.n, accuracy.n) == (300, (cases.confidence >= 0.6).sum())


def test_photographs_of_one_patient_make_it_less_sure() -> None:
    counts: Counted = {("a", "acne"): (30, 40), ("a", "eczema"): (20, 40), ("b", "acne"): (20, 40),
                       ("b", "eczema"): (15, 40)}
    cases, groups = counted(counts)
    of_three = cases_of(pd.concat([cases.table.assign(group_id=np.arange(160))] * 3))
    names = pd.concat([groups] * 3, ignore_index=True)
    one, three = (adjusted_gap(each, of, "accuracy", worst="b", best="a")
                  for each, of in ((cases, groups), (of_three, names)))
    assert one is not None
    assert three is not None
    assert three.high - three.low == pytest.approx(one.high - one.low, rel=0.1)


def test_the_interval_covers_with_a_case_or_two_of_many_conditions() -> None:
    rng = np.random.default_rng(0)
    conditions = [f"c{i:02}" for i in range(20)]
    n = {name: rng.multinomial(size, rng.dirichlet(np.full(20, 2.0))) for name, size in (("a", 200), ("b", 60))}
    rate = {name: rng.beta(3, 1.5, 20) for name in n}
    truth = np.concatenate([np.repeat(np.arange(20), each) for each in n.values()])
    names = np.repeat(list(n), [200, 60])
    mix = (n["a"] + n["b"]) * ((n["a"] > 0) & (n["b"] > 0))
    expected = float((mix * (rate["a"] - rate["b"])).sum() / mix.sum())
    covered = 0
    base = cases_of(pd.DataFrame({"condition": np.array(conditions)[truth], "predicted": "none"}))
    groups = group(names, ("a", "b"))
    for _ in range(1000):
        right = rng.random(260) < np.where(names == "a", rate["a"][truth], rate["b"][truth])
        cases = replace(base, predicted=np.where(right, base.truth, base.predicted))
        found = adjusted_gap(cases, groups, "accuracy", worst="b", best="a")
        assert found is not None
        covered += found.low <= expected <= found.high
    assert 930 <= covered <= 970
