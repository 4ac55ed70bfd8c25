"""Thumbnails: small, upright, bare of metadata, made once; and what two of them differ in."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from derm import images, thumbnails
from derm.errors import ImageError
from tests.conftest import blotches


def opened(data: bytes) -> Image.Image:
    picture = Image.open(BytesIO(data))
    assert picture.format == "JPEG"
    return picture


def jpeg(picture: Image.Image) -> bytes:
    file = BytesIO()
    picture.save(file, "JPEG", quality=95)
    return file.getvalue()


def brightness(data: bytes) -> float:
    return float(np.asarray(opened(data).convert("L")).mean())


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    """600 x 400 with a place in it, stored lying on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8825)[1] = "N"
    blotches(1).resize((600, 400)).save(tmp_path / "photo.jpg", exif=exif)
    return tmp_path / "photo.jpg"


def test_small_upright_and_bare(photograph):
    data = thumbnails.thumbnail(photograph, side=160)
    picture = opened(data)
    assert picture.size == (107, 160)
    assert not picture.getexif()
    assert len(data) < 8_000


def test_a_small_picture_is_not_enlarged(tmp_path):
    blotches(1, side=40).save(tmp_path / "small.png")
    assert opened(thumbnails.thumbnail(tmp_path / "small.png")).size == (40, 40)


def test_made_once_until_the_file_changes(photograph, tmp_path, monkeypatch):
    read, seen = images.read, []
    monkeypatch.setattr(images, "read", lambda path: seen.append(path) or read(path))
    made = [thumbnails.thumbnail(photograph, cache=tmp_path / "cache") for _ in range(3)]
    assert made[0] == made[1] == made[2]
    assert len(seen) == 1
    thumbnails.thumbnail(photograph, side=80, cache=tmp_path / "cache")
    thumbnails.thumbnail(photograph, blur=True, cache=tmp_path / "cache")
    assert len(seen) == 3
    blotches(2).save(photograph)
    assert thumbnails.thumbnail(photograph, cache=tmp_path / "cache") != made[0]


def test_a_damaged_cache_is_made_again(photograph, tmp_path):
    made = thumbnails.thumbnail(photograph, cache=tmp_path / "cache")
    stored, = (tmp_path / "cache").rglob("*.*")
    stored.write_bytes(made[:100])
    assert thumbnails.thumbnail(photograph, cache=tmp_path / "cache") == made


def test_a_cache_that_cannot_be_written_costs_time_only(photograph, tmp_path):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    assert thumbnails.thumbnail(photograph, cache=tmp_path / "file") == thumbnails.thumbnail(photograph)


def test_blurred_keeps_colours_and_nothing_else(tmp_path):
    checks = np.kron(np.indices((40, 40)).sum(axis=0) % 2, np.ones((8, 8)))
    Image.fromarray((checks * 255).astype(np.uint8)).convert("RGB").save(tmp_path / "checks.png")
    sharp, blurred = (thumbnails.thumbnail(tmp_path / "checks.png", blur=blur) for blur in (False, True))
    assert np.asarray(opened(sharp).convert("L")).std() > 60
    assert np.asarray(opened(blurred).convert("L")).std() < 20
    assert abs(brightness(sharp) - brightness(blurred)) < 5
    assert opened(blurred).size == opened(sharp).size


@pytest.mark.parametrize("content", [None, b"", b"Dear doctor", b"\xff\xd8\xff\xe0 half a picture"])
def test_no_picture_is_an_image_error(tmp_path, content):
    path = tmp_path / "photo.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ImageError, match=r"photo\.jpg"):
        thumbnails.thumbnail(path, cache=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_placeholder_says_something():
    assert opened(thumbnails.placeholder("Not on disk", side=96)).size == (96, 96)
    assert thumbnails.placeholder("Not on disk") != thumbnails.placeholder("Cannot be read")


BASE = blotches(3, side=200)


@pytest.mark.parametrize(("other", "mirrored"), [
    (BASE, False), (ImageOps.mirror(BASE), True), (BASE.resize((120, 120)), False),
])
def test_alike_is_black(other, mirrored):
    shown = thumbnails.difference(jpeg(BASE), jpeg(other), mirrored=mirrored)
    assert opened(shown).size == BASE.size
    assert brightness(shown) < 8


@pytest.mark.parametrize("other", [blotches(4, side=200), ImageOps.mirror(BASE)])
def test_different_is_not(other):
    assert brightness(thumbnails.difference(jpeg(BASE), jpeg(other))) > 60


def test_a_moved_picture_is_moved_back():
    wide = blotches(5, side=260)
    first, second = wide.crop((20, 20, 220, 220)), wide.crop((32, 13, 232, 213))
    shown = np.asarray(opened(thumbnails.difference(jpeg(first), jpeg(second))).convert("L"))
    assert shown[:-10, 16:].mean() < 10
    assert abs(float(shown[:, :8].mean()) - 134) < 5  # grey: only the first reaches here
