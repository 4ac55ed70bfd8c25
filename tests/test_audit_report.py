"""An audit as a document: nothing in it without n, and nothing passed on without model, version and date."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from derm import audit_report
from derm.audit_report import Source
from derm.errors import ConfigError
from derm.fairness.audit import Audit, audit
from derm.fairness.figure import Figure

SOURCE = Source("vendor-x", "2.1", "theirs.csv", ("Columns guessed from their names: 'tone' as fst.",))


@pytest.fixture(scope="module")
def found() -> Audit:
    """Three groups, the darkest served worst, one of a single photograph, and some without a skin type."""
    rng = np.random.default_rng(0)
    fst = np.repeat([1, 3, 5, 6], [120, 80, 60, 1])
    truth = rng.choice(["melanoma", "eczema"], len(fst))
    wrong = rng.random(len(fst)) < np.where(fst > 4, 0.5, 0.1)
    said = np.where(wrong, np.where(truth == "melanoma", "eczema", "melanoma"), truth)
    p = np.where(said == "melanoma", rng.uniform(0.5, 1, len(fst)), rng.uniform(0, 0.5, len(fst)))
    table = pd.DataFrame({"image_id": [f"i{i}" for i in range(len(fst))], "condition": truth,
                          "fst": pd.array(fst, dtype="Int8"), "p:melanoma": p, "p:eczema": 1 - p})
    table.loc[:4, "fst"] = pd.NA
    return audit(table, by="fst", n_boot=200)


def render(found: Audit, **options: object) -> str:
    return audit_report.html(found, **({"source": SOURCE, "created": date(2026, 2, 3)} | options))  # type: ignore


def text_of(html: str) -> str:
    parts: list[str] = []
    parser = HTMLParser()
    parser.handle_data = parts.append  # type: ignore[method-assign]
    parser.feed(re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL))
    return " ".join(" ".join(parts).split())


def test_the_page_says_whose_figures_they_are_and_on_what_they_rest(found):
    text = text_of(render(found))
    for words in ("3 February 2026", "vendor-x, version 2.1", "theirs.csv", "Photographs (n) 261",
                  "5 of 261 (2 %)", "skin type (FST)", "95 %", "the leading condition is malignant",
                  "'tone' as fst", "Research demo, not a medical device"):
        assert words in text


def test_every_group_has_its_n_the_worst_is_marked_and_the_small_one_has_no_figure(found):
    text = text_of(render(found))
    lead = found.lead
    assert lead is not None
    figure = found.group(lead.worst).figures[lead.metric]
    assert f"{lead.worst} (worst) {figure.n} {figure.text}" in text
    assert "VI 1 too few" in text
    assert f"{lead.worst} {figure.text} n = {figure.n}" in text
    assert "Sensitivity for malignant conditions is" in text


def test_a_group_of_one_class_has_no_area_and_says_undefined(found):
    group = found.group("I")
    none = replace(group, figures={**group.figures, "malignant_auroc": Figure(None, None, None, 0)})
    text = text_of(render(replace(found, groups=(none, *(each for each in found.groups if each is not group)))))
    assert "I 0 undefined" in text


def test_bars_are_drawn_to_scale_with_their_intervals(found):
    html = render(found)
    overall = found.overall["accuracy"]
    assert overall.value is not None
    assert f'width="{160 * overall.value:.1f}"' in html
    assert f"M{160 * overall.low:.1f} 7H{160 * overall.high:.1f}" in html
    assert f'aria-label="all: {overall.text}"' in html


@pytest.mark.parametrize(("source", "key"), [
    (Source("", "2.1"), "model"), (Source("vendor-x", ""), "version"), (Source("", ""), "model")])
def test_without_model_or_version_there_is_no_report(found, source, key):
    with pytest.raises(ConfigError, match=key) as refusal:
        render(found, source=source)
    assert refusal.value.key == key


def test_without_a_photograph_there_is_no_report(found):
    with pytest.raises(ConfigError, match="lack the n"):
        render(replace(found, n=0))


def test_names_are_text_never_markup_and_the_page_needs_nothing_but_itself(found):
    odd = "<script>alert(1)</script>"
    html = render(found, source=Source(odd, "1", "<img>.csv"))
    assert "<script" not in html
    assert "<img" not in html
    assert odd in text_of(html)
    assert not re.search(r"https?:|url\(|src=|href=", html)


def test_json_has_the_shape_that_the_command_promises(found):
    table = json.loads(json.dumps(audit_report.to_json(found), allow_nan=False))
    assert {"by", "n", "groups", "gaps"} <= table.keys()
    assert (table["by"], table["n"]) == ("fst", 261)
    assert [each["group"] for each in table["groups"]] == ["I", "II", "III", "IV", "V", "VI", "not recorded"]
    assert set(table["groups"][0]["metrics"]["accuracy"]) == {"value", "low", "high", "n"}
    assert table["groups"][5]["metrics"]["accuracy"] == {"value": None, "low": None, "high": None, "n": 1}
    gap = table["gaps"][0]
    assert {"metric", "worst", "best", "value", "low", "high", "adjusted"} <= gap.keys()
    assert {"value", "low", "high", "n"} <= gap["adjusted"].keys()


def test_csv_has_a_row_a_figure_and_a_row_a_gap(found):
    rows = list(csv.DictReader(io.StringIO(audit_report.csv(found).decode())))
    kinds = {row["kind"] for row in rows}
    assert kinds == {"figure", "gap", "adjusted gap", "versus rest"}
    small = next(row for row in rows if (row["group"], row["metric"]) == ("VI", "accuracy"))
    assert (small["value"], small["n"]) == ("", "1")
    gap = next(row for row in rows if row["kind"] == "gap")
    assert found.lead is not None
    assert float(gap["value"]) == pytest.approx(found.lead.value)
    assert (gap["group"], gap["against"]) == (found.lead.worst, found.lead.best)


def test_worst_first_then_those_without_a_value_then_those_not_compared(found):
    order = [each.group for each in audit_report.worst_first(found, "accuracy")]
    assert order[0] == "V"
    assert order[-1] == "not recorded"
    assert order.index("VI") > order.index("I")
    assert audit_report.worst_first(found, "ece")[0].figures["ece"].value == max(
        each.figures["ece"].value for each in found.groups if each.figures["ece"].value is not None)
