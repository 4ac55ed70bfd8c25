"""Names of columns and conditions as others write them: guessed only where it is safe."""

from __future__ import annotations

import pandas as pd
import pytest

from derm import foreign


@pytest.mark.parametrize(("names", "rename", "expected"), [
    (("image_id", "condition", "predicted"), {}, {}),
    (("Image_ID", "Condition"), {}, {"Image_ID": "image_id", "Condition": "condition"}),
    (("label", "true_label"), {}, {"true_label": "condition"}),
    (("label", "true_label"), {"label": "condition"}, {"label": "condition"}),
    (("label",), {"label": "x_note"}, {"label": "x_note"}),
    (("id", "image"), {}, {"image": "image_id"}),
    (("age", "gender", "hospital"), {}, {"age": "x_age", "gender": "x_sex", "hospital": "x_source"}),
    (("prob_acne", "prob_eczema"), {}, {"prob_acne": "p:acne", "prob_eczema": "p:eczema"}),
    (("prob_acne",), {}, {}),
    (("p_value", "p_rank"), {}, {}),
    (("p:acne", "p:eczema", "prob_x", "prob_y"), {}, {}),
    (("acne", "eczema"), {}, {"acne": "p:acne", "eczema": "p:eczema"}),
    (("acne", "eczema", "predicted"), {}, {}),
    (("mystery",), {"mystery": "fst", "not there": "mst"}, {"mystery": "fst"}),
])
def test_columns(names, rename, expected):
    assert foreign.columns(names, rename=rename) == expected


@pytest.mark.parametrize(("name", "slug"), [
    ("BCC", "basal-cell-carcinoma"), ("Basal_Cell Carcinoma", "basal-cell-carcinoma"), ("nv", "melanocytic-nevus"),
    ("1.0", "1"), ("1", "1"), ("Something new", "something-new"), ("ours", "keloid")])
def test_conditions(name, slug):
    assert foreign.conditions([name], rename={"ours": "keloid"}) == {name: slug}


def test_labels_that_are_blank_are_missing():
    found, slugs = foreign.labels(pd.Series(["BCC", "", "acne", "BCC"], dtype="str"), rename={})
    assert found.tolist() == ["basal-cell-carcinoma", pd.NA, "acne", "basal-cell-carcinoma"]
    assert slugs == {"BCC": "basal-cell-carcinoma", "acne": "acne"}


def test_a_mix_of_types_and_groups_is_not_taken_for_groups():
    frame = pd.DataFrame({"image_id": ["a", "b"], "fst": ["1", "2"]})
    assert list(foreign.skin_types(frame, "fst")) == ["fst"]


def test_monk_tones_go_to_ten():
    frame = pd.DataFrame({"image_id": ["a", "b"], "mst": ["Monk 10", ""]})
    assert foreign.skin_types(frame, "mst")["mst"].tolist() == [10, pd.NA]
