from dataclasses import replace
from typing import Any

import fairlearn.metrics as oracle
import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep

from derm.fairness import casemix, gaps, measures
from derm.fairness.figure import Sample
from derm.fairness.groups import NOT_RECORDED, assign
from derm.fairness.measures import Decision
from tests.fairness.made import cases_of, group, made_cases, share, table

SIX = ("I", "II", "III", "IV", "V", "VI")


def by_group(metric: str = "accuracy", **samples: Sample) -> dict[str, dict[str, Sample]]:
    return {name.replace("_", " "): {metric: sample} for name, sample in samples.items()}


def test_two_groups_have_newcombes_interval() -> None:
    found = gaps.gap(by_group("malignant_sensitivity", light=share(70, 80), dark=share(30, 50)),
                     "malignant_sensitivity")
    assert found is not None
    assert (found.worst, found.best, found.n_worst, found.n_best, found.pairs) == ("dark", "light", 50, 80, 1)
    assert found.value == pytest.approx(0.275)
    assert (found.low, found.high) == pytest.approx(
        confint_proportions_2indep(70, 80, 30, 50, method="newcomb"))


@pytest.mark.parametrize(("metric", "worst"), [("accuracy", "a"), ("abstention_rate", "b"),
                                               ("malignant_selection_rate", "a")])
def test_the_worst_is_worst_whichever_way_is_better(metric: str, worst: str) -> None:
    found = gaps.gap(by_group(metric, a=share(10, 40), b=share(20, 40)), metric)
    assert found is not None
    assert found.worst == worst
    assert found.value == pytest.approx(0.25)
    assert found.low < 0.25 < found.high


@pytest.mark.parametrize("samples", [
    by_group(a=share(20, 40)), by_group(a=share(20, 40), b=share(5, 19)),
    by_group(a=share(20, 40), not_recorded=share(5, 40)),
    by_group(a=share(20, 40), b=Sample(np.nan, np.full(3, np.nan), 40)), {},
], ids=["one", "too few", "not recorded", "undefined", "none"])
def test_nothing_to_compare_with(samples: dict[str, dict[str, Sample]]) -> None:
    assert gaps.gap(samples, "accuracy") is None
    assert gaps.gaps(samples, ["accuracy", "top3"]) == []


def test_missing_skin_type_is_never_the_worst() -> None:
    found = gaps.gap(by_group(a=share(30, 40), b=share(25, 40), not_recorded=share(1, 40)), "accuracy")
    assert found is not None
    assert found.worst == "b"


@pytest.mark.parametrize(("hits", "pairs"), [
    ([70, 70, 70, 70, 70, 70], 15),  # all alike: any two of six
    ([90, 70, 70, 70, 70, 10], 1),   # the worst and the best stand out
    ([90, 90, 90, 90, 90, 10], 5),   # the worst does, the best is any of five
    ([90, 10, 10, 90, 10, 10], 8),
])
def test_picking_counts_the_pairs_that_might_have_been(hits: list[int], pairs: int) -> None:
    samples = {name: {"accuracy": share(each, 100)} for name, each in zip(SIX, hits, strict=True)}
    found = gaps.gap(samples, "accuracy")
    assert found is not None
    assert found.pairs == pairs
    assert found.worst != found.best
    alone = gaps.gap({name: samples[name] for name in (found.worst, found.best)}, "accuracy")
    assert alone is not None
    assert (found.high - found.low > alone.high - alone.low) == (pairs > 1)
    assert found.p == pytest.approx(1 - (1 - alone.p) ** pairs)


@pytest.mark.parametrize("n", [50, 200, 1000])
@pytest.mark.parametrize(("shares", "most"), [((0.8, 0.6), 970), ((0.75,) * 3, 970), ((0.7,) * 6, 970),
                                              ((0.85, 0.75, 0.55), 985)],
                         ids=["two", "three alike", "six alike", "three apart"])
def test_the_interval_covers_the_gap_between_the_groups_that_it_names(shares: tuple[float, ...], most: int,
                                                                      n: int) -> None:
    rng = np.random.default_rng(n)
    covered = 0
    for hits in rng.binomial(n, shares, size=(1000, len(shares))):
        found = gaps.gap({str(i): {"accuracy": share(int(each), n)} for i, each in enumerate(hits)}, "accuracy")
        assert found is not None
        covered += found.low <= shares[int(found.best)] - shares[int(found.worst)] <= found.high
    assert 930 <= covered <= most


