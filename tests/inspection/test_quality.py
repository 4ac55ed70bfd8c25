import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageFilter

from derm import samples
from derm.inspection import measures, quality


def picture(seed: int = 0, *, size: int = 200) -> Image.Image:
    return Image.fromarray(samples.draw("eczema", skin=3, seed=seed, size=size))


POOR = {
    "dark": lambda p: p.point(lambda level: level // 3),
    "bright": lambda p: Image.new("RGB", p.size, (255, 255, 240)),
    "blurred": lambda p: p.filter(ImageFilter.GaussianBlur(6)),
    "low-information": lambda p: Image.new("RGB", p.size, (180, 150, 130)),
    "odd-size": lambda p: p.resize((40, 40)),
    "odd-shape": lambda p: p.resize((400, 100)),
    "grey": lambda p: p.convert("L").convert("RGB"),
}


@pytest.fixture
def good(tmp_path: Path) -> list[Path]:
    """Twelve fine pictures of slightly different sizes."""
    paths = [tmp_path / f"{i}.png" for i in range(12)]
    for i, path in enumerate(paths):
        picture(i, size=195 + i).save(path)
    return paths


def words(table: pd.DataFrame) -> list[str]:
    return table["flags"].tolist()


def test_good_pictures_have_no_flags(good):
    table = quality.flags(good)
    assert words(table) == [""] * 12
    assert not table["unreadable"].any()
    assert table["reason"].isna().all()
    assert table["width"].tolist() == table["height"].tolist() == list(range(195, 207))
    assert table["ita"].notna().all()


@pytest.mark.parametrize("word", POOR)
def test_poor_pictures_have_theirs(tmp_path, good, word):
    poor = tmp_path / "poor.png"
    POOR[word](picture()).save(poor)
    found = words(quality.flags([*good, poor]))
    assert found[:-1] == [""] * 12
    assert word in found[-1].split(";")


def test_every_word_is_tested():
    assert set(POOR) == set(quality.WORDS) - {quality.UNREADABLE}


def _loop(path: Path) -> None:
    path.symlink_to(path)


BROKEN = {
    "empty.jpg": lambda path: path.write_bytes(b""),
    "text.jpg": lambda path: path.write_text("not a picture"),
    "cut.jpg": lambda path: (picture().save(path), os.truncate(path, 3000)),
    "folder.jpg": lambda path: path.mkdir(),
    "loop.jpg": _loop,
    "absent.jpg": lambda path: None,
    "huge.png": lambda path: Image.new("1", (9000, 9000)).save(path),
    "film.gif": lambda path: picture().save(path),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_unreadable_and_the_rest_go_on(tmp_path, good, name):
    BROKEN[name](tmp_path / name)
    table = quality.flags([good[0], tmp_path / name, *good[1:]], cache=tmp_path / "cache")
    assert table["unreadable"].tolist() == [False, True, *[False] * 11]
    assert words(table)[1] == quality.UNREADABLE
    assert name in table["reason"][1]
    assert table.loc[1, ["width", "height", "ita"]].isna().all()
    assert words(table)[2:] == [""] * 11


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few(good, count):
    assert words(quality.flags(good[:count])) == [""] * count


def test_nothing_readable(tmp_path):
    assert words(quality.flags([tmp_path / "a.jpg", tmp_path / "b.jpg"])) == [quality.UNREADABLE] * 2


def test_only_new_and_changed_files_are_read_again(tmp_path, good):
    calls, cache = [], tmp_path / "cache"

    def found() -> pd.DataFrame:
        calls.clear()
        return measures.measure(good, cache=cache, progress=lambda *call: calls.append(call))

    first = found()
    assert calls == [(i + 1, 12) for i in range(12)]
    pd.testing.assert_frame_equal(found(), first)
    assert calls == []
    picture(99, size=50).save(good[4])
    good[7].unlink()
    second = found()
    assert calls == [(1, 2), (2, 2)]
    pd.testing.assert_frame_equal(second.drop([4, 7]), first.drop([4, 7]))
    assert second["width"][4] == 50
    assert "no such file" in second["reason"][7]
    for file in cache.iterdir():
        file.write_bytes(file.read_bytes()[:300])
    pd.testing.assert_frame_equal(found(), second)
    assert len(calls) == 12


def test_a_cache_that_cannot_be_written_does_no_harm(good):
    assert words(quality.flags(good[:2], cache=good[0] / "cache")) == ["", ""]


def test_it_says_nothing(good, capfd):
    quality.flags(good)
    assert capfd.readouterr() == ("", "")


def test_real_photographs(ajl_root):
    """A sample: few are flagged, none is unreadable, darker annotated types have smaller angles."""
    from derm import datasets

    table = datasets.load(ajl_root).table.iloc[::10].reset_index(drop=True)
    found = quality.flags([ajl_root / path for path in table["path"]])
    assert not found["unreadable"].any()
    assert (found["flags"] == "").mean() > 0.9
    angles = found["ita"].groupby(table["fst"]).median()
    assert (np.diff(angles.to_numpy(dtype=float)) < 0).all()
