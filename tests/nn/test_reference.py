"""What a bundle carries for the point of care: kept and read again, measured on the right photographs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from derm import images, nonskin, predictions, registry, samples, support
from derm.errors import ModelError
from derm.nn import reference
from derm.nn.predict import Predictor
from derm.schema import SkinType
from tests.bundles import complete_bundle, make_bundle

CLASSES = ("acne", "eczema", "melanoma")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return complete_bundle(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def predictor(bundle):
    return Predictor.load(bundle)


def table(n: int, *, split: str = "val", fst: int = 2, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng([seed, n])
    truth = rng.integers(3, size=n)
    p = rng.dirichlet(np.ones(3), n) * 0.85 + 0.15 * np.eye(3)[truth]
    rows = pd.DataFrame({"image_id": [f"{split}{fst}-{i}" for i in range(n)], "split": split, "fst": fst,
                         "condition": [CLASSES[i] for i in truth]})
    return predictions.table(rows.assign(group_id=rows["image_id"]), classes=CLASSES, probabilities=p)


def test_a_reference_is_read_as_it_was_written(bundle, predictor):
    again = reference.read(bundle)
    assert again is not None
    known = predictor.known
    for name in ("points", "image_ids", "conditions", "fst", "paths", "sizes", "groups", "limit", "widths"):
        np.testing.assert_array_equal(getattr(again, name), getattr(known, name))
    assert reference.packed(again) == reference.packed(known)
    assert reference.read(replace(bundle, sha256={})) is None


def test_a_file_of_an_earlier_version_is_read(bundle, predictor, tmp_path):
    """Which kept fewer axes of each case, as float16."""
    known = predictor.known
    with np.load(bundle.path(registry.REFERENCE)) as held:
        parts = {name: held[name] for name in held if name not in ("step", "groups")}
    np.savez(tmp_path / registry.REFERENCE, **parts | {"points": known.points[:, :5].astype(np.float16)})
    found = reference.read(replace(bundle, folder=tmp_path))
    np.testing.assert_allclose(found.points, known.points[:, :5], atol=1e-2)
    assert found.directions.shape == known.directions.shape
    assert len(set(found.groups)) == len(found.points)  # each by itself


def test_when_not_all_cases_are_kept_no_group_is_divided(monkeypatch):
    monkeypatch.setattr(reference, "MOST", 100)
    groups = np.repeat(np.arange(60), 3)
    kept = reference._kept(groups)
    assert 90 <= kept.sum() <= 100
    assert set(pd.Series(kept).groupby(groups).nunique()) == {1}
    assert reference._kept(groups[:100]).all()
    assert reference._kept(np.zeros(101, int)).all()  # rather than none


@pytest.mark.parametrize("turns", [False, True])
def test_known_cases_have_their_share_of_the_answer(bundle, predictor, turns):
    batch = np.stack([images.fit(samples.draw("acne", skin=skin, size=64), 32) for skin in ("I", "V", "VI")])
    alone = Predictor(replace(bundle, turns=turns), predictor.network, predictor.known)
    together = Predictor(replace(bundle, turns=turns, known_cases=0.4, known_width=0.01), predictor.network,
                         predictor.known)
    seen = [np.rot90(batch, quarter, axes=(1, 2)) for quarter in range(4 if turns else 1)]
    deep = np.mean([alone.features(view)[0] for view in seen], axis=0)
    vote = support.vote(predictor.known, deep, bundle.classes, width=0.01)
    expected = 0.6 * alone.probabilities(batch) + 0.4 * vote
    np.testing.assert_allclose(together.probabilities(batch), expected, atol=1e-5)
    for one, p in zip(together.diagnose_fitted(batch), expected, strict=True):
        np.testing.assert_allclose(one.probabilities, p, atol=1e-5)
    assert np.abs(expected - alone.probabilities(batch)).max() > 0.01
    assert together.evidence(batch[:0])[0].shape == (0, len(bundle.classes))


def test_known_cases_that_have_a_say_must_be_there(tmp_path):
    mute = registry.write(tmp_path / "mute", replace(make_bundle(tmp_path / "mute"), known_cases=0.4))
    with pytest.raises(ModelError, match=r"known cases have a say.*reference\.npz"):
        Predictor.load(mute)


@pytest.mark.parametrize("spoil", [
    lambda data: b"", lambda data: b"PK\x03\x04 nothing", lambda data: data[:len(data) // 2],
])
def test_a_file_that_is_no_reference_is_refused(bundle, tmp_path, spoil):
    data = bundle.path(registry.REFERENCE).read_bytes()
    (tmp_path / registry.REFERENCE).write_bytes(spoil(data))
    with pytest.raises(ModelError, match=r"reference\.npz.*Copy the bundle again"):
        reference.read(replace(bundle, folder=tmp_path))


def test_parts_that_do_not_fit_are_refused(bundle, predictor, tmp_path):
    short = replace(predictor.known, fst=predictor.known.fst[:3])
    (tmp_path / registry.REFERENCE).write_bytes(reference.packed(short))
    with pytest.raises(ModelError, match="do not fit"):
        reference.read(replace(bundle, folder=tmp_path))


def test_a_changed_reference_is_not_opened(bundle, tmp_path):
    for name in (registry.NETWORK, registry.REFERENCE):
        (tmp_path / name).write_bytes(bundle.path(name).read_bytes())
    (tmp_path / registry.REFERENCE).write_bytes(b"another")
    with pytest.raises(ModelError, match="SHA-256"):
        Predictor.load(replace(bundle, folder=tmp_path))


def test_skin_is_answered_and_other_pictures_are_not(predictor):
    own = predictor.diagnose(samples.draw("melanoma", skin="II", size=256))
    assert not own.unlike
    assert len(own.similar) == 4
    assert (own.similar[0].image_id, own.similar[0].condition, own.similar[0].fst) == (
        "known-1", "melanoma", SkinType.II)
    for kind in nonskin.KINDS:
        assert predictor.diagnose(nonskin.draw(kind, seed=0)).unlike


def test_a_case_without_a_skin_type_has_none(predictor):
    found = predictor.diagnose(samples.draw("acne", skin="VI", size=256))
    assert None in [case.fst for case in found.similar]


def test_without_a_reference_nothing_is_said(tmp_path):
    found = Predictor.load(make_bundle(tmp_path / "old")).diagnose(samples.draw("acne", skin="II", size=64))
    assert (found.strangeness, found.similar, found.unlike) == (None, (), False)


@pytest.mark.parametrize("mirror", [False, True])
def test_features_are_the_means_of_the_pictures_own_maps(bundle, predictor, mirror):
    """`mirror` averages answers, never features: a reference fits a bundle either way."""
    batch = np.stack([images.fit(samples.draw("acne", skin=skin, size=64), 32) for skin in ("I", "V")])
    deep, middle = Predictor(replace(bundle, mirror=mirror), predictor.network).features(batch)
    alone = predictor.features(batch)
    np.testing.assert_allclose(deep, alone[0], atol=1e-5)
    np.testing.assert_allclose(middle, alone[1], atol=1e-5)
    kernel, bias = predictor.network.get_layer("logits").weights
    logits = np.asarray(predictor.network(batch, training=False))
    np.testing.assert_allclose(deep @ np.asarray(kernel) + np.asarray(bias), logits, atol=1e-4)


def test_validation_rows_are_judged_out_of_fold_and_test_rows_by_all_of_them():
    both = pd.concat([table(300), table(120, fst=5), table(80, split="test", seed=1)], ignore_index=True)
    strange = {"val": np.linspace(0, 1, 420), "test": np.full(80, 0.5)}
    limits, found = reference.declared(both, reference._unlike(both, strange, limit=0.4))
    val = (found["split"] == "val").to_numpy()
    assert set(limits) == {"all", "I-II", "V-VI"}
    assert limits["all"].n == 420
    held = [condition in text.split(";") for condition, text in
            zip(found["condition"], found["prediction_set"], strict=True)]
    assert np.mean(np.array(held)[val]) == pytest.approx(0.9, abs=0.04)
    assert found["abstained"][~val].all()  # 0.5 is beyond the limit
    assert found["abstained"][val].mean() < 0.9  # not by that limit, but by those of the other folds
    pd.testing.assert_frame_equal(found[both.columns], both)


def test_sensitivity_by_group_counts_who_was_there():
    p = np.array([[0.8, 0.1, 0.1]] * 25 + [[0.1, 0.1, 0.8]] * 15)
    rows = pd.DataFrame({"image_id": range(40), "fst": [2] * 30 + [6] * 10, "split": "val",
                         "condition": ["acne"] * 20 + ["melanoma"] * 20})
    found = reference.sensitivity(predictions.table(rows, classes=CLASSES, probabilities=p),
                                  {"acne": "non-neoplastic", "eczema": "non-neoplastic", "melanoma": "malignant"})
    assert found["acne"]["I-II"]["value"] == 1
    assert found["malignant"]["all"]["value"] == 0.75
    assert found["melanoma"]["V-VI"] == {"value": None, "low": None, "high": None, "n": 10}
    assert found["eczema"]["all"]["n"] == 0
    assert "malignant" not in reference.sensitivity(table(30), {"acne": "benign"})


def test_training_counts_have_their_zeros():
    rows = pd.DataFrame({"condition": ["acne", "acne", "melanoma"], "fst": pd.array([1, 6, None], dtype="Int8")})
    found = reference.training(rows, CLASSES)
    assert found["acne"] == {"I-II": 1, "III-IV": 0, "V-VI": 1, "not recorded": 0}
    assert found["melanoma"]["not recorded"] == 1
    assert sum(found["eczema"].values()) == 0


def test_the_file_is_small(predictor):
    """6,000 cases of a network with 2,048 channels stay below two megabytes."""
    rng = np.random.default_rng(0)
    n = reference.MOST
    ids = np.array([f"{i:032x}" for i in rng.integers(2**62, size=n)], dtype=object)
    deep = support.Space(rng.normal(size=2048), rng.normal(size=(support.DEEP_AXES, 2048)))
    middle = support.Space(rng.normal(size=1024), rng.normal(size=(support.MIDDLE_AXES, 1024)))
    points = rng.normal(size=(n, support.DEEP_AXES))
    known = support.Reference(deep, middle, np.ones(2), 0.1, points, ids, ids,
                              np.ones(n, np.int8), ids, rng.integers(10**6, size=n),
                              rng.permutation(n).astype(np.int32))
    assert len(reference.packed(known)) < 2 * 2**20
