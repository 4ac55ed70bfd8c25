import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from derm import datasets, samples
from derm.datasets import Dataset
from derm.errors import DatasetError
from derm.inspection import datasheet
from derm.inspection.findings import find
from derm.inspection.scan import scan

TODAY = date(2026, 3, 1)


def sheet(dataset: Dataset) -> str:
    return datasheet.markdown(find(dataset, scan(dataset, cache=None, progress=None)), today=TODAY)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Drawn pictures, two of them twice, one of those in the test part."""
    root = samples.write_dataset(tmp_path_factory.mktemp("drawn") / "ajl", per_class=12, test=3, duplicates=2)
    found = datasets.load(root)
    train, test = (found.table.loc[found.table["split"] == split, "path"].iloc[-1] for split in ("train", "test"))
    shutil.copy(root / train, root / test)
    return datasets.load(root)


def section(text: str, title: str) -> str:
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize(("title", "said"), [
    ("Identity and origin", "CC BY-NC-SA 3.0"),
    ("Identity and origin", "consent and ethical review"),
    ("Who is in it", "| V-VI |"),
    ("Who is missing", "- Only 11 pictures of melanoma on FST I-VI (under 20)."),
    ("Who is missing", "Recorded of nobody: sex, age, race or ethnicity, body site"),
    ("Conditions by skin type", "| Melanoma |"),
    ("How labels and skin types came about", "| Scale v Centaur | 38 | 0.68 [0.53-0.81] |"),
    ("Missing values", "| fst_other | 3 | 7.3 % [2.5-19.4] |"),
    ("Repeats and leaks", "**Leak**: 1 of 3 pictures of test also sit in train."),
    ("Quality of the pictures", "skin-coloured background"),
    ("Known limits", "- The labels of its test part are withheld."),
    ("About this datasheet", "Made on 1 March 2026"),
])
def test_sections(dataset, title, said):
    assert said in section(sheet(dataset), title)


def test_no_share_under_twenty(dataset):
    few = replace(dataset, table=dataset.table.head(15))
    text = sheet(few)
    assert "[" not in text.replace("[0-9]", "").partition("## About")[0]
    assert "too few" in text


def test_what_is_known_of_the_people_is_told(dataset):
    n = len(dataset.table)
    table = dataset.table.assign(
        x_sex=pd.Categorical(["female"] * 30 + [None] * (n - 30)),
        x_age=pd.array([40.0] * 20 + [None] * (n - 20), dtype="Float64"))
    text = sheet(replace(dataset, table=table))
    assert "| female | 30 |" in section(text, "Who is in it")
    assert "median 40" in section(text, "Who is in it")
    assert "Recorded of nobody: race or ethnicity" in section(text, "Who is missing")


def test_without_skin_types_nothing_is_claimed(dataset):
    bare = dataset.table.assign(fst=pd.array([None] * len(dataset.table), dtype="Int8"))
    bare["fst_other"] = bare["fst"]
    text = sheet(replace(dataset, table=bare))
    assert "No picture with a known skin type." in section(text, "Who is missing")
    assert "how far annotators agree cannot be told" in text


def test_without_pictures_nothing_is_said_of_them(dataset):
    text = sheet(replace(dataset, table=dataset.table.assign(path=pd.array([None] * len(dataset.table), "str"))))
    for title in ("Repeats and leaks", "Quality of the pictures"):
        assert section(text, title).strip() == "Not measured: no picture is on this disk."


def test_errors_come_first_and_text_from_outside_stays_text(dataset):
    odd = replace(dataset, problems=(DatasetError("<script>alert(1)</script> | *x*"),), unmapped=("<img src=x>",))
    text = sheet(odd)
    assert "**Not fit for use as it is.** Errors, under Known limits: 1." in text.partition("## ")[0]
    page = datasheet.html(text)
    assert "<script>" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; | *x*" in page


def test_the_page_needs_nothing_else(dataset):
    page = datasheet.html(sheet(dataset))
    assert page.startswith("<!doctype html>")
    assert "<title>Datasheet: AJL 2025</title>" in page
    assert "prefers-color-scheme: dark" in page
    assert "src=" not in page
    assert "<link" not in page
    assert page.count("<table>") == page.count('<div class="wide">') >= 5


def test_no_folder_is_named(dataset):
    assert str(Path(dataset.root).parent) not in sheet(dataset)
