"""Group DRO against its formula, and what the learner makes of it."""

from __future__ import annotations

import numpy as np
import pytest

from derm.nn import architecture, groupdro
from derm.nn.config import TrainConfig
from derm.nn.learner import Learner

LOSSES = np.array([1.0, 3.0, 0.5, 0.7], "float32")
GROUPS = np.array([0, 0, 2, 2], "int32")  # I-II does badly, V-VI well; nobody of III-IV and not recorded


def test_groups_have_numbers():
    assert groupdro.codes(np.array(["V-VI", "I-II", "not recorded"])).tolist() == [2, 0, 3]


def test_groups_that_occur_begin_alike():
    assert groupdro.start(GROUPS).tolist() == [0.5, 0, 0.5, 0]


def test_a_step_is_that_of_the_paper():
    start = np.array([0.3, 0.3, 0.2, 0.2], "float32")
    loss, weights = map(np.asarray, groupdro.step(start, LOSSES, GROUPS, rate=0.5))
    grown = start * np.exp(0.5 * np.array([2.0, 0.0, 0.6, 0.0]))
    expected = grown / grown.sum()
    np.testing.assert_allclose(weights, expected, rtol=1e-5)
    assert float(loss) == pytest.approx(expected[0] * 2.0 + expected[2] * 0.6, rel=1e-5)


def test_the_group_with_the_larger_loss_gains_until_it_has_all():
    weights = groupdro.start(GROUPS)
    before = weights
    for _ in range(200):
        _, after = groupdro.step(before, LOSSES, GROUPS, rate=0.1)
        assert after[0] > before[0]
        before = np.asarray(after)
        if before[0] > 0.999:
            break
    assert before[0] > 0.999


def test_the_learner_moves_the_weights_in_training_alone():
    config = TrainConfig(image_size=32, label_smoothing=0.0, group_weighting="dro", dro_rate=0.5)
    model = Learner(architecture.build("baseline", classes=2, size=32), config, np.array([1.0, 2.0], "float32"),
                    groups=np.array(["I-II", "V-VI", "V-VI"]))
    target = np.eye(2, dtype="float32")[[0, 1, 1]]
    logits = np.array([[0.0, 2.0], [0.0, 2.0], [0.0, 0.0]], "float32")
    answer = {"target": target, "logits": logits, "group": np.array([0, 2, 2], "int32")}
    own = np.log(np.exp(logits).sum(axis=1)) - (logits * target).sum(axis=1)
    means = np.array([own[0], 0, 2 * own[1:].mean(), 0])  # the second condition weighs 2
    grown = np.array([0.5, 0, 0.5, 0]) * np.exp(0.5 * means)
    expected = grown / grown.sum()
    loss = float(model.compute_loss(y_pred=answer, training=False))
    assert loss == pytest.approx((expected * means).sum(), rel=1e-5)
    np.testing.assert_array_equal(model.group_weights, [0.5, 0, 0.5, 0])
    model.compute_loss(y_pred=answer, training=True)
    np.testing.assert_allclose(model.group_weights, expected, rtol=1e-5)


def test_a_blended_image_counts_for_its_own_group():
    """Which is that of its larger part: no blend leaves less than half of an image's own target."""
    config = TrainConfig(image_size=32, mixup=0.5, cutmix=0.5, mixup_alpha=10.0, group_weighting="dro")
    model = Learner(architecture.build("baseline", classes=3, size=32), config, np.ones(3, "float32"))
    batch = {"image": np.zeros((3, 32, 32, 3), "uint8"), "target": np.eye(3, dtype="float32"),
             "group": np.array([0, 2, 3], "int32")}
    found = model(batch, training=True)
    own = np.diagonal(np.asarray(found["target"]))
    assert 0.5 - 1e-6 <= own.min() < 0.999
    np.testing.assert_array_equal(found["group"], batch["group"])
