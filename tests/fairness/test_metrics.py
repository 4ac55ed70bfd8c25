import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as oracle

from derm.errors import DatasetError
from derm.fairness import metrics
from derm.fairness.cases import probabilities_of
from derm.fairness.figure import Figure

CLASSES = ("acne", "eczema", "keloid", "melanoma")  # in order, as top_k_accuracy_score wants them
NO_MELANOMA = {"p:melanoma": 0.0, "p:keloid": lambda table: 1 - table["p:acne"] - table["p:eczema"]}


def predictions(n: int, *, seed: int = 0, truth: list[str] | None = None) -> pd.DataFrame:
    """A model that is right about two times in three, n photographs over all skin types."""
    rng = np.random.default_rng(seed)
    truth = truth or list(rng.choice(CLASSES, n, p=[0.5, 0.25, 0.15, 0.1]))
    labels = np.array([CLASSES.index(condition) for condition in truth])
    logits = rng.normal(size=(n, 4)) + 1.7 * np.eye(4)[labels]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    table = pd.DataFrame(p, columns=[f"p:{name}" for name in CLASSES])
    table["condition"] = truth
    table["fst"] = pd.array(rng.choice([1, 2, 3, 4, 5, 6, None], n), dtype="Int8")
    return table


def said(table: pd.DataFrame) -> list[str]:
    classes, p = probabilities_of(table)
    return [classes[i] for i in p.argmax(axis=1)]


def reference(table: pd.DataFrame) -> dict[str, float]:
    truth, guess = table["condition"].tolist(), said(table)
    _, p = probabilities_of(table)
    return {
        "accuracy": oracle.accuracy_score(truth, guess),
        "balanced_accuracy": oracle.recall_score(truth, guess, average="macro", labels=sorted(set(truth))),
        "macro_f1": oracle.f1_score(truth, guess, average="macro"),
        "weighted_f1": oracle.f1_score(truth, guess, average="weighted"),
        "kappa": oracle.cohen_kappa_score(truth, guess),
        "top3": oracle.top_k_accuracy_score(truth, p, k=3, labels=CLASSES),
    }


@pytest.mark.parametrize("table", [
    predictions(300),
    predictions(40, seed=3),
    predictions(25, seed=4, truth=["acne"] * 24 + ["eczema"]),  # melanoma and keloid: predicted, never there
    predictions(60, truth=["acne", "eczema", "keloid"] * 20).assign(**NO_MELANOMA),
], ids=["all classes", "small", "classes without truth", "a class that is nowhere"])
def test_values_are_scikit_learns(table: pd.DataFrame) -> None:
    found, expected = metrics.summary(table, n_boot=10), reference(table)
    assert {name: found[name].value for name in expected} == pytest.approx(expected)
    assert {figure.n for figure in found.values()} == {len(table)}


def test_skin_type_groups_are_disjoint_and_missing_is_its_own() -> None:
    table = predictions(400)
    found = metrics.by_skin_type(table, n_boot=10)
    assert tuple(found) == ("I-II", "III-IV", "V-VI", "not recorded")
    for group, types in (("I-II", [1, 2]), ("V-VI", [5, 6])):
        rows = table[table["fst"].isin(types)]
        assert found[group]["accuracy"].n == len(rows)
        assert found[group]["accuracy"].value == pytest.approx((rows["condition"] == said(rows)).mean())
    assert found["not recorded"]["accuracy"].n == table["fst"].isna().sum()
    assert sum(group["accuracy"].n for group in found.values()) == 400


def test_a_group_of_fewer_than_twenty_has_n_only() -> None:
    table = predictions(30).assign(fst=pd.array([1] * 19 + [3] * 11, dtype="Int8"))
    found = metrics.by_skin_type(table, n_boot=10)
    assert set(found["I-II"].values()) == {Figure(None, None, None, 19)}
    assert set(found["V-VI"].values()) == {Figure(None, None, None, 0)}
    assert metrics.summary(predictions(20), n_boot=10)["accuracy"].value is not None


