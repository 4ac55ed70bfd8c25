"""Pictures on the Explore page: what is blurred, shown, told, compared and excluded; and measuring meanwhile."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from threading import Event
from types import SimpleNamespace

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from derm import exclusions, samples
from derm.datasets import Dataset, ajl
from derm.errors import DatasetError
from derm.settings import settings
from derm.ui.explore import marks, measuring, pictures, review
from derm.ui.explore.view import View

WAIT = 30


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn pictures with two near-duplicates; one file is damaged."""
    folder = samples.write_dataset(tmp_path_factory.mktemp("drawn") / "ajl", duplicates=2)
    eczema = ajl.load(folder).table.query("condition == 'eczema'")
    (folder / eczema["path"].iloc[0]).write_bytes(b"not a picture")
    return folder


@pytest.fixture
def lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("DERM_CACHE", str(tmp_path / "cache"))
    settings.cache_clear()
    yield tmp_path / "lists" / "drawn.csv"
    settings.cache_clear()


@cache
def loaded(root: str) -> Dataset:
    return ajl.load(Path(root))


def drawn_view(root: str, list_path: str, *, scanned: bool = True, pictures: bool = True) -> View:
    """What the page would hand to its parts; the scripts below call it."""
    dataset = loaded(root)
    table = dataset.table if pictures else dataset.table.assign(path=pd.Series(pd.NA, dataset.table.index, "str"))
    if scanned:
        flags = ["dark;blurred", "dark", *[""] * (len(table) - 2)]
        ita = pd.array([12.4, *[None] * (len(table) - 1)], "Float64")
        table = table.assign(flags=pd.Categorical(flags), ita=ita)
    scan = SimpleNamespace(pairs=pairs_of(table)) if scanned else None
    return View(dataset, table, table, scan, "drawn", Path(list_path))


def pairs_of(table: pd.DataFrame) -> pd.DataFrame:
    """Of the first six rows: 0-1 alike, 2-3 across splits, 4-5 of different labels."""
    ids = list(table["image_id"])
    return pd.DataFrame({
        "image_a": [ids[0], ids[2], ids[4]], "image_b": [ids[1], ids[3], ids[5]],
        "split_a": "train", "split_b": ["train", "test", "train"], "distance": [2, 4, 9],
        "difference": [1.5, 3.0, 9.0], "mirrored": [False, False, True], "identical": False,
        "same_condition": pd.array([True, None, False], "boolean"), "crosses": [False, True, False]})


def gallery_page(root, lists, kwargs):
    from derm.ui.explore import gallery
    from tests.ui.test_explore_pictures import drawn_view

    gallery.panel(drawn_view(root, lists, **kwargs))


def cell_page(root, lists, kwargs):
    from derm.ui.explore import gallery
    from tests.ui.test_explore_pictures import drawn_view

    gallery.cell(drawn_view(root, lists, **kwargs))


def record_page(root, lists, kwargs):
    from derm.ui.explore import record
    from tests.ui.test_explore_pictures import drawn_view

    view = drawn_view(root, lists)
    ids = list(view.whole["image_id"])
    record.show(view, ids[kwargs["at"]], among=ids[:3])


def review_page(root, lists, kwargs):
    from derm.ui.explore import review
    from tests.ui.test_explore_pictures import drawn_view

    view = drawn_view(root, lists, **kwargs)
    review.panel(view)


def opened(page: Callable[..., None], root: Path, lists: Path, **kwargs: object) -> AppTest:
    at = AppTest.from_function(page, default_timeout=WAIT, args=(str(root), str(lists), kwargs))
    if page is cell_page:
        at.session_state["cell-drawn"] = kwargs.pop("cell")
    at.run()
    assert not at.exception
    return at


def html(at: AppTest) -> str:
    return "\n".join(element.proto.body for element in at.get("html"))


def shown(at: AppTest) -> list[str]:
    return [alt for image in at.image for alt in [image.proto.imgs[0].alt]]


def labelled(at: AppTest, label: str) -> list:
    return [button for button in at.button if button.label == label]


def group(at: AppTest, label: str) -> object:
    return next(group for group in at.get("button_group") if group.proto.label == label)


# What may be seen at once


@pytest.mark.parametrize(("known", "expected"), [
    ({}, True),
    ({"x_body_site": "forearm"}, False),
    ({"x_body_site": "unknown"}, True),
    ({"x_body_site": "genital"}, True),
    ({"x_body_site": "ear canal"}, False),
    ({"x_body_site": "anal region"}, True),
    ({"x_body_parts_arm": True}, False),
    ({"x_body_parts_arm": True, "x_body_parts_genitalia_or_groin": True}, True),
    ({"x_body_parts_buttocks": True}, True),
    ({"x_body_parts_other": True}, True),
])
def test_sensitive(known, expected):
    assert pictures.sensitive(known) is expected


