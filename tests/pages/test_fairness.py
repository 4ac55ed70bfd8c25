"""The Fairness page's wiring: opens on the default model, follows every slider, takes other people's files."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from derm import registry
from derm.jobs import status
from derm.settings import PROJECT, settings
from derm.ui import auth
from tests.bundles import make_ensemble
from tests.predictions import bundle, foreign, made_up
from tests.runs import run

PAGE = str(PROJECT / "pages" / "fairness.py")
WAIT = 60
EVIL = "<img src=x onerror=alert(1)>.csv"
TABS = ["Groups", "Conditions", "Certainty and thresholds", "Compare models", "What if", "Report"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, no data set, no run."""
    folder = tmp_path_factory.mktemp("fairness")
    bundle(folder / "models" / "ours", made_up())
    bundle(folder / "models" / "theirs", made_up(dark=0.8, seed=1), version="2.0")
    return folder


@pytest.fixture
def folder(made: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The settings name what was made; leave it as it is."""
    yield from _named(made, monkeypatch)


@pytest.fixture
def own(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same in a folder of your own, to change."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    yield from _named(tmp_path, monkeypatch)


def _named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("models", "data", "runs", "cache"):
        monkeypatch.setenv(f"DERM_{name.upper()}", str(folder / name))
    settings.cache_clear()
    yield folder
    settings.cache_clear()


def opened(section: str = "Groups", **state: object) -> AppTest:
    at = AppTest.from_file(PAGE, default_timeout=WAIT)
    for key, value in {"section": section, **state}.items():
        at.session_state[key] = value
    at.run()
    assert not at.exception
    return at


def charts(at: AppTest) -> list[bytes]:
    """The data of each chart, as it is sent."""
    return [chart.proto.SerializeToString() for chart in at.get("vega_lite_chart")]


def html(at: AppTest) -> str:
    return "\n".join(item.proto.body for item in at.get("html"))


def said(at: AppTest) -> str:
    return "\n".join([html(at), *(str(item.value) for item in (*at.markdown, *at.caption, *at.info, *at.warning))])


def upload(at: AppTest, *files: tuple[str, bytes, str]) -> AppTest:
    at.get("file_uploader")[0].set_value(list(files)).run()
    assert not at.exception
    return at


def csv(table: pd.DataFrame, name: str = "vendor.csv") -> tuple[str, bytes, str]:
    return name, table.to_csv(index=False).encode(), "text/csv"


def test_it_opens_on_the_default_model_and_says_who_is_worst(folder: Path) -> None:
    at = opened()
    assert not at.error
    assert "V–VI" in html(at).partition("derm-headline")[2]
    tiles = {metric.label: (metric.value, metric.delta) for metric in at.metric}
    assert {"Worst: V–VI", "Gap", "Gap, same conditions", "All cases"} <= set(tiles)
    assert all("n\N{NO-BREAK SPACE}=" in below for value, below in tiles.values() if value != "–")


@pytest.mark.parametrize("section", TABS)
def test_every_part_opens(folder: Path, section: str) -> None:
    at = opened(section)
    assert not at.error
    files = [button.label for button in at.get("download_button")]
    assert files == (["Report (HTML)", "Figures (CSV)", "Figures (JSON)"] if section == "Report"
                     else ["PNG", "SVG", "CSV"] * len(charts(at)))
    assert files


@pytest.mark.parametrize(("section", "first", "moves"), [
    ("Groups", {}, {"threshold": 10, "abstain": 70, "min": 80, "known": True, "by": "fst", "and": "partition3",
                    "metric": "ece"}),
    ("Conditions", {}, {"abstain": 70}),
    ("Certainty and thresholds", {}, {"threshold": 10, "abstain": 70}),
    ("Compare models", {}, {"threshold": 10, "abstain": 55}),
    ("What if", {}, {"wanted": 70, "abstain": 70}), ("What if", {"way": "abstain"}, {"silent": 80})])
def test_every_chart_follows(folder: Path, section: str, first: dict[str, Any], moves: dict[str, Any]) -> None:
    at = opened(section, **first)
    before = charts(at)
    assert before
    for key, value in moves.items():
        rest = at.session_state[key]
        at.session_state[key] = value
        after = charts(at.run())
        assert not at.error
        changed = [one != other for one, other in zip(before, after, strict=True)]
        # The threshold is drawn into the threshold curves; what a model states does not depend on it.
        follows = any if (section, key) == ("Certainty and thresholds", "threshold") else all
        assert follows(changed), key
        at.session_state[key] = rest


def test_a_vendors_file_is_audited_without_a_manual(folder: Path) -> None:
    at = upload(opened(), csv(foreign(made_up())))
    assert not at.error
    assert at.selectbox(key="model").value.startswith("file-")
    assert "fitzpatrick" in html(at)
    assert "V–VI" in html(at).partition("derm-headline")[2]
    assert at.select_slider(key="threshold").disabled


@pytest.mark.parametrize(("name", "data", "words"), [
    ("empty.csv", b"", "empty"), ("letter.csv", b"Dear doctor,\nplease find attached\n", "column"),
    ("noise.parquet", b"PAR1 and then nothing", "read"), ("header.csv", b"image_id,condition,predicted\n", "row")])
def test_a_file_that_is_none_is_one_sentence_and_can_be_mended(folder: Path, name: str, data: bytes,
                                                               words: str) -> None:
    at = upload(opened(), (name, data, "text/csv"))
    assert len(at.error) == 1
    assert words in at.error[0].value
    assert "derm audit" not in at.error[0].value
    assert "Traceback" not in at.error[0].value


def test_columns_are_named_by_hand_where_they_cannot_be_guessed(folder: Path) -> None:
    at = upload(opened(), csv(foreign(made_up()).rename(columns={"prediction": "col7"})))
    assert len(at.error) == 1
    next(box for box in at.selectbox if box.label == "What the model predicted").select("col7").run()
    assert not at.error
    assert "derm-headline" in html(at)


def test_names_are_text_and_nothing_else(folder: Path) -> None:
    at = upload(opened(), csv(foreign(made_up()), EVIL))
    assert "<img" not in said(at)


def test_a_skin_type_that_is_none_is_refused_by_row(folder: Path) -> None:
    table = foreign(made_up())
    table.loc[3, "fitzpatrick"] = "7"
    at = upload(opened(), csv(table))
    assert "case" in at.error[0].value
    assert "3" in at.error[0].value


def test_without_skin_types_it_says_that_nothing_can_be_compared(folder: Path) -> None:
    at = upload(opened(), csv(foreign(made_up()).assign(fitzpatrick="")))
    assert not at.error
    assert "compared" in html(at).partition("derm-headline")[2]


def test_the_report_is_refused_until_it_says_whose_figures_it_holds(folder: Path) -> None:
    at = upload(opened("Report"), csv(foreign(made_up())))
    assert "version" in at.warning[0].value
    buttons = at.get("download_button")
    assert all(button.proto.disabled for button in buttons)
    next(box for box in at.text_input if box.label == "Version").input("4.2").run()
    assert not at.warning
    assert not any(button.proto.disabled for button in at.get("download_button"))


def test_the_report_of_a_bundle_says_date_version_n_and_missingness(folder: Path,
                                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    made: dict[str, Callable[[], str]] = {}
    import streamlit as st

    monkeypatch.setattr(st, "download_button", lambda label, data, *_, **__: made.update({label: data}))
    opened("Report")
    page = made["Report (HTML)"]()
    missing = int(made_up()["fst"].isna().sum())
    for words in (f"{time.localtime().tm_year}", "ours, version 1.0", "400", f"{missing} of 400"):
        assert words in page
    assert json.loads(made["Figures (JSON)"]())["n"] == 400


def test_a_run_that_goes_on_appears_and_goes_for_staff(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    live = run(own / "runs" / "20260101-live")
    assert "Training now" not in said(opened())
    monkeypatch.setattr(auth, "is_staff", lambda: True)
    at = opened()
    assert "Training now" in said(at)
    status.write(live, replace(status.read(live), state="finished"))
    assert "Training now" not in said(at.run())


def test_without_any_model_it_says_how_to_get_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERM_MODELS", str(folder / "none"))
    settings.cache_clear()
    at = opened()
    assert not at.error
    assert any("no model yet" in info.value for info in at.info)
    assert "derm-headline" in html(upload(at, csv(foreign(made_up()))))


def test_of_an_ensemble_that_was_judged_in_parts_it_is_said(own: Path) -> None:
    members = [registry.find(name) for name in ("ours", "theirs")]
    both = make_ensemble(own / "models" / "both", members)
    shutil.copy(members[0].path("predictions.parquet"), both.folder)
    both = registry.write(both.folder, both)
    assert "members" not in said(opened(model="both"))
    registry.write(both.folder, replace(both, voters=(1, 2)))
    assert "answered by 1 to 2 of its 2 members" in said(opened(model="both"))


def test_damaged_predictions_are_one_sentence(own: Path) -> None:
    file = own / "models" / "ours" / "predictions.parquet"
    description = own / "models" / "ours" / "bundle.json"
    file.write_bytes(b"PAR1 no more")
    described = json.loads(description.read_text())
    described["sha256"]["predictions.parquet"] = "0" * 64
    description.write_text(json.dumps(described))
    at = opened()
    assert len(at.error) == 1
    assert "predictions.parquet" in at.error[0].value
