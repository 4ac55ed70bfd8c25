"""What is made of finished bundles without training: one that lacks what the point of care needs gets it, and one
that answers from other views or from averaged weights is measured anew."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from derm import images, predictions, registry, samples, support
from derm.bundle_rules import PREDICTIONS
from derm.errors import DatasetError, ModelError
from derm.nn import calibrate, compact, evaluation, remake
from derm.nn import config as configs
from derm.nn.predict import Predictor
from derm.registry import Bundle
from derm.settings import settings
from tests.cli.test_commands import run
from tests.nn.conftest import finished_run

ADDED = {"conformal": {}, "sensitivity": {}, "training": {}, "nonskin": {}}
pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def old(finished: Bundle, tmp_path: Path) -> Bundle:
    """The bundle as an earlier version left it."""
    folder = tmp_path / "old"
    shutil.copytree(finished.folder, folder)
    (folder / registry.REFERENCE).unlink()
    table = predictions.read(folder / "predictions.parquet")
    predictions.write(folder / "predictions.parquet", table.drop(columns=["abstained", "prediction_set"]))
    return registry.write(folder, replace(finished, name="old", **ADDED))


def test_an_older_bundle_becomes_the_same(old, finished, drawn_root):
    network = old.path(registry.NETWORK).read_bytes()
    done = remake.complete(old, data=drawn_root)
    assert done == replace(finished, folder=done.folder, name="old", sha256=done.sha256)
    assert registry.verify(registry.read(done.folder)) == ()
    assert done.path(registry.NETWORK).read_bytes() == network
    pd.testing.assert_frame_equal(predictions.read(done.path("predictions.parquet")),
                                  predictions.read(finished.path("predictions.parquet")))
    assert done.path(registry.REFERENCE).read_bytes() == finished.path(registry.REFERENCE).read_bytes()
    ours, theirs = (one.path("card.md").read_text() for one in (done, finished))
    assert ours == theirs.replace("`whole`", "`old`")
    assert remake.complete(done, data=drawn_root) == done


def test_other_data_is_refused_and_nothing_changes(old, tmp_path):
    other = samples.write_dataset(tmp_path / "ajl", seed=1)
    before = {name: old.path(name).read_bytes() for name in (*old.sha256, registry.DESCRIPTION)}
    with pytest.raises(DatasetError, match="not the data that old was trained on"):
        remake.complete(old, data=other)
    assert {name: old.path(name).read_bytes() for name in before} == before


def test_another_split_is_refused(old, drawn_root):
    table = predictions.read(old.path("predictions.parquet"))
    predictions.write(old.path("predictions.parquet"), table.iloc[1:])
    with pytest.raises(DatasetError, match="split otherwise"):
        remake.complete(old, data=drawn_root)


def test_a_network_that_answers_otherwise_is_refused(old, drawn_root):
    table = predictions.read(old.path("predictions.parquet"))
    columns = [name for name in table if name.startswith("p:")]
    table[columns] = np.roll(table[columns].to_numpy(), 1, axis=1)
    predictions.write(old.path("predictions.parquet"), table)
    with pytest.raises(ModelError, match="otherwise than recorded"):
        remake.complete(old, data=drawn_root)


def test_other_views_are_calibrated_and_measured_anew(finished, drawn_root, tmp_path):
    found = remake.answering(finished, tmp_path, mirror=False, turns=True, known_cases=0.0, data=drawn_root)
    assert registry.verify(registry.read(tmp_path)) == ()
    assert (found.name, found.mirror, found.turns, finished.mirror) == (tmp_path.name, False, True, True)
    assert configs.read(tmp_path / configs.CONFIG).turns
    assert found.sha256[registry.NETWORK] == finished.sha256[registry.NETWORK]
    assert found.temperature != finished.temperature
    recorded = predictions.read(tmp_path / PREDICTIONS)
    photographs = {path.stem: path for path in drawn_root.rglob("*.jpg")}
    row = recorded.iloc[0]
    turned = [np.rot90(images.read(photographs[row["image_id"]]).pixels, quarter) for quarter in range(4)]
    one_by_one = Predictor.load(replace(finished, mirror=False))
    logits = np.mean([one_by_one.evidence(images.fit(view, found.input_size)[None])[0][0] for view in turned],
                     axis=0)
    expected = calibrate.probabilities(logits[None], found.temperature)[0]
    assert row.filter(like="p:").to_numpy(dtype=float) == pytest.approx(expected, abs=0.02)
    assert "quarter turns" in (tmp_path / registry.CARD).read_text()
    back = tmp_path / "back"
    back.mkdir()
    assert remake.answering(found, back, mirror=True, turns=False, known_cases=0.0,
                            data=drawn_root).figures == finished.figures
    pd.testing.assert_frame_equal(predictions.read(back / PREDICTIONS), predictions.read(
        finished.path(PREDICTIONS)))


def test_a_network_that_is_not_short_becomes_so(finished, drawn_root, tmp_path):
    shutil.copytree(finished.folder, long := tmp_path / "long")
    network = Predictor.load(finished).network
    network.set_weights([weight * 1.0001 for weight in network.get_weights()])
    network.save(long / registry.NETWORK)
    old = registry.write(long, replace(finished, folder=long))
    (folder := tmp_path / "short").mkdir()
    found = remake.answering(old, folder, mirror=True, turns=False, known_cases=0.0, data=drawn_root)
    assert compact.is_short(Predictor.load(found).network)
    assert found.path(registry.NETWORK).stat().st_size < old.path(registry.NETWORK).stat().st_size


def test_views_of_an_ensemble_are_those_of_its_members(finished, tmp_path):
    with pytest.raises(ModelError, match=r"is an ensemble; do this with its members \(a, b\)"):
        remake.answering(replace(finished, members=("a", "b")), tmp_path, mirror=True, turns=True,
                         known_cases=0.0, data=None)
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def other(finished: Bundle, drawn_root: Path) -> Bundle:
    """A run that began with the finished one's backbone."""
    return finished_run(drawn_root, finished.folder.parent / "other", weights=str(finished.folder))


