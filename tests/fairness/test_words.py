"""An audit in sentences: the numbers are those measured, and no sentence claims more than its interval."""

from __future__ import annotations

from dataclasses import replace

import pytest

from derm.fairness import words
from derm.fairness.audit import Audit, GroupFigures
from derm.fairness.casemix import Adjusted
from derm.fairness.figure import Figure
from derm.fairness.gaps import Difference, Gap
from derm.fairness.measures import LEADING

NAME = "malignant_sensitivity"
WORST, BEST = Figure(0.61, 0.48, 0.73, 56), Figure(0.78, 0.73, 0.82, 297)
GAP = Gap(metric=NAME, worst="V-VI", best="I-II", value=0.17, low=0.03, high=0.31, p=0.012, n_worst=56, n_best=297,
          adjusted=Adjusted(0.09, -0.05, 0.22, 240, 0.68))


def an_audit(**changes: object) -> Audit:
    groups = (GroupFigures("I-II", 500, True, {NAME: BEST}), GroupFigures("V-VI", 120, True, {NAME: WORST}),
              GroupFigures("not recorded", 7, False, {NAME: Figure(None, None, None, 3)}))
    found = Audit(by="fst3", metrics=(NAME,), n=627, n_missing=7, n_unlabelled=0, groups=groups,
                  overall={NAME: Figure(0.75, 0.7, 0.79, 353)}, gaps=(GAP,), worst={},
                  versus={NAME: (Difference("V-VI", -0.17, -0.31, -0.03, 0.012, 56, 297),)}, parity={}, notes=(),
                  level=0.95, decision=LEADING)
    return replace(found, **changes)  # type: ignore[arg-type]


def test_the_headline_says_it_all_in_one_sentence():
    assert words.headline(an_audit()) == (
        "Sensitivity for malignant conditions is 0.61 [0.48-0.73] on FST V-VI, n = 56, against 0.78 "
        "[0.73-0.82] on FST I-II, n = 297: difference 0.17 [0.03-0.31]; after adjusting for condition mix 0.09 "
        "[-0.05 to 0.22], n = 240.")


def test_without_adjustment_there_is_no_word_of_it():
    found = an_audit(gaps=(replace(GAP, adjusted=None),))
    assert words.headline(found).endswith("difference 0.17 [0.03-0.31].")
    assert "ondition mix" not in " ".join(words.sentences(found))


@pytest.mark.parametrize(("change", "said", "unsaid"), [
    ({}, "unlikely to be chance (p = 0.012)", "do not show"),
    ({"p": 0.2}, "may be chance (p = 0.2)", "unlikely"),
    ({"low": -0.02}, "do not show that the groups differ, nor do they rule out a difference of up to 0.31",
     "unlikely"),
    ({}, "Condition mix may explain it: among the conditions that both groups have (68 % of their cases)",
     "does not explain"),
    ({"adjusted": Adjusted(0.15, 0.02, 0.29, 240, 0.68)}, "Condition mix does not explain it", "may explain"),
    ({"low": -0.02, "adjusted": Adjusted(0.15, 0.02, 0.29, 240, 0.68)}, "do not show", "explain")])
def test_no_sentence_claims_more_than_its_interval(change, said, unsaid):
    text = " ".join(words.sentences(an_audit(gaps=(replace(GAP, **change),))))
    assert said in text
    assert unsaid not in text


def test_dark_skin_is_told_of_also_where_another_group_is_the_worst():
    text = " ".join(words.sentences(an_audit()))
    assert "Dark skin (FST V-VI) compared with all other skin types together" in text
    assert "difference -0.17 [-0.31 to -0.03] to the other 297, p = 0.012" in text
    few = an_audit(versus={NAME: ()}, groups=(
        GroupFigures("I-II", 500, True, {NAME: BEST}), GroupFigures("III-IV", 90, True, {NAME: WORST}),
        GroupFigures("V-VI", 12, True, {NAME: Figure(None, None, None, 6)})),
        gaps=(replace(GAP, worst="III-IV"),))
    text = " ".join(words.sentences(few))
    assert "Dark skin (FST V-VI): too few (n = 6), so nothing can be said of it." in text
    assert "Too few photographs for a figure, under 20: V-VI (n = 12)." in text


def test_other_measures_are_told_if_their_interval_leaves_out_zero_and_named_if_not():
    figure = {name: {NAME: f, "accuracy": f, "ece": f} for name, f in (("I-II", BEST), ("V-VI", WORST))}
    found = an_audit(
        metrics=(NAME, "accuracy", "ece", "top3"), groups=tuple(
            GroupFigures(name, 500, True, figures) for name, figures in figure.items()),
        overall=dict.fromkeys((NAME, "accuracy", "ece", "top3"), BEST),
        gaps=(GAP, replace(GAP, metric="accuracy"), replace(GAP, metric="ece", low=-0.1)))
    text = " ".join(words.sentences(found))
    assert "Accuracy is 0.61" in text
    assert "(p = 0.012, allowing for 3 measures)." in text
    assert "No difference is shown, as the interval includes 0, in expected calibration error." in text
    assert "Not compared, as fewer than two groups have 20 cases for it: top-3 accuracy." in text


def test_bare_facts_where_nothing_can_be_compared():
    found = an_audit(gaps=(), versus={}, notes=("Fewer than two groups have 20 photographs.",))
    assert words.sentences(found) == [
        "627 photographs (I-II 500, V-VI 120, not recorded 7): the groups cannot be compared; sensitivity for "
        "malignant conditions is 0.75 [0.70-0.79], n = 353 over all.",
        "The group is not recorded for 7 of 627 photographs; they are shown, but not compared.",
        "Fewer than two groups have 20 photographs."]
    nothing = an_audit(gaps=(), overall={NAME: Figure(None, None, None, 4)})
    assert words.headline(nothing).endswith("the groups cannot be compared.")


def test_rows_left_out_are_counted():
    assert "their true condition is not known: 12 photographs." in words.sentences(an_audit(n_unlabelled=12))[-1]


@pytest.mark.parametrize(("by", "name", "said"), [
    ("fst3", "V-VI", "on FST V-VI"), ("mst", "7-10", "on Monk 7-10"), ("x_sex", "F", "for sex F"),
    ("fst3 x x_body_site", "V-VI x arm", "on FST V-VI, body site arm")])
def test_groups_by_what_they_are_of(by, name, said):
    assert words.group(an_audit(by=by), name) == said


def test_parity_is_told_with_its_interval():
    found = an_audit(parity={"equalised_odds": Figure(0.2, 0.1, 0.3, 600), "equal_opportunity": Figure(
        None, None, None, 10)})
    assert ("Largest differences between groups in malignant decisions: equalised odds (sensitivity and false "
            "alarms) 0.20 [0.10-0.30], n = 600.") in words.sentences(found)
