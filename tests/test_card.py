from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from derm import card
from derm.fairness import metrics
from derm.fairness.figure import Figure, proportion
from derm.registry import Bundle
from tests.bundles import METADATA

CLASSES = ("acne", "acne-vulgaris", "melanoma")


def predictions(*, split: str = "val", n: int = 90) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 3
    p = rng.dirichlet(np.ones(3), n) * 0.5 + 0.5 * np.eye(3)[labels]
    table = pd.DataFrame(p, columns=[f"p:{name}" for name in CLASSES])
    table["condition"] = pd.array([CLASSES[i] for i in labels], dtype="string")
    table["fst"] = pd.array([2] * (n - 40) + [4] * 30 + [6] * 7 + [None] * 3, dtype="Int8")
    table["split"] = pd.array([split] * n, dtype="string")
    return table


def bundle(**changes: Any) -> Bundle:
    values: dict[str, Any] = {
        "folder": Path("tiny"), "name": "tiny-1", "version": "7", "classes": CLASSES,
        "partition3": {"melanoma": "malignant"}, "input_size": 96, "backbone": "MobileNetV2",
        "temperature": 1.25, "data_name": "drawn pictures", "data_fingerprint": "3fa9",
        "licence": "Research | non-commercial", "intended_use": "Trying things out.", "keras_version": "3.15.1",
        "code_version": "0.1.0", "created": "2026-01-01", "counts": {"train": 2288, "val": 90},
        "split": "80/20", "citation": "Somebody 2026", "environment": {"backend": "jax"},
        "figures": {"ece": {"value": 0.05, "low": 0.03, "high": 0.08, "n": 90}}}
    return Bundle(**(values | changes))


def markdown(*tables: pd.DataFrame, ece_before: Figure | None = None, **changes: Any) -> str:
    table = pd.concat(tables or [predictions()], ignore_index=True)
    return card.markdown(bundle(**changes), table, ece_before=ece_before, n_boot=50)


