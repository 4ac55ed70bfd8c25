from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from derm import duplicates
from derm.errors import DatasetError
from tests.conftest import blotches

COPIES = {
    "exact": lambda p: p,
    "smaller": lambda p: p.resize((90, 90)),
    "stretched": lambda p: p.resize((200, 120)),
    "cropped": lambda p: p.crop((3, 3, 157, 157)),
    "shifted": lambda p: p.crop((6, 0, 160, 154)),
    "brighter": lambda p: ImageEnhance.Brightness(p).enhance(1.1),
    "mirrored": ImageOps.mirror,
}


def save(folder: Path, *pictures: Image.Image, quality: int = 60) -> list[Path]:
    paths = [folder / f"{i}.jpg" for i in range(len(pictures))]
    for path, picture in zip(paths, pictures, strict=True):
        picture.save(path, quality=quality)
    return paths


@pytest.mark.parametrize("name", COPIES)
def test_finds_copies(tmp_path, name):
    picture = blotches(0)
    found = duplicates.groups(save(tmp_path, picture, blotches(1), COPIES[name](picture), blotches(2)))
    assert found[0] == found[2]
    assert len(set(found)) == 3


def test_pairs_say_how_alike(tmp_path):
    picture = blotches(0)
    table = duplicates.pairs(save(tmp_path, picture, ImageOps.mirror(picture), picture))
    assert table[["a", "b", "mirrored"]].to_numpy().tolist() == [[0, 2, False], [0, 1, True], [1, 2, True]]
    assert (table["distance"] <= 2).all()
    assert (table["difference"] < 3).all()
    assert (table["detail"] > 0.9).all()


def test_different_pictures_stay_apart(tmp_path):
    assert len(set(duplicates.groups(save(tmp_path, *(blotches(i, side=48) for i in range(60)))))) == 60


def test_flat_pictures(tmp_path):
    flat = [Image.new("RGB", (64, 64), colour) for colour in ("black", "black", "white", "grey")]
    found = duplicates.groups(save(tmp_path, *flat))
    assert found[0] == found[1]
    assert len(set(found)) == 3


def test_upright_before_comparing(tmp_path):
    picture = blotches(0)
    paths = save(tmp_path, picture, blotches(1))
    turned = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.rotate(90).save(turned, exif=exif)
    found = duplicates.groups([*paths, turned])
    assert found[0] == found[2] != found[1]


@pytest.mark.parametrize("count", [0, 1])
def test_few(tmp_path, count):
    assert duplicates.groups(save(tmp_path, *[blotches(0)] * count)).tolist() == [0] * count


def test_unreadable_files_are_named(tmp_path):
    paths = save(tmp_path, *(blotches(i) for i in range(4)))
    paths[1].write_bytes(paths[1].read_bytes()[:500])
    paths[2].write_bytes(b"")
    paths[3].unlink()
    with pytest.raises(DatasetError, match=r"3 in all: \S+1.jpg, \S+2.jpg, \S+3.jpg"):
        duplicates.groups(paths, cache=tmp_path / "cache")


def test_cache_is_used_until_a_file_changes(tmp_path):
    paths, calls = save(tmp_path, *(blotches(i) for i in range(3))), []

    def found():
        calls.clear()
        return duplicates.groups(paths, cache=tmp_path / "cache", progress=lambda *c: calls.append(c)).tolist()

    assert found() == [0, 1, 2]
    assert calls == [(1, 3), (2, 3), (3, 3)]
    assert found() == [0, 1, 2]
    assert calls == []
    paths[2].write_bytes(paths[0].read_bytes())
    assert found() == [0, 1, 0]
    assert len(calls) == 3
    for file in (tmp_path / "cache").iterdir():
        file.write_bytes(file.read_bytes()[:300])
    assert found() == [0, 1, 0]
    assert len(calls) == 3


def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path):
    paths = save(tmp_path, blotches(0), blotches(1))
    assert duplicates.groups(paths, cache=paths[0] / "cache").tolist() == [0, 1]


def test_real_photographs(ajl_groups):
    table, found = ajl_groups
    held_out = (table["split"] == "test").to_numpy()
    leaking = np.isin(found[held_out], found[~held_out]).sum()
    assert 28 <= leaking <= 100
    assert np.bincount(found).max() <= 5
