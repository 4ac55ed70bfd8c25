"""Files and folders through one network."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from derm.errors import ConfigError
from derm.nn import scoring
from derm.nn.predict import Predictor
from tests.bundles import METADATA, make_bundle


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    return Predictor.load(make_bundle(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture
def folder(tmp_path):
    """70 pictures (more than two batches) in nested folders, one broken, and a text that is none of them."""
    rng = np.random.default_rng(0)
    for number in range(70):
        place = tmp_path / f"{number % 3}"
        place.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(place / f"{number:02d}.png")
    (tmp_path / "1" / "34.png").write_bytes(b"broken")
    (tmp_path / "notes.txt").write_text("not a picture")
    return tmp_path


def test_every_file_once_in_order_and_the_rest_go_on(predictor, folder):
    files = scoring.find_images([folder])
    assert len(files) == 70
    found = list(scoring.score(predictor, files))
    assert [item.path for item in found] == files
    assert [item.path.name for item in found if item.error] == ["34.png"]
    assert all((item.diagnosis is None) == (item.error is not None) for item in found)


def test_a_batch_gives_what_one_at_a_time_gives(predictor, folder):
    files = scoring.find_images([folder])[:5]
    for item in scoring.score(predictor, files):
        alone = predictor.diagnose(item.path)
        np.testing.assert_allclose(item.diagnosis.probabilities, alone.probabilities, atol=1e-6)


def test_nothing_to_score_is_said(predictor, tmp_path):
    assert list(scoring.score(predictor, [])) == []
    (tmp_path / "empty").mkdir()
    for path, named in ((tmp_path / "empty", "no pictures"), (tmp_path / "absent", "no such file")):
        with pytest.raises(ConfigError, match=named):
            scoring.find_images([path])


def test_each_photograph_keeps_what_is_known_beside_it(predictor, folder, monkeypatch):
    files = scoring.find_images([folder])
    beside = pd.DataFrame({"file": [path.name for path in files]})
    asked = []

    def recording(batch, *, metadata):
        asked.append((len(batch), list(metadata["file"])))
        return [None] * len(batch)

    monkeypatch.setattr(predictor, "diagnose_fitted", recording)
    list(scoring.score(predictor, files, beside))
    assert [count for count, _ in asked] == [len(names) for _, names in asked]
    assert [name for _, names in asked for name in names] == [path.name for path in files if path.name != "34.png"]


def test_each_diagnosis_says_what_was_known_of_its_photograph(folder, tmp_path_factory):
    reader = Predictor.load(make_bundle(tmp_path_factory.mktemp("models") / "reader", metadata=METADATA))
    files = [folder / "0" / "00.png", folder / "1" / "34.png", folder / "0" / "03.png", folder / "0" / "03.png"]
    beside = pd.DataFrame({"x_age": [80, 70, None, 20], "x_sex": ["male", "male", None, None], "more": 1})
    found = [item.diagnosis for item in scoring.score(reader, files, beside)]
    assert found[1] is None
    assert [one.metadata for one in found if one] == [{"x_age": 80, "x_sex": "male"}, {}, {"x_age": 20}]
    alone = reader.diagnose(files[3], {"x_age": 20})
    np.testing.assert_allclose(found[3].probabilities, alone.probabilities, atol=1e-6)
    assert np.abs(found[3].probabilities - found[2].probabilities).max() > 1e-5
