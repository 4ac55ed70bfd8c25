"""The Train page's wiring: the form, the runs and what came of them. Nothing is trained."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from derm import estimates, jobs, machine, registry, samples, tuning
from derm.errors import JobError
from derm.estimates import Measured
from derm.jobs import status
from derm.jobs.status import Status
from derm.machine import Gpu, Machine
from derm.nn import config as configs
from derm.nn.config import TrainConfig, preset
from derm.settings import PROJECT, settings
from derm.tuning import Search
from derm.ui import auth
from derm.ui.training import launch
from tests.predictions import bundle, made_up
from tests.runs import run
from tests.test_tuning import SPACE, TABLE

PAGE = str(PROJECT / "pages" / "train.py")
HERE = (None, {"host": "localhost", "origin": "http://localhost"})


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with one set of drawn pictures."""
    folder = tmp_path_factory.mktemp("data")
    samples.write_dataset(folder / "drawn", per_class=12, size=32)
    return folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pictures: Path) -> Iterator[Path]:
    """Staff at a machine with one data set, no model and no run."""
    for name in ("models", "runs", "cache", "exclusions"):
        monkeypatch.setenv(f"DERM_{name.upper()}", str(tmp_path / name))
    monkeypatch.setenv("DERM_DATA", str(pictures))
    monkeypatch.setattr(auth, "_client", lambda: HERE)
    monkeypatch.setattr(registry, "verify", lambda found: ())  # the bundles' networks are none
    settings.cache_clear()
    launch._look.clear()
    yield tmp_path
    settings.cache_clear()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[TrainConfig, str | None]]:
    """What the page asks `derm.jobs` to start; it gets a run that waits."""
    asked: list[tuple[TrainConfig, str | None]] = []

    def start(config: TrainConfig, *, runs: Path, name: str | None = None) -> jobs.Run:
        asked.append((config, name))
        run(runs / (name or f"new-{len(asked)}"), history=False)
        return jobs.find(name or f"new-{len(asked)}", runs=runs)

    monkeypatch.setattr(jobs, "start", start)
    return asked


def opened(section: str = "New run", **state: Any) -> AppTest:
    at = AppTest.from_file(PAGE, default_timeout=60)
    for key, value in {"section": section, **state}.items():
        at.session_state[key] = value
    at.run()
    assert not at.exception
    return at


def button(at: AppTest, label: str) -> Any:
    return next(one for one in at.button if one.label == label)


def code(at: AppTest, language: str) -> str:
    return next(one.value for one in at.code if one.language == language)


def said(at: AppTest) -> str:
    parts = (*at.markdown, *at.caption, *at.info, *at.warning, *at.error, *at.success)
    return "\n".join(str(item.value) for item in parts)


def finished(folder: Path, name: str, **answers: Any) -> Path:
    """A run that ended with a bundle of made-up answers."""
    found = bundle(folder / "runs" / name, made_up(**answers)).folder
    (found / "config.toml").write_text('backbone = "baseline"\nweights = "none"\nepochs = 7\n', encoding="utf-8")
    (found / "card.md").write_text("# A card of its own\n", encoding="utf-8")
    status.write(found, Status("finished", created=5.0, epoch=9, epochs=9))
    return found


def test_a_run_is_started_as_the_form_says(folder: Path, started: list[Any]) -> None:
    at = opened()
    assert not at.error
    at.selectbox(key="train-backbone").select("baseline").run()
    at.number_input(key="train-epochs").set_value(4).run()
    assert "epochs=4" in code(at, "sh")
    assert "epochs = 4" in code(at, "toml")
    at.text_input(key="train--name").input("mine").run()
    assert "runs/mine" in code(at, "sh")
    button(at, "Start training").click().run()
    config, name = started[0]
    assert (config.backbone, config.weights, config.epochs, name) == ("baseline", "none", 4, "mine")
    assert config.data.endswith("drawn")
    assert at.session_state["section"] == "Runs"
    assert at.session_state["runs"] == ["mine"]
    assert "Training" in said(at)


def test_a_run_may_start_from_a_model_of_the_same_backbone(folder: Path, started: list[Any]) -> None:
    bundle(folder / "models" / "ours", made_up())
    at = opened()
    assert "The model ours" not in at.selectbox(key="train-weights").options
    at.selectbox(key="train-backbone").select("baseline").run()
    at.selectbox(key="train-weights").select("ours").run()
    button(at, "Start training").click().run()
    assert started[0][0].weights == "ours"