def test_metrics_are_holm_adjusted_and_keep_their_order() -> None:
    samples = {"a": {"top3": share(60, 80), "accuracy": share(40, 80), "kappa": share(39, 80)},
               "b": {"top3": share(70, 80), "accuracy": share(60, 80), "kappa": share(40, 80)}}
    names = ["top3", "macro_f1", "accuracy", "kappa"]
    found = gaps.gaps(samples, names)
    alone = [gap.p for name in names if (gap := gaps.gap(samples, name)) is not None]
    assert [gap.metric for gap in found] == ["top3", "accuracy", "kappa"]
    assert [gap.p for gap in found] == pytest.approx(list(multipletests(alone, method="holm")[1]))


def test_a_measure_without_a_formula_uses_its_replicates() -> None:
    cases = made_cases(400, seed=2)
    names = ["macro_f1", "ece", "malignant_auroc"]
    samples = measures.by_group(cases, assign(cases.table, "fst3"), measures=names)
    for found in gaps.gaps(samples, names):
        drawn = samples[found.best][found.metric].drawn - samples[found.worst][found.metric].drawn
        level = 0.95 ** (1 / found.pairs)
        expected = np.quantile(-drawn if found.metric == "ece" else drawn, [(1 - level) / 2, (1 + level) / 2])
        assert found.value >= 0
        assert (found.low, found.high) == pytest.approx(tuple(expected))


@pytest.mark.parametrize("threshold", [None, 0.3, 0.7])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_parity_is_fairlearns(seed: int, threshold: float | None) -> None:
    cases = made_cases(900, seed=seed)
    groups = assign(cases.table, "fst3")
    kept = (groups != NOT_RECORDED).to_numpy()
    assert cases.malignant is not None
    assert cases.malignant_probability is not None
    truth = cases.malignant[cases.truth][kept]
    said = cases.malignant[cases.predicted] if threshold is None else cases.malignant_probability >= threshold
    options: dict[str, Any] = {"sensitive_features": groups[kept].astype(str)}
    decision = Decision(threshold)
    for function, expected in ((gaps.equal_opportunity, oracle.equal_opportunity_difference),
                               (gaps.equalised_odds, oracle.equalized_odds_difference),
                               (gaps.demographic_parity, oracle.demographic_parity_difference)):
        found = function(cases, groups, decision=decision, n_boot=10)
        assert found.value == pytest.approx(expected(truth, said[kept], **options))
        assert found.low is not None
        assert found.high is not None
        assert 0 <= found.low <= found.value <= found.high
        assert found.n == (truth.sum() if function is gaps.equal_opportunity else kept.sum())


def test_parity_of_one_group_is_undefined() -> None:
    cases = made_cases(300)
    found = gaps.equal_opportunity(cases, group(["a"] * 300, ("a", "b")))
    assert found.value is None
    assert found.n > 20


def test_largest_differences_cover_zero_where_nothing_differs() -> None:
    rng = np.random.default_rng(0)
    base = table(1200, skill=1)
    covered = 0
    for _ in range(200):
        cases = cases_of(base.iloc[rng.integers(1200, size=600)])
        found = gaps.equalised_odds(cases, group(rng.choice(["a", "b", "c"], 600), ("a", "b", "c")), n_boot=2)
        covered += found.low == 0
    assert 180 <= covered <= 199


def test_versus_rest_is_the_group_minus_the_other_recorded_ones() -> None:
    cases = made_cases(500, seed=4)
    groups = assign(cases.table, "fst3")
    right = cases.truth == cases.predicted
    found = gaps.versus_rest(cases, groups, "accuracy")
    assert [each.group for each in found] == ["I-II", "III-IV", "V-VI"]
    for each in found:
        own, rest = (groups == each.group).to_numpy(), ~groups.isin([each.group, NOT_RECORDED]).to_numpy()
        assert (each.n, each.n_rest) == (own.sum(), rest.sum())
        assert each.value == pytest.approx(right[own].mean() - right[rest].mean())
        assert (each.low, each.high) == pytest.approx(confint_proportions_2indep(
            right[own].sum(), each.n, right[rest].sum(), each.n_rest, method="newcomb"))


