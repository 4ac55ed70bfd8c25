"""The Explore page's charts: valid, whole labels, n and intervals, nothing but aggregates, files that repeat."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import pytest

from derm.explore.codes import NUMERALS
from derm.schema import SkinType
from derm.ui import plots, theme, words
from derm.ui.plots import Chart, chart

TYPES = [*NUMERALS, "Missing"]
LONG = "papilomatosis-confluentes-and-reticulate"


def distribution(counts: dict[str, int], *, share: bool = True) -> pd.DataFrame:
    n = np.array(list(counts.values()))
    part = n / n.sum() if share else np.full(len(n), np.nan)
    return pd.DataFrame({"value": list(counts), "n": n, "share": part, "low": part - 0.01, "high": part + 0.01})


def cells(rows: dict[str, list[int]], heads: list[str] = TYPES) -> pd.DataFrame:
    return pd.DataFrame([{"row": row, "column": head, "n": n}
                         for row, line in rows.items() for head, n in zip(heads, line, strict=True)])


FST = distribution(dict(zip(TYPES, (90, 200, 0, 60, 30, 12, 7), strict=True)))
CONDITIONS = distribution({"acne": 30, "Missing": 50, LONG: 70})
COVERAGE = cells({"acne": [0, 19, 20, 49, 100, 500, 0], "Missing": [0, 3, 0, 0, 0, 0, 4]})
MISSINGNESS = pd.DataFrame({"column": ["fst", "x_sex", "path"], "n": 200, "missing": [20, 100, 0],
                            "share": [0.1, 0.5, 0.0], "low": [0.07, 0.4, 0.0], "high": [0.15, 0.6, 0.02]})
SHARES = pd.DataFrame({"source": ["Atlas"] * 3, "group": ["I-II", "III-IV", "V-VI"], "n": [50, 40, 10],
                       "share": [0.5, 0.4, 0.1], "low": 0.1, "high": 0.6})
COMPARED = pd.DataFrame({"value": ["I", "II"], "n_a": [40, 60], "share_a": [0.4, 0.6], "low_a": [0.3, 0.5],
                         "high_a": [0.5, 0.7], "n_b": [5, 5], "share_b": np.nan, "low_b": np.nan,
                         "high_b": np.nan, "difference": np.nan, "diff_low": np.nan, "diff_high": np.nan})
MATRIX = pd.DataFrame([{"a": a, "b": b, "n": 9 * (a == b)} for a in NUMERALS for b in NUMERALS])
ASSOCIATION = pd.DataFrame({"a": ["condition", "condition", "fst"], "b": ["fst", "x_sex", "x_sex"],
                            "v": [0.42, np.nan, 1.0], "low": [0.3, np.nan, 0.9], "high": [0.5, np.nan, 1.0],
                            "n": [400, 3, 90]})
BINS = pd.DataFrame({"low": [0.0, 10.0], "high": [10.0, 20.0], "n": [3, 1_200]})
BOXES = pd.DataFrame({"fst": ["I", "VI"], "n": [300, 4], "low_whisker": [10, np.nan], "q1": [30, np.nan],
                      "median": [50, np.nan], "q3": [60, np.nan], "high_whisker": [80, np.nan]})
CHARTS: dict[str, Callable[[], Chart]] = {
    "fst": lambda: plots.fst_bars(FST),
    "fst shares": lambda: plots.fst_bars(FST, share=True),
    "labels": lambda: plots.label_bars(CONDITIONS, kinds={"acne": "non-neoplastic"}, share=True),
    "coverage": lambda: plots.coverage_map(COVERAGE),
    "missing": lambda: plots.missing_bars(MISSINGNESS),
    "sources": lambda: plots.source_bars(SHARES),
    "compare": lambda: plots.compare_bars(COMPARED, names=("A", "B"), column="fst"),
    "agreement": lambda: plots.agreement_map(MATRIX, rows="Scale", columns="Centaur"),
    "association": lambda: plots.association_map(ASSOCIATION),
    "histogram": lambda: plots.histogram(BINS, column="x_age", unit="years"),
    "ita": lambda: plots.ita_boxes(BOXES),
}


@pytest.fixture(params=list(CHARTS))
def drawn(request: pytest.FixtureRequest) -> Chart:
    return CHARTS[request.param]()


def layers(found: Chart) -> list[dict[str, Any]]:
    return list(found.spec.get("layer", [found.spec]))


def by_name(found: Chart) -> dict[str, dict[str, Any]]:
    return {row["name"]: dict(row) for row in found.rows}


def test_each_chart_is_what_altair_calls_valid(drawn: Chart) -> None:
    alt.Chart.from_dict(drawn.complete())  # raises for anything that the Vega-Lite schema does not know


def test_rows_are_plain_json_without_nan(drawn: Chart) -> None:
    assert drawn.rows
    json.dumps(drawn.complete(), allow_nan=False)


def test_every_chart_is_described_and_tells_n(drawn: Chart) -> None:
    assert drawn.title
    assert len(drawn.spec["description"]) > 20
    told = [tip["title"] for layer in layers(drawn) for tip in layer["encoding"].get("tooltip", [])]
    assert {"Pictures", "Missing"} & set(told)
    spoken = [layer["mark"]["description"]["expr"] for layer in layers(drawn) if "description" in layer["mark"]]
    assert any("datum." in words for words in spoken)


def test_what_is_drawn_and_told_is_in_the_rows(drawn: Chart) -> None:
    """A misspelt field would draw nothing, silently."""
    fields = set(re.findall(r'"field": "(\w+)"', json.dumps([layer["encoding"] for layer in layers(drawn)])))
    fields |= set(re.findall(r"datum\.(\w+)", json.dumps([layer["mark"] for layer in layers(drawn)])))
    assert fields - {"total"} <= set().union(*drawn.rows)  # total: summed up by the chart itself


@pytest.mark.parametrize("name", ["fst", "labels", "coverage", "agreement", "histogram"])
def test_other_figures_change_the_data_only(name: str) -> None:
    """So that a filter moves the bars of a chart on the page, and does not put another in its place."""
    before = CHARTS[name]().spec
    more = {"fst": plots.fst_bars(FST[2:5]), "labels": plots.label_bars(CONDITIONS[:2], kinds={"x": "benign"},
                                                                        share=True),
            "coverage": plots.coverage_map(COVERAGE[:7].assign(n=5)),
            "agreement": plots.agreement_map(MATRIX.assign(n=1), rows="Scale", columns="Centaur"),
            "histogram": plots.histogram(BINS[:1], column="x_age", unit="years")}[name].spec
    if name == "labels":  # the long name left
        before, more = {**before, "height": 0}, {**more, "height": 0}
    assert before == more


def test_skin_types_have_their_swatches_and_missing_is_a_bar_of_its_own() -> None:
    found = plots.fst_bars(FST)
    scale = found.spec["layer"][0]["encoding"]["color"]["scale"]
    colours = dict(zip(scale["domain"], scale["range"], strict=True))
    assert {skin.name: colours[skin.name] for skin in SkinType} == {s.name: c for s, c in theme.SWATCHES.items()}
    assert colours["Missing"] not in theme.SWATCHES.values()
    assert [row["label"] for row in found.rows] == TYPES
    assert by_name(found)["III"]["count"] == 0  # a type that nobody has is still there


@pytest.mark.parametrize(("share", "text"), [(False, "200"), (True, "50.1\N{NO-BREAK SPACE}% (200)")])
def test_n_stands_at_each_bar(share: bool, text: str) -> None:
    assert by_name(plots.fst_bars(FST, share=share))["II"]["text"] == text


def test_too_few_for_shares_says_so_and_draws_none() -> None:
    row = by_name(plots.fst_bars(distribution({"I": 3, "II": 4}, share=False), share=True))["I"]
    assert (row["part"], row["low"], row["text"]) == (None, None, "too few (n = 3)")


def test_labels_come_largest_first_missing_last_and_whole() -> None:
    found = plots.label_bars(CONDITIONS)
    assert [row["name"] for row in found.rows] == ["Papilomatosis confluentes and reticulate", "Acne", "Missing"]
    assert found.rows[0]["label"].replace("\n", " ") == found.rows[0]["name"]
    assert max(len(line) for line in found.rows[0]["label"].split("\n")) <= 28


@pytest.mark.parametrize("column", ["condition", "partition9"])
def test_benign_and_malignant_have_a_legend_where_known(column: str) -> None:
    plain, coloured = (layers(plots.label_bars(CONDITIONS, column=column, kinds=kinds))[0]["encoding"]["color"]
                       for kinds in ({}, {"acne": "benign"}))
    assert plain["legend"] is None
    assert coloured["legend"]["values"] == ["Malignant", "Benign", "Non-neoplastic"]
    assert by_name(plots.label_bars(CONDITIONS, kinds={"acne": "benign"}))["Acne"]["kind"] == "Benign"


def test_rows_grow_with_labels_of_many_lines() -> None:
    short, long = (plots.label_bars(distribution({name: 30}), column="x_note").spec["height"]["step"]
                   for name in ("a", "word " * 40))
    assert short < long


def test_empty_and_thin_cells_are_marked_but_nobodys_gap_is_not() -> None:
    bands = {(row["row"], row["column"]): row["band"] for row in plots.coverage_map(COVERAGE).rows}
    none, few = bands["acne", "I"], bands["acne", "II"]
    assert none != few
    assert [bands["acne", head] for head in ("III", "IV", "V", "VI")] == ["20–49", "20–49", "100–199", "500+"]
    assert not {none, few} & {bands[cell] for cell in bands if "Missing" in cell}


def test_the_cell_selection_names_what_derm_explore_names() -> None:
    found = plots.coverage_map(cells({"basal-cell-carcinoma": [1, 2]}, ["V-VI", "Missing"]), columns="group")
    selection = found.spec["params"][0]
    assert (selection["name"], selection["select"]["fields"]) == (plots.CELL, ["row", "column"])
    assert [row["column"] for row in found.rows] == ["V-VI", "Missing"]
    assert [row["type"] for row in found.rows] == ["V–VI", "Missing"]


def test_complete_columns_have_no_bar() -> None:
    assert [row["name"] for row in plots.missing_bars(MISSINGNESS).rows] == ["Skin type", "Sex"]


def test_an_unknown_association_is_not_a_zero() -> None:
    assert [row["n"] for row in plots.association_map(ASSOCIATION).rows] == [".42", "–", "1.00"]


def test_a_data_set_too_small_to_compare_has_no_bar() -> None:
    first, second = plots.compare_bars(COMPARED, names=("A", "B"), column="fst").rows[:2]
    assert (first["part"], second["part"], second["text"]) == (0.4, None, "too few (n = 5)")


@pytest.mark.parametrize("name", ["fst shares", "coverage", "ita"])
def test_files_are_light_titled_and_repeat_to_the_byte(name: str) -> None:
    found = CHARTS[name]()
    svg = plots.export(found, "svg", source="AJL 2025: 10 of 20 pictures")
    assert svg == plots.export(CHARTS[name](), "svg", source="AJL 2025: 10 of 20 pictures")
    text = svg.decode()
    assert found.title in text
    assert "AJL 2025: 10 of 20 pictures" in text
    assert "light-dark" not in text
    assert 'fill="#ffffff"' in text
    png = plots.export(found, "png", source="AJL 2025")
    assert png.startswith(b"\x89PNG")
    assert png == plots.export(found, "png", source="AJL 2025")


@pytest.mark.parametrize("both", list(zip(chart.RAMP, chart.RAMP_INK, strict=True)))
def test_figures_can_be_read_on_every_shade_of_both_themes(both: tuple[str, str]) -> None:
    shades, inks = (re.findall("#[0-9a-f]{6}", pair) for pair in both)
    for shade, ink in zip(shades, inks, strict=True):
        assert contrast(shade, ink) >= 4


def contrast(one: str, other: str) -> float:
    """WCAG 2's contrast ratio of two colours."""
    channels = np.array([[int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)] for colour in (one, other)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    dark, light = sorted(linear @ [0.2126, 0.7152, 0.0722])
    return float((light + 0.05) / (dark + 0.05))


def test_a_page_of_charts_is_small() -> None:
    many = cells({f"condition-{i}": [i] * 7 for i in range(114)})
    assert len(json.dumps(plots.coverage_map(many).complete())) < 250_000


@pytest.mark.parametrize(("of", "text", "said"), [
    ("condition", "basal-cell-carcinoma", "Basal cell carcinoma"), ("fst", "VI", "VI"),
    ("fst", "missing", "Missing"), ("group", "V-VI", "V–VI"), ("flags", "none", "No flag"),
    ("x_sex", "female", "female"), ("x_body_site", "I-beam", "I-beam")])
def test_values_in_words(of: str, text: str, said: str) -> None:
    assert words.value(of, text) == said


@pytest.mark.parametrize(("name", "said"), [("fst", "Skin type"), ("x_body_site", "Body site"),
                                            ("x_skin_cancer_history", "Skin cancer history"), ("x_", "x_")])
def test_columns_in_words(name: str, said: str) -> None:
    assert words.column(name) == said


@pytest.mark.parametrize(("names", "said"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"),
                                             (["a", "b", "c"], "a, b and c")])
def test_names_in_a_sentence(names: list[str], said: str) -> None:
    assert words.listed(names) == said
