"""What is known beside the photograph: how it becomes numbers, and that a network learns from it."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from derm import bundle_rules, datasets, registry
from derm.errors import ConfigError
from derm.nn import architecture, epochs, evaluation, finish, learner, material, metadata, predict, train
from derm.nn.config import TrainConfig
from tests.datasets import fixtures

ROWS = pd.DataFrame({
    "x_age": pd.array([10, 30, None, *[20] * 9], dtype="Float64"),
    "x_sex": pd.Categorical(["male", None, "other thing", *["female"] * 5, *["male"] * 4]),
    "x_itch": pd.array([True, False, None, *[True] * 9], dtype="boolean"),
    "x_never": pd.array([None] * 12, dtype="Float64"),
    "x_lesion_id": [f"00{i}" for i in range(12)],
    "condition": ["acne"] * 12,
})
NUMBERED = pd.DataFrame({"x_case": np.arange(40.0), "x_weight": np.arange(40) + 0.5})


@pytest.fixture(scope="module")
def spec():
    return metadata.fit(ROWS, metadata.names(" x_age, x_sex,x_itch , x_age,"))


def test_a_column_is_a_number_a_category_or_an_answer(spec):
    assert list(spec) == ["x_age", "x_sex", "x_itch"]
    assert spec["x_age"] == {"kind": "number", "mean": 20.0, "sd": pytest.approx(np.sqrt(200 / 11))}
    assert spec["x_sex"] == {"kind": "category", "categories": ["female", "male"]}
    assert spec["x_itch"] == {"kind": "answer"}
    assert bundle_rules.RULES["metadata"][0](spec)


def test_every_row_is_kept_and_what_is_missing_is_neither_no_nor_the_mean(spec):
    found = metadata.encode(spec, ROWS)
    assert found.shape == (12, metadata.width(spec)) == (12, 8)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    away = 10 / spec["x_age"]["sd"]
    np.testing.assert_allclose(found[:4], [
        [0, -away, 0, 0, 1, 0, 0, 1],
        [0, away, 1, 0, 0, 0, 0, 0],
        [1, 0, 0, 0, 0, 1, 1, 0],
        [0, 0, 0, 1, 0, 0, 0, 1]], rtol=1e-6)


def test_nothing_known_is_valid_and_the_same_however_it_is_said(spec):
    absent = metadata.encode_one(spec, {})
    np.testing.assert_array_equal(absent, [[1, 0, 1, 0, 0, 0, 1, 0]])
    np.testing.assert_array_equal(metadata.encode_one(spec, {"x_age": None, "x_sex": None}), absent)
    np.testing.assert_array_equal(metadata.encode(spec, ROWS[["condition"]]), absent.repeat(12, axis=0))
    assert metadata.encode({}, ROWS).shape == (12, 0)


def test_an_unheard_of_value_is_another_and_an_absurd_number_does_not_outweigh_the_photograph(spec):
    found = metadata.encode_one(spec, {"x_sex": "unheard-of", "x_age": 1e9, "x_itch": False})
    np.testing.assert_array_equal(found, [[0, 5, 0, 0, 0, 1, 0, 0]])


@pytest.mark.parametrize(("table", "names", "says"), [
    (ROWS, "x_agee", r"metadata = 'x_agee': the data set has no such column; expected some of x_age, x_sex"),
    (ROWS, "condition", "no such column"),
    (ROWS[["condition"]], "x_age", "expected some of none"),
    (ROWS, "x_age, x_never", "'x_never': missing in all 12 training photographs; leave it out"),
    (ROWS, "x_lesion_id", r"none of its 12 values is shared by 5 .*is it an id\?"),
    (ROWS.assign(x_site="other"), "x_site", "none of its 1 values is shared"),
    (NUMBERED, "x_case", "40 training photographs and as many values, all whole numbers: an id"),
])
def test_a_column_that_nothing_can_be_learnt_from_is_refused(table, names, says):
    with pytest.raises(ConfigError, match=says) as refusal:
        metadata.fit(table, metadata.names(names))
    assert refusal.value.key == "metadata"


def test_measurements_that_never_repeat_are_no_ids():
    assert metadata.fit(NUMBERED, ["x_weight"])["x_weight"]["kind"] == "number"


def test_what_people_write_is_what_the_data_would_hold(spec):
    written = pd.DataFrame({"age": ["54", " 7.5", "unknown", ""], "x_sex": ["Female", "MALE ", "N/A", "alien"],
                            "sex": "male", "itch": ["Yes", "0", "", "False"]}, index=list("abcd"), dtype="str")
    found = metadata.read(spec, written)
    assert metadata.known(spec, found) == [
        {"x_age": 54, "x_sex": "female", "x_itch": True}, {"x_age": 7.5, "x_sex": "male", "x_itch": False}, {},
        {"x_sex": "alien", "x_itch": False}]
    typed = pd.DataFrame({"x_age": [54, 7.5, None, None], "x_sex": ["female", "male", None, "alien"],
                          "x_itch": pd.array([True, False, None, False], dtype="boolean")})
    np.testing.assert_array_equal(metadata.encode(spec, found), metadata.encode(spec, typed))
    assert metadata.unheard(spec, found) == [
        "x_sex = 'alien' is none of those learnt (female, male); it is read as 'other'."]
    assert metadata.unheard(spec, found[:3]) == []
    with pytest.raises(ConfigError, match=r"x_age = 'old' \(b\); expected a number"):
        metadata.read(spec, written.assign(age=["1", "old", "2", "3"]))


def test_one_photographs_values_may_be_called_without_their_x(spec):
    np.testing.assert_array_equal(metadata.encode_one(spec, {"age": 30, "x_itch": "no"}),
                                  metadata.encode_one(spec, {"x_age": 30, "x_itch": False}))


@pytest.mark.parametrize(("values", "says"), [
    ({"x_age": "old"}, "x_age = 'old'; expected a number, or nothing"),
    ({"x_itch": "maybe"}, "x_itch = 'maybe'; expected true or false"),
    ({"x_itch": 7}, "x_itch = 7; expected true or false"),
    ({"x_smoke": True}, "'x_smoke': not read by this model; expected some of x_age, x_sex, x_itch"),
])
def test_a_value_of_another_kind_is_refused(spec, values, says):
    with pytest.raises(ConfigError, match=says):
        metadata.encode_one(spec, values)


def test_a_share_is_withheld_other_rows_each_epoch_the_same_when_asked_again(spec):
    encoded = metadata.encode(spec, pd.concat([ROWS] * 100, ignore_index=True))
    absent = metadata.encode_one(spec, {})
    first, again, second = (metadata.withheld(encoded, spec, seed=1, epoch=epoch) for epoch in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    lost = (first == absent).all(axis=1)
    assert 0.25 < lost.mean() < 0.35
    np.testing.assert_array_equal(first[~lost], encoded[~lost])
    assert (lost != (second == absent).all(axis=1)).any()


@pytest.mark.parametrize("wrong", [
    {"x_age": {"kind": "number", "mean": 1.0, "sd": 0}},
    {"x_age": {"kind": "number", "mean": float("nan"), "sd": 1}},
    {"x_sex": {"kind": "category", "categories": "female"}}, {"x": {"kind": "answer", "more": 1}}, {"x": {}}, [],
])
def test_a_bundle_says_it_in_these_words_only(wrong):
    assert not bundle_rules.RULES["metadata"][0](wrong)


def test_a_run_learns_what_only_the_metadata_tells_and_answers_without(own_cache, tmp_path: Path):
    """From PAD-UFES's files to a bundle: the age tells the condition, and of every sixth patient it is missing."""
    root = fixtures.write_telling_pad_ufes(tmp_path / "data")
    config = TrainConfig(
        backbone="baseline", weights="none", image_size=32, head_epochs=0, epochs=12, rate=3e-3, batch_size=8,
        warmup_epochs=0.0, mirror=False, crop_min=1.0, dropout=0.0, metadata="x_age, x_itch, x_body_site",
        data=str(root))
    bundle = registry.read(train.start(config, run=tmp_path / "run", say=lambda line: None))
    assert registry.verify(bundle) == ()
    assert list(bundle.metadata) == ["x_age", "x_itch", "x_body_site"]
    assert sum(bundle.counts.values()) == 48

    said = evaluation.predict_split(bundle, data=root, split="all").set_index("image_id")
    rows = datasets.load(root).table.set_index("image_id").loc[said.index]
    right = said.filter(regex="^p:").idxmax(axis=1) == "p:" + said["condition"].astype(str)
    assert (rows["x_age"].notna().sum(), len(rows)) == (40, 48)
    assert right[rows["x_age"].notna()].mean() > 0.9  # by guessing: less than once in a million times

    model = predict.load(bundle)
    old, young, unknown = (
        dict(zip(model.classes, model.diagnose(root / rows["path"].iloc[0], told).probabilities, strict=True))
        for told in ({"x_age": 70}, {"x_age": 21}, None))
    assert old["basal-cell-carcinoma"] > 0.7 > 0.3 > young["basal-cell-carcinoma"]
    assert young["basal-cell-carcinoma"] < unknown["basal-cell-carcinoma"] < old["basal-cell-carcinoma"]
    told = model.diagnose(root / rows["path"].iloc[0], {"age": 70, "x_itch": True, "x_body_site": None})
    assert (told.metadata, told.basis) == ({"x_age": 70, "x_itch": True}, "with age 70, itch yes")
    with pytest.raises(ConfigError, match="'x_smoke': not read by this model"):
        model.diagnose(root / rows["path"].iloc[0], {"x_smoke": True})


