"""The Models page's wiring: every model in its state, compared, and staff's actions for staff alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from derm import registry
from derm.settings import PROJECT, settings
from derm.ui import auth
from derm.ui.models import facts
from tests.bundles import METADATA
from tests.cli.test_models import _model
from tests.test_exporting import ensemble
from tests.test_safety import changed, with_layer

PAGE = str(PROJECT / "pages" / "models.py")
STAFFS = ("Make default", "Remove")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Two models, `ours` the default, and a person who is staff."""
    for name, dark in (("ours", 0.8), ("worse", 0.2)):
        _model(tmp_path / "models" / name, dark=dark)
    registry.set_default("ours", models=tmp_path / "models")
    for name in ("models", "data", "runs", "cache"):
        monkeypatch.setenv(f"DERM_{name.upper()}", str(tmp_path / name))
    monkeypatch.setattr(auth, "is_staff", lambda: True)
    settings.cache_clear()
    yield tmp_path / "models"
    settings.cache_clear()


def opened(section: str = "Models", **state: object) -> AppTest:
    at = AppTest.from_file(PAGE, default_timeout=60)
    for key, value in {"models": section, **state}.items():
        at.session_state[key] = value
    return ran(at)


def ran(at: AppTest) -> AppTest:
    at.run()
    assert not at.exception
    return at


def said(at: AppTest) -> str:
    return "\n".join([*(item.proto.body for item in at.get("html")), *(str(item.value) for item in (
        *at.markdown, *at.caption, *at.info, *at.error, *at.success, *at.subheader))])


def buttons(at: AppTest) -> list[str]:
    return [button.label for button in at.button]


def popovers(at: AppTest) -> list[str]:
    return [one.proto.popover.label for one in at.get("popover")]


def press(at: AppTest, key: str) -> AppTest:
    at.button(key=key).click()
    return ran(at)


def test_every_model_says_what_it_is_and_how_good_for_whom(folder: Path) -> None:
    at = opened()
    assert not at.error
    assert [title.value for title in at.subheader] == ["ours", "worse"]
    page = said(at)
    for words in ("made-up cases", "1 January 2025", "Macro F1", "V–VI", "n = 600", "not measured yet", "MB"):
        assert words in page.replace("\N{NO-BREAK SPACE}", " ")


def test_a_damaged_model_is_listed_with_its_sentence_and_a_half_written_one_is_not(folder: Path) -> None:
    (folder / "half").mkdir()
    (folder / "half" / "model.keras").write_bytes(b"half")
    (folder / "broken").mkdir()
    (folder / "broken" / "bundle.json").write_text("{ nonsense")
    (folder / "worse" / "model.keras").write_bytes(changed("logits", units=5))
    at = opened()
    assert [title.value for title in at.subheader] == ["ours", "broken", "worse"]
    assert len(at.error) == 2
    assert "JSON" in at.error[0].value
    assert "SHA" in at.error[1].value
    assert "speed-worse" not in [button.key for button in at.button]


def test_a_network_with_code_in_it_is_damaged_even_if_its_hash_is_right(folder: Path) -> None:
    bundle = registry.find("worse")
    bundle.path(registry.NETWORK).write_bytes(with_layer("Lambda"))
    registry.write(bundle.folder, bundle)
    assert "can run code" in opened().error[0].value


def test_a_broken_default_does_not_break_the_page(folder: Path) -> None:
    (folder / "ours" / "bundle.json").write_text("{")
    at = opened()
    assert len(at.error) == 1
    assert "worse is the default" in press(opened(**{"default-worse": True}), "default-sure-worse").toast[0].value
    assert registry.find().name == "worse"


def test_without_models_it_says_how_to_get_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERM_MODELS", str(folder / "none"))
    settings.cache_clear()
    at = opened()
    assert any("no model yet" in info.value for info in at.info)
    assert opened("Compare").info


