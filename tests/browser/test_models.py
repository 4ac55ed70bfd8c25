"""What whoever looks after the models does: read, compare, take one along, change the default, remove one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from derm import registry
from tests.browser.conftest import serve
from tests.cli.test_models import _model


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of an app with two good models, one worse on dark skin and a damaged one; their folder."""
    folder = tmp_path_factory.mktemp("models")
    models = folder / "models"
    for name, dark in (("ours", 0.8), ("same", 0.8), ("worse", 0.2), ("broken", 0.8)):
        _model(models / name, dark=dark)
    (models / "broken" / "bundle.json").write_text("{")
    registry.set_default("ours", models=models)
    with serve(folder, DERM_MODELS=str(models), DERM_DATA=str(folder / "none"),
               DERM_RUNS=str(folder / "runs")) as address:
        yield address, models


def test_read_compare_export_default_remove(visit, app, tmp_path):
    address, models = app
    page = visit("models", at=address)
    page.get_by_text("not readable as JSON").wait_for()
    # Nobody has opened this server's first page yet: its navigation is there all the same.
    page.get_by_role("link", name="Explore").wait_for()
    page.locator(".st-key-export-ours button").first.click()
    with page.expect_download() as taken:
        page.get_by_role("button", name="Network (.keras)").click()
    taken.value.save_as(tmp_path / "ours.keras")
    assert registry.sha256(tmp_path / "ours.keras") == registry.find("ours", models=models).sha256["model.keras"]
    page.keyboard.press("Escape")
    page.locator(".st-key-default-worse button").first.click()
    page.get_by_text("does worse than ours").wait_for()
    assert page.get_by_role("button", name="Make it the default").is_disabled()
    page.keyboard.press("Escape")
    page.locator(".st-key-default-same button").first.click()
    below = page.locator(".st-key-remove-worse button").first
    before = below.bounding_box()["y"]
    page.get_by_role("button", name="Make it the default").click()
    page.get_by_text("same is the default model now").wait_for()
    assert below.bounding_box()["y"] == pytest.approx(before, abs=20)  # nothing jumps away from under the hand
    below.click()
    page.get_by_role("button", name="Remove for good").click()
    page.get_by_text("worse is gone").wait_for()
    assert not (models / "worse").exists()
    assert registry.default(models) == "same"
    page.get_by_role("tab", name="Compare").click()
    page.get_by_text("ours minus same").wait_for()


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1440, "light")])
def test_looks_right(visit, app, artefacts, width, scheme):
    page = visit("models?models=Compare", at=app[0], width=width, scheme=scheme)
    page.locator(".derm-differences").first.wait_for()
    page.locator("[data-testid=stVegaLiteChart] svg").first.wait_for()
    page.get_by_role("tab", name="Models", exact=True).wait_for()
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= width
    page.screenshot(path=artefacts / f"models-compare-{width}-{scheme}.png")
    page.get_by_role("tab", name="Models", exact=True).click()
    page.locator(".derm-ranges").first.wait_for()
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= width
    page.screenshot(path=artefacts / f"models-{width}-{scheme}.png")
