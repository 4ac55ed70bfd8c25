"""A new model beside the default one: who is served worse is found, named and refused; what cannot be told is
said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from derm import promotion, registry
from derm.errors import ModelError
from derm.registry import Bundle
from tests.predictions import CLASSES, bundle, made_up


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bundles' networks are none; that damaged ones are refused is the registry's affair."""
    monkeypatch.setattr(registry, "verify", lambda bundle: ())


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """The models folder with one model, the default."""
    bundle(tmp_path / "models" / "ours", made_up(dark=0.7))
    return tmp_path / "models"


def default(models: Path) -> Bundle:
    return registry.find(models=models)


def otherwise(table: pd.DataFrame) -> pd.DataFrame:
    """The same answers on other photographs."""
    return table.assign(image_id="other-" + table["image_id"], group_id="other-" + table["group_id"])


def changed(table: pd.DataFrame, rows: np.ndarray) -> pd.DataFrame:
    """Those rows with the probabilities of two classes exchanged, so that the answers are others."""
    table, columns = table.copy(), [name for name in table if name.startswith("p:")]
    table.loc[rows, columns] = table.loc[rows, [*columns[1:], columns[0]]].to_numpy()
    return table


@pytest.mark.parametrize("others", [False, True])
def test_worse_on_dark_skin_is_found_and_by_how_much(models: Path, tmp_path: Path, others: bool) -> None:
    table = made_up(dark=0.3, seed=5) if others else made_up(dark=0.3)
    found = promotion.compare(bundle(tmp_path / "run", otherwise(table) if others else table), default(models))
    assert found.paired is not others
    assert {each.group for each in found.worse} == {"V-VI"}
    assert found.is_refused
    worst = found.worse[0]
    assert worst.value == pytest.approx(worst.candidate - worst.default)
    assert worst.low < worst.value < worst.high < 0
    for words in ("V-VI", f"{worst.value:+.2f}", f"n = {worst.n}", "not the same" if others else "the same"):
        assert words in found.reason


def test_macro_f1_of_both_is_that_of_scikit_learn(models: Path, tmp_path: Path) -> None:
    theirs = made_up(dark=0.3)
    found = promotion.compare(bundle(tmp_path / "run", theirs), default(models))
    both = {(each.group, each.metric): each for each in found.differences}
    for group, fst in (("all", range(7)), ("I-II", (1, 2)), ("V-VI", (5, 6))):
        each = both[group, "macro_f1"]
        for value, table in ((each.candidate, theirs), (each.default, made_up(dark=0.7))):
            mine = table[table["fst"].isin(fst)] if group != "all" else table
            said = mine[[name for name in mine if name.startswith("p:")]].idxmax(axis=1).str.removeprefix("p:")
            assert value == pytest.approx(f1_score(mine["condition"], said, average="macro"))
            assert each.n == len(mine)


def missing(table: pd.DataFrame, *, dark: bool = True) -> pd.DataFrame:
    """A model that takes melanomas for acne, on FST V-VI or elsewhere, and as many other errors for the truth."""
    table, columns = table.copy(), [name for name in table if name.startswith("p:")]
    said = table[columns].idxmax(axis=1).str.removeprefix("p:")
    here = table["fst"].isin((5, 6)) == dark
    missed = table.index[here & (table["condition"] == "melanoma") & (said == "melanoma")]
    mended = table.index[here & (table["condition"] == "acne") & (said != "acne")][:len(missed)]
    for rows, name in ((missed[:len(mended)], "p:acne"), (mended, "p:acne")):
        top = table.loc[rows, columns].max(axis=1)
        table.loc[rows, columns] = ((1 - top) / (len(columns) - 1)).to_numpy()[:, None].repeat(len(columns), 1)
        table.loc[rows, name] = top
    return table


