import sqlite3
import threading
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from derm import signatures
from derm.errors import DatasetError
from tests.conftest import blotches


def save(folder: Path, count: int) -> list[Path]:
    paths = [folder / f"{i}.jpg" for i in range(count)]
    for i, path in enumerate(paths):
        blotches(i).save(path)
    return paths


@pytest.fixture
def reading(tmp_path):
    """Reads with a cache, and gives what was reported on the way."""
    def read(paths: list[Path]) -> tuple[np.ndarray, list[tuple[int, int]]]:
        calls: list[tuple[int, int]] = []
        found = signatures.read(paths, cache=tmp_path / "cache", progress=lambda *call: calls.append(call))
        return found, calls
    return read


def test_each_picture_is_decoded_once_whatever_list_it_is_in(tmp_path, reading):
    paths = save(tmp_path, 4)
    first, calls = reading(paths[:3])
    assert calls == [(1, 3), (2, 3), (3, 3)]
    second, calls = reading([paths[3], paths[1]])
    assert calls == [(1, 1)]
    np.testing.assert_array_equal(second[1], first[1])
    again, calls = reading(paths[:3])
    assert calls == []
    np.testing.assert_array_equal(again, first)


def test_a_changed_picture_is_decoded_anew(tmp_path, reading):
    paths = save(tmp_path, 3)
    first, _ = reading(paths)
    paths[2].write_bytes(paths[0].read_bytes())
    changed, calls = reading(paths)
    assert calls == [(1, 1)]
    np.testing.assert_array_equal(changed, first[[0, 1, 0]])


@pytest.mark.parametrize("spoil", [
    lambda file: file.write_bytes(file.read_bytes()[:300]),
    lambda file: file.write_bytes(b"nothing of the kind" * 99),
    lambda file: file.write_bytes(b""),
    lambda file: spoilt_rows(file),
])
def test_a_damaged_cache_is_begun_again(tmp_path, reading, spoil):
    paths = save(tmp_path, 2)
    first, _ = reading(paths)
    (file,) = (tmp_path / "cache").iterdir()
    spoil(file)
    again, calls = reading(paths)
    assert len(calls) == 2
    np.testing.assert_array_equal(again, first)
    assert reading(paths)[1] == []


def spoilt_rows(file: Path) -> None:
    with sqlite3.connect(file) as store:
        store.execute("UPDATE signatures SET signature = x'00'")
    store.close()


def test_a_cache_that_cannot_be_used_does_no_harm(tmp_path):
    paths = save(tmp_path, 2)
    assert len(signatures.read(paths, cache=paths[0] / "cache")) == 2


def test_two_at_once_share_the_cache(tmp_path, reading):
    paths, found = save(tmp_path, 8), []
    threads = [threading.Thread(target=lambda: found.append(reading(paths)[0])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for each in found:
        np.testing.assert_array_equal(each, found[0])
    assert reading(paths)[1] == []


def test_what_cannot_be_decoded_is_named_and_the_rest_kept(tmp_path, reading):
    paths = save(tmp_path, 3)
    paths[0].write_bytes(paths[0].read_bytes()[:500])
    paths[1].unlink()
    with pytest.raises(DatasetError, match=r"2 in all: \S+0.jpg, \S+1.jpg\)") as refusal:
        reading(paths)
    assert refusal.value.items == (str(paths[0]), str(paths[1]))
    assert reading(paths[2:])[1] == []


@pytest.mark.parametrize("name", ["a.png", "a.heic", "a.avif", "a.webp", "a.tif", "jpeg.png"])
def test_every_format_looks_the_same(tmp_path, name):
    """What a file is says its content: the last is a JPEG."""
    path, picture = tmp_path / name, blotches(0)
    if name.endswith("heic"):
        pillow_heif.from_pillow(picture).save(path, quality=90)
    else:
        picture.save(path, format="JPEG" if name == "jpeg.png" else None, quality=90)
    (plain,) = save(tmp_path, 1)
    one, other = signatures.read([path, plain])
    assert int(one["hash"] ^ other["hash"]).bit_count() <= 4
    assert np.abs(one["thumbnail"].astype(int) - other["thumbnail"]).mean() < 4


def test_pictures_of_16_bits_are_not_all_white(tmp_path):
    paths = [tmp_path / f"{seed}.png" for seed in range(2)]
    for seed, path in enumerate(paths):
        grey = np.asarray(blotches(seed).convert("L"), np.uint16) * 200
        Image.fromarray(grey).save(path)
    one, other = signatures.read(paths)
    assert one["thumbnail"].std() > 20
    assert one["hash"] != other["hash"]