def test_an_average_has_the_mean_weights_and_is_measured_anew(finished, other, drawn_root, tmp_path):
    found = remake.averaged([finished, other], tmp_path, data=drawn_root)
    assert registry.verify(registry.read(tmp_path)) == ()
    assert (found.name, found.averaged) == (tmp_path.name, ("whole", "other"))
    ours, theirs, both = (Predictor.load(one).network.get_weights() for one in (finished, other, found))
    assert not all(map(np.array_equal, ours, theirs))
    for one, another, mean in zip(ours, theirs, both, strict=True):
        np.testing.assert_allclose(mean, (one + another) / 2, rtol=2**-8)
    recorded = predictions.read(tmp_path / PREDICTIONS)
    photograph = next(path for path in drawn_root.rglob("*.jpg") if path.stem == recorded["image_id"][0])
    pixels = images.fit(images.read(photograph).pixels, found.input_size)
    answer = Predictor.load(found).probabilities(pixels[None])
    assert recorded.iloc[0].filter(like="p:").to_numpy(dtype=float) == pytest.approx(answer[0], abs=1e-5)
    card = (tmp_path / registry.CARD).read_text()
    assert "mean of those of `whole`, `other`" in card
    assert f"derm models average whole other --name {tmp_path.name}" in card


@pytest.mark.parametrize(("change", "message"), [
    ({"classes": ("a", "b")}, "differ in their classes"), ({"backbone": "other"}, "differ in their backbone"),
    ({"data_fingerprint": "0"}, "differ in their data fingerprint"), ({"members": ("a", "b")}, "is an ensemble")])
def test_what_cannot_be_averaged_is_refused(finished, other, drawn_root, tmp_path, change, message):
    with pytest.raises(ModelError, match=message):
        remake.averaged([finished, replace(other, **change)], tmp_path, data=drawn_root)
    for too_few in ([], [finished], [finished, other, finished]):
        with pytest.raises(ModelError, match="name two networks or more"):
            remake.averaged(too_few, tmp_path, data=drawn_root)
    assert not list(tmp_path.iterdir())


def test_a_network_that_learnt_from_what_another_held_out_is_not_averaged_with_it(finished, other, drawn_root,
                                                                                  tmp_path):
    shutil.copytree(other.folder, folder := tmp_path / "other")
    predictions.write(folder / PREDICTIONS, predictions.read(folder / PREDICTIONS).iloc[3:])
    with pytest.raises(ModelError, match="other learnt from 3 of the"):
        remake.averaged([finished, replace(other, folder=folder)], tmp_path, data=drawn_root)


