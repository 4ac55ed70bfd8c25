"""What stands behind the Fairness page: reading, rules, what is computed and kept, words, runs that go on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from derm.errors import DatasetError
from derm.fairness.answers import Decision
from derm.fairness.figure import Figure
from derm.ui.fairness import comparison, computed, headline, sources, training
from derm.ui.fairness import view as views
from derm.ui.fairness.sources import Offer
from derm.ui.fairness.view import Rules, Source, View
from derm.ui.plots import Compared
from tests.predictions import bundle, foreign, made_up
from tests.runs import run

RULES = Rules("fst3", "accuracy", Decision(), 20, False, False)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    made = bundle(tmp_path_factory.mktemp("models") / "ours", made_up())
    return sources.source(Offer("ours", "ours 1.0", made), rename={}, renormalise=False)


def seen(source: Source, **rules: object) -> View:
    return views.view(source, replace(RULES, **rules), near=frozenset({"case-1", "elsewhere"}))


def csv(table: pd.DataFrame, name: str = "vendor.csv") -> Offer:
    return sources.dropped([(name, table.to_csv(index=False).encode())])[0]


def test_a_bundle_is_read_with_its_version(source: Source) -> None:
    assert (source.title, len(source.cases), source.unlabelled) == ("ours 1.0", 400, 0)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("duplicates", [False, True])
def test_what_is_left_out_is_counted(source: Source, missing: bool, duplicates: bool) -> None:
    table = source.cases.table
    out = (table["fst"].isna() & missing) | (table["image_id"].eq("case-1") & duplicates)
    found = seen(source, without_missing=missing, without_duplicates=duplicates)
    assert (found.left_out, len(found.cases), len(found.assigned)) == (out.sum(), *[(~out).sum()] * 2)
    assert found.missing == (0 if missing else table["fst"][~out].isna().sum())


def test_the_gap_names_dark_skin_and_holds_a_share(source: Source) -> None:
    gap = computed.shown(seen(source)).lead
    assert gap is not None
    assert gap.worst == "V-VI"
    assert 0.2 < gap.low < gap.value < gap.high < 0.7


def test_a_higher_minimum_leaves_groups_uncompared(source: Source) -> None:
    sizes = {each.group: each.n for each in computed.shown(seen(source)).groups}
    found = computed.shown(seen(source, minimum=max(sizes.values())))
    assert found.lead is None
    assert not [each for each in found.groups if each.compared and each.n < max(sizes.values())]
    assert "cannot be compared" in headline.said(headline.audited.headline(found))


@pytest.mark.parametrize(("metric", "same"), [("accuracy", True), ("malignant_sensitivity", False)])
def test_a_threshold_changes_only_what_depends_on_it(source: Source, metric: str, same: bool) -> None:
    before, after = (computed.samples(seen(source, metric=metric, decision=decision), metric)
                     for decision in (Decision(), Decision(0.03)))
    assert (before["All"][metric].value == after["All"][metric].value) is same


def test_abstaining_changes_every_figure(source: Source) -> None:
    for one in (computed.by_condition, computed.calibrated, computed.thresholds, computed.by_partition):
        before, after = (one(seen(source, decision=decision)) for decision in (Decision(), Decision(None, 0.8)))
        assert before["n"].sum() > after["n"].sum()


@pytest.mark.parametrize(("metric", "counted"), [
    ("malignant_sensitivity", "malignant"), ("malignant_specificity", "others"), ("accuracy", "all")])
def test_a_bar_counts_the_cases_of_its_measure(source: Source, metric: str, counted: str) -> None:
    found = seen(source, metric=metric)
    malignant = (found.cases.table["condition"] == "melanoma").to_numpy()
    expected = {"malignant": malignant, "others": ~malignant, "all": malignant | ~malignant}[counted]
    marks = computed.marks(found)
    assert (marks.counted == expected).all()
    figure = computed.figures(computed.samples(found, metric), metric)["All"]
    assert figure.value == pytest.approx(marks.right[marks.counted].mean())


def test_a_vendors_file_is_understood_and_every_guess_told() -> None:
    read = sources.source(csv(foreign(made_up())), rename={}, renormalise=False)
    gap = computed.shown(seen(read)).lead
    assert gap is not None
    assert gap.worst == "V-VI"
    assert all(any(name in note for note in read.notes) for name in ("fitzpatrick", "true_label", "prediction"))


def test_columns_can_be_named_by_hand() -> None:
    table = foreign(made_up()).rename(columns={"prediction": "col7"})
    with pytest.raises(DatasetError, match="predicted") as caught:
        sources.source(csv(table), rename={}, renormalise=False)
    assert "derm-" not in str(caught.value)  # the folder that it passes through
    read = sources.source(csv(table), rename={"col7": "predicted"}, renormalise=False)
    assert len(read.cases) == 400
    assert sources.columns(csv(table)) == list(table)


@pytest.mark.parametrize("name", ["vendor.csv", "../../etc/vendor.csv", "a b.CSV"])
def test_a_files_name_is_only_a_name(name: str) -> None:
    offer = csv(foreign(made_up()), name)
    assert "/" not in offer.title
    assert len(sources.source(offer, rename={}, renormalise=False).cases) == 400


def test_the_same_file_twice_is_one() -> None:
    assert len(sources.dropped([("a.csv", b"x"), ("b.csv", b"x"), ("c.csv", b"y")])) == 2


@pytest.mark.parametrize(("models", "better", "best"), [
    ([(0.8, 0.1), (0.7, 0.2)], "higher", [True, False]),
    ([(0.8, 0.2), (0.7, 0.1)], "higher", [True, True]),
    ([(0.1, 0.1), (0.2, 0.2)], "lower", [True, False]),
    ([(0.8, 0.1), (0.8, 0.1)], "higher", [True, True]),
    ([(0.8, 0.1), (None, None)], "higher", [True, False])])
def test_the_front_is_what_no_other_beats(models: list[tuple[float | None, float | None]], better: str,
                                          best: list[bool]) -> None:
    given = [Compared("m", Figure(value, value, value, 99), Figure(gap, gap, gap, 99), False)
             for value, gap in models]
    assert [model.best for model in comparison.pareto(given, better=better)] == best


def test_sentences_are_printed_with_dashes() -> None:
    joiner = "\N{WORD JOINER}"
    said = headline.said("0.61 [0.48-0.73] on FST V-VI, n = 56: difference 0.17 [-0.03 to 0.31]; p < 0.001.")
    assert said.replace("\N{NO-BREAK SPACE}", " ").replace(joiner, "") == (
        "0.61 [0.48–0.73] on FST V–VI, n = 56: difference 0.17 [−0.03 to 0.31]; p < 0.001.")


@pytest.mark.parametrize(("state", "found"), [("running", True), ("queued", False), ("finished", False),
                                              ("stopped", False), ("failed", False)])
def test_only_runs_that_go_on_are_shown(tmp_path: Path, state: str, found: bool) -> None:
    run(tmp_path / "20260101-run", state=state)
    assert [one.name for one in training.live(tmp_path)] == ["20260101-run"] * found


@pytest.mark.parametrize("text", ["", "{", "[]", '{"state": "running"}'])
def test_a_status_half_there_is_no_error(tmp_path: Path, text: str) -> None:
    (run(tmp_path / "a") / "status.json").write_text(text, encoding="utf-8")
    assert training.live(tmp_path) == []


def test_before_the_first_epoch_there_is_no_history(tmp_path: Path) -> None:
    assert training.history(run(tmp_path / "a", history=False)).empty


def test_a_runs_history_has_no_zero_for_what_was_not_measured(tmp_path: Path) -> None:
    history = training.history(run(tmp_path / "a"))
    assert set(history["group"]) == {"I-II", "III-IV", "V-VI"}
    assert history[history["group"] == "V-VI"]["value"].isna().all()
    assert history[history["group"] == "I-II"]["value"].tolist() == [0.2, 0.3]
    few = run(tmp_path / "b")
    (few / "history.csv").write_text((few / "history.csv").read_text().replace(",40,", ",7,"), encoding="utf-8")
    history = training.history(few)
    assert history[history["group"] == "I-II"]["value"].isna().all()
