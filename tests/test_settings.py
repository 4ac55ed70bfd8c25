import re
from pathlib import Path

import pytest

from derm import settings as module
from derm.errors import ConfigError
from derm.settings import Settings, read_settings


def test_nothing_said(tmp_path):
    assert read_settings(tmp_path / "derm.toml", {}) == Settings()
    assert Settings().data is None
    assert Settings().models == module.PROJECT / "models"


def test_file_is_relative_to_itself_and_environment_wins(tmp_path):
    file = tmp_path / "derm.toml"
    file.write_text('data = "photos"\nweights = "/w"\nruns = "~/runs"\n')
    found = read_settings(file, {"DERM_WEIGHTS": "elsewhere", "DERM_DATA": "", "DERM_OTHER": "x"})
    assert found.data == tmp_path / "photos"
    assert found.weights == Path("elsewhere")
    assert found.runs == Path.home() / "runs"
    assert found.models == Settings().models


@pytest.mark.parametrize(("text", "message", "key"), [
    ('date = "x"', "unknown key 'date'; expected one of data, weights, models, runs, exclusions, cache", "date"),
    ("data = 3", "data = 3; expected a folder in quotes", "data"),
    ("data = ", "not valid TOML", None),
    (b"\xff\xfe", "not valid TOML", None),
])
def test_a_bad_file_is_named(tmp_path, text, message, key):
    file = tmp_path / "derm.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=re.escape(str(file)) + f".*{message}") as caught:
        read_settings(file, {})
    assert caught.value.key == key


def test_read_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DERM_DATA", str(tmp_path))
    module.settings.cache_clear()
    try:
        assert module.settings().data == tmp_path
        monkeypatch.setenv("DERM_DATA", "changed")
        assert module.settings().data == tmp_path
    finally:
        module.settings.cache_clear()
