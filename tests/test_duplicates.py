from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageEnhance, ImageOps

from derm import duplicates, signatures
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


def signed(hashes: np.ndarray, mirrored: np.ndarray, thumbnails: np.ndarray) -> np.ndarray:
    made = np.zeros(len(hashes), signatures.SIGNATURE)
    made["hash"], made["mirrored"], made["thumbnail"] = hashes, mirrored, thumbnails
    return made


def plain_pairs(hashes: list[int], others: list[int], mirrored: bool) -> list[tuple[int, int, int, bool]]:
    return [(a, b, distance, mirrored) for a in range(len(hashes)) for b in range(a + 1, len(hashes))
            if (distance := (hashes[a] ^ others[b]).bit_count()) <= duplicates.HASH_DISTANCE]


@pytest.mark.parametrize(("rows", "columns", "batch"), [(32, 4096, 1024), (4, 8, 3), (1, 1, 1), (7, 64, 1024)])
def test_blocks_find_what_comparing_each_with_each_finds(monkeypatch, rows, columns, batch):
    for name, value in (("_ROWS", rows), ("_COLUMNS", columns), ("_BATCH", batch)):
        monkeypatch.setattr(duplicates, name, value)
    rng = np.random.default_rng(0)
    # Of 40 bits, two chance numbers differ in 20 or so: about one pair in seven is near enough.
    hashes, mirrored = rng.integers(0, 2**40, (2, 61), dtype=np.uint64)
    found = duplicates.compare(signed(hashes, mirrored, np.zeros((61, 32, 32, 3))))
    straight = plain_pairs(hashes.tolist(), hashes.tolist(), False)
    turned = plain_pairs(hashes.tolist(), mirrored.tolist(), True)
    both = {(a, b) for a, b, *_ in straight}
    expected = [*straight, *(pair for pair in turned if pair[:2] not in both)]
    assert len(straight) > 100
    assert len(expected) > len(straight) + 100
    assert list(found[["a", "b", "distance", "mirrored"]].itertuples(index=False, name=None)) == expected


def test_confirmation_does_not_depend_on_the_blocks(monkeypatch):
    """Equal hashes, so that every pair is looked at; three are of one picture, the rest differ."""
    rng = np.random.default_rng(1)
    thumbnails = rng.integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    thumbnails[[7, 31]] = thumbnails[2] ^ 1
    one = signed(np.zeros(40), np.full(40, 2**63), thumbnails)
    whole = duplicates.compare(one)
    assert whole[["a", "b"]].to_numpy().tolist() == [[2, 7], [2, 31], [7, 31]]
    monkeypatch.setattr(duplicates, "_ROWS", 3)
    monkeypatch.setattr(duplicates, "_COLUMNS", 5)
    pd.testing.assert_frame_equal(duplicates.compare(one), whole)


def test_real_photographs(ajl_groups):
    table, found = ajl_groups
    held_out = (table["split"] == "test").to_numpy()
    leaking = np.isin(found[held_out], found[~held_out]).sum()
    assert 28 <= leaking <= 100
    assert np.bincount(found).max() <= 5