def test_a_double_click_starts_one_run(folder: Path, started: list[Any]) -> None:
    button(opened(), "Start training").click().run()
    for ago, runs in ((0, 1), (60, 2)):
        last = started[0][0], time.monotonic() - ago
        button(opened(**{"train--last": last}), "Start training").click().run()
        assert len(started) == runs


@pytest.mark.parametrize("name", ["quick", "best"])
def test_a_preset_fills_the_form(folder: Path, name: str) -> None:
    at = opened()
    at.segmented_control(key="train--preset").set_value(name).run()
    assert not at.exception
    assert f"--preset {name}" in code(at, "sh")
    assert "--set" not in code(at, "sh")
    assert at.number_input(key="train-epochs").value == preset(name).epochs


def test_a_strength_sets_each_change_and_one_change_is_no_strength(folder: Path) -> None:
    at = opened()
    at.selectbox(key="train--strength").select("Strong").run()
    assert at.number_input(key="train-rotation").value == 20
    at.number_input(key="train-rotation").set_value(7.0).run()
    assert at.selectbox(key="train--strength").value == "As set below"


@pytest.mark.parametrize(("kind", "key", "value", "words"), [
    ("number_input", "image_size", 7, "image_size = 7"), ("number_input", "cutmix", 0.9, "mixup + cutmix"),
    ("number_input", "epochs", 0, "nothing to train"), ("number_input", "rate", 0.0, "rate = 0")])
def test_a_bad_setting_is_told_at_its_field_and_nothing_can_be_started(folder: Path, kind: str, key: str,
                                                                      value: float, words: str) -> None:
    at = opened()
    if key == "epochs":
        at.number_input(key="train-head_epochs").set_value(0).run()
    getattr(at, kind)(key=f"train-{key}").set_value(value).run()
    assert len(at.error) == 1
    assert words in at.error[0].value.replace("\\", "")
    assert not [one for one in at.button if one.label == "Start training"]


@pytest.mark.parametrize("name", ["; rm -rf", "../x", "x" * 300, "taken"])
def test_a_bad_name_is_told(folder: Path, name: str) -> None:
    run(folder / "runs" / "taken")
    at = opened()
    at.text_input(key="train--name").input(name).run()
    assert len(at.error) == 1
    assert button(at, "Start training").disabled


def test_what_cannot_be_started_says_why(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> jobs.Run:
        raise JobError("runs: cannot be written.")

    monkeypatch.setattr(jobs, "start", refuse)
    at = opened()
    button(at, "Start training").click().run()
    assert "cannot be written" in at.toast[0].value
    assert not at.run().toast


@pytest.mark.parametrize(("found", "problem"), [
    (None, ""), (Measured(50.0, 20.0, 2 * 10**9, None), ""), (Measured(50.0, 20.0, 10**15, None), "memory"),
    (Measured(50.0, 20.0, 10**9, 500 * 10**9), "GPU")])
def test_an_estimate_is_told_and_what_cannot_fit_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch,
                                                            found: Measured | None, problem: str) -> None:
    gpus = (Gpu("H200", 140 * 10**9, 3 * 10**9, 0.25),) if problem == "GPU" else ()
    monkeypatch.setattr(machine, "look", lambda: Machine(4, 16 * 10**9, 9 * 10**9, 0.5, gpus))
    monkeypatch.setattr(estimates, "known", lambda config, cache: found)
    at = opened()
    assert ("About **" in said(at)) == (found is not None)
    assert ("H200" in said(at)) == bool(gpus)
    assert (problem in "".join(error.value for error in at.error)) == bool(problem) or not problem
    assert button(at, "Start training").disabled == bool(problem)
    assert bool([one for one in at.button if one.label == "Estimate time and memory"]) == (found is None)


