"""The Fairness page's charts: valid, n and intervals with every figure, groups told apart without colour."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import pytest

from derm.fairness.figure import Figure
from derm.ui import plots, scores
from derm.ui.plots import Chart, Compared, tones

GROUPS = {"All": Figure(0.62, 0.58, 0.66, 571), "I-II": Figure(0.59, 0.53, 0.64, 300),
          "V-VI": Figure(0.77, 0.65, 0.86, 61), "III-IV": Figure(None, None, None, 7),
          "not recorded": Figure(0.62, 0.41, 0.79, 21)}
SIDE = {group: GROUPS[group] for group in ("I-II", "V-VI", "III-IV")}
SENSITIVITY = pd.DataFrame([
    {"condition": name, "group": group, "n": n, "sensitivity": 0.5 if n >= 20 else np.nan,
     "low": 0.3 if n >= 20 else np.nan, "high": 0.7 if n >= 20 else np.nan}
    for name in ("acne", "melanoma") for group, n in (("I-II", 40), ("V-VI", 7), ("not recorded", 0))])


def matrix(names: Sequence[str], **cells: float) -> pd.DataFrame:
    return pd.DataFrame([{"truth": truth, "predicted": said, **cells} for truth in names for said in names])


CONFUSION = matrix(("acne", "melanoma"), n=10, of=30, share=1 / 3, low=0.2, high=0.5)
DIFFERENCE = matrix(("acne", "melanoma"), of_a=30, of_b=40, value=0.2, low=0.05, high=0.3)
BINS = pd.DataFrame([{"group": group, "n": n, "confidence": x, "right": x if n >= 20 else np.nan,
                      "right_low": x - 0.1, "right_high": x + 0.1}
                     for group, n in (("I-II", 30), ("V-VI", 25), ("III-IV", 3)) for x in (0.3, 0.6)])
CURVES = pd.DataFrame([{"group": group, "threshold": at, "n": 40, "value": 1 - at, "low": 0.9 - 0.9 * at,
                        "high": 1.0} for group in ("I-II", "V-VI") for at in np.linspace(0, 1, 11)])
EPOCHS = pd.DataFrame({"epoch": [1, 2, 1, 2], "group": ["I-II", "I-II", "V-VI", "V-VI"], "n": 60,
                       "value": [0.2, 0.3, np.nan, 0.4]})
MODELS = [Compared("ours", GROUPS["All"], Figure(0.1, -0.02, 0.2, 361), True),
          Compared("theirs", GROUPS["I-II"], Figure(0.3, 0.1, 0.5, 361), False),
          Compared("tiny", GROUPS["III-IV"], Figure(None, None, None, 0), False)]
CHARTS: dict[str, Callable[[], Chart]] = {
    "bars": lambda: plots.group_bars(GROUPS, label="Accuracy", share=True, minimum=50),
    "scores": lambda: plots.group_bars(GROUPS, label="Macro F1", share=False),
    "effect": lambda: plots.effect_bars(SIDE, SIDE, label="Accuracy", share=True),
    "sensitivity": lambda: plots.sensitivity_map(SENSITIVITY),
    "confusion": lambda: plots.confusion_map(CONFUSION, group="V-VI"),
    "difference": lambda: plots.difference_map(DIFFERENCE, groups=("V-VI", "I-II")),
    "calibration": lambda: plots.calibration_curves(BINS),
    "thresholds": lambda: plots.threshold_curves(CURVES, what="Sensitivity", at=0.3),
    "no threshold": lambda: plots.threshold_curves(CURVES, what="Sensitivity", at=None),
    "training": lambda: plots.training_lines(EPOCHS, label="Macro F1"),
    "models": lambda: plots.model_scatter(MODELS, label="Accuracy", share=True),
}


@pytest.fixture(params=list(CHARTS))
def drawn(request: pytest.FixtureRequest) -> Chart:
    return CHARTS[request.param]()


def layers(found: Chart) -> list[dict[str, Any]]:
    return list(found.spec["layer"])


def by(found: Chart, field: str) -> dict[str, dict[str, Any]]:
    return {str(row[field]): dict(row) for row in found.rows}


def test_each_chart_is_what_altair_calls_valid(drawn: Chart) -> None:
    alt.Chart.from_dict(drawn.complete())


def test_rows_are_plain_json_without_nan(drawn: Chart) -> None:
    assert drawn.rows
    json.dumps(drawn.complete(), allow_nan=False)


def test_every_chart_is_described_and_tells_n(drawn: Chart) -> None:
    assert len(drawn.spec["description"]) > 20
    told = [tip["field"] for layer in layers(drawn) for tip in layer["encoding"].get("tooltip", [])]
    assert {"n", "of"} & set(told)
    assert any("description" in layer["mark"] for layer in layers(drawn))


def test_what_is_drawn_and_told_is_in_the_rows(drawn: Chart) -> None:
    """A misspelt field would draw nothing, silently."""
    fields = set(re.findall(r'"field": "(\w+)"', json.dumps([layer["encoding"] for layer in layers(drawn)])))
    fields |= set(re.findall(r"datum\.(\w+)", json.dumps([layer["mark"] for layer in layers(drawn)])))
    assert fields <= set().union(*drawn.rows)


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_each_can_be_taken_along(drawn: Chart, kind: Any) -> None:
    data = plots.export(drawn, kind, source="ours 1: 571 cases")
    assert data.startswith(b"\x89PNG" if kind == "png" else b"<svg")


def test_a_moved_slider_changes_the_data_only() -> None:
    before, after = (plots.group_bars({**GROUPS, "V-VI": figure}, label="Accuracy", share=True, minimum=least)
                     for figure, least in ((GROUPS["V-VI"], 20), (Figure(0.3, 0.2, 0.4, 44), 60)))
    assert before.spec == after.spec
    assert before.rows != after.rows


@pytest.mark.parametrize(("group", "faint", "text"), [
    ("All", False, "62.0 % [58.0–66.0 %]"), ("I-II", False, "59.0 % [53.0–64.0 %]"),
    ("V-VI", True, "77.0 % [65.0–86.0 %]"), ("III-IV", True, "too few"),
    ("not recorded", True, "62.0 % [41.0–79.0 %]")])
def test_bars_below_the_minimum_are_grey_and_say_so(group: str, faint: bool, text: str) -> None:
    row = by(plots.group_bars(GROUPS, label="Accuracy", share=True, minimum=100), "group")[group]
    assert (row["faint"], row["text"].replace("\N{NO-BREAK SPACE}", " ").replace("  ", " ")) == (faint, text)
    assert bool(row["note"]) == (faint and row["value"] is not None)
    assert f"n = {GROUPS[group].n}" in row["label"]


def test_the_csv_says_who_is_compared() -> None:
    frame = plots.group_bars(GROUPS, label="Accuracy", share=True, minimum=100).figures.set_index("group")
    assert frame["compared"].to_dict() == {"All": False, "I-II": True, "V-VI": False, "III-IV": False,
                                           "not recorded": False}


def test_both_n_stand_in_a_what_if() -> None:
    after = {**SIDE, "I-II": Figure(0.7, 0.6, 0.8, 120)}
    texts = [row["text"] for row in plots.effect_bars(SIDE, after, label="Accuracy", share=True).rows]
    assert "n = 300" in texts[0]
    assert "n = 120" in texts[1]


def test_a_cell_of_few_cases_has_no_share() -> None:
    cells = {(row["condition"], row["group"]): row for row in plots.sensitivity_map(SENSITIVITY).rows}
    many, few, none = (cells["acne", group] for group in ("I-II", "V-VI", "not recorded"))
    assert (many["share"].startswith("50"), many["small"]) == (True, "n 40")
    assert (few["share"], few["small"], few["interval"]) == ("", "n 7", "too few")
    assert none["small"] == "0"
    assert len({many["band"], few["band"], none["band"]}) == 3


@pytest.mark.parametrize(("value", "low", "high", "text"), [
    (0.2, 0.05, 0.3, "+20"), (-0.2, -0.3, 0.05, "−20"), (0.001, -0.1, 0.1, ""), (np.nan, np.nan, np.nan, "")])
def test_a_difference_has_its_sign_in_the_cell(value: float, low: float, high: float, text: str) -> None:
    cells = matrix(("acne",), of_a=30, of_b=40, value=value, low=low, high=high)
    assert plots.difference_map(cells, groups=("V-VI", "I-II")).rows[0]["text"] == text


def test_what_chance_does_not_give_is_shaded_more() -> None:
    sure, unsure = (plots.difference_map(matrix(("acne",), of_a=30, of_b=40, value=0.2, low=low, high=0.3),
                                         groups=("V-VI", "I-II")).rows[0]["tone"] for low in (0.05, -0.05))
    assert sure != unsure


def test_many_columns_are_called_by_the_numbers_of_their_rows() -> None:
    names = [f"condition-{i}" for i in range(9)]
    row = plots.confusion_map(matrix(names, n=1, of=30, share=0.03, low=0.0, high=0.1), group="I-II").rows[1]
    assert (row["label"], row["head"]) == ("Condition 0 1", "2")
    assert plots.confusion_map(CONFUSION, group="I-II").rows[1]["head"] == "Melanoma"


def test_groups_with_too_few_have_no_line() -> None:
    assert {row["name"] for row in plots.calibration_curves(BINS).rows} == {"I–II", "V–VI"}


def test_a_model_without_a_gap_is_no_point_but_in_the_figures() -> None:
    found = plots.model_scatter(MODELS, label="Accuracy", share=True)
    assert [row["name"] for row in found.rows] == ["ours", "theirs"]
    assert list(found.figures["model"]) == ["ours", "theirs", "tiny"]


@pytest.mark.parametrize("groups", [
    ("I-II", "III-IV", "V-VI", "not recorded"), ("I", "II", "III", "IV", "V", "VI"), ("F", "M", "not recorded")])
def test_groups_tell_apart_in_greyscale(groups: tuple[str, ...]) -> None:
    shapes = tones.shapes(groups)
    assert len(set(shapes)) == len(groups)
    greys = [grey(colour) for colour in tones.tones(groups).values()]
    assert all(abs(one - other) > 0.03 for one, other in pairwise(greys))


def grey(colour: str) -> float:
    """How light a colour prints, 0 to 1; of two for two themes the light one's."""
    red, green, blue = (int(re.findall("#[0-9a-f]{6}", colour)[0][i:i + 2], 16) / 255 for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(("name", "said"), [
    ("V-VI", "V–VI"), ("V-VI x malignant", "V–VI × malignant"), ("All", "All cases"),
    ("not recorded", "not recorded")])
def test_groups_in_words(name: str, said: str) -> None:
    assert scores.group(name) == said


@pytest.mark.parametrize(("figure", "share", "said"), [
    (Figure(0.117, -0.049, 0.197, 185), True, ("11.7 points", "−4.9 to 19.7")),
    (Figure(0.2, 0.1, 0.3, 185), True, ("20.0 points", "10.0–30.0")),
    (Figure(0.12, -0.05, 0.2, 185), False, ("0.12", "−0.05 to 0.20")),
    (Figure(None, None, None, 7), True, ("too few", "no interval"))])
def test_differences_in_words(figure: Figure, share: bool, said: tuple[str, str]) -> None:
    found = tuple(text.replace("\N{NO-BREAK SPACE}", " ") for text in scores.points(figure, share=share))
    assert found == said
