"""Archives from the web: unpacked once, resumably, and without harm."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from derm.download import archives
from derm.errors import DatasetError


def make(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, data in members.items():
            zipped.writestr(name, data)
    return path


def found(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(("into", "expected"), [
    (None, {"read.txt": b"words", "part/a.png": b"A", "part/b.JPG": b"BB"}),
    ("images", {"images/a.png": b"A", "images/b.JPG": b"BB"}),
])
def test_pictures_side_by_side_or_everything_where_it_was(tmp_path, into, expected):
    archive = make(tmp_path / "x.zip", {"read.txt": b"words", "part/": b"", "part/a.png": b"A",
                                        "part/b.JPG": b"BB", "__MACOSX/part/._a.png": b"?", "part/.DS": b"?"})
    ticks = []
    assert archives.unpack(archive, tmp_path / "to", pictures_into=into, digest="md5:1",
                           tick=lambda *now: ticks.append(now)) == len(expected)
    assert found(tmp_path / "to") == expected
    assert ticks[-1][0] == len(expected)
    assert archives.is_unpacked(archive, tmp_path / "to", digest="md5:1")
    assert not archives.is_unpacked(archive, tmp_path / "to", digest="md5:2")
    (tmp_path / "to" / "part" / "a.png" if into is None else tmp_path / "to" / "images" / "a.png").unlink()
    assert not archives.is_unpacked(archive, tmp_path / "to", digest="md5:1")


def test_what_was_unpacked_before_a_kill_is_kept(tmp_path):
    archive = make(tmp_path / "x.zip", {"a.png": b"AAAA", "b.png": b"BBBB"})
    (tmp_path / "a.png").write_bytes(b"kept")  # the same size: from an earlier call
    (tmp_path / "b.png").write_bytes(b"B")     # another size: not from this archive
    archives.unpack(archive, tmp_path)
    assert (tmp_path / "a.png").read_bytes() == b"kept"
    assert (tmp_path / "b.png").read_bytes() == b"BBBB"


@pytest.mark.parametrize(("members", "said"), [
    ({"ok.png": b"x", "../up.png": b"x"}, "'../up.png' would leave the folder"),
    ({"ok.png": b"x", "a/../../up.png": b"x"}, "would leave the folder"),
    ({"ok.png": b"x", "/etc/up.png": b"x"}, "would leave the folder"),
    ({"ok.png": b"x", "a\\..\\..\\up.png": b"x"}, "would leave the folder"),
    ({"ok.png": b"x", "C:/up.png": b"x"}, "would leave the folder"),
    ({"a/one.png": b"x", "b/one.png": b"y"}, "two files for one place"),
    ({"bomb.png": bytes(10**6)}, "more than 100 times its size"),
])
def test_an_archive_that_may_do_harm_is_refused_whole(tmp_path, members, said):
    archive = make(tmp_path / "x.zip", members)
    with pytest.raises(DatasetError, match=said):
        archives.unpack(archive, tmp_path / "in" / "to", pictures_into="images")
    assert set(found(tmp_path)) == {"x.zip"}


@pytest.mark.parametrize("damage", ["no archive", "cut", "bit"])
def test_a_damaged_archive_is_one_sentence(tmp_path, damage):
    archive = make(tmp_path / "x.zip", {"a.png": bytes(range(256)) * 40})
    data = bytearray(archive.read_bytes())
    data[100] ^= damage == "bit"
    archive.write_bytes({"no archive": b"<html>", "cut": bytes(data[:len(data) // 2]), "bit": bytes(data)}[damage])
    with pytest.raises(DatasetError, match="not a readable archive"):
        archives.unpack(archive, tmp_path)
    assert not (tmp_path / "a.png").exists()
