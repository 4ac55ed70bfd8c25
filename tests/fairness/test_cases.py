import numpy as np
import pandas as pd
import pytest

from derm.errors import DatasetError
from derm.fairness.cases import cases


def table(**columns: object) -> pd.DataFrame:
    """Four photographs, one without a condition."""
    given = {"image_id": list("abcd"), "condition": ["acne", "melanoma", None, "lupus"],
             "p:acne": [0.7, 0.6, 0.5, 0.2], "p:melanoma": [0.3, 0.4, 0.5, 0.8]}
    return pd.DataFrame(given | columns)


def labels_only(**columns: object) -> pd.DataFrame:
    return table(predicted=["acne", "acne", "acne", "eczema"], **columns).drop(columns=["p:acne", "p:melanoma"])


def test_labelled_rows_with_what_the_model_said() -> None:
    found = cases(table())
    assert found.table["image_id"].tolist() == ["a", "b", "d"]
    assert found.table.index.tolist() == [0, 1, 2]
    assert found.classes == ("acne", "melanoma", "lupus")
    assert found.known == 2
    assert found.truth.tolist() == [0, 1, 2]
    assert found.predicted.tolist() == [0, 0, 1]
    assert found.p.tolist() == [[0.7, 0.3, 0], [0.6, 0.4, 0], [0.2, 0.8, 0]]
    assert found.malignant.tolist() == [False, True, False]
    assert found.unplaced == ("lupus",)
    assert found.malignant_probability.tolist() == pytest.approx([0.3, 0.4, 0.8])
    assert found.in_top3.tolist() == [True, True, False]  # lupus is a class of the file, not of the model
    assert found.brier.tolist() == pytest.approx([0.18, 0.72, 1.68])
    assert (found.set_size, found.covered, found.abstained.any()) == (None, None, False)


def test_a_file_with_labels_only_has_no_probabilities() -> None:
    found = cases(labels_only())
    assert found.classes == ("acne", "eczema", "lupus", "melanoma")
    assert found.predicted.tolist() == [0, 0, 1]
    assert (found.p, found.confidence, found.in_top3, found.brier, found.malignant_probability) == (None,) * 5


def test_what_was_predicted_counts_before_the_most_probable() -> None:
    assert cases(table(predicted=["melanoma"] * 4)).predicted.tolist() == [1, 1, 1]


@pytest.mark.parametrize(("partition3", "malignant", "unplaced"), [
    ({"acne": "malignant", "melanoma": "benign", "lupus": "non-neoplastic"}, [True, False, False], ()),
    ({"melanoma": "malignant"}, [False, True, False], ("acne", "lupus")),
    ({}, None, ("acne", "melanoma", "lupus")),
])
def test_malignant_is_what_the_model_or_our_table_says(partition3: dict[str, str], malignant: list[bool] | None,
                                                       unplaced: tuple[str, ...]) -> None:
    found = cases(table(), partition3=partition3)
    assert (found.malignant if malignant is None else found.malignant.tolist()) == malignant
    assert found.unplaced == unplaced
    assert ("partition3" in found.table) == bool(partition3)


def test_names_as_others_write_them_are_placed() -> None:
    rows = table(condition=["Acne", "Basal Cell Carcinoma", None, "Acne"]).rename(
        columns={"p:acne": "p:Acne", "p:melanoma": "p:Basal Cell Carcinoma"})
    found = cases(rows)
    assert found.malignant.tolist() == [False, True]
    assert found.table["partition3"].tolist() == ["non-neoplastic", "malignant", "non-neoplastic"]


def test_rows_of_a_group_are_a_cluster_and_those_without_are_alone() -> None:
    assert cases(table(group_id=["x", "x", "y", "z"])).clusters.tolist() == [0, 0, 1]
    alone = cases(table(group_id=["x", None, "x", None])).clusters
    assert len(set(alone.tolist())) == 3


def test_abstentions_and_sets_are_read() -> None:
    found = cases(table(abstained=pd.array([True, None, True, False], dtype="boolean"),
                        prediction_set=["acne;melanoma", "acne", None, None]))
    assert found.abstained.tolist() == [True, False, False]
    assert found.set_size.tolist() == [2, 1, 0]
    assert found.covered.tolist() == [True, False, False]


def test_where_keeps_rows_together() -> None:
    found = cases(table(prediction_set=["acne", "acne", "", "lupus"])).where(np.array([True, False, True]))
    assert len(found) == 2
    assert found.table["image_id"].tolist() == ["a", "d"]
    assert found.table.index.tolist() == [0, 1]
    assert found.truth.tolist() == [0, 2]
    assert found.covered.tolist() == [True, True]
    assert found.confidence.tolist() == [0.7, 0.8]


def test_nothing_labelled_is_no_case() -> None:
    found = cases(table(condition=None))
    assert len(found) == 0
    assert found.in_top3.tolist() == []


@pytest.mark.parametrize(("rows", "words"), [
    (table().drop(columns="condition"), "'condition'"),
    (table()[["condition", "p:acne"]], "p:<condition>"),
    (table(**{"p:acne": [0.9, 0.6, 0.5, 0.2]}), "add up to 1"),
    (labels_only().assign(predicted=["acne", None, "acne", "acne"]), "'predicted' is empty"),
    (table(predicted=["acne", "psoriasis", "acne", "acne"]), "psoriasis"),
])
def test_what_cannot_be_judged_is_refused(rows: pd.DataFrame, words: str) -> None:
    with pytest.raises(DatasetError, match=words):
        cases(rows)