def test_a_page_of_pictures_blurred_until_clicked(root, lists):
    at = opened(gallery_page, root, lists)
    assert len(at.image) == 24
    assert all(alt.startswith("Blurred picture: ") for alt in shown(at))
    assert any(caption.value == "42 pictures" for caption in at.caption)
    first = labelled(at, "Show")[0]
    first.click().run()
    assert sum(alt.startswith("Picture: ") for alt in shown(at)) == 1
    assert len(labelled(at, "Record")) == 1
    assert not at.get("dialog")
    labelled(at, "Record")[0].click().run()
    assert len(at.get("dialog")) == 1


def test_the_switch_shows_all_and_a_damaged_file_is_no_crash(root, lists):
    at = opened(gallery_page, root, lists)
    at.toggle[0].set_value(False).run()
    at.selectbox[0].set_value("eczema").run()
    assert len(at.image) == 12
    assert not labelled(at, "Show")
    assert not at.exception


def test_a_cell_has_a_heading_of_its_own(root, lists):
    at = opened(cell_page, root, lists, cell=("melanoma", "VI"))
    assert at.subheader[0].value == "Melanoma on skin type VI: 2 pictures"
    assert len(at.image) == 2


@pytest.mark.parametrize(("cell", "heading"), [
    (("melanoma", "I-II"), "Melanoma on skin types I–II: 4 pictures"),
    (("melanoma", "Missing"), "Melanoma of unknown skin type: 1 picture"),
    (("Missing", "VI"), "No condition on skin type VI: no picture"),
    (("keloid", "V"), "Keloid on skin type V: no picture"),
])
def test_other_cells(root, lists, cell, heading):
    assert opened(cell_page, root, lists, cell=cell).subheader[0].value == heading


def test_without_a_click_there_is_no_cell(root, lists):
    assert not opened(cell_page, root, lists, cell=None).subheader


@pytest.mark.parametrize("page", [gallery_page, review_page])
def test_without_pictures_it_says_so(root, lists, page):
    at = opened(page, root, lists, pictures=False)
    assert "on disk" in at.info[0].value
    assert not at.image


# The record


def test_a_record_tells_everything_and_what_is_missing(root, lists):
    at = opened(record_page, root, lists, at=0)
    told = html(at)
    assert "<dd>Acne</dd>" in told
    assert "12°" in told
    assert "dark, blurred" in told
    assert "<dt>Monk skin tone</dt><dd><em>missing</em></dd>" in told
    assert "2 of 64 bits apart" in told
    assert [button.disabled for label in ("Previous", "Next") for button in labelled(at, label)] == [True, False]


def test_a_record_without_measures_says_not_measured(root, lists):
    assert "<em>not measured</em>" in html(opened(record_page, root, lists, at=1))


def test_exclude_from_the_record(root, lists):
    at = opened(record_page, root, lists, at=0)
    labelled(at, "Exclude from training")[0].click().run()
    assert list(exclusions.read(lists)["reason"]) == ["wrong label"]
    labelled(at, "Take back")[0].click().run()
    assert not lists.exists()


# Review


def test_pairs_in_the_order_to_review_them():
    table = pd.DataFrame({"image_id": list("abcdef")})
    ordered = review.queue(pairs_of(table), table["image_id"])
    assert list(ordered["image_a"]) == ["e", "c", "a"]
    assert list(review.queue(pairs_of(table), pd.Series(["b", "d"]))["image_a"]) == ["c", "a"]
    assert review.summary(ordered, 1) == "**3 pairs**: 1 with different labels, 1 across splits; 1 decided."


def test_exclude_one_and_keep_both(root, lists):
    at = opened(review_page, root, lists)
    assert len(at.image) == 9
    told = html(at)
    assert told.index("Different labels") < told.index("Across train and test") < told.index("mean difference 1.5")
    labelled(at, "Exclude left")[0].click().run()
    listed = exclusions.read(lists)
    assert list(listed["image_id"]) == [drawn_view(str(root), "").whole["image_id"].iloc[4]]
    assert at.code[0].value == f"derm train --exclude {lists}"
    assert "Different labels" not in html(at)
    labelled(at, "Keep both")[0].click().run()
    assert any("2 decided" in element.value for element in at.markdown)
    assert len(exclusions.read(lists)) == 1
    again = opened(review_page, root, lists)  # another session: decisions last
    assert len(labelled(again, "Keep both")) == 1
    labelled(again, "Take back")[0].click().run()
    assert not lists.exists()


def test_decided_pairs_can_be_seen_and_decided_again(root, lists):
    at = opened(review_page, root, lists)
    next(toggle for toggle in at.toggle if toggle.label.startswith("Hide")).set_value(False).run()
    labelled(at, "Keep both")[0].click().run()
    labelled(at, "Decide again")[0].click().run()
    assert len(labelled(at, "Keep both")) == 3