def test_without_pictures_it_says_how_to_get_some(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERM_DATA", str(folder / "none"))
    settings.cache_clear()
    at = opened()
    assert not at.error
    assert any("derm data list" in info.value for info in at.info)


def test_runs_are_listed_and_the_live_one_is_shown(folder: Path) -> None:
    run(folder / "runs" / "live")
    finished(folder, "done")
    at = opened("Runs")
    assert not at.error
    table = at.dataframe[0].value
    assert set(zip(table["Run"], table["State"], strict=True)) == {("live", "Training"), ("done", "Finished")}
    assert "epoch 2 of 9" in at.get("progress")[0].proto.text
    assert "V–VI too few" in said(at)
    assert len(at.get("vega_lite_chart")) == 4
    assert {"Stop", "Duplicate with changes"} <= {one.label for one in at.button}
    two = opened("Runs", runs=["live", "done"])
    assert "See its results" in {one.label for one in two.button}


def test_where_too_few_were_held_out_no_empty_chart_is_drawn(folder: Path) -> None:
    small = run(folder / "runs" / "small")
    history = pd.read_csv(small / "history.csv")
    history[[name for name in history if "f1" in name]] = None
    history.to_csv(small / "history.csv", index=False)
    at = opened("Runs")
    assert not at.exception
    assert any("Too few photographs are held out" in info.value for info in at.info)
    assert list(at.dataframe[0].value["Macro F1 so far"]) == ["too few"]
    assert len(at.get("vega_lite_chart")) == 3


@pytest.mark.parametrize(("state", "label", "asked"), [
    ("running", "Stop", "stop"), ("stopped", "Resume", "resume"), ("failed", "Resume", "resume"),
    ("stopped", "Delete it for good", "remove")])
def test_a_run_is_acted_on(folder: Path, monkeypatch: pytest.MonkeyPatch, state: str, label: str,
                           asked: str) -> None:
    run(folder / "runs" / "one", state=state)
    done: list[str] = []
    monkeypatch.setattr(jobs, asked, lambda name, runs: done.append(name))
    button(opened("Runs"), label).click().run()
    assert done == ["one"]


def test_what_is_against_it_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(folder / "runs" / "one", state="stopped")

    def refuse(name: str, *, runs: Path) -> jobs.Run:
        raise JobError("the data changed: 3 photographs gone.")

    monkeypatch.setattr(jobs, "resume", refuse)
    at = button(opened("Runs"), "Resume").click().run()
    assert "3 photographs gone" in at.toast[0].value


def test_a_failed_run_says_why_and_what_to_do(folder: Path) -> None:
    one = run(folder / "runs" / "one", state="failed")
    status.write(one, replace(status.read(one), reason="Out of memory.", advice="Halve the batch."))
    (one / "log.txt").write_text("a line\nthe last line\n", encoding="utf-8")
    at = opened("Runs")
    assert "Out of memory" in said(at)
    assert "Halve the batch" in said(at)
    assert "the last line" in at.code[0].value


def test_duplicating_fills_the_form_with_the_runs_settings(folder: Path) -> None:
    one = run(folder / "runs" / "one", state="stopped")
    config = configs.override(preset("quick"), {"epochs": 17, "head": "cbam", "skin_tone": 0.3,
                                                "data": str(settings().data / "drawn")})
    (one / "config.toml").write_text(config.to_toml(), encoding="utf-8")
    at = button(opened("Runs"), "Duplicate with changes").click().run()
    assert at.session_state["section"] == "New run"
    assert not at.error
    assert 'head = "cbam"' in code(at, "toml")
    assert "epochs = 17" in code(at, "toml")
    assert "skin_tone = 0.3" in code(at, "toml")


def test_a_search_shows_its_trials_the_best_first_and_lends_its_settings(folder: Path) -> None:
    one = run(folder / "runs" / "search", state="finished", history=False)
    (one / "search.json").write_text(Search(9, SPACE).to_json())
    (one / "trials.csv").write_text(TABLE)
    best = tuning.trial_folder(one, 4)
    best.mkdir(parents=True)
    data = str(settings().data / "drawn")
    configs.save(TrainConfig(data=data, rate=0.002), best)
    at = opened("Runs")
    shown = next(each.value for each in at.dataframe if "Trial" in each.value)
    assert list(shown["Trial"]) == ["4", "1", "2", "3", "5"]
    assert shown["Macro F1"][0] == "0.62 (0.50–0.75, n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}80)"
    assert list(shown["Macro F1"][2:]) == ["", "", ""]
    assert "too good" in said(at)
    at = button(at, "Start from the settings of trial 4").click().run()
    assert "rate = 0.002" in code(at, "toml")
    assert "No run has finished yet" in said(opened("Results"))


@pytest.mark.parametrize("broken", ["status.json", "history.csv", "config.toml", *(
    pytest.param(name, marks=pytest.mark.slow) for name in ("progress.jsonl", "log.txt"))])
def test_a_damaged_run_breaks_nothing(folder: Path, broken: str) -> None:
    (run(folder / "runs" / "one") / broken).write_bytes(b"\xff{,,\n\x00")
    (folder / "runs" / "half").mkdir()
    (folder / "runs" / "half" / "config.toml").touch()
    for section in ("Runs", "Results", "New run"):
        assert not opened(section, runs=["one"] if section == "Runs" else []).error
    at = button(opened("Runs", runs=["one"]), "Duplicate with changes").click().run()
    assert len(at.toast) == (broken == "config.toml")


def test_a_run_without_its_bundle_is_one_sentence(folder: Path) -> None:
    (finished(folder, "done") / "bundle.json").write_text("{")
    at = opened("Results")
    assert len(at.error) == 1
    assert "bundle.json" in at.error[0].value


@pytest.mark.parametrize("part", ["Groups", "Conditions", "Certainty and thresholds", "Worst mistakes",
                                  "Model card"])
def test_every_part_of_the_results_opens(folder: Path, part: str) -> None:
    finished(folder, "done")
    at = opened("Results", **{"train--part": part})
    assert not at.error
    found = {"Groups": "group by group", "Conditions": "Each condition", "Model card": "A card of its own",
             "Certainty and thresholds": "certainty be believed", "Worst mistakes": "Mistakes"}[part]
    assert found in said(at) + "".join(each.value for each in (*at.subheader, *at.header, *at.title))


def test_worse_on_dark_skin_is_said_before_it_reaches_a_clinician(folder: Path) -> None:
    bundle(folder / "models" / "ours", made_up(dark=0.7))
    finished(folder, "worse", dark=0.3)
    at = opened("Results")
    assert len(at.error) == 1
    assert "Worse for skin types V–VI" in at.error[0].value
    assert "n\N{NO-BREAK SPACE}=" in at.error[0].value
    assert button(at, "Promote").disabled
    assert not (folder / "models" / "worse").exists()
    at.text_area(key="reason-worse").input("Only light skin in this trial").run()
    button(at, "Promote").click().run()
    assert "Only light skin" in registry.read(folder / "models" / "worse").override
    assert registry.find().name == "ours"
    button(at, "Make worse the default").click().run()
    assert registry.find().name == "worse"


def test_what_cannot_be_told_is_no_success(folder: Path) -> None:
    bundle(folder / "models" / "ours", made_up())
    finished(folder, "small", n=7)
    at = opened("Results")
    assert not at.success
    assert "cannot be told" in at.warning[0].value
    table = at.dataframe[0].value
    assert set(table["This run"]) == {"too few"}
    assert "too few" not in set(table["In use"])
    assert set(table["Verdict"]) == {"Cannot be told"}
    assert not button(at, "Promote").disabled


def test_a_better_model_is_promoted_and_made_the_default(folder: Path) -> None:
    bundle(folder / "models" / "ours", made_up(dark=0.3))
    finished(folder, "better", dark=0.9)
    at = opened("Results")
    assert not at.error
    assert "Better" in set(at.dataframe[0].value["Verdict"])
    at.text_input(key="promote-as-better").input("ours").run()
    assert button(at, "Promote").disabled
    at.text_input(key="promote-as-better").input("next").run()
    button(at, "Promote").click().run()
    assert registry.read(folder / "models" / "next").override == ""
    button(at, "Make next the default").click().run()
    assert registry.find().name == "next"


def test_the_first_model_has_nothing_to_be_compared_with(folder: Path) -> None:
    finished(folder, "first")
    button(opened("Results"), "Promote").click().run()
    assert registry.find().name == "first"


def test_it_opens_without_tensorflow(folder: Path) -> None:
    finished(folder, "done")
    script = f"""
import sys
from streamlit.testing.v1 import AppTest
from derm.ui import auth
auth._client = lambda: {HERE!r}
for section in ("New run", "Runs", "Results"):
    at = AppTest.from_file({PAGE!r}, default_timeout=60)
    at.session_state["section"] = section
    at.run()
    assert not at.exception and not at.error, (at.exception, at.error)
assert not {{"tensorflow", "keras", "jax"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