def test_versus_rest_is_holm_adjusted_over_the_groups() -> None:
    rows = table(600, seed=5)
    rows.loc[rows["fst"] <= 2, "condition"] = "acne"
    cases = cases_of(rows)
    groups = assign(cases.table, "fst3")
    found = gaps.versus_rest(cases, groups, "accuracy")
    alone = []
    for each in found:
        pair = group(np.where(groups == each.group, "own", np.where(groups == NOT_RECORDED, NOT_RECORDED, "rest")),
                     ("own", "rest", NOT_RECORDED))
        gap = gaps.gap(measures.by_group(cases, pair, measures=["accuracy"]), "accuracy")
        assert gap is not None
        alone.append(gap.p)
    assert [each.p for each in found] == pytest.approx(list(multipletests(alone, method="holm")[1]))
    assert found[0].p < 0.001


def test_versus_rest_leaves_out_groups_of_too_few() -> None:
    cases = made_cases(200)
    groups = group(["a"] * 100 + ["b"] * 85 + ["c"] * 15, ("a", "b", "c"))
    found = gaps.versus_rest(cases, groups, "accuracy")
    assert [(each.group, each.n_rest) for each in found] == [("a", 100), ("b", 115)]


def test_all_metrics_at_once_are_each_alone() -> None:
    cases = made_cases(300)
    groups = assign(cases.table, "fst3")
    names = ["accuracy", "macro_f1", "malignant_auroc"]
    found = gaps.versus_rests(measures.by_group(cases, groups, measures=names), cases, groups, names)
    assert {name: found[name] for name in names} == {name: gaps.versus_rest(cases, groups, name) for name in names}


def test_the_worst_groups_interval_is_simultaneous() -> None:
    samples = by_group(a=share(30, 40), b=share(20, 40), c=share(35, 40), d=share(3, 10))
    found = gaps.worst_group(samples, "accuracy")
    expected = share(20, 40).figure(0.95 ** (1 / 3))
    assert found is not None
    assert (found.group, found.value, found.low, found.high, found.n) == (
        "b", expected.value, expected.low, expected.high, 40)


@pytest.mark.parametrize("n", [50, 200, 1000])
def test_the_worst_groups_interval_covers_it(n: int) -> None:
    rng = np.random.default_rng(n)
    audits = [{str(i): {"accuracy": share(int(each), n)} for i, each in enumerate(hits)}
              for hits in rng.binomial(n, 0.7, size=(1000, 6))]
    found = [gaps.worst_group(samples, "accuracy") for samples in audits]
    assert sum(worst is not None and worst.low <= 0.7 <= worst.high for worst in found) >= 940


def test_no_worst_of_none() -> None:
    assert gaps.worst_group(by_group(a=share(3, 10)), "accuracy") is None


def test_patients_with_many_photographs_make_a_gap_less_sure() -> None:
    rows = table(400, seed=1)
    names = group(["a"] * 200 + ["b"] * 200, ("a", "b"))
    many = pd.concat([rows.assign(group_id=np.arange(400))] * 3, ignore_index=True)
    names3 = pd.concat([names] * 3, ignore_index=True)
    one, three, blind = (gaps.gap(measures.by_group(cases_of(each), of, measures=["accuracy"]), "accuracy")
                         for each, of in ((rows, names), (many, names3), (many.drop(columns="group_id"), names3)))
    assert one is not None
    assert three is not None
    assert blind is not None
    assert three.high - three.low == pytest.approx(one.high - one.low, rel=0.05)
    assert blind.high - blind.low < 0.7 * (one.high - one.low)


def test_what_is_left_of_a_gap_allows_for_the_picking_too() -> None:
    cases = made_cases(500, seed=3)
    groups = assign(cases.table, "fst3")
    found = gaps.gap(measures.by_group(cases, groups, measures=["accuracy"]), "accuracy")
    assert found is not None
    found = replace(found, pairs=3)
    plain = casemix.adjusted_gap(cases, groups, "accuracy", worst=found.worst, best=found.best)
    adjusted = gaps.adjust(found, cases, groups).adjusted
    assert plain is not None
    assert adjusted is not None
    assert adjusted.value == plain.value
    assert adjusted.high - adjusted.low > plain.high - plain.low
