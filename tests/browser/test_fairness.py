"""What a hospital's data scientist does: read the headline, move a slider, compare, audit a vendor's file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from derm import samples
from tests.browser.conftest import serve
from tests.browser.test_explore import picture, section, settled
from tests.predictions import bundle, foreign, made_up


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of an app with two models, the cases of the first being drawn pictures on disk; a folder."""
    folder = tmp_path_factory.mktemp("fairness")
    samples.write_dataset(folder / "data" / "drawn", per_class=80, size=48)
    ids = sorted(path.stem for path in (folder / "data" / "drawn" / "train").rglob("*.jpg"))
    table = made_up()
    table.loc[:len(ids) - 1, "image_id"] = ids
    bundle(folder / "models" / "ours", table)
    bundle(folder / "models" / "theirs", made_up(dark=0.8, seed=1), version="2.0")
    foreign(made_up(dark=0.3, seed=2)).to_csv(folder / "vendor.csv", index=False)
    with serve(folder, DERM_DATA=str(folder / "data"), DERM_CACHE=str(folder / "cache"),
               DERM_MODELS=str(folder / "models"), DERM_RUNS=str(folder / "runs")) as address:
        yield address, folder


def opened(visit, address: str, query: str = "", **look):
    """The page, once its headline is there."""
    page = visit(f"fairness{query}", at=address, **look)
    page.locator(".derm-headline").wait_for()
    settled(page)
    return page


def drawn(page) -> list[str]:
    """Each chart as it stands on the page."""
    return page.locator("[data-testid=stVegaLiteChart] svg").evaluate_all("all => all.map(one => one.innerHTML)")


def moved(page, slider: str, *, steps: int, charts: int) -> None:
    """The slider of that name, moved by the keyboard; returns when none of the page's charts stands as it did."""
    page.locator("[data-testid=stVegaLiteChart] svg").nth(charts - 1).wait_for()
    before = drawn(page)
    assert len(before) == charts
    thumb = page.get_by_role("slider", name=slider)
    thumb.focus()
    for _ in range(steps):
        thumb.press("ArrowRight")
    page.wait_for_function("""before => {
        const now = [...document.querySelectorAll("[data-testid=stVegaLiteChart] svg")].map(one => one.innerHTML);
        return now.length === before.length && now.every((one, i) => one !== before[i]);
    }""", arg=before)
    settled(page)


def test_it_opens_cold_and_every_chart_follows_a_slider(visit, app):
    page = opened(visit, app[0])
    headline = page.locator(".derm-headline").inner_text()
    assert "V–VI" in headline
    assert "n\N{NO-BREAK SPACE}=" in headline
    moved(page, "Called malignant", steps=6, charts=1)
    assert page.locator(".derm-headline").inner_text() != headline
    assert "threshold=" in page.url
    page = opened(visit, app[0], "?section=Certainty+and+thresholds&abstain=under+60+%25+sure")
    moved(page, "No answer when", steps=3, charts=3)


def test_a_bar_opens_its_cases(visit, app):
    page = opened(visit, app[0])
    page.locator("[data-testid=stVegaLiteChart] path[aria-roledescription=bar]").first.click()
    page.get_by_text("The mistakes first").wait_for()
    page.get_by_role("img", name="picture").first.wait_for()
    page.get_by_role("button", name="Show", exact=True).first.click()
    page.get_by_role("button", name="Record", exact=True).first.click()
    page.get_by_role("dialog").get_by_text("Skin type").first.wait_for()


def test_two_models_and_a_vendors_file_side_by_side(visit, app, tmp_path):
    address, folder = app
    page = opened(visit, address)
    section(page, "Compare models")
    page.get_by_text("theirs 2.0").first.wait_for()
    points = page.locator("[data-testid=stVegaLiteChart] path[aria-roledescription=point]")
    points.nth(1).wait_for()
    assert points.count() == 2
    settled(page)
    page.get_by_role("button", name="Audit your own predictions file").click()
    settled(page)  # once, a file chosen as soon as the field was there never arrived
    page.locator("input[type=file]").set_input_files(folder / "vendor.csv")
    page.get_by_text("How this file was read").wait_for()
    settled(page)
    assert "fitzpatrick" in page.locator(".stApp").inner_text()
    assert "V–VI" in page.locator(".derm-headline").inner_text()
    section(page, "Report")
    report = page.get_by_role("button", name="Report (HTML)")
    report.wait_for()
    assert report.is_disabled()
    page.get_by_label("Version").fill("4.2")
    page.get_by_label("Version").press("Enter")
    page.get_by_text("No report without").wait_for(state="detached")
    settled(page)
    with page.expect_download() as saved:
        report.click()
    text = Path(saved.value.path()).read_text(encoding="utf-8")
    assert "version 4.2" in text
    assert "Group not recorded" in text


def test_a_chart_can_be_taken_along(visit, app):
    page = opened(visit, app[0])
    page.locator("[class*=st-key-files-] button").first.click()
    for kind in ("PNG", "SVG", "CSV"):
        with page.expect_download() as saved:
            page.get_by_role("button", name=kind, exact=True).click()
        assert saved.value.suggested_filename == f"ours-sensitivity-malignant-by-group.{kind.lower()}"
        assert Path(saved.value.path()).stat().st_size > 100


@pytest.mark.parametrize(("width", "scheme"), [
    (1440, "light"), (390, "dark"), pytest.param(390, "light", marks=pytest.mark.slow),
    pytest.param(1440, "dark", marks=pytest.mark.slow)])
def test_looks_right(visit, app, artefacts, width, scheme):
    page = opened(visit, app[0], width=width, scheme=scheme)
    for name in ("Groups", "Conditions", "Certainty and thresholds"):
        page.set_viewport_size({"width": width, "height": 900})
        section(page, name)
        settled(page)
        assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= width
        path = artefacts / f"fairness-{name.split()[0].lower()}-{width}-{scheme}.png"
        picture(page, width, path)
        Image.open(path).convert("L").save(path.with_stem(f"{path.stem}-grey"))
