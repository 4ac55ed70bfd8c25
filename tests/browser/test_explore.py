"""What a researcher does, in a real browser: look whom a data set leaves out, see those pictures, clean it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from derm import samples
from tests.browser.conftest import serve

PAGE_BYTES = 500_000


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of an app with a drawn data set, repeats in it, and the folder of its exclusion lists."""
    folder = tmp_path_factory.mktemp("explore")
    samples.write_dataset(folder / "data" / "drawn", duplicates=3)
    with serve(folder, DERM_DATA=str(folder / "data"), DERM_CACHE=str(folder / "cache"),
               DERM_MODELS=str(folder / "none"), DERM_EXCLUSIONS=str(folder / "lists")) as address:
        yield address, folder / "lists"


def section(page, name: str) -> None:
    page.get_by_role("tab", name=name).click()
    page.wait_for_function("name => document.querySelector('[role=tab][aria-selected=true]').innerText === name",
                           arg=name)
    settled(page)


def settled(page) -> None:
    """Streamlit has nothing left to run, and the charts are drawn."""
    page.wait_for_timeout(300)
    page.wait_for_function("!document.querySelector('[data-testid=stStatusWidget]')")
    page.wait_for_timeout(300)


def picture(page, width: int, path: Path) -> None:
    page.set_viewport_size({"width": width, "height": page.evaluate(
        "document.querySelector('[data-testid=stMain]').scrollHeight")})
    settled(page)
    page.screenshot(path=path)


def test_without_data_it_opens_on_real_counts(visit):
    page = visit("explore")
    page.get_by_text("No picture of dermatofibroma on FST V–VI").first.wait_for()
    assert "2,860" in page.locator(".stApp").inner_text()
    section(page, "Annotators")
    page.get_by_text("kappa").first.wait_for()


def test_a_click_on_a_cell_shows_its_pictures(visit, drawn):
    address, _ = drawn
    page = visit("explore", at=address)
    page.get_by_text("Measuring").first.wait_for(state="detached")
    settled(page)
    page.locator("[class*=st-key-chart-coverage] path[aria-label='Acne, skin type II: 3 pictures']").click()
    cell = page.locator(".st-key-cell")
    cell.get_by_text("Acne on skin type II: 3 pictures").wait_for()
    cell.get_by_role("button", name="Show").nth(2).wait_for()
    assert cell.get_by_role("button", name="Show").count() == 3


def test_pictures_then_a_repeat_excluded_from_training(visit, drawn):
    address, lists = drawn
    page = visit("explore", at=address)
    page.get_by_text("Acne").first.wait_for()
    page.get_by_text("Measuring").first.wait_for(state="detached")
    settled(page)
    section(page, "Pictures")
    page.get_by_role("button", name="Show").first.wait_for()
    section(page, "Duplicates and quality")
    page.get_by_role("button", name="Exclude").first.click()
    page.get_by_text("derm train --exclude").first.wait_for()
    assert len(list(lists.glob("*.csv"))) == 1


def test_a_filter_stands_in_the_address_and_applies_to_the_export(visit, drawn, tmp_path):
    address, _ = drawn
    page = visit("explore?f_condition=Melanoma", at=address)
    page.get_by_text(" of ").first.wait_for()
    settled(page)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Table of these").click()
    rows = list(csv.DictReader(io.StringIO(Path(saved.value.path()).read_text(encoding="utf-8"))))
    assert {row["condition"] for row in rows} == {"melanoma"}
    page.get_by_role("button", name="Reset").click()
    page.wait_for_function("!location.search.includes('melanoma')")


@pytest.mark.parametrize(("width", "scheme"), [
    (1440, "light"), (390, "dark"), pytest.param(390, "light", marks=pytest.mark.slow),
    pytest.param(1440, "dark", marks=pytest.mark.slow)])
def test_looks_right(visit, artefacts, width, scheme):
    page = visit("explore", width=width, scheme=scheme)
    page.get_by_text("No picture of").first.wait_for()
    settled(page)
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= width
    picture(page, width, artefacts / f"explore-{width}-{scheme}.png")