@pytest.mark.parametrize("others", [False, True])
def test_more_malignant_cases_missed_on_dark_skin_are_found_where_the_accuracy_is_the_same(
        models: Path, tmp_path: Path, others: bool) -> None:
    table = missing(made_up(1600, dark=0.7))
    ours = bundle(tmp_path / "ours", made_up(1600, dark=0.7))
    found = promotion.compare(bundle(tmp_path / "run", otherwise(table) if others else table), ours)
    both = {(each.group, each.metric): each for each in found.differences}
    assert both["V-VI", "accuracy"].value == pytest.approx(0)
    worst = both["V-VI", "malignant_sensitivity"]
    for value, one in ((worst.candidate, table), (worst.default, made_up(1600, dark=0.7))):
        mine = one[one["fst"].isin((5, 6)) & (one["condition"] == "melanoma")]
        said = mine[[name for name in mine if name.startswith("p:")]].idxmax(axis=1)
        assert value == pytest.approx((said == "p:melanoma").mean())
        assert worst.n == len(mine)
    assert worst in found.worse
    assert found.is_refused
    assert "sensitivity, malignant on skin types V-VI" in found.reason


@pytest.mark.parametrize("others", [False, True])
def test_where_no_condition_is_malignant_nothing_is_said_of_such(tmp_path: Path, others: bool) -> None:
    ours, run = (replace(bundle(tmp_path / name, table), partition3=dict.fromkeys(CLASSES, "benign"))
                 for name, table in (("ours", made_up()), ("run", otherwise(made_up()) if others else made_up())))
    found = promotion.compare(run, ours)
    assert {each.metric for each in found.differences} == {"accuracy", "macro_f1"}
    assert "malignant" not in found.reason


def test_too_few_malignant_cases_are_said_and_no_reason_to_refuse(tmp_path: Path) -> None:
    table = made_up(400)
    dark = table["fst"].isin((5, 6)).fillna(False) & (table["condition"] == "melanoma")
    few = table.drop(index=table.index[dark][5:]).reset_index(drop=True)
    found = promotion.compare(bundle(tmp_path / "run", few), bundle(tmp_path / "ours", few))
    assert not found.too_few
    assert found.too_few_malignant == ("V-VI",)
    assert not found.is_refused
    assert "Too few malignant cases to tell for skin types V-VI." in found.reason


def test_the_order_of_the_rows_and_more_photographs_of_one_do_not_matter(models: Path, tmp_path: Path) -> None:
    table = made_up(dark=0.3)
    one = promotion.compare(bundle(tmp_path / "one", table), default(models))
    two = promotion.compare(bundle(tmp_path / "two", table.sample(frac=1, random_state=1)), default(models))
    assert one.differences == two.differences
    fewer = promotion.compare(bundle(tmp_path / "fewer", table[50:]), default(models))
    assert fewer.paired
    assert fewer.differences[0].n == 350
    few = promotion.compare(bundle(tmp_path / "few", table[300:]), default(models))
    assert few.paired  # all that it held out, though few of what the default did
    assert few.differences[0].n == 100


@pytest.mark.parametrize(("dark", "refused"), [(0.7, False), (0.9, False), (0.3, True)])
def test_only_worse_is_refused(models: Path, tmp_path: Path, dark: float, refused: bool) -> None:
    bundle(tmp_path / "run", made_up(dark=dark))
    if refused:
        with pytest.raises(ModelError, match=r"V-VI .* difference -0.*written reason"):
            promotion.promote(tmp_path / "run", "new", models=models)
        assert not (models / "new").exists()
    else:
        assert promotion.promote(tmp_path / "run", "new", models=models).override == ""


def test_a_handful_of_other_answers_is_no_evidence(models: Path, tmp_path: Path) -> None:
    """Five answers that differ, all for the worse, on two classes that hardly occur."""
    table = made_up(dark=0.7)
    said = table[[name for name in table if name.startswith("p:")]].idxmax(axis=1).str.removeprefix("p:")
    right = np.flatnonzero((said == table["condition"]) & table["fst"].isin((5, 6)))
    few = promotion.compare(bundle(tmp_path / "few", changed(table, right[:5])), default(models))
    many = promotion.compare(bundle(tmp_path / "many", changed(table, right[:30])), default(models))
    assert not few.worse
    assert few.differences[-1].value < 0
    assert many.worse


