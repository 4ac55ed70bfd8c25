"""Two models on the same photographs: differences photograph by photograph, matched by name."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from derm.errors import DatasetError
from derm.fairness.groups import ALL
from derm.fairness.paired import Change, changes


def table(right: np.ndarray, **columns: object) -> pd.DataFrame:
    """One row a photograph, melanoma or eczema in turn; `right`, bool [n], is where the model is."""
    truth = np.where(np.arange(len(right)) % 2, "melanoma", "eczema")
    other = np.where(np.arange(len(right)) % 2, "eczema", "melanoma")
    return pd.DataFrame({"image_id": [f"i{i}" for i in range(len(right))], "condition": truth,
                         "predicted": np.where(right, truth, other),
                         "fst": pd.array(np.where(np.arange(len(right)) < len(right) // 2, 1, 5), dtype="Int8"),
                         **columns})


def of(found: list[Change], group: str, metric: str) -> Change:
    return next(each for each in found if (each.group, each.metric) == (group, metric))


def test_the_difference_is_theirs_minus_ours_on_the_same_photographs():
    ours, theirs = np.ones(100, dtype=bool), np.ones(100, dtype=bool)
    ours[:10] = theirs[5:25] = False
    found = changes(table(ours), table(theirs).sample(frac=1, random_state=0))
    change = of(found, ALL, "accuracy")
    assert (change.n, change.value) == (100, pytest.approx(-0.10))
    assert change.low is not None
    assert change.low < -0.10 < change.high < 0
    assert of(found, "V-VI", "accuracy").value == 0
    assert of(found, "I-II", "malignant_sensitivity").n == 25


def test_bonett_and_price_by_hand():
    """20 only they have right, 5 only we, of 100: (21 - 6) / 102 +- 1.96 sqrt((27/102 - (15/102)^2) / 102)."""
    ours, theirs = np.ones(100, dtype=bool), np.ones(100, dtype=bool)
    ours[:20] = theirs[20:25] = False
    change = of(changes(table(ours), table(theirs)), ALL, "accuracy")
    half = 1.959964 * np.sqrt((27 / 102 - (15 / 102) ** 2) / 102)
    assert change.low == pytest.approx(15 / 102 - half, abs=1e-6)
    assert change.high == pytest.approx(15 / 102 + half, abs=1e-6)
    assert change.value == pytest.approx(0.15)


@pytest.mark.parametrize("n", [60, 300])
def test_intervals_cover_the_true_difference(n):
    """In 93 to 98 of 100 simulated pairs of models that tend to be right together, each pair a group."""
    rng, runs = np.random.default_rng(n), 500
    both = rng.random(runs * n)
    ours, theirs = both < 0.8, (both < 0.65) | (rng.random(runs * n) < 0.2)
    pairs = [f"pair {i // n}" for i in range(runs * n)]
    found = changes(table(ours, x_pair=pairs), table(theirs), by="x_pair", metrics=["accuracy"])
    covered = [each.low <= 0.72 - 0.8 <= each.high for each in found if each.group != ALL]
    assert len(covered) == runs
    assert 0.93 <= np.mean(covered) <= 0.98


def test_photographs_of_one_patient_widen_the_interval():
    rng = np.random.default_rng(0)
    ours, theirs = (np.repeat(rng.random(30) < p, 10) for p in (0.8, 0.6))
    patients = [f"p{i // 10}" for i in range(300)]
    alone = of(changes(table(ours), table(theirs)), ALL, "accuracy")
    together = of(changes(table(ours, group_id=patients), table(theirs, group_id=patients)), ALL, "accuracy")
    assert together.value == alone.value
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_only_common_labelled_answered_photographs_count():
    ours, theirs = table(np.ones(80, dtype=bool)), table(np.zeros(60, dtype=bool))
    theirs["condition"], theirs["fst"] = ours["condition"][:60], ours["fst"][:60]
    theirs.loc[0, "condition"] = None
    abstained = np.arange(60) < 5
    change = of(changes(ours, theirs.assign(abstained=abstained)), ALL, "accuracy")
    assert change.n == 55
    assert change.value == -1


def test_a_small_group_has_a_count_and_no_difference():
    change = of(changes(table(np.ones(30, dtype=bool)), table(np.ones(30, dtype=bool))), "V-VI", "accuracy")
    assert change == Change("V-VI", "accuracy", 15, *[None] * 5)


def test_what_the_other_file_cannot_say_is_left_out():
    found = changes(table(np.ones(50, dtype=bool)), table(np.ones(50, dtype=bool)))
    assert "top3" not in {each.metric for each in found}


@pytest.mark.parametrize(("change", "said"), [
    ({"image_id": [f"other{i}" for i in range(50)]}, "no image_id is in both"),
    ({"condition": "keloid"}, r"differ in the true condition.*i0: eczema or keloid")])
def test_files_that_do_not_belong_together_are_refused(change, said):
    rows = table(np.ones(50, dtype=bool))
    with pytest.raises(DatasetError, match=said):
        changes(rows, rows.assign(**change))
