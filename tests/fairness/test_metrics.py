import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from sklearn import metrics as oracle

from derm.errors import DatasetError
from derm.fairness import metrics
from derm.fairness.metrics import Figure

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
    classes, p = metrics.probabilities_of(table)
    return [classes[i] for i in p.argmax(axis=1)]


def reference(table: pd.DataFrame) -> dict[str, float]:
    truth, guess = table["condition"].tolist(), said(table)
    _, p = metrics.probabilities_of(table)
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


def test_intervals_are_those_of_a_bootstrap_over_photographs() -> None:
    table = predictions(250, seed=1)
    found = metrics.summary(table, n_boot=4000)
    rng = np.random.default_rng(5)
    truth, guess = np.array(table["condition"]), np.array(said(table))
    measures = {"macro_f1": lambda t, g: oracle.f1_score(t, g, average="macro"),
                "balanced_accuracy": oracle.balanced_accuracy_score, "kappa": oracle.cohen_kappa_score}
    drawn: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(400):
        rows = rng.integers(len(table), size=len(table))
        for name, measure in measures.items():
            drawn[name].append(measure(truth[rows], guess[rows]))
    for name, values in drawn.items():
        low, high = np.quantile(values, [0.025, 0.975])
        assert (found[name].low, found[name].high) == pytest.approx((low, high), abs=0.02), name


def test_resampled_counts_have_the_mean_and_spread_of_resampled_rows() -> None:
    counts = np.array([[30, 5], [10, 55]])
    drawn = metrics.resample(counts, n_boot=20_000, seed=0)
    assert (drawn.truth.sum(axis=1) == 100).all()
    assert drawn.right.mean(axis=0) == pytest.approx([30, 55], abs=0.2)
    assert drawn.right.var(axis=0) == pytest.approx([30 * 0.7, 55 * 0.45], rel=0.05)  # n p (1 - p)
    assert drawn.predicted.mean(axis=0) == pytest.approx([40, 60], abs=0.2)


def test_replicates_do_not_depend_on_how_much_is_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    table = predictions(60)
    at_once = metrics.summary(table, n_boot=50)
    monkeypatch.setattr(metrics, "_CELLS_AT_ONCE", 100)
    assert metrics.summary(table, n_boot=50) == at_once


# 81 of 263 and 15 of 148: Newcombe 1998, Statistics in Medicine 17:857-872, table I, method 3.
@pytest.mark.parametrize(("hits", "n", "low", "high"), [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605),
                                                        (0, 20, 0.0, 0.1611), (29, 29, 0.8830, 1.0)])
def test_wilson_interval_is_the_published_one(hits: int, n: int, low: float, high: float) -> None:
    figure = metrics.proportion(hits, n)
    assert (figure.value, figure.low, figure.high) == pytest.approx((hits / n, low, high), abs=5e-5)


def test_many_wilson_intervals_at_once_are_scipys() -> None:
    hits, n = np.array([[0, 7, 29], [5, 20, 100]]), np.array([[20, 21, 29], [19, 400, 1000]])
    share, low, high = metrics.proportions(hits, n, level=0.9)
    for at in np.ndindex(hits.shape):
        expected = binomtest(int(hits[at]), int(n[at])).proportion_ci(0.9, method="wilson")
        if n[at] < metrics.TOO_FEW:
            assert np.isnan([share[at], low[at], high[at]]).all()
        else:
            assert (share[at], low[at], high[at]) == pytest.approx((hits[at] / n[at], *expected))
    assert low[0, 0] == 0
    assert high[0, 2] == 1


def test_calibration_error_by_hand() -> None:
    # 30 at 0.9 of which 24 right, 10 at 0.5 of which 7 right: (|27 - 24| + |5 - 7|) / 40
    confidence = np.array([0.9] * 30 + [0.5] * 10)
    right = np.array([True] * 24 + [False] * 6 + [True] * 7 + [False] * 3)
    figure = metrics.calibration_error(confidence, right)
    assert figure.value == pytest.approx(0.125)
    assert figure.low < figure.value < figure.high


def test_calibration_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    # Always 0.8 sure and right 65 times in 100: the true error is 0.15.
    rng = np.random.default_rng(0)
    held = 0
    for seed in range(200):
        figure = metrics.calibration_error(np.full(150, 0.8), rng.random(150) < 0.65, n_boot=300, seed=seed)
        held += figure.low <= 0.15 <= figure.high
    assert 0.90 <= held / 200 <= 0.99


def test_calibration_interval_is_around_the_value_though_resampling_adds_error() -> None:
    rng = np.random.default_rng(1)
    confidence = rng.uniform(0.2, 1, 300)
    figure = metrics.calibration_error(confidence, rng.random(300) < confidence)
    place = (figure.value - figure.low) / (figure.high - figure.low)
    assert 0.3 < place < 0.7  # plain percentiles would put the value at their lower end


def test_certainty_of_one_falls_into_the_last_bin() -> None:
    assert metrics.calibration_error(np.ones(20), np.ones(20, dtype=bool)).value == 0


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


@pytest.mark.parametrize("fst", [pd.Series([1.0, 4.0, float("nan"), 6.0]),
                                 pd.Series([1, 4, -1, 6]),
                                 pd.Series([1, 4, None, 6], dtype="Int8"),
                                 pd.Series([1, 4, 0, 6], dtype="category")])
def test_skin_type_columns_as_people_have_them(fst: pd.Series) -> None:
    assert metrics.skin_type_group(fst).tolist() == ["I-II", "III-IV", "not recorded", "V-VI"]


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


@pytest.mark.parametrize(("figure", "text"), [
    (Figure(0.614, 0.57, 0.649, 572), "0.61 [0.57-0.65], n = 572"),
    (Figure(0.5, 0.4, 0.6, 12345), "0.50 [0.40-0.60], n = 12,345"),
    (Figure(None, None, None, 7), "too few (n = 7)"),
    (Figure(None, None, None, 30), "undefined (n = 30)"),
])
def test_a_figure_is_never_written_without_n(figure: Figure, text: str) -> None:
    assert str(figure) == text


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