def test_an_override_needs_a_reason_and_is_recorded_in_bundle_and_card(models: Path, tmp_path: Path) -> None:
    run = bundle(tmp_path / "run", made_up(dark=0.3))
    (run.folder / "card.md").write_text("# Card\n", encoding="utf-8")
    registry.write(run.folder, run)
    with pytest.raises(ModelError, match="reason"):
        promotion.promote(run.folder, "new", override="  \n ", models=models)
    new = promotion.promote(run.folder, "new", override="Only for\nlight skin in trial 7", models=models)
    for text in (registry.read(models / "new").override, (models / "new" / "card.md").read_text("utf-8")):
        assert "Only for light skin in trial 7" in text
        assert "skin types V-VI" in text
    assert new.sha256["card.md"] == registry.sha256(models / "new" / "card.md")


def test_promoting_changes_nobodys_default(models: Path, tmp_path: Path) -> None:
    bundle(tmp_path / "run", made_up(dark=0.9))
    promotion.promote(tmp_path / "run", "a-first-by-name", models=models)
    assert default(models).name == "ours"


def test_a_reason_that_nobody_needed_is_not_recorded(models: Path, tmp_path: Path) -> None:
    bundle(tmp_path / "run", made_up(dark=0.9))
    assert promotion.promote(tmp_path / "run", "new", override="just so", models=models).override == ""


def test_too_few_in_a_group_is_said_and_no_reason_to_refuse(tmp_path: Path) -> None:
    few = made_up(n=300)
    few = pd.concat([few[~few["fst"].isin((5, 6)).fillna(False)], few[few["fst"].isin((5, 6)).fillna(False)][:12]])
    ours, run = bundle(tmp_path / "ours", few), bundle(tmp_path / "run", few)
    found = promotion.compare(run, ours)
    assert found.too_few == ("V-VI",)
    assert not found.is_refused
    assert "V-VI" in found.reason
    assert "oo few" in found.reason


def test_of_a_handful_it_is_said_that_nothing_can_be_told_and_the_default_keeps_its_figures(
        models: Path, tmp_path: Path) -> None:
    found = promotion.compare(bundle(tmp_path / "run", otherwise(made_up(n=7))), default(models))
    assert set(found.too_few) == {"I-II", "III-IV", "V-VI"}
    assert "cannot be told" in found.reason
    assert "No skin-type group" not in found.reason
    assert not found.is_refused
    assert {(each.candidate, each.value) for each in found.differences} == {(None, None)}
    assert all(each.default is not None for each in found.differences)


def test_without_a_default_there_is_nothing_to_be_worse_than(tmp_path: Path) -> None:
    bundle(tmp_path / "run", made_up(dark=0.1))
    assert promotion.promote(tmp_path / "run", "first", models=tmp_path / "models").name == "first"


@pytest.mark.parametrize("whose", ["candidate", "default"])
def test_what_was_not_measured_is_said_and_is_the_candidates_fault_alone(tmp_path: Path, whose: str) -> None:
    told = bundle(tmp_path / "told", made_up())
    mute = bundle(tmp_path / "mute", made_up())
    mute.path("predictions.parquet").unlink()
    found = promotion.compare(mute, told) if whose == "candidate" else promotion.compare(told, mute)
    assert found.is_refused == (whose == "candidate")
    assert "mute" in found.reason
    assert not found.differences


def test_the_default_is_changed_on_the_same_terms(models: Path) -> None:
    bundle(models / "worse", made_up(dark=0.3))
    with pytest.raises(ModelError, match="V-VI"):
        promotion.set_default("worse", models=models)
    promotion.set_default("worse", override="the other one is withdrawn", models=models)
    assert default(models).name == "worse"
    assert "withdrawn" in default(models).override