def test_another_head_is_not_averaged(finished, drawn_root, tmp_path):
    attentive = finished_run(drawn_root, tmp_path / "attentive", head="attention")
    (folder := tmp_path / "both").mkdir()
    with pytest.raises(ModelError, match="not built alike"):
        remake.averaged([finished, attentive], folder, data=drawn_root)


@pytest.fixture
def no_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The empty folder of the models."""
    monkeypatch.setenv("DERM_MODELS", str(tmp_path))
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


def test_known_cases_get_a_say_and_it_is_measured_anew(finished, drawn_root, tmp_path):
    old = replace(finished, override="it was worse, and in all the same", version="2001.02.03", created="long ago")
    found = remake.answering(old, tmp_path, mirror=True, turns=False, known_cases=0.4, data=drawn_root)
    assert registry.verify(registry.read(tmp_path)) == ()
    assert found.override == ""  # that of another model: this one is judged anew
    assert found.version > old.version
    assert datetime.fromisoformat(found.created) > datetime.now(UTC) - timedelta(hours=1)
    assert (found.known_cases, configs.read(tmp_path / configs.CONFIG).known_cases) == (0.4, 0.4)
    assert registry.read(tmp_path).known_width == support.WIDTH
    photographs = {path.stem: path for path in drawn_root.rglob("*.jpg")}
    recorded = predictions.read(tmp_path / PREDICTIONS)
    pixels = np.stack([images.fit(images.read(photographs[name]).pixels, found.input_size)
                       for name in recorded["image_id"]])
    answers = recorded.filter(like="p:").to_numpy(dtype=float)
    predictor = Predictor.load(found)
    assert set(recorded["image_id"]) < set(predictor.known.image_ids)  # what was held out is known from now on,
    np.testing.assert_allclose(predictor.probabilities(pixels, recorded), answers, atol=1e-4)
    own = [found.classes.index(name) for name in recorded["condition"]]  # but tells nothing of itself
    told = predictor.probabilities(pixels)[range(len(own)), own] - answers[range(len(own)), own]
    assert told.min() > -1e-4
    assert told.max() > 0.005
    again = evaluation.predict_split(found, data=drawn_root, split="val").filter(like="p:")
    np.testing.assert_allclose(again.to_numpy(dtype=float), answers, atol=1e-4)
    before = predictions.read(finished.path(PREDICTIONS)).filter(like="p:").to_numpy(dtype=float)
    assert np.abs(answers - before).max() > 0.01
    assert "40% of it is the vote" in (tmp_path / registry.CARD).read_text()
    kept = found.path(registry.REFERENCE).read_bytes()
    assert remake.complete(found, data=drawn_root).figures == found.figures
    assert found.path(registry.REFERENCE).read_bytes() == kept


def test_a_test_part_is_not_known(drawn_root, tmp_path):
    found = finished_run(drawn_root, tmp_path / "three", split="80/10/10", known_cases=0.5)
    recorded = predictions.read(found.path(PREDICTIONS)).set_index("split")["image_id"]
    known = set(Predictor.load(found).known.image_ids)
    assert {*recorded.loc["val"]} <= known
    assert known.isdisjoint(recorded.loc["test"])


def test_other_views_from_the_command_line(finished, drawn_root, no_models, capsys):
    assert run("models", "views", finished.folder, "--name", "turned", "--no-mirror", "--known-cases", 0.2,
               "--data", drawn_root) == 0
    assert "turned is a model now" in capsys.readouterr().out
    made = registry.find("turned", models=no_models)
    assert (made.mirror, made.turns, made.known_cases) == (False, True, 0.2)
    assert "`turned`" in made.path(registry.CARD).read_text()
    assert run("models", "views", finished.folder, "--name", "turned", "--data", drawn_root) == 2
    assert [path.name for path in no_models.iterdir()] == ["turned"]


def test_an_average_from_the_command_line(finished, other, drawn_root, no_models, capsys):
    assert run("models", "average", finished.folder, other.folder, "--name", "mean", "--data", drawn_root) == 0
    assert "mean is a model now" in capsys.readouterr().out
    assert registry.find("mean", models=no_models).averaged == ("whole", "other")
    assert run("models", "average", finished.folder, "--name", "one", "--data", drawn_root) == 2
