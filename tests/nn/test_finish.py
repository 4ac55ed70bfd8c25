"""A finished run has what the point of care needs."""

from __future__ import annotations

import numpy as np
import pytest

from derm import predictions, registry
from derm.nn.predict import Predictor

pytestmark = pytest.mark.usefixtures("own_cache")


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
