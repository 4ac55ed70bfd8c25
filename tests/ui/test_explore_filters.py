"""The Explore page's filters: what they let through, what the address may say, how one comes back from them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from derm.datasets import Dataset, ajl
from derm.ui.explore.view import View
from tests.explore.tables import explored

WAIT = 30
EVIL = "<img src=x onerror=alert(1)>"


def small_view(*, measured: bool = True) -> View:
    """Sixty pictures: three conditions, types I and VI and unknown, ages, a column that needs asking for."""
    columns = {"condition": ["acne", "melanoma", EVIL] * 20, "fst": [1, 6, None] * 20,
               "split": ["train", "train", "test"] * 20,
               "x_age": pd.array([float(age) for age in range(60)], "Float64"),
               "x_sex": ["female", "male", None] * 20}
    if measured:
        columns["flags"] = ["", "dark", "dark;blurred"] * 20
    table = explored(columns)
    dataset = Dataset(ajl.SOURCE, Path("."), table, (), f"small-{measured}")
    return View(dataset, table, table, None, "small", Path("list.csv"))


def opened(**address: str | list[str]) -> AppTest:
    def script() -> None:
        import streamlit as st

        from derm.ui.explore import filters
        from tests.ui.test_explore_filters import small_view

        kept = filters.bar(small_view())
        st.code(int(kept.sum()))

    at = AppTest.from_function(script, default_timeout=WAIT)
    for name, value in address.items():
        at.query_params[name] = value
    return at.run()


def left(at: AppTest) -> int:
    assert not at.exception
    return int(at.code[0].value)


def said(at: AppTest) -> str:
    return next(html.proto.body for html in at.get("html") if "derm-filtered" in html.proto.body)


def test_without_filters_every_picture_is_there() -> None:
    at = opened()
    assert left(at) == 60
    assert "All 60 pictures" in said(at)
    assert not [button for button in at.button if button.label == "Reset filters"]


@pytest.mark.parametrize(("key", "values", "n"), [
    ("f_condition", ["acne"], 20), ("f_condition", ["acne", "melanoma"], 40), ("f_fst", ["VI"], 20),
    ("f_fst", ["missing"], 20), ("f_split", ["test"], 20), ("f_flags", ["dark"], 40), ("f_flags", ["none"], 20)])
def test_a_filter_leaves_its_values_only(key: str, values: list[str], n: int) -> None:
    at = opened()
    at.multiselect(key=key).set_value(values).run()
    assert left(at) == n
    assert f"<strong>{n}</strong> of 60 pictures" in said(at)


def test_filters_in_words_with_nothing_of_the_data_as_markup() -> None:
    at = opened()
    at.multiselect(key="f_condition").set_value(["acne", EVIL]).run()
    at.multiselect(key="f_fst").set_value(["VI", "missing"]).run()
    assert "<img" not in said(at)
    assert "Condition: Acne or &lt;img" in said(at)
    assert "Skin type: VI or Missing" in said(at)


def test_an_address_sets_filters() -> None:
    assert left(opened(f_condition="Acne", f_fst="I")) == 20


@pytest.mark.parametrize("address", [
    {"f_condition": "rash"}, {"f_fst": ["nine", EVIL, ""]}, {"f_more": "x_secret"}, {"f_no_such": "1"},
    {"f_more": "Age", "f_x_age": ["nan", "inf"]}, {"f_more": "Age", "f_x_age": "many"},
    {"f_more": "Age", "f_x_age": ["-1e400", "99999999"]}, {"f_flags": "dark'; DROP TABLE"}])
def test_nonsense_in_an_address_filters_nothing(address: dict[str, str | list[str]]) -> None:
    assert left(opened(**address)) == 60


def test_further_columns_come_when_asked_for_and_numbers_by_range() -> None:
    at = opened()
    assert not at.slider
    at.multiselect(key="f_more").set_value(["x_age", "x_sex"]).run()
    assert left(at) == 60
    at.slider(key="f_x_age").set_range(10, 19).run()
    assert left(at) == 10
    assert "Age: 10 to 19" in said(at)
    at.multiselect(key="f_x_sex").set_value(["missing"]).run()
    assert left(at) == 3


def test_reset_brings_everything_back() -> None:
    at = opened(f_condition="Acne", f_more="Age")
    at.slider(key="f_x_age").set_range(0, 3).run()
    assert left(at) == 2
    next(button for button in at.button if button.label == "Reset filters").click().run()
    assert left(at) == 60
    assert not at.slider
    assert not at.query_params


def test_no_picture_left_says_what_to_do() -> None:
    at = opened(f_condition="Acne", f_fst="VI")
    assert left(at) == 0
    assert "reset" in at.info[0].value


def test_what_was_not_measured_cannot_be_filtered() -> None:
    def script() -> None:
        from derm.ui.explore import filters
        from tests.ui.test_explore_filters import small_view

        filters.bar(small_view(measured=False))

    at = AppTest.from_function(script, default_timeout=WAIT).run()
    keys = {widget.key for widget in at.multiselect}
    assert "f_condition" in keys
    assert "f_flags" not in keys
