"""Several tiny networks of different sizes that answer as one."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

import derm
from derm import ensembles, images, registry, samples
from derm.errors import ConfigError, ModelError
from derm.nn import architecture, explain, metadata, predict
from derm.nn.ensemble import Ensemble
from derm.nn.predict import Predictor
from derm.settings import settings
from tests.bundles import CLASSES, complete_bundle, make_bundle, make_ensemble

WEIGHTS = (0.7, 0.3)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`small` (32 pixels, complete) and `large` (64 pixels), and ensembles of them by both votes."""
    folder = tmp_path_factory.mktemp("models")
    small = complete_bundle(folder / "small")
    large = make_bundle(folder / "large", size=64, seed=1, mirror=True)
    make_ensemble(folder / "soft", [small, large], weights=WEIGHTS, temperature=0.5)
    make_ensemble(folder / "hard", [small, large], vote="hard", weights=WEIGHTS)
    return folder


@pytest.fixture(scope="module")
def soft(models: Path) -> Ensemble:
    found = predict.load(registry.find("soft", models=models))
    assert isinstance(found, Ensemble)
    return found


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return samples.draw("melanoma", skin="IV", size=256)


def test_a_bundle_is_loaded_as_what_it_is(models, soft, monkeypatch):
    assert isinstance(predict.load(registry.find("small", models=models)), Predictor)
    assert list(soft.members) == ["small", "large"]
    assert (soft.input_size, soft.classes) == (64, CLASSES)
    monkeypatch.setenv("DERM_MODELS", str(models))
    settings.cache_clear()
    try:
        assert isinstance(derm.load("soft"), Ensemble)
    finally:
        settings.cache_clear()


@pytest.mark.parametrize(("name", "temperature"), [("soft", 0.5), ("hard", 1.0)])
def test_probabilities_are_the_members_combined(models, soft, pixels, name, temperature):
    found = Ensemble(registry.find(name, models=models), list(soft.members.values()))
    fitted = images.fit(pixels, 64)
    p = np.stack([soft.members["small"].probabilities(images.fit(fitted, 32)[None]),
                  soft.members["large"].probabilities(fitted[None])])
    expected = ensembles.combined(p, ensembles.Rule(name, WEIGHTS, temperature))
    np.testing.assert_allclose(found.probabilities(fitted[None]), expected, atol=1e-9)
    diagnosis = found.diagnose(pixels)
    np.testing.assert_allclose(diagnosis.probabilities, expected[0], atol=1e-6)
    assert (diagnosis.model, diagnosis.probabilities.sum()) == (name, pytest.approx(1))
    assert found.probabilities(fitted[None][:0]).shape == (0, len(CLASSES))


def test_many_give_the_same_as_one_by_one(soft, pixels):
    pictures = [np.roll(pixels, 40 * i, axis=1) for i in range(3)]
    for one, picture in zip(soft.diagnose_many(pictures), pictures, strict=True):
        np.testing.assert_allclose(one.probabilities, soft.diagnose(picture).probabilities, atol=1e-6)


def test_heat_maps_of_each_member_and_of_all_together(soft, pixels):
    found = soft.diagnose(pixels)
    leading = [line.condition for line in found.top(5)]
    assert list(found.heatmaps) == leading
    assert {name: list(maps) for name, maps in found.members.items()} == {"small": leading, "large": leading}
    own = soft.members["large"].diagnose(pixels)
    for condition in set(own.heatmaps) & set(leading):
        np.testing.assert_allclose(found.members["large"][condition], own.heatmaps[condition], atol=1e-5)
    assert {maps[leading[0]].shape for maps in found.members.values()} == {(8, 8), (16, 16)}
    for condition, one in found.heatmaps.items():
        assert one.shape == (16, 16)
        assert one.dtype == np.float32
        assert one.min() >= 0
        assert one.max() in (0, 1)
        np.testing.assert_allclose(one, soft.together([maps[condition] for maps in found.members.values()]))


def test_together_is_the_weighted_mean_over_its_maximum(soft):
    left, right = np.zeros((2, 2), np.float32), np.zeros((2, 2), np.float32)
    left[0, 0], right[1, 1] = 1, 1
    np.testing.assert_allclose(soft.together([left, right]), [[1, 0], [0, 0.3 / 0.7]], atol=1e-6)
    assert not soft.together([np.zeros((2, 2), np.float32)] * 2).any()


def test_the_first_member_leads(models, soft, pixels):
    lead = soft.members["small"]
    # Fitted twice, by way of the large one's size, the picture is a little another one.
    alone = lead.diagnose_fitted(images.fit(images.fit(pixels, 64), 32)[None])[0]
    found = soft.diagnose(pixels)
    assert found.strangeness == pytest.approx(alone.strangeness, abs=1e-6)
    assert found.similar == alone.similar
    assert found.similar
    turned = make_ensemble(models / "turned", [soft.members["large"].bundle, lead.bundle])
    other = Ensemble(turned, [soft.members["large"], lead]).diagnose(pixels)
    shutil.rmtree(models / "turned")
    assert other.strangeness is None
    assert other.similar == ()


def test_other_ways_to_see_are_combined_too(soft, pixels):
    pytest.importorskip("tensorflow")
    condition = CLASSES[0]
    each = [explain.explain(member, pixels, condition, "gradcam++") for member in soft.members.values()]
    found = explain.explain(soft, pixels, condition, "gradcam++")
    np.testing.assert_allclose(found, soft.together(each), atol=1e-5)


def test_a_member_that_is_damaged_missing_or_another_is_told(models, tmp_path):
    shutil.copytree(models, tmp_path / "models")
    bundle = registry.find("soft", models=tmp_path / "models")
    network = tmp_path / "models" / "large" / registry.NETWORK
    sound = network.read_bytes()
    network.write_bytes(sound[:-10])
    with pytest.raises(ModelError, match="SHA-256"):
        predict.load(bundle)
    registry.write(network.parent, registry.read(network.parent))
    with pytest.raises(ModelError, match="its member large is not the network"):
        predict.load(bundle)
    shutil.rmtree(network.parent)
    with pytest.raises(ModelError, match="its member large is missing"):
        predict.load(bundle)


def test_what_is_known_beside_the_photograph_reaches_the_member_that_reads_it(soft, pixels):
    spec = {"x_age": {"kind": "number", "mean": 50.0, "sd": 20.0}}
    reader = architecture.build("baseline", classes=len(CLASSES), size=32, metadata=metadata.width(spec))
    keras.utils.set_random_seed(0)
    for weight in reader.get_layer("embedding").weights:
        weight.assign(np.random.default_rng(0).normal(size=weight.shape))
    small = soft.members["small"].bundle
    members = [Predictor(replace(small, metadata=spec), reader), soft.members["large"]]
    both = Ensemble(replace(soft.bundle, metadata=spec), members)
    unknown, old = both.diagnose(pixels), both.diagnose(pixels, {"x_age": 90})
    assert np.abs(unknown.probabilities - old.probabilities).max() > 1e-4
    assert (unknown.basis, old.basis) == ("from the photograph alone", "with age 90")
    np.testing.assert_allclose(both.diagnose(pixels, {}).probabilities, unknown.probabilities)
    with pytest.raises(ConfigError, match="x_sex"):
        both.diagnose(pixels, {"x_sex": "female"})