def test_others_than_staff_do_not_see_what_changes_things(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(STAFFS) <= set(popovers(opened()))
    assert "Import" in [tab.label for tab in opened().tabs]
    monkeypatch.setattr(auth, "is_staff", lambda: False)
    at = opened("Import")
    assert not set(STAFFS) & set(popovers(opened()))
    assert [tab.label for tab in at.tabs] == ["Models", "Compare"]


def test_rights_that_ended_meanwhile_are_asked_for_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = opened(**{"remove-worse": True})
    monkeypatch.setattr(auth, "is_staff", lambda: False)
    press(at, "remove-sure-worse")
    assert registry.find("worse").name == "worse"


def test_remove_asks_first_and_refuses_the_default_and_members(folder: Path) -> None:
    ensemble(folder)
    at = opened(**{"remove-ours": True, "remove-a": True, "remove-worse": True})
    refused = [info.value for info in at.info]
    assert "ours is the default model; make another one the default first." in refused
    assert "a is a member of both; remove that first." in refused
    assert [button.key for button in at.button if "sure" in button.key] == ["remove-sure-worse"]
    assert "worse is gone" in press(at, "remove-sure-worse").toast[0].value
    assert "worse" not in [title.value for title in at.subheader]


def test_a_worse_model_becomes_the_default_only_with_a_reason(folder: Path) -> None:
    at = opened(**{"default-worse": True})
    assert "V–VI" in at.error[0].value
    assert at.button(key="default-sure-worse").disabled
    at.text_input(key="why-worse").input("A demonstration.")
    at = press(ran(at), "default-sure-worse")
    assert registry.find().name == "worse"
    assert "A demonstration." in registry.find().override
    assert [title.value for title in at.subheader] == ["ours", "worse"]  # none jumps from under the hand
    assert [title.value for title in opened().subheader] == ["worse", "ours"]


def test_two_models_are_compared_photograph_by_photograph(folder: Path) -> None:
    at = opened("Compare", compared=["ours", "worse"])
    assert not [error for error in at.error if "Worse" not in error.value]
    assert "V–VI" in at.error[0].value
    assert "same photographs" in said(at)
    table = next(item.proto.body for item in at.get("html") if "derm-differences" in item.proto.body)
    assert table.count("<tr>") == 5
    assert "derm-worse" in table
    assert len(at.get("vega_lite_chart")) == 1
    assert opened("Compare", compared=["ours"]).info


def test_of_an_ensemble_that_was_judged_in_parts_it_is_said(folder: Path) -> None:
    both = ensemble(folder)
    both = registry.write(both.folder, replace(both, figures=registry.find("ours").figures))
    assert "each photograph was answered by" not in said(opened("Compare", compared=["ours", "both"]))
    registry.write(both.folder, replace(both, voters=(1, 2)))
    at = opened("Compare", compared=["ours", "both"])
    assert "Of both, also in the table below, each photograph was answered by 1 to 2 of its 2 members" in said(at)
    listed = said(opened())
    assert "Each photograph was answered by 1 to 2 of its 2 members" in listed
    assert "all together are likely to do better" in listed


def test_the_other_figures_are_drawn_too(folder: Path) -> None:
    drawn = {name: opened("Compare", compared=["ours", "worse"], figure=name).get("vega_lite_chart")[0].proto
             .SerializeToString() for name in ("accuracy", "macro_f1", "ece")}
    assert len(set(drawn.values())) == 3


def test_an_imported_model_says_that_nothing_is_known_of_it(folder: Path) -> None:
    bundle = registry.find("worse")
    registry.write(bundle.folder, replace(bundle, figures={}, data_name="data unknown here"))
    at = opened()
    assert any("Not measured here" in info.value for info in at.info)
    assert "Two models with figures" in opened("Compare").info[0].value


def test_export_offers_what_there_is(folder: Path) -> None:
    ensemble(folder)
    at = opened(**{"export-ours": True, "export-both": True})
    assert [button.label for button in at.get("download_button")] == [
        "Network (.keras)", "Predictions (CSV)", "Card (Markdown)", "It and its members (ZIP)"]
    assert buttons(at).count("Make ONNX") == 1
    assert "one by one" in said(at)


def test_check_says_what_was_looked_at(folder: Path) -> None:
    at = opened(**{"check-ours": True})
    page = said(at)
    assert "as recorded" in page
    assert registry.find("ours").sha256["model.keras"][:16] in page


def test_a_file_that_may_not_be_opened_is_refused_on_the_page(folder: Path) -> None:
    at = opened("Import")
    network, labels = at.get("file_uploader")
    network.set_value([("evil.keras", with_layer("Lambda"), "application/zip")])
    labels.set_value([("labels.txt", b"acne\nweird rash\nmelanoma\n", "text/plain")])
    at = ran(at)
    assert "evil.keras" in at.error[0].value.replace("\\", "")
    assert "weird rash" in said(at)
    assert at.button(key="import-go").disabled


def test_a_good_file_waits_for_its_scaling_and_a_name(folder: Path) -> None:
    at = opened("Import")
    network, labels = at.get("file_uploader")
    network.set_value([("theirs.keras", changed("image", dtype="float32"), "application/zip")])
    labels.set_value([("labels.txt", b"acne\neczema\nmelanoma\n", "text/plain")])
    at = ran(at)
    assert not at.error
    at.text_input(key="import-name").input("ours")
    assert "exists already" in ran(at).error[0].value.replace("\\", "")
    at.text_input(key="import-name").input("theirs")
    assert ran(at).button(key="import-go").disabled
    at.selectbox(key="import-scaling").select("0..1")
    assert not ran(at).button(key="import-go").disabled


def test_it_opens_without_keras(folder: Path) -> None:
    script = ("import sys; from streamlit.testing.v1 import AppTest\n"
              f"at = AppTest.from_file({PAGE!r}, default_timeout=60).run()\n"
              "assert not at.exception and len(at.subheader) == 2\n"
              "assert not {'keras', 'tensorflow', 'jax'} & set(sys.modules)")
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_a_model_that_reads_more_than_the_photograph_says_so_and_what_its_figures_mean(folder: Path) -> None:
    ours = registry.read(folder / "ours")
    said = dict(facts.lines(replace(ours, metadata=METADATA)))
    assert said["Also reads"].startswith("age, sex and itch, where known.")
    assert "what was recorded of the photographs held out" in said["Also reads"]
    assert "Also reads" not in dict(facts.lines(ours))
