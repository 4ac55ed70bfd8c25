"""A finished run has what the point of care needs, and a bundle that lacks it gets the same."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from derm import predictions, registry, samples
from derm.errors import DatasetError, ModelError
from derm.nn import finish, train
from derm.nn.config import TrainConfig
from derm.nn.predict import Predictor
from derm.registry import Bundle

ADDED = {"conformal": {}, "sensitivity": {}, "training": {}, "nonskin": {}}
pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture(scope="module")
def finished(drawn_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    run = tmp_path_factory.mktemp("runs") / "whole"
    config = TrainConfig(backbone="baseline", weights="none", image_size=32, head_epochs=1, epochs=0, batch_size=8,
                         steps_per_epoch=1, data=str(drawn_root))
    train.start(config, run=run, say=lambda line: None)
    return registry.read(run)


@pytest.fixture
def old(finished: Bundle, tmp_path: Path) -> Bundle:
    """The bundle as an earlier version left it."""
    folder = tmp_path / "old"
    shutil.copytree(finished.folder, folder)
    (folder / registry.REFERENCE).unlink()
    table = predictions.read(folder / "predictions.parquet")
    predictions.write(folder / "predictions.parquet", table.drop(columns=["abstained", "prediction_set"]))
    return registry.write(folder, replace(finished, name="old", **ADDED))


def test_a_run_leaves_it(finished):
    assert set(finished.sha256) == set(registry.FILES)
    assert registry.verify(finished) == ()
    weights = Predictor.load(finished).network.get_weights()
    assert all((array.view(np.uint32) % 2**13 == 0).all() for array in weights)
    assert set(finished.training) == set(finished.classes)
    assert sum(sum(row.values()) for row in finished.training.values()) == finished.counts["train"]
    assert finished.conformal["limits"]["all"]["n"] == finished.counts["val"]
    assert "## At the point of care" in finished.path("card.md").read_text()
    table = predictions.read(finished.path("predictions.parquet"))
    assert table["abstained"].isin([True, False]).all()
    assert all(set(text.split(";")) <= set(finished.classes) for text in table["prediction_set"])


def test_an_older_bundle_becomes_the_same(old, finished, drawn_root):
    network = old.path(registry.NETWORK).read_bytes()
    done = finish.complete(old, data=drawn_root)
    assert done == replace(finished, folder=done.folder, name="old", sha256=done.sha256)
    assert registry.verify(registry.read(done.folder)) == ()
    assert done.path(registry.NETWORK).read_bytes() == network
    pd.testing.assert_frame_equal(predictions.read(done.path("predictions.parquet")),
                                  predictions.read(finished.path("predictions.parquet")))
    assert done.path(registry.REFERENCE).read_bytes() == finished.path(registry.REFERENCE).read_bytes()
    ours, theirs = (one.path("card.md").read_text() for one in (done, finished))
    assert ours == theirs.replace("`whole`", "`old`")
    assert finish.complete(done, data=drawn_root) == done


def test_other_data_is_refused_and_nothing_changes(old, tmp_path):
    other = samples.write_dataset(tmp_path / "ajl", seed=1)
    before = {name: old.path(name).read_bytes() for name in (*old.sha256, registry.DESCRIPTION)}
    with pytest.raises(DatasetError, match="not the data that old was trained on"):
        finish.complete(old, data=other)
    assert {name: old.path(name).read_bytes() for name in before} == before


def test_another_split_is_refused(old, drawn_root):
    table = predictions.read(old.path("predictions.parquet"))
    predictions.write(old.path("predictions.parquet"), table.iloc[1:])
    with pytest.raises(DatasetError, match="split otherwise"):
        finish.complete(old, data=drawn_root)


def test_a_network_that_answers_otherwise_is_refused(old, drawn_root):
    table = predictions.read(old.path("predictions.parquet"))
    columns = [name for name in table if name.startswith("p:")]
    table[columns] = np.roll(table[columns].to_numpy(), 1, axis=1)
    predictions.write(old.path("predictions.parquet"), table)
    with pytest.raises(ModelError, match="otherwise than recorded"):
        finish.complete(old, data=drawn_root)