def test_a_network_learns_from_scin_where_answers_are_yes_or_blank(own_cache, tmp_path: Path):
    root = fixtures.write_telling_scin(tmp_path / "data")
    made = material.prepare(TrainConfig(data=str(root), image_size=32,
                                        metadata="x_sex, x_condition_symptoms_itching"))
    assert made.metadata["x_sex"] == {"kind": "category", "categories": ["female", "male"]}
    assert made.metadata["x_condition_symptoms_itching"] == {"kind": "answer"}
    assert len(made.train.rows) + len(made.held_out["val"].rows) == 48

    keras.utils.set_random_seed(0)
    network = architecture.build("baseline", classes=2, size=32, metadata=metadata.width(made.metadata))
    network.compile(optimizer=keras.optimizers.Adam(1e-2), jit_compile=False,
                    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    shown = metadata.withheld(made.train.metadata, made.metadata, seed=0, epoch=0)
    images = np.ascontiguousarray(made.train.pixels[:, :32, :32])
    for _ in range(40):
        network.train_on_batch({"image": images, "metadata": shown}, made.train.labels)
    val = made.held_out["val"]
    known = val.rows["x_sex"].notna().to_numpy()
    right = finish.logits(network, val).argmax(axis=1) == val.labels
    assert known.sum() >= 6
    assert right[known].all()


def test_blended_images_are_blended_with_what_is_known_of_them(monkeypatch):
    config = TrainConfig(backbone="baseline", weights="none", image_size=32, mixup=1.0, mixup_alpha=10.0)
    network = architecture.build("baseline", classes=2, size=32, metadata=2)
    taught = learner.Learner(network, config, np.ones(2, "float32"))
    seen = []
    monkeypatch.setattr(architecture.keras.Model, "__call__", lambda model, inputs, **_: seen.append(inputs))
    target = np.eye(2, dtype="float32")[[0, 1, 0, 1]]
    found = taught.call({"image": np.zeros((4, 36, 36, 3), np.uint8), "target": target,
                         "metadata": np.column_stack([target[:, 0], 1 - 2 * target[:, 0]])}, training=True)
    mixed = np.asarray(found["target"])
    assert ((mixed[:, 0] > 0) & (mixed[:, 0] < 1)).all()
    np.testing.assert_allclose(seen[0]["metadata"], np.column_stack([mixed[:, 0], 1 - 2 * mixed[:, 0]]), atol=1e-6)


def test_an_epoch_shows_the_learner_some_photographs_without_metadata(spec):
    part = material.Part(np.zeros((12, 36, 36, 3), np.uint8), np.arange(12) % 2, np.array(["I-II"] * 12), ROWS,
                         metadata.encode(spec, ROWS))
    made = material.Material(None, part, {}, ("acne", "eczema"), spec)
    shown = epochs.Epochs(TrainConfig(batch_size=4, steps_per_epoch=30, image_size=32), made)
    batches = shown.batches(0)
    found = np.concatenate([batches[i][0]["metadata"] for i in range(len(batches))])
    assert shown.inputs()["metadata"].shape == (None, 8)
    lost = (found == metadata.encode_one(spec, {})).all(axis=1)
    assert 0 < lost.mean() < 1
