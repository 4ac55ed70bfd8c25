from dataclasses import replace

import numpy as np
import pytest

from derm.errors import DatasetError, first_five
from derm.schema import (
    FAMILIES,
    FST_GROUPS,
    Diagnosis,
    Prediction,
    SkinType,
    combine,
    display_name,
    merge_families,
)

CLASSES = ("acne", "acne-vulgaris", "keloid", "melanoma")
PARTITION3 = {"acne": "non-neoplastic", "acne-vulgaris": "non-neoplastic", "keloid": "benign",
              "melanoma": "malignant"}


def diagnosis(probabilities, *, version="1", partition3=PARTITION3) -> Diagnosis:
    return Diagnosis("tiny", version, CLASSES, np.array(probabilities), {}, 0.25, partition3)


@pytest.mark.parametrize(("fst", "group"), [*zip(range(1, 7), np.repeat(FST_GROUPS, 2), strict=True)])
def test_skin_type_group(fst, group):
    assert SkinType(fst).group == group


@pytest.mark.parametrize("fst", [0, -1, 7])
def test_missing_is_no_skin_type(fst):
    with pytest.raises(ValueError, match="not a valid SkinType"):
        SkinType(fst)


@pytest.mark.parametrize(("slug", "name"), [
    ("basal-cell-carcinoma", "Basal cell carcinoma"),
    ("superficial-spreading-melanoma-ssm", "Superficial spreading melanoma"),
    ("kaposi-sarcoma", "Kaposi sarcoma"),
])
def test_display_name(slug, name):
    assert display_name(slug) == Prediction(slug, 0.5).name == name


def test_top_is_ordered_and_stable():
    assert [p.condition for p in diagnosis([0.2, 0.3, 0.3, 0.2]).top(3)] == ["acne-vulgaris", "keloid", "acne"]
    assert len(diagnosis([0.25] * 4).top()) == 4


def test_families_add_up_overlapping_labels():
    merged = diagnosis([0.2, 0.25, 0.4, 0.15]).families()
    assert [p.condition for p in merged] == ["Acne (any label)", "keloid", "melanoma"]
    assert [p.probability for p in merged] == pytest.approx([0.45, 0.4, 0.15])


def test_a_family_of_one_keeps_its_own_name():
    assert [p.condition for p in merge_families(("acne", "keloid"), np.array([0.6, 0.4]))] == ["acne", "keloid"]


def test_no_label_is_in_two_families():
    slugs = [slug for family in FAMILIES.values() for slug in family]
    assert len(slugs) == len(set(slugs))


def test_partitions():
    rolled = diagnosis([0.2, 0.25, 0.4, 0.15]).partitions()
    assert [p.condition for p in rolled] == ["benign", "malignant", "non-neoplastic"]
    assert [p.probability for p in rolled] == pytest.approx([0.4, 0.15, 0.45])
    assert diagnosis([0.25] * 4, partition3={"acne": "benign"}).partitions() == []


def test_combine_is_the_mean():
    both = combine([diagnosis([1.0, 0, 0, 0]), diagnosis([0, 0, 0.5, 0.5])])
    assert both.probabilities == pytest.approx([0.5, 0, 0.25, 0.25])
    assert both.seconds == 0.5
    assert both.partition3 == PARTITION3
    with pytest.raises(ValueError, match="different models"):
        combine([diagnosis([0.25] * 4), diagnosis([0.25] * 4, version="2")])


@pytest.mark.parametrize(("count", "text"), [(1, "(1 in all: 0)"), (5, "(5 in all: 0, 1, 2, 3, 4)"),
                                             (6, "(6 in all: 0, 1, 2, 3, 4, ...)")])
def test_first_five(count, text):
    items = [str(i) for i in range(count)]
    assert first_five(items) == text
    assert str(DatasetError("Lost.", items)) == f"Lost. {text}"


@pytest.mark.parametrize(("metadata", "text"), [
    ({}, "from the photograph alone"),
    ({"x_age": 54.0, "x_body_site": "upper arm", "x_itch": False, "x_weight": 61.5},
     "with age 54, body site upper arm, itch no, weight 61.5"),
])
def test_what_an_answer_rests_on(metadata, text):
    one = replace(diagnosis([0.25] * 4), metadata=metadata)
    assert one.basis == combine([one, one]).basis == text