def test_a_pair_is_compared_once_it_is_shown(root, lists):
    at = opened(review_page, root, lists)
    assert "Difference of the two pictures" not in shown(at)
    labelled(at, "Show")[0].click().run()
    assert shown(at).count("Difference of the two pictures") == 1


def test_quality_flags_by_word(root, lists):
    at = opened(review_page, root, lists)
    group(at, "Review").set_value("Quality flags").run()
    flag = group(at, "Flag")
    assert [option.content for option in flag.proto.options] == ["blurred (1)", "dark (2)"]
    assert len(at.image) == 1
    flag.set_value("dark").run()
    assert len(at.image) == 2


def test_before_it_is_measured_review_says_so(root, lists):
    assert "being measured" in opened(review_page, root, lists, scanned=False).info[0].value


def test_a_list_that_cannot_be_written_is_told(root, lists):
    lists.parent.write_text("in the way", encoding="utf-8")
    at = opened(review_page, root, lists)
    labelled(at, "Exclude left")[0].click().run()
    assert "cannot be written" in at.toast[0].value
    assert not at.exception


def test_a_broken_list_is_told(root, lists):
    lists.parent.mkdir()
    lists.write_text("name\nx\n", encoding="utf-8")
    assert "image" in opened(review_page, root, lists).error[0].value


# Measuring


@pytest.fixture
def dataset(root: Path) -> Iterator[Dataset]:
    measuring._job.clear()
    yield ajl.load(root)
    measuring._job.clear()


def test_measuring_goes_on_meanwhile(dataset, lists, monkeypatch):
    go, said = Event(), []

    def scan(measured, *, cache, progress):
        said.append(cache)
        progress(10, 40)
        assert go.wait(WAIT)
        return SimpleNamespace(pairs="found")

    monkeypatch.setattr("derm.inspection.scan.scan", scan)
    assert measuring.finished(dataset) is None
    assert not said
    measuring.status(dataset)
    until(lambda: measuring.status(dataset).done == 10)
    assert measuring.status(dataset).text.startswith("Measuring duplicates and quality: 25")
    assert measuring.finished(dataset) is None
    go.set()
    until(lambda: measuring.finished(dataset) is not None)
    assert measuring.status(dataset).pairs == "found"
    assert said == [settings().cache]


def test_a_measurement_that_failed_says_why_and_can_be_tried_again(dataset, lists, monkeypatch):
    answers = [DatasetError("The folder is gone. Put it back."), SimpleNamespace(pairs="found")]

    def scan(measured, *, cache, progress):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr("derm.inspection.scan.scan", scan)
    measuring.status(dataset)
    until(lambda: measuring.status(dataset).problem)
    at = AppTest.from_function(notice_page, default_timeout=WAIT, args=(str(dataset.root),)).run()
    assert re.search("could not be measured.*folder is gone", at.warning[0].value)
    at.button[0].click().run()
    until(lambda: measuring.finished(dataset) is not None)
    assert not at.run().warning


def test_nothing_is_measured_without_pictures(dataset, monkeypatch):
    monkeypatch.setattr("derm.inspection.scan.scan",
                        lambda *args, **kwargs: pytest.fail("there is nothing to measure"))
    bare = Dataset(dataset.source, dataset.root, dataset.table.assign(path=pd.NA), dataset.classes, "bare")
    measuring.notice(bare)


@pytest.mark.parametrize(("progress", "text"), [
    (measuring.Progress(), "<1 %"),
    (measuring.Progress(30, 40, 42.0), "75 %, about 40 seconds left"),
    (measuring.Progress(30, 40, 0.5), "75 %, about 5 seconds left"),
    (measuring.Progress(30, 40, 170.0), "75 %, about 3 minutes left"),
])
def test_progress_in_words(progress, text):
    said = progress.text.replace("\N{NO-BREAK SPACE}", " ")
    assert said == f"Measuring duplicates and quality: {text}"


def notice_page(root):
    from pathlib import Path

    from derm.datasets import ajl
    from derm.ui.explore import measuring

    measuring.notice(ajl.load(Path(root)))


def until(done: Callable[[], object]) -> None:
    for _ in range(10 * WAIT):
        if done():
            return
        time.sleep(0.1)
    pytest.fail("waited in vain")


def test_a_pair_has_one_id_whichever_comes_first():
    assert marks.pair("b", 'a"|') == marks.pair('a"|', "b") != marks.pair("a", "b")


def test_names_are_text_and_nothing_else():
    picture = pictures.Picture("x", None, "<b>odd</b>", "<i>", sensitive=False)
    assert "<b>" not in pictures.label(picture, "<script>")
    assert "<script>" not in pictures.label(picture, "<script>")
