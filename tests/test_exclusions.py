"""The list of images to leave out: read, marked by several at once, and checked against the data."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from derm import exclusions
from derm.errors import DatasetError


def test_marking_and_unmarking(tmp_path):
    path = tmp_path / "new" / "list.csv"
    exclusions.mark(path, "00123", "wrong label")
    exclusions.mark(path, "NA", "blurred, dark")
    found = exclusions.mark(path, "00123", "near-duplicate")
    assert found.to_dict("list") == {"image_id": ["NA", "00123"], "reason": ["blurred, dark", "near-duplicate"]}
    assert exclusions.read(path).equals(found)
    assert exclusions.mark(path, "absent", None).equals(found)
    assert exclusions.mark(path, "NA", None)["image_id"].tolist() == ["00123"]
    assert exclusions.mark(path, "00123", None).empty
    assert not path.exists()


def test_others_may_read_the_list(tmp_path):
    """A temporary file would be for its owner alone."""
    exclusions.mark(tmp_path / "list.csv", "a", "")
    (tmp_path / "plain").write_text("")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("list.csv", "plain")]
    assert modes[0] == modes[1]


def test_several_at_once_lose_nothing(tmp_path):
    path = tmp_path / "list.csv"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: exclusions.mark(path, f"image {number}", "poor"), range(24)))
    assert set(exclusions.read(path)["image_id"]) == {f"image {number}" for number in range(24)}
    assert {each.name for each in tmp_path.iterdir()} <= {"list.csv", "list.csv.lock"}


@pytest.mark.parametrize(("text", "ids"), [
    ("image_id\na\nb\n", ["a", "b"]),
    ("reason,image_id,mine\npoor,a,1\npoor,a,2\n,,3\n", ["a"]),
    ("\ufeffimage_id;reason\n00123;x\n", ["00123"]),
])
def test_lists_made_elsewhere(tmp_path, text, ids):
    (tmp_path / "list.csv").write_text(text, encoding="utf-8")
    assert exclusions.read(tmp_path / "list.csv")["image_id"].tolist() == ids
    assert exclusions.ids(tmp_path / "list.csv", known=[*ids, "more"]) == set(ids)


def test_images_of_another_data_set_are_refused(tmp_path):
    (tmp_path / "list.csv").write_text("image_id\n" + "\n".join("gfedcba") + "\n")
    with pytest.raises(DatasetError, match=r"not in this data set.*\(6 in all: b, c, d, e, f, \.\.\.\)"):
        exclusions.ids(tmp_path / "list.csv", known=["a"])


@pytest.mark.parametrize("text", ["", "image\na\n"])
def test_what_is_no_list_is_refused(tmp_path, text):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(DatasetError, match=r"list\.csv"):
        exclusions.read(tmp_path / "list.csv")
