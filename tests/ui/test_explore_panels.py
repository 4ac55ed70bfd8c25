"""The Explore page's panels of figures: their wiring, their words, and what they say when there is nothing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from derm.datasets import Dataset, ajl
from derm.explore.counts import coverage
from derm.ui import figures, plots
from derm.ui.explore import exports
from derm.ui.explore.view import View
from tests.explore.tables import explored

WAIT = 30
EVIL = "<img src=x onerror=alert(1)>"


def view(kind: str = "rich") -> View:
    """300 pictures with everything measured; "bare" has labels and types only, "empty" no row left, "many" has
    40 conditions, "perfect" no gap, "blank" neither label nor type."""
    n = 300
    each = np.arange(n)
    if kind == "perfect":
        table = explored({"condition": ["acne"] * n, "fst": list(1 + each % 6)})
    elif kind == "blank":
        table = explored({"condition": [None] * n, "fst": [None] * n})
    elif kind == "bare":
        table = explored({"condition": ["acne", "melanoma"] * 150, "fst": list(1 + each % 6)})
    elif kind == "many":
        table = explored({"condition": [f"condition-{i % 40}" for i in range(n)], "fst": list(1 + each % 6)})
    else:
        table = explored({
            "condition": ["acne", "melanoma", EVIL] * 100,
            "partition3": ["non-neoplastic", "malignant", None] * 100,
            "fst": [*(1 + each[:270] % 5), *[None] * 30], "fst_other": list(1 + each % 6),
            "x_source": pd.Categorical(["Atlas one", "Atlas two", EVIL] * 100),
            "x_age": pd.array(each % 80, "Float64"), "flags": ["", "dark", "dark;blurred"] * 100,
            "ita": list(60.0 - each % 100), "duplicate": [True, False, None] * 100})
    dataset = Dataset(ajl.SOURCE, Path("."), table, (), kind)
    return View(dataset, table[:0] if kind == "empty" else table, table, None, kind, Path("list.csv"))


def shown(panel: str, kind: str = "rich") -> AppTest:
    def script(panel: str, kind: str) -> None:
        from importlib import import_module

        from tests.ui.test_explore_panels import view

        others = [view("bare")] if panel == "comparison" else []
        import_module(f"derm.ui.explore.{panel}").panel(view(kind), *others)

    at = AppTest.from_function(script, default_timeout=WAIT, args=(panel, kind)).run()
    assert not at.exception
    return at


def charts(at: AppTest) -> int:
    return len(at.get("vega_lite_chart"))


def words(at: AppTest) -> str:
    return "\n".join([*(item.value for item in (*at.markdown, *at.caption, *at.info, *at.success)),
                      *(html.proto.body for html in at.get("html"))])


@pytest.mark.parametrize(("panel", "count"), [
    ("overview", 3), ("annotators", 3), ("metadata", 4), ("comparison", 3)])
def test_each_panel_draws_its_charts_each_with_its_files(panel: str, count: int) -> None:
    at = shown(panel)
    assert charts(at) == count
    assert [button.label for button in at.get("download_button")] == ["PNG", "SVG", "CSV"] * count
    assert "<img" not in words(at)


@pytest.mark.parametrize("panel", ["overview", "annotators", "metadata", "comparison"])
def test_with_no_picture_left_each_says_what_to_do(panel: str) -> None:
    at = shown(panel, "empty")
    assert charts(at) == 0
    assert "Reset the filters" in at.info[0].value


@pytest.mark.parametrize("panel", ["overview", "annotators", "metadata", "comparison"])
def test_labels_and_types_alone_are_enough(panel: str) -> None:
    shown(panel, "bare")


@pytest.mark.parametrize("panel", ["overview", "annotators", "metadata", "comparison"])
def test_nothing_known_is_no_error(panel: str) -> None:
    shown(panel, "blank")


def test_header_figures_with_n_and_interval() -> None:
    tiles = {metric.label: (metric.value, metric.delta) for metric in shown("overview").metric}
    assert tiles["Pictures"][0] == "300"
    known = [text.replace("\N{NO-BREAK SPACE}", " ") for text in tiles["Known skin type"]]
    assert known == ["90.0 %", "95 %: 86.1–92.9 %, n = 300"]
    assert tiles["Near-duplicates"] == ("100", "of 300 pictures")


def test_what_was_not_measured_is_not_zero() -> None:
    tiles = {metric.label: (metric.value, metric.delta) for metric in shown("overview", "bare").metric}
    assert tiles["Near-duplicates"] == tiles["Quality flags"] == ("–", "not measured yet")


def test_gaps_stand_in_words() -> None:
    assert "No picture on FST VI." in words(shown("overview"))
    assert "at least 20 pictures on every skin type" in words(shown("overview", "perfect"))


def test_many_conditions_are_shown_in_parts() -> None:
    at = shown("overview", "many")
    rows = [switch for switch in at.get("button_group") if switch.label == "Rows"]
    assert len(rows) == 2
    assert at.session_state["show-rows-coverage"] == "most"


@pytest.mark.parametrize(("clicked", "cell"), [
    ([], None), ([{"row": "acne", "column": "VI"}], ("acne", "VI")),
    ([{"row": "acne", "column": "I"}, {"row": "melanoma", "column": "II"}], ("melanoma", "II")),
    ([{"row": "gone", "column": "I"}], None)])
def test_the_clicked_cell_is_left_for_the_gallery(clicked: list[dict[str, str]], cell: object,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "clickable", lambda *_, **__: clicked)
    assert shown("overview").session_state["cell-rich"] == cell


def test_a_click_is_read_from_the_chart(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = {"row": "acne", "column": "I"}
    state = {"selection": {plots.CELL: [cell]}}
    monkeypatch.setattr(st, "vega_lite_chart", lambda *_, **__: state)
    monkeypatch.setattr(figures, "downloads", lambda *_, **__: None)
    rich = view()
    chart = plots.coverage_map(coverage(rich.table))
    assert exports.clickable(rich, chart, key="k", selection=plots.CELL) == [cell]


def test_agreement_says_how_far_in_one_sentence() -> None:
    at = shown("annotators")
    assert "both say the same on" in words(at)
    assert [metric.label for metric in at.metric][:4] == ["Exactly the same", "Within one step", "Kappa",
                                                         "Weighted kappa"]
    assert all("n\N{NO-BREAK SPACE}=" in metric.delta for metric in at.metric)
    assert "never to fill in a missing skin type" in words(at)


def test_one_reading_only_and_no_angle_say_so() -> None:
    said = words(shown("annotators", "bare"))
    assert "nothing to compare it with" in said
    assert "has not been measured" in said


def test_sources_are_told_or_said_to_be_unknown() -> None:
    assert "does not say which atlas" in words(shown("metadata", "bare"))
    assert "Atlas one" in words(shown("metadata"))


def test_comparison_names_the_largest_differences() -> None:
    said = words(shown("comparison"))
    assert "would need another skin type" in said
    assert "points (" in said


def test_a_file_is_made_of_what_is_shown_and_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[str, Any, str]] = []
    monkeypatch.setattr(st, "download_button",
                        lambda label, data, name, *_, **__: made.append((label, data, name)))
    monkeypatch.setattr(plots, "export", lambda chart, kind, source: f"{chart.title}|{kind}|{source}".encode())
    monkeypatch.setattr(st, "popover", lambda *_, **__: st.container())
    part = view()
    part = View(part.dataset, part.table[:3], part.whole, None, "rich", part.list_path)
    figures = pd.DataFrame({"value": ["=1+1"], "n": [3]})
    exports.downloads(part, SimpleNamespace(title="A chart", figures=figures), key="k")  # type: ignore[arg-type]
    exports.table_download(part)
    files = {name: data() for _, data, name in made}
    assert files["ajl-2025-a-chart.png"] == b"A chart|png|AJL 2025: 3 of 300 pictures"
    assert files["ajl-2025-a-chart.csv"].splitlines() == [b"value,n", b"'=1+1,3"]
    assert len(files["ajl-2025-pictures.csv"].splitlines()) == 4