def row(text: str, start: str) -> list[str]:
    """The cells of the first table row that starts so."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {start} |"))
    return [cell.strip() for cell in line.strip("|").split(" | ")]


@pytest.mark.parametrize("words", [
    "# Model card: MobileNetV2 trained on drawn pictures", "not a medical device", "`tiny-1`, version 7",
    "96 x 96", "Trying things out.", "2,288 train, 90 val", "80/20", "Somebody 2026", "`3fa9`",
    "Research \\| non-commercial", "Acne; Acne vulgaris; Melanoma (malignant)", "temperature of 1.250",
    "derm train config.toml", "| Keras | 3.15.1 |", "| backend | jax |",
])
def test_the_card_says_what_the_bundle_says(words: str) -> None:
    assert words in markdown()


def test_figures_are_those_of_the_predictions_overall_and_by_group() -> None:
    text, table = markdown(), predictions()
    groups = metrics.by_skin_type(table, n_boot=50)
    assert row(text, "Validation photographs")[1:] == ["All", "I-II", "III-IV", "V-VI", "not recorded"]
    assert row(text, "n") == ["n", "90", "50", "30", "7", "3"]
    assert row(text, "Macro F1") == ["Macro F1", metrics.summary(table, n_boot=50)["macro_f1"].text,
                                     groups["I-II"]["macro_f1"].text, groups["III-IV"]["macro_f1"].text,
                                     "too few", "too few"]


def test_conditions_have_n_and_intervals() -> None:
    found = metrics.by_condition(predictions(), n_boot=50)["melanoma"]
    assert row(markdown(), "Melanoma") == ["Melanoma", "30", found["sensitivity"].text, found["f1"].text]


def test_each_labelled_split_has_its_section_and_training_rows_none() -> None:
    text = markdown(predictions(), predictions(split="test"), predictions(split="train"))
    assert text.count("## Validation figures") == text.count("## Test figures") == 2
    assert row(text, "n")[1] == "90"
    unlabelled = predictions(split="test").assign(condition=pd.array([None] * 90, dtype="string"))
    assert "## Test figures" not in markdown(predictions(), unlabelled)


def test_calibration_before_and_after_where_known() -> None:
    text = markdown(ece_before=Figure(0.2, 0.15, 0.25, 90))
    assert "on validation before that: 0.20 [0.15-0.25], n = 90" in text
    assert "on validation after that: 0.05 [0.03-0.08], n = 90" in text
    assert "Expected calibration error on" not in markdown(figures={})


def test_limits_name_overlapping_labels_and_few_photographs() -> None:
    text = markdown()
    assert "as one: Acne / Acne vulgaris." in text
    assert "50 I-II, 30 III-IV, 7 V-VI, 3 not recorded" in text


def test_limits_of_a_data_set_are_stated_for_that_data_set_only() -> None:
    assert "not confirmed by biopsy" not in markdown()
    for name in ("AJL 2025", "Fitzpatrick17k"):
        assert markdown(data_name=name).count("not confirmed by biopsy") == 1


def test_what_is_not_known_is_left_out() -> None:
    text = markdown(counts={}, split="", citation="", environment={})
    for words in ("Photographs |", "Split", "Source", "backend", "None"):
        assert words not in text


def declared(table: pd.DataFrame) -> pd.DataFrame:
    """Three sets in four hold the right condition; every tenth row is declined, half of these for a large set."""
    n = len(table)
    right = table["condition"].to_numpy(dtype=object)
    sets = [";".join(CLASSES) if i % 20 == 0 else right[i] if i % 4 else CLASSES[(CLASSES.index(right[i]) + 1) % 3]
            for i in range(n)]
    return table.assign(abstained=np.arange(n) % 10 == 0, prediction_set=pd.array(sets, dtype="string"))


SUPPORTED: dict[str, Any] = {
    "conformal": {"level": 0.9, "limits": {"all": {"least": 0.1, "n": 90}, "I-II": {"least": 0.1, "n": 50}}},
    "nonskin": {"document": {"value": 1.0, "low": 0.86, "high": 1.0, "n": 25}}}


def test_prediction_sets_and_abstention_are_told_by_group() -> None:
    text = markdown(declared(predictions()), **SUPPORTED).split("## At the point of care")[1]
    assert row(text, "In the set") == ["In the set", proportion(72, 90).text, *row(text, "In the set")[2:4],
                                       "too few", "too few"]
    assert row(text, "Limit from") == ["Limit from", "itself", "itself", "all", "all", "all"]
    assert row(text, "Declined")[1] == proportion(9, 90).text
    assert row(text, "Declined: set too large")[1] == proportion(5, 90).text
    assert row(text, "Declined: unlike the training photographs")[1] == proportion(4, 90).text
    assert "of 25 drawn pictures of each kind that is not skin: document 1.00 [0.86-1.00]" in text
    assert "ten folds" in text


def test_figures_are_of_every_answer_also_the_declined() -> None:
    text = markdown(declared(predictions()), **SUPPORTED)
    assert row(text, "n")[1] == "90"
    assert text.split("## At the point of care")[0] == markdown().split("## Limits")[0]


def test_an_older_bundle_has_no_such_section() -> None:
    assert "point of care" not in markdown()


def test_what_known_cases_say_is_told() -> None:
    text = markdown(known_cases=0.4)
    assert "the photograph as it is; 40% of it is the vote of the photographs for training and validation" in text


@pytest.mark.parametrize(("views", "words"), [
    ({}, "from the photograph as it is"), ({"mirror": True}, "the photograph and its mirror image |"),
    ({"turns": True}, "the photograph and its quarter turns |"),
    ({"mirror": True, "turns": True}, "its quarter turns, those of the mirror image too"),
])
def test_the_views_that_are_averaged_are_named(views: dict[str, bool], words: str) -> None:
    assert words in markdown(**views)


def test_why_it_became_a_model_all_the_same_is_kept() -> None:
    assert "does worse\n\nFor teaching.\n" in markdown(override="For\nteaching.")
    assert "does worse" not in markdown()


def test_it_says_what_is_read_beside_the_photograph_and_what_that_means_for_the_figures() -> None:
    text = markdown(metadata=METADATA)
    assert row(text, "`x_age`") == ["`x_age`", "a number; in training 50.0 on average, standard deviation 20.0"]
    assert row(text, "`x_sex`") == ["`x_sex`", "female, male, or another"]
    assert row(text, "`x_itch`") == ["`x_itch`", "yes or no"]
    assert "Any of it may be absent" in text
    assert "measured with what was recorded of the photographs held out" in text
    assert "Beside the photograph" not in markdown()
