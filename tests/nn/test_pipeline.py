"""What is drawn how often and what each image weighs, by hand-made counts."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from derm.nn import pipeline
from derm.nn.config import TrainConfig

# Three classes of 1, 4 and 16 images; in the last, twelve of one skin-type group and four of another.
LABELS = np.repeat([0, 1, 2], [1, 4, 16])
GROUPS = np.array(["I-II"] * 5 + ["I-II"] * 12 + ["V-VI"] * 4)


def shares_of(codes: np.ndarray, shares: np.ndarray) -> dict[object, float]:
    return {code: shares[codes == code].sum() for code in np.unique(codes)}


@pytest.mark.parametrize("imbalance", ["class-weights", "weighted-loss"])
def test_class_weights_have_mean_one_over_the_images(imbalance):
    weights = pipeline.class_weights(LABELS, 3, imbalance)
    assert weights.dtype == np.float32
    assert weights[LABELS].mean() == pytest.approx(1)
    assert weights[0] > weights[1] > weights[2]


def test_class_weights_are_inverse_to_frequency():
    weights = pipeline.class_weights(LABELS, 3, "class-weights")
    np.testing.assert_allclose(weights / weights[2], [16, 4, 1], rtol=1e-6)


def test_weighted_loss_follows_the_effective_number_of_samples():
    """1 + b + b^2 + ... of n terms, b = 0.999 (Cui et al. 2019)."""
    weights = pipeline.class_weights(LABELS, 3, "weighted-loss")
    effective = np.array([sum(0.999**k for k in range(n)) for n in (1, 4, 16)])
    np.testing.assert_allclose(weights / weights[0], effective[0] / effective, rtol=1e-6)


@pytest.mark.parametrize("imbalance", ["none", "focal", "sqrt-sampling", "inverse-sampling", "skin-type-sampling"])
def test_elsewhere_every_class_weighs_one(imbalance):
    np.testing.assert_array_equal(pipeline.class_weights(LABELS, 3, imbalance), np.ones(3, "float32"))


def test_a_class_without_images_does_not_break_the_weights():
    weights = pipeline.class_weights(np.array([0, 0, 2]), 4, "class-weights")
    assert np.isfinite(weights).all()


@pytest.mark.parametrize(("imbalance", "expected"), [
    ("none", [1 / 21, 4 / 21, 16 / 21]), ("focal", [1 / 21, 4 / 21, 16 / 21]),
    ("class-weights", [1 / 21, 4 / 21, 16 / 21]), ("weighted-loss", [1 / 21, 4 / 21, 16 / 21]),
    ("sqrt-sampling", [1 / 7, 2 / 7, 4 / 7]), ("inverse-sampling", [1 / 3, 1 / 3, 1 / 3]),
    ("skin-type-sampling", [1 / 7, 2 / 7, 4 / 7]),
])
def test_how_often_each_class_is_drawn(imbalance, expected):
    shares = pipeline.draw_shares(LABELS, GROUPS, imbalance)
    assert shares.sum() == pytest.approx(1)
    assert (shares > 0).all()
    np.testing.assert_allclose(list(shares_of(LABELS, shares).values()), expected)


def test_skin_type_sampling_balances_the_groups_within_a_class():
    """Twelve against four become the square root, 1.73 to 1; sampling by class alone leaves 3 to 1."""
    last = LABELS == 2
    for imbalance, ratio in (("skin-type-sampling", 3**0.5), ("sqrt-sampling", 3)):
        found = shares_of(GROUPS[last], pipeline.draw_shares(LABELS, GROUPS, imbalance)[last])
        assert found["I-II"] / found["V-VI"] == pytest.approx(ratio)


def test_an_epoch_is_the_same_for_the_same_seed_and_epoch_only():
    shares = np.full(40, 1 / 40)
    first = pipeline.epoch_order(shares, batch=8, steps=5, seed=3, epoch=2)
    np.testing.assert_array_equal(first, pipeline.epoch_order(shares, batch=8, steps=5, seed=3, epoch=2))
    assert (first != pipeline.epoch_order(shares, batch=8, steps=5, seed=3, epoch=3)).any()
    assert (first != pipeline.epoch_order(shares, batch=8, steps=5, seed=4, epoch=2)).any()


@pytest.mark.parametrize("epoch", range(5))
def test_with_equal_shares_each_image_comes_once(epoch):
    order = pipeline.epoch_order(np.full(40, 1 / 40), batch=8, steps=5, seed=0, epoch=epoch)
    assert order.shape == (5, 8)
    assert sorted(order.ravel()) == list(range(40))


@pytest.mark.parametrize("epoch", range(5))
@pytest.mark.parametrize("imbalance", ["sqrt-sampling", "inverse-sampling", "skin-type-sampling"])
def test_each_image_comes_its_share_of_times_rounded_down_or_up(imbalance, epoch):
    shares = pipeline.draw_shares(LABELS, GROUPS, imbalance)
    order = pipeline.epoch_order(shares, batch=8, steps=11, seed=1, epoch=epoch)
    came = np.bincount(order.ravel(), minlength=len(LABELS))
    assert (np.abs(came - 88 * shares) < 1 + 1e-9).all()


def test_the_batches_are_mixed():
    """The order within an epoch is shuffled too: no batch is all one class for long."""
    shares = pipeline.draw_shares(LABELS, GROUPS, "inverse-sampling")
    order = pipeline.epoch_order(shares, batch=10, steps=30, seed=0, epoch=0)
    assert all(len(np.unique(LABELS[rows])) > 1 for rows in order)


@pytest.mark.parametrize(("images", "changes", "steps"), [
    (100, {"batch_size": 32}, 3), (5, {"batch_size": 32}, 1), (320, {"batch_size": 32}, 10),
    (320, {"batch_size": 32, "steps_per_epoch": 4}, 4),
])
def test_steps_per_epoch(images, changes, steps):
    assert pipeline.steps_per_epoch(images, TrainConfig(**changes)) == steps


def test_batches_hold_the_pictures_and_targets_of_their_rows():
    pixels = np.arange(6, dtype=np.uint8).repeat(2 * 2 * 3).reshape(6, 2, 2, 3)
    targets = np.eye(6, dtype="float32")
    batches = pipeline.Batches({"image": pixels, "target": targets}, np.array([[5, 0, 5], [1, 2, 3]]))
    assert len(batches) == 2
    (first,) = batches[0]
    assert first["image"].dtype == np.uint8
    assert first["image"][:, 0, 0, 0].tolist() == [5, 0, 5]
    np.testing.assert_array_equal(first["target"], targets[[5, 0, 5]])
    assert Counter(batches[1][0]["image"].ravel().tolist()) == {1: 12, 2: 12, 3: 12}


def epoch_of(epoch: int = 0) -> np.ndarray:
    shares = pipeline.draw_shares(LABELS, GROUPS, "inverse-sampling")
    return pipeline.epoch_order(shares, batch=6, steps=20, seed=1, epoch=epoch)


def test_a_partner_is_another_image_of_the_same_rare_class_and_else_the_image_itself():
    """One image, four and sixteen: the only one has nobody else, and sixteen are not rare."""
    order = epoch_of()
    found = pipeline.partners(order, LABELS, below=16, seed=0, epoch=0)
    assert found.shape == order.shape
    np.testing.assert_array_equal(LABELS[found], LABELS[order])
    np.testing.assert_array_equal(found != order, LABELS[order] == 1)
    for image in (1, 2, 3, 4):
        assert set(found[order == image]) == {1, 2, 3, 4} - {image}


def test_partners_are_the_same_for_the_same_seed_and_epoch_only():
    """And drawn for a whole epoch, so that a run resumed in its middle meets the same."""
    order = epoch_of()
    first = pipeline.partners(order, LABELS, below=99, seed=3, epoch=2)
    np.testing.assert_array_equal(first, pipeline.partners(order, LABELS, below=99, seed=3, epoch=2))
    assert (first != pipeline.partners(order, LABELS, below=99, seed=3, epoch=3)).any()
    assert (first != pipeline.partners(order, LABELS, below=99, seed=4, epoch=2)).any()


def test_labels_in_any_order_have_partners_of_their_own():
    labels = np.array([2, 0, 1, 2, 1, 0, 2])
    found = pipeline.partners(np.arange(7)[None], labels, below=9, seed=0, epoch=0)[0]
    np.testing.assert_array_equal(labels[found], labels)
    assert (found != np.arange(7)).all()


def test_batches_hold_every_column_and_partners_where_they_are_asked_for():
    pixels = np.arange(4, dtype=np.uint8).repeat(12).reshape(4, 2, 2, 3)
    columns = {"image": pixels, "group": np.array([7, 8, 9, 6]), "metadata": np.eye(4, 3, dtype="float32")}
    order, partners = np.array([[3, 0], [1, 2]]), np.array([[1, 0], [2, 2]])
    (plain,) = pipeline.Batches(columns, order)[1]
    assert plain.keys() == columns.keys()
    assert plain["group"].tolist() == [8, 9]
    np.testing.assert_array_equal(plain["metadata"], np.eye(4, 3)[1:3])
    (batch,) = pipeline.Batches(columns, order, partners=partners)[0]
    assert batch.keys() == {*columns, "partner"}
    assert batch["image"][:, 0, 0, 0].tolist() == [3, 0]
    assert batch["partner"][:, 0, 0, 0].tolist() == [1, 0]
    assert batch["partner"].dtype == np.uint8
