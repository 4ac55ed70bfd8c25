"""What a clinician does, in a real browser: drop a photograph, read, look elsewhere, take the report along."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from derm import nonskin
from derm.ui.heatmaps import CAPTION
from tests.browser.conftest import serve
from tests.bundles import complete_bundle

LABELS = ".derm-name, .derm-percent, [data-variant=pills], .derm-legend li"


def drop(page, *files: Path) -> None:
    page.locator("input[type=file]").set_input_files([str(file) for file in files])


def read(page, *files: Path) -> None:
    drop(page, *files)
    page.get_by_text(CAPTION).first.wait_for()


def overlay(page) -> str:
    return page.get_by_alt_text("Heat map for").get_attribute("src")


def test_drop_read_look_download(visit, photographs, tmp_path):
    page = visit()
    read(page, photographs["dark"])
    assert page.locator("ol.derm-bars").first.locator("li").count() == 5
    before = overlay(page)
    choice = page.get_by_role("radiogroup", name="Where the model looked for").get_by_role("radio")
    choice.nth(3).click()
    page.wait_for_function("src => document.querySelector('img[alt^=\"Heat map\"]').getAttribute('src') !== src",
                           arg=before)
    with page.expect_download() as report:
        page.get_by_role("button", name="Report (HTML)").click()
    report.value.save_as(tmp_path / "report.html")
    assert choice.nth(3).inner_text() in (tmp_path / "report.html").read_text(encoding="utf-8")
    with page.expect_download() as data:
        page.get_by_role("button", name="Data (JSON)").click()
    data.value.save_as(tmp_path / "data.json")
    assert len(json.loads((tmp_path / "data.json").read_text())["predictions"]) == 5


@pytest.mark.parametrize(("width", "scheme"), [
    (390, "light"), (1440, "dark"), pytest.param(1440, "light", marks=pytest.mark.slow),
    pytest.param(390, "dark", marks=pytest.mark.slow)])
def test_looks_right(visit, photographs, artefacts, width, scheme):
    """On a phone the heat map is below the photograph, elsewhere beside it."""
    page = visit(width=width, scheme=scheme)
    read(page, photographs["dark"])
    photo, heat = (page.get_by_alt_text(alt).bounding_box() for alt in ("The photograph as", "Heat map for"))
    assert (heat["y"] >= photo["y"] + photo["height"]) is (width == 390)
    assert page.evaluate("getComputedStyle(document.querySelector('.stApp')).colorScheme") == scheme
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= width
    cut = page.evaluate("selector => [...document.querySelectorAll(selector)].filter(e => e.scrollWidth > "
                        "e.clientWidth + 1 && e.clientWidth || e.getBoundingClientRect().right > innerWidth)"
                        ".map(e => e.textContent)", LABELS)
    assert cut == []
    page.set_viewport_size({"width": width, "height": page.evaluate(
        "document.querySelector('[data-testid=stMain]').scrollHeight")})
    page.wait_for_timeout(500)
    page.screenshot(path=artefacts / f"diagnose-{width}-{scheme}.png")


def test_bad_files_are_a_sentence_each_and_the_app_lives(visit, photographs):
    page = visit()
    read(page, photographs["half"], photographs["letter"], photographs["light"])
    alerts = page.get_by_test_id("stAlert").all_inner_texts()
    assert sum("half.jpg" in text for text in alerts) == 1
    assert sum("letter.jpg" in text for text in alerts) == 1
    page.get_by_role("radio", name="V", exact=True).click()
    page.get_by_text("skin types V–VI").wait_for()


def test_the_keyboard_reaches_the_skin_types(visit, photographs):
    page = visit(width=390)
    page.get_by_role("radio", name="Not sure").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('.st-key-skin_type [aria-checked=true]').innerText === 'VI'")


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    """The address of an app whose model declines, has prediction sets and knows cases."""
    folder = tmp_path_factory.mktemp("complete")
    complete_bundle(folder / "models" / "tiny")
    with serve(folder, DERM_MODELS=str(folder / "models"), DERM_DATA=str(folder / "none")) as address:
        yield address


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_the_reliability_card_follows_the_skin_type(visit, complete, photographs, artefacts, width, scheme):
    page = visit(width=width, scheme=scheme, at=complete)
    read(page, photographs["light"])
    page.get_by_text("Skin type not stated").wait_for()
    page.get_by_role("radio", name="V", exact=True).click()
    page.get_by_text("On skin types V–VI, this model called 66 % of 30 malignant cases malignant").wait_for()
    assert page.locator(".derm-chosen").count() == 2
    page.get_by_text("prediction set:").wait_for()
    page.get_by_text("Similar known cases").wait_for()
    page.locator(".derm-case").nth(3).wait_for()
    assert page.locator(".derm-case").count() == 4
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= width
    page.set_viewport_size({"width": width, "height": page.evaluate(
        "document.querySelector('[data-testid=stMain]').scrollHeight")})
    page.wait_for_timeout(500)
    page.screenshot(path=artefacts / f"diagnose-reliability-{width}-{scheme}.png")


def test_a_document_gets_no_answer_unless_asked_for(visit, complete, tmp_path):
    Image.fromarray(nonskin.draw("document", seed=0)).save(tmp_path / "letter.png")
    page = visit(width=390, at=complete)
    drop(page, tmp_path / "letter.png")
    page.get_by_text("No answer: this picture is unlike").wait_for()
    assert page.locator("ol.derm-bars").count() == 0
    page.get_by_text("Show what the model computed all the same").click()
    page.locator("ol.derm-bars").first.wait_for()
    assert page.get_by_text("No answer: this picture is unlike").count() == 1
