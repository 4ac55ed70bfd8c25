"""What a technician does over lunch: start a run, watch it, leave, come back, stop, resume, promote, diagnose."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from derm import jobs, samples
from tests.browser.conftest import serve
from tests.browser.test_explore import picture, section, settled

RUN = "lunch"
_LONG = 240_000  # milliseconds: TensorFlow starts slowly on a machine that has other things to do


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of an app with drawn pictures and no model; its folder. No run outlives it."""
    folder = tmp_path_factory.mktemp("train")
    samples.write_dataset(folder / "data" / "drawn", per_class=40, size=48)
    (folder / "models").mkdir()
    try:
        with serve(folder, **{f"DERM_{name.upper()}": str(folder / name)
                              for name in ("data", "models", "runs", "cache")}) as address:
            yield address, folder
    finally:
        for run in jobs.list_runs(folder / "runs"):
            if run.is_live:
                jobs.stop(run.name, runs=folder / "runs")
                jobs.wait_stopped(run.name, runs=folder / "runs")


def opened(visit, address: str, query: str = "", **look):
    """The page, by way of the first one: the navigation comes with it."""
    page = visit(at=address, **look)
    page.get_by_text("research demonstration").wait_for()
    page.goto(f"{address}/train{query}")
    page.get_by_text("goes on by itself").first.wait_for()
    settled(page)
    return page


def number(page, label: str, value: int) -> None:
    """Put a number into the field of that name."""
    field = page.get_by_role("spinbutton", name=label, exact=True)
    field.fill(str(value))
    field.press("Enter")
    settled(page)


def done(folder: Path) -> int:
    """Epochs of the run that are done."""
    return jobs.find(RUN, runs=folder / "runs").epoch


def test_a_model_is_trained_over_lunch(visit, app, artefacts):
    address, folder = app
    page = opened(visit, address)
    picture(page, 1440, artefacts / "train-new-1440-light.png")
    page.get_by_text("Quick check", exact=True).click()
    settled(page)
    page.get_by_role("combobox", name="Network").click()
    page.get_by_role("option", name="Two plain layers").click()
    settled(page)
    number(page, "Image size (pixels)", 32)
    number(page, "Epochs", 80)
    name = page.get_by_label("Name of the run")
    name.fill(RUN)
    name.press("Enter")
    settled(page)
    page.get_by_role("button", name="Start training").click()
    page.get_by_text("Macro F1 on the photographs held out").first.wait_for(timeout=_LONG)
    before = done(folder)
    page.wait_for_function("before => Number(/epoch (\\d+) of/.exec(document.body.innerText)[1]) > before + 1",
                           arg=before, timeout=_LONG)
    page.goto("about:blank")  # the page is gone; the last window must stay, or Chromium goes with it

    page = opened(visit, address, f"?section=Runs&runs={RUN}")  # another session, so nothing but files tells of it
    page.locator("[data-testid=stVegaLiteChart] svg").first.wait_for()
    picture(page, 1440, artefacts / "train-watch-1440-light.png")
    page.get_by_role("button", name="Stop", exact=True).click()
    resume = page.get_by_role("button", name="Resume")
    resume.wait_for(timeout=_LONG)
    stopped = jobs.find(RUN, runs=folder / "runs")
    assert stopped.state == "stopped"
    assert stopped.epoch >= before
    resume.click()
    results = page.get_by_role("button", name="See its results")
    results.wait_for(timeout=_LONG)
    assert done(folder) == 82
    results.click()
    page.get_by_text("As a first model").wait_for()
    settled(page)
    picture(page, 1440, artefacts / "train-results-1440-light.png")
    page.get_by_role("button", name="Promote").click()
    page.get_by_text(f"{RUN} is the default").wait_for()
    assert json.loads((folder / "models" / RUN / "bundle.json").read_text())["name"] == RUN

    page = visit(at=address)
    section(page, "Drawn samples")
    page.get_by_role("button", name="dark patch, type VI skin").first.click()
    page.get_by_text("What it may be").first.wait_for(timeout=_LONG)


@pytest.mark.parametrize("part", [
    "Results", *(pytest.param(part, marks=pytest.mark.slow) for part in ("New run", "Runs"))])
def test_looks_right_on_a_telephone_in_the_dark(visit, app, artefacts, part):
    page = opened(visit, app[0], f"?section={part.replace(' ', '+')}", width=390, scheme="dark")
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390
    picture(page, 390, artefacts / f"train-{part.split()[0].lower()}-390-dark.png")


@pytest.fixture
def elsewhere(window: Any) -> Iterator[None]:
    """All that the browser asks comes through a proxy, which says so."""
    window.set_extra_http_headers({"X-Forwarded-For": "127.0.0.1"})
    yield
    window.set_extra_http_headers({})  # the window is everybody's


def test_nobody_else_sees_anything(visit, app, elsewhere):
    """Nobody is at this machine then: there is no page, and the runs show nowhere."""
    page = visit("fairness", at=app[0])
    page.get_by_role("link", name="Explore").wait_for()
    assert page.get_by_role("link", name="Train").count() == 0
    page.goto(f"{app[0]}/train?section=Runs&runs={RUN}")
    page.get_by_role("link", name="Explore").wait_for()
    settled(page)
    assert RUN not in page.locator(".stApp").inner_text()
    assert "Start training" not in page.locator(".stApp").inner_text()
