"""`derm audit` as a hospital's data scientist or a pipeline uses it, in one process."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from derm import cli
from tests.bundles import make_bundle
from tests.cli.test_commands import run

CLASSES = ("melanoma", "eczema")


def predictions(*, missed_on_dark: float, seed: int = 0, n: int = 240) -> pd.DataFrame:
    """Types I and V in turn; the model misses a tenth of what is on light skin."""
    rng = np.random.default_rng(seed)
    fst, truth = np.tile([1, 5], n // 2), np.repeat(CLASSES, n // 2)
    wrong = rng.random(n) < np.where(fst == 5, missed_on_dark, 0.1)
    p = np.where((truth == "melanoma") ^ wrong, 0.8, 0.1)
    return pd.DataFrame({"image_id": [f"i{i}" for i in range(n)], "fst": fst, "condition": truth,
                         "p:melanoma": p, "p:eczema": 1 - p})


@pytest.fixture
def unfair(tmp_path: Path) -> Path:
    path = tmp_path / "unfair.csv"
    predictions(missed_on_dark=0.6).to_csv(path, index=False)
    return path


@pytest.fixture
def fair(tmp_path: Path) -> Path:
    path = tmp_path / "fair.csv"
    predictions(missed_on_dark=0.1, seed=1).to_csv(path, index=False)
    return path


def test_a_table_with_the_worst_group_first_and_a_summary(unfair, capsys):
    assert run("audit", unfair) == 0
    out = capsys.readouterr().out
    assert out.index(" V-VI ") < out.index(" I-II ")
    assert "Sensitivity for malignant conditions is" in out
    assert "unlikely to be chance" in out
    assert "with the same condition mix" in out


def test_a_group_of_one_class_is_undefined_in_what_needs_two(tmp_path, capsys):
    rows = predictions(missed_on_dark=0.2)
    rows[(rows["fst"] == 1) | (rows["condition"] == "eczema")].to_csv(tmp_path / "one.csv", index=False)
    assert run("audit", tmp_path / "one.csv", "--metric", "malignant_auroc", "--metric", "accuracy") == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("  V-VI"))
    assert "undefined (n = 0)" in line
    assert "(60)" in line


def test_json_is_one_object_and_nothing_else(unfair, capsys):
    assert run("audit", unfair, "--json") == 0
    table = json.loads(capsys.readouterr().out)
    assert (table["by"], table["n"]) == ("fst3", 240)
    assert table["groups"][0]["metrics"]["accuracy"]["n"] == 120
    gap = table["gaps"][0]
    assert (gap["metric"], gap["worst"], gap["best"]) == ("malignant_sensitivity", "V-VI", "I-II")
    assert gap["adjusted"].keys() >= {"value", "low", "high"}


def test_one_condition_against_all_others(unfair, capsys):
    assert run("audit", unfair, "--condition", "eczema") == 0
    out = capsys.readouterr().out
    assert "Eczema against all other conditions" in out
    assert run("audit", unfair, "--condition", "eczema", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    of = {each["group"]: each["metrics"]["sensitivity"] for each in said["one_vs_rest"]}
    truth = predictions(missed_on_dark=0.6).query("condition == 'eczema'")
    found = (truth["p:eczema"] > 0.5).groupby(truth["fst"]).mean()
    assert (of["I-II"]["value"], of["V-VI"]["value"]) == pytest.approx((found[1], found[5]))
    assert {of["I-II"]["n"], of["V-VI"]["n"]} == {60}
    assert run("audit", unfair, "--condition", "wart") == 2


@pytest.mark.parametrize(("arguments", "status"), [
    (("--max-gap", "0.1"), 2), (("--max-gap", "0.1", "--metric", "accuracy"), 2), (("--max-gap", "0.9"), 0),
    ((), 0)])
def test_the_gate(unfair, capsys, arguments, status):
    assert run("audit", unfair, *arguments) == status
    assert ("is surely above 0.1" in capsys.readouterr().err) == (status == 2)


def test_the_gate_lets_a_fair_model_through(fair):
    assert run("audit", fair, "--max-gap", "0.1") == 0


def test_a_gate_that_cannot_see_does_not_let_through(tmp_path, capsys):
    path = tmp_path / "few.csv"
    predictions(missed_on_dark=0.1, n=30).to_csv(path, index=False)
    assert run("audit", path) == 0
    assert run("audit", path, "--max-gap", "0.5") == 2
    assert "no two groups can be compared" in capsys.readouterr().err


def test_another_vendors_labels_under_other_names(tmp_path, capsys):
    rows = predictions(missed_on_dark=0.6)
    theirs = pd.DataFrame({"File": rows["image_id"], "Skin Type": rows["fst"].map({1: "II", 5: "Type V"}),
                           "ward": np.tile(["A", "B", "B"], 80), "Diagnosis": rows["condition"].str.upper(),
                           "AI output": np.where(rows["p:melanoma"] > 0.5, "Melanoma", "Eczema")})
    theirs.to_csv(tmp_path / "vendor.csv", index=False, sep=";")
    assert run("audit", tmp_path / "vendor.csv") == 0
    out = capsys.readouterr().out
    assert "'Skin Type' as fst" in out
    assert "on FST V-VI, n = 60, against" in out
    assert "AUROC" not in out
    assert run("audit", tmp_path / "vendor.csv", "--by", "ward") == 0
    assert "for ward" in capsys.readouterr().out
    assert run("audit", tmp_path / "vendor.csv", "--by", "Skin Type", "--json") == 0
    assert json.loads(capsys.readouterr().out)["by"] == "fst"


def test_names_that_cannot_be_guessed_are_mapped(tmp_path, capsys):
    rows = predictions(missed_on_dark=0.6)
    pd.DataFrame({"nr": rows["image_id"], "tone": rows["fst"], "bad": (rows["condition"] == "melanoma") * 1,
                  "flag": (rows["p:melanoma"] > 0.5) * 1}).to_csv(tmp_path / "v.csv", index=False)
    maps = [part for pair in ("nr=image_id", "tone=fst", "bad=condition", "flag=predicted", "1=malignant",
                              "0=benign") for part in ("--map", pair)]
    assert run("audit", tmp_path / "v.csv", *maps) == 0
    assert "Sensitivity for malignant conditions is" in capsys.readouterr().out


@pytest.mark.parametrize("pair", ["fst", "=fst", "tone="])
def test_a_map_that_is_none_is_refused(unfair, capsys, pair):
    assert run("audit", unfair, "--map", pair) == 2
    assert "expected THEIRS=OURS" in capsys.readouterr().err


def test_two_models_side_by_side_and_their_paired_difference(unfair, fair, capsys):
    assert run("audit", unfair, "--against", fair, "--metric", "accuracy") == 0
    out = capsys.readouterr().out
    assert "the other model minus this one" in out
    assert "The other model: Accuracy is" in out
    assert run("audit", unfair, "--against", fair, "--json") == 0
    other = json.loads(capsys.readouterr().out)["against"]
    change = next(each for each in other["differences"] if (each["group"], each["metric"]) == ("V-VI", "accuracy"))
    assert change["n"] == 120
    assert 0 < change["low"] < change["value"] < change["high"]


def test_a_file_to_compare_with_is_named_when_it_is_refused(unfair, tmp_path, capsys):
    (tmp_path / "empty.csv").touch()
    assert run("audit", unfair, "--against", tmp_path / "empty.csv") == 2
    assert "--against" in capsys.readouterr().err


def test_a_report_needs_model_and_version(unfair, tmp_path, capsys):
    page = tmp_path / "out" / "report.html"
    assert run("audit", unfair, "--html", page) == 2
    assert "model and the version" in capsys.readouterr().err
    assert not page.exists()
    assert run("audit", unfair, "--html", page, "--model", "vendor-x", "--model-version", "2") == 0
    assert "vendor-x, version 2" in page.read_text(encoding="utf-8")


def test_figures_as_csv(unfair, tmp_path):
    assert run("audit", unfair, "--csv", tmp_path / "figures.csv") == 0
    rows = list(csv.DictReader(io.StringIO((tmp_path / "figures.csv").read_text(encoding="utf-8"))))
    assert {"figure", "gap"} <= {row["kind"] for row in rows}


def test_a_models_folder_stands_for_its_predictions(tmp_path, capsys):
    bundle = make_bundle(tmp_path / "tiny", classes=("acne", "eczema", "melanoma"))
    predictions(missed_on_dark=0.1).to_parquet(bundle.path("predictions.parquet"))
    assert run("audit", bundle.folder, "--html", tmp_path / "report.html") == 0
    assert f"{bundle.name}, version {bundle.version}" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(("arguments", "said"), [
    (("--by", "colour"), "'colour'"), (("--metric", "luck"), "luck")])
def test_what_is_not_there_is_one_sentence(unfair, capsys, arguments, said):
    assert run("audit", unfair, *arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("derm: ")
    assert said in err


def test_the_help_does_not_wait_for_pandas(capsys):
    with pytest.raises(SystemExit):
        cli.main(["audit", "--help"])
    assert "--max-gap" in capsys.readouterr().out
