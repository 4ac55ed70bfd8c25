import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix, recall_score
from statsmodels.stats.proportion import confint_proportions_2indep

from derm.fairness import matrices
from derm.fairness.figure import proportions
from derm.fairness.groups import assign
from derm.fairness.measures import Decision
from tests.fairness.made import CLASSES, PARTITION3, cases_of, made_cases, table


def square(found: pd.DataFrame, values: str) -> pd.DataFrame:
    return found.pivot_table(index="truth", columns="predicted", values=values, sort=False)


def test_counts_and_shares_are_scikit_learns() -> None:
    cases = made_cases(400)
    found = matrices.confusion(cases)
    cells = [(truth, predicted) for truth in CLASSES for predicted in CLASSES]
    assert list(zip(found["truth"], found["predicted"], strict=True)) == cells
    assert (square(found, "n").to_numpy() == confusion_matrix(cases.truth, cases.predicted)).all()
    assert square(found, "share").to_numpy() == pytest.approx(
        confusion_matrix(cases.truth, cases.predicted, normalize="true"))
    assert found["of"].tolist() == np.repeat(np.bincount(cases.truth), 4).tolist()
    low, high = proportions(found["n"], found["of"])[1:]
    assert found["low"].tolist() == pytest.approx(low.tolist())
    assert found["high"].tolist() == pytest.approx(high.tolist())


def test_rows_of_too_few_have_counts_only() -> None:
    found = matrices.confusion(made_cases(40))
    few = found["of"] < 20
    assert few.any()
    assert found.loc[few, ["share", "low", "high"]].isna().all(axis=None)
    assert found["n"].sum() == 40


def test_chosen_classes_are_rows_and_all_other_answers_one_column() -> None:
    cases = made_cases(400)
    found = matrices.confusion(cases, classes=["melanoma", "acne"])
    assert list(dict.fromkeys(found["truth"])) == ["melanoma", "acne"]
    assert list(dict.fromkeys(found["predicted"])) == ["melanoma", "acne", matrices.OTHER]
    assert found.groupby("truth")["share"].sum().tolist() == pytest.approx([1, 1])
    full = matrices.confusion(cases).set_index(["truth", "predicted"])["n"]
    assert found.set_index(["truth", "predicted"])["n"]["acne", "other"] == (
        full["acne", "eczema"] + full["acne", "squamous"])


def test_partitions_are_conditions_taken_as_one() -> None:
    cases = made_cases(300)
    found = matrices.confusion(cases, merged=PARTITION3)
    kind = np.array([PARTITION3[name] for name in cases.classes])
    expected = confusion_matrix(kind[cases.truth], kind[cases.predicted], labels=["non-neoplastic", "malignant"])
    assert (square(found, "n").to_numpy() == expected).all()


def test_classes_that_do_not_occur_are_not_shown_and_cases_without_an_answer_do_not_count() -> None:
    rows = table(200)
    cases = cases_of(rows.assign(condition="acne"))
    found = matrices.confusion(cases, decision=Decision(abstain_below=0.99))
    assert set(found["truth"]) < set(CLASSES)
    assert found["n"].sum() == (cases.confidence >= 0.99).sum()


def test_a_patient_with_many_photographs_counts_once_in_the_interval() -> None:
    rows = pd.concat([table(100)] * 3).assign(group_id=list(range(100)) * 3)
    once, thrice = matrices.confusion(cases_of(table(100))), matrices.confusion(cases_of(rows))
    enough = once["of"] >= 20
    assert enough.any()
    assert thrice.loc[enough, "low"].tolist() == pytest.approx(once.loc[enough, "low"].tolist())


def test_the_difference_has_newcombes_interval() -> None:
    a, b = made_cases(300, seed=1), made_cases(200, seed=2, skill=1)
    found = matrices.difference(a, b).set_index(["truth", "predicted"])
    of_a, of_b = (matrices.confusion(each).set_index(["truth", "predicted"]) for each in (a, b))
    for cell, row in found.iterrows():
        x, y = of_a.loc[cell], of_b.loc[cell]
        assert (row["of_a"], row["of_b"]) == (x["of"], y["of"])
        assert row["value"] == pytest.approx(x["share"] - y["share"])
        assert (row["low"], row["high"]) == pytest.approx(
            confint_proportions_2indep(x["n"], x["of"], y["n"], y["of"], method="newcomb"))


def test_the_difference_shows_what_occurs_in_either() -> None:
    a = cases_of(pd.DataFrame({"condition": ["acne"] * 30, "predicted": ["acne"] * 29 + ["melanoma"]}))
    cases = cases_of(pd.concat([a.table, pd.DataFrame({"condition": ["eczema"] * 30, "predicted": "eczema"})]))
    first = np.arange(60) < 30
    found = matrices.difference(cases.where(first), cases.where(~first)).set_index(["truth", "predicted"])
    assert set(found.index.get_level_values("truth")) == {"acne", "eczema", "melanoma"}
    assert found.loc[("acne", "acne"), ["of_a", "of_b"]].tolist() == [30, 0]
    assert found["value"].isna().all()


def test_sensitivity_of_every_condition_in_every_group() -> None:
    cases = made_cases(700, seed=3)
    groups = assign(cases.table, "fst3")
    found = matrices.by_condition(cases, groups)
    assert len(found) == len(CLASSES) * 4
    for row in found.itertuples():
        own = cases.where((groups == row.group) & (cases.truth == CLASSES.index(row.condition)))
        assert row.n == len(own)
        if row.n < 20:
            assert np.isnan(row.sensitivity)
        else:
            expected = recall_score(own.truth, own.predicted, average="micro")
            assert row.sensitivity == pytest.approx(expected)
            assert (row.low, row.high) == pytest.approx(
                tuple(map(float, proportions(round(expected * row.n), row.n)[1:])))


def test_a_cell_without_a_case_is_there() -> None:
    cases = made_cases(100)
    groups = assign(cases.table.assign(fst=pd.array([1] * 100, dtype="Int8")), "fst3")
    found = matrices.by_condition(cases, groups).set_index(["condition", "group"])
    assert found.loc[("acne", "V-VI"), "n"] == 0
    assert np.isnan(found.loc[("acne", "V-VI"), "sensitivity"])