def test_unlabelled_rows_are_left_out_and_unknown_conditions_are_wrong() -> None:
    table = predictions(40)
    right = (table["condition"] == said(table)).sum()
    table.loc[:4, "condition"] = None
    assert metrics.summary(table, n_boot=10)["accuracy"].n == 35
    known = table.iloc[5:]
    strange = pd.concat([known, known.iloc[:5].assign(condition="lupus")])
    figure = metrics.summary(strange, n_boot=10)["accuracy"]
    assert right > 20
    assert figure.value == pytest.approx((known["condition"] == said(known)).sum() / 40)


def test_by_condition_is_scikit_learns_recall_and_f1() -> None:
    table = predictions(400)
    truth, guess = table["condition"], said(table)
    found = metrics.by_condition(table, n_boot=50)
    recall = oracle.recall_score(truth, guess, average=None, labels=list(CLASSES))
    f1 = oracle.f1_score(truth, guess, average=None, labels=list(CLASSES))
    assert [found[name]["sensitivity"].value for name in CLASSES] == pytest.approx(recall)
    assert [found[name]["f1"].value for name in CLASSES] == pytest.approx(f1)
    assert [found[name]["f1"].n for name in CLASSES] == [(truth == name).sum() for name in CLASSES]


def test_nothing_labelled_is_too_few_not_an_error() -> None:
    table = predictions(30).assign(condition=None)
    assert str(metrics.summary(table)["kappa"]) == "too few (n = 0)"
    assert metrics.by_condition(table, n_boot=5)["acne"]["f1"].n == 0


@pytest.mark.parametrize(("change", "words"), [
    ({"p:acne": 1.5}, "add up to 1"),
    ({"p:acne": None}, "add up to 1"),
    ({"p:acne": -0.1}, "0 to 1"),
    ({"p:acne": "much"}, "not a number"),
])
def test_what_is_not_a_distribution_is_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(DatasetError, match=words):
        metrics.summary(predictions(30).assign(**change))


def test_missing_columns_are_named() -> None:
    with pytest.raises(DatasetError, match="p:<condition>"):
        metrics.summary(predictions(30)[["condition", "fst", "p:acne"]])
    with pytest.raises(DatasetError, match="condition"):
        metrics.summary(predictions(30).drop(columns="condition"))


def test_bundle_figures_hold_overall_and_groups_as_plain_numbers() -> None:
    table = predictions(200)
    found = metrics.figures(table, n_boot=20)
    assert found["accuracy"]["n"] == 200
    assert found["accuracy:V-VI"]["n"] == table["fst"].isin([5, 6]).sum()
    assert Figure(**found["macro_f1"]) == metrics.summary(table, n_boot=20)["macro_f1"]
    assert {type(number) for figure in found.values() for number in figure.values()} == {float, int}


def test_kappa_of_one_class_is_undefined() -> None:
    table = predictions(30, truth=["acne"] * 30).assign(**{"p:acne": 1.0, "p:eczema": 0.0, "p:melanoma": 0.0,
                                                           "p:keloid": 0.0})
    assert metrics.summary(table, n_boot=10)["kappa"] == Figure(None, None, None, 30)


def test_rows_state_n_once() -> None:
    found = metrics.rows({"V-VI": {"accuracy": Figure(0.5, 0.3, 0.7, 24), "ece": Figure(0.1, 0.05, 0.2, 24)},
                          "I-II": dict.fromkeys(["accuracy", "ece"], Figure(None, None, None, 3))},
                         ["accuracy", "ece"])
    assert found == [("", "n", "Accuracy", "Expected calibration error"),
                     ("V-VI", "24", "0.50 [0.30-0.70]", "0.10 [0.05-0.20]"),
                     ("I-II", "3", "too few", "too few")]


def test_what_is_declined_is_measured_all_the_same() -> None:
    table = predictions(60)
    declined = table.assign(abstained=[True, False] * 30)
    assert metrics.summary(declined, n_boot=20) == metrics.summary(table, n_boot=20)
