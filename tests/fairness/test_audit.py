"""An audit puts the statistics together, tells what cannot be said, and says nothing of groups too small."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from derm.errors import DatasetError
from derm.fairness import audit as auditing
from derm.fairness.audit import audit, to_cases
from derm.fairness.figure import TOO_FEW
from derm.fairness.groups import NOT_RECORDED

CONDITIONS = ("melanoma", "eczema")


def table(groups: dict[int | None, tuple[int, int]], **columns: object) -> pd.DataFrame:
    """Labels only: for each skin type its n, half of them malignant, and how many of those are missed."""
    rows = [(fst, CONDITIONS[i % 2], CONDITIONS[1] if i % 2 or i < 2 * missed else CONDITIONS[0])
            for fst, (n, missed) in groups.items() for i in range(n)]
    found = pd.DataFrame(rows, columns=["fst", "condition", "predicted"]).astype({"fst": "Int8"})
    return found.assign(image_id=[f"i{i}" for i in range(len(found))], **columns)


def quick(predictions: pd.DataFrame, **options: object) -> auditing.Audit:
    return audit(predictions, n_boot=200, **options)  # type: ignore[arg-type]


def test_figures_gaps_and_counts_of_a_small_table():
    found = quick(table({1: (100, 5), 3: (80, 4), 5: (60, 18), None: (30, 0)}))
    assert (found.by, found.n, found.n_missing, found.n_unlabelled) == ("fst3", 270, 30, 0)
    assert [(each.group, each.n, each.compared) for each in found.groups] == [
        ("I-II", 100, True), ("III-IV", 80, True), ("V-VI", 60, True), (NOT_RECORDED, 30, False)]
    sensitivity = found.group("V-VI").figures["malignant_sensitivity"]
    assert (sensitivity.value, sensitivity.n) == (pytest.approx(12 / 30), 30)
    lead = found.lead
    assert lead is not None
    assert (lead.metric, lead.worst) == ("malignant_sensitivity", "V-VI")
    assert lead.value == pytest.approx(0.9 - 0.4)
    assert 0 < lead.low < lead.value < lead.high
    assert lead.adjusted is not None
    assert found.worst["malignant_sensitivity"].group == "V-VI"
    against = {each.group: each.value for each in found.versus["malignant_sensitivity"]}
    assert against["V-VI"] == pytest.approx(0.4 - 81 / 90)
    assert found.parity["equal_opportunity"].value == pytest.approx(0.5)


def test_only_what_is_asked_for_is_compared():
    found = quick(table({1: (60, 5), 5: (60, 9)}), metrics=["accuracy", "ece"])
    assert [gap.metric for gap in found.gaps] == ["accuracy"]
    assert "ece" not in found.overall, "labels have no calibration"
    assert set(found.worst) == set(found.versus) == {"accuracy"}


def test_a_group_of_one_has_a_count_and_no_figure():
    found = quick(table({1: (60, 5), 3: (60, 5), 5: (1, 0)}))
    small = found.group("V-VI")
    assert small.n == 1
    assert all(figure.value is None for figure in small.figures.values())
    assert "V-VI" not in [end for gap in found.gaps for end in (gap.worst, gap.best)]


def test_a_group_of_one_class_has_no_area_and_no_sensitivity():
    rows = table({1: (60, 5), 5: (60, 5)})
    rows = rows[(rows["fst"] == 1) | (rows["condition"] == "eczema")]
    p = np.where(rows["predicted"] == "melanoma", 0.7, 0.2)
    found = quick(rows.drop(columns="predicted").assign(**{"p:melanoma": p, "p:eczema": 1 - p}))
    one_class = found.group("V-VI").figures
    assert one_class["malignant_auroc"].value is None
    assert one_class["malignant_sensitivity"].n == 0
    assert one_class["accuracy"].value is not None
    assert "malignant_auroc" not in [gap.metric for gap in found.gaps]


def test_all_skin_types_missing_is_said_and_nothing_is_compared():
    found = quick(table({None: (60, 5)}))
    assert found.gaps == ()
    assert found.lead is None
    assert found.n_missing == found.n == 60
    assert found.notes[0] == "The group is recorded of no photograph, so nothing can be compared."
    assert found.overall["accuracy"].n == 60


@pytest.mark.parametrize(("groups", "said"), [
    ({1: (60, 5)}, "Fewer than two groups have"),
    ({1: (60, 5), 5: (TOO_FEW - 1, 5)}, "Fewer than two groups have"),
    ({1: (60, 5), 5: (60, 5)}, "no probabilities")])
def test_notes(groups, said):
    assert any(said in note for note in quick(table(groups)).notes)


def test_rows_without_a_condition_are_left_out_and_counted():
    rows = table({1: (60, 5), 5: (60, 5)})
    rows.loc[:9, "condition"] = None
    found = quick(rows)
    assert (found.n, found.n_unlabelled) == (110, 10)


@pytest.mark.parametrize("change", [{"condition": None}, "drop"])
def test_without_any_truth_there_is_no_audit(change):
    rows = table({1: (60, 5)})
    rows = rows.drop(columns="condition") if change == "drop" else rows.assign(**change)
    with pytest.raises(DatasetError, match="true condition is known of no row"):
        quick(rows)


def test_a_column_that_is_not_there_is_refused():
    with pytest.raises(DatasetError, match="'colour'"):
        quick(table({1: (60, 5)}), by="colour")


def test_several_columns_make_intersections():
    rows = table({1: (120, 5), 5: (120, 9)}, x_sex=["F", "F", "M", "M"] * 60)
    found = quick(rows, by=["fst3", "x_sex"])
    assert found.by == "fst3 x x_sex"
    assert [each.group for each in found.groups] == ["I-II x F", "I-II x M", "V-VI x F", "V-VI x M"]


def test_unknown_labels_are_listed():
    rows = table({1: (60, 5), 5: (60, 5)})
    rows.loc[0, "condition"] = "moon-dust"
    notes = " ".join(quick(rows).notes)
    assert "never predicts" in notes
    assert "not known to be malignant or benign" in notes
    assert notes.count("Moon dust") == 2


def test_the_files_own_word_on_malignancy_goes_first():
    rows = table({1: (60, 5), 5: (60, 5)}).replace({"melanoma": "type-a", "eczema": "type-b"})
    assert to_cases(rows).malignant is None
    assert any("No condition is known to be malignant" in note for note in quick(rows).notes)
    kinds = rows["condition"].map({"type-a": "malignant", "type-b": "benign"})
    found = quick(rows.assign(partition3=kinds))
    assert found.overall["malignant_sensitivity"].value == pytest.approx(50 / 60)


def test_conditions_may_just_be_called_malignant_and_benign():
    rows = table({1: (60, 5), 5: (60, 5)}).replace({"melanoma": "malignant", "eczema": "benign"})
    assert quick(rows).overall["malignant_sensitivity"].n == 60


def test_the_same_seed_gives_the_same_audit():
    rows = table({1: (60, 5), 5: (60, 9)})
    assert quick(rows) == quick(rows)
