"""Each picture is decoded once, and a cache that is not whole is never used."""

from __future__ import annotations

import os
import shutil
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from derm import images
from derm.errors import DatasetError
from derm.nn import cache


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Five pictures, each of its own grey."""
    found = [tmp_path / f"{index}.png" for index in range(5)]
    for index, path in enumerate(found):
        Image.new("RGB", (20, 10), (40 * index,) * 3).save(path)
    return found


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the pictures that were decoded, as they come."""
    names: list[str] = []
    real = images.read
    monkeypatch.setattr(images, "read", lambda path: (names.append(path.name), real(path))[1])
    return names


def pixels(paths: list[Path], folder: Path, size: int = 8) -> np.ndarray:
    return cache.pixels(paths, size=size, folder=folder, quiet=True)


def test_the_pictures_in_their_order_and_read_only(paths, tmp_path):
    found = pixels(paths, tmp_path / "cache")
    assert found.dtype == np.uint8
    assert found.shape == (5, 8, 8, 3)
    assert found[:, 3, 3, 0].tolist() == [0, 40, 80, 120, 160]
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 1


def test_a_second_call_decodes_nothing(paths, tmp_path, decoded):
    first = np.array(pixels(paths, tmp_path / "cache"))
    assert sorted(decoded) == [path.name for path in paths]
    decoded.clear()
    np.testing.assert_array_equal(pixels(paths, tmp_path / "cache"), first)
    assert decoded == []


@pytest.mark.parametrize("change", ["picture", "time", "size", "order", "fewer"])
def test_what_changed_is_decoded_anew(paths, tmp_path, decoded, change):
    folder = tmp_path / "cache"
    pixels(paths, folder)
    decoded.clear()
    size = 8
    if change == "picture":
        Image.new("RGB", (20, 10), (7, 7, 7)).save(paths[0])
    elif change == "time":
        os.utime(paths[0], ns=(0, 0))
    elif change == "size":
        size = 9
    else:
        paths = paths[::-1] if change == "order" else paths[:3]
    found = pixels(paths, folder, size)
    assert len(decoded) == len(paths)
    expected = [images.fit(images.read(path).pixels, size) for path in paths]
    np.testing.assert_array_equal(found, expected)


def test_a_broken_picture_is_named_and_nothing_is_left(paths, tmp_path):
    paths[1].write_bytes(b"not a picture")
    paths[3].write_bytes(b"")
    with pytest.raises(DatasetError, match="2 in all") as refusal:
        pixels(paths, tmp_path / "cache")
    assert "1.png" in str(refusal.value)
    assert "3.png" in str(refusal.value)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_kill_while_decoding_leaves_nothing_that_counts(paths, tmp_path, monkeypatch):
    """As SIGKILL would: the part stays behind, and the next call does not take it for a cache."""
    folder = tmp_path / "cache"

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt):
            pixels(paths, folder)
    assert [file.suffix for file in folder.iterdir()] == [".part"]
    assert pixels(paths, folder)[:, 0, 0, 0].tolist() == [0, 40, 80, 120, 160]


def test_a_full_disk_is_said_before_any_work(paths, tmp_path, monkeypatch, decoded):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100, 99, 1))
    with pytest.raises(DatasetError, match="DERM_CACHE"):
        pixels(paths, tmp_path / "cache")
    assert decoded == []


def test_progress_is_shown_unless_quiet(paths, tmp_path, capsys):
    pixels(paths, tmp_path / "one")
    assert capsys.readouterr().out == ""
    cache.pixels(paths, size=8, folder=tmp_path / "two")
    assert "Decoding photographs" in capsys.readouterr().out
