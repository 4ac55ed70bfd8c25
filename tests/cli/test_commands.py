"""The command line as a person or a script uses it, in one process, on a tiny network."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from derm import cli, predictions, registry, samples
from derm.settings import settings
from tests.bundles import METADATA, make_bundle

CLASSES = ("acne", "eczema", "melanoma")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures and a file that is none."""
    folder = tmp_path_factory.mktemp("photographs")
    for seed, name in enumerate(("first", "second")):
        picture = samples.draw("melanoma", skin=2 + 3 * seed, seed=seed, size=96)
        Image.fromarray(picture).save(folder / f"{name}.png")
    (folder / "broken.jpg").write_bytes(b"not a picture")
    return folder


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models folder with one bundle, named by DERM_MODELS."""
    folder = tmp_path / "models"
    make_bundle(folder / "tiny", classes=CLASSES)
    monkeypatch.setenv("DERM_MODELS", str(folder))
    settings.cache_clear()
    yield folder
    settings.cache_clear()


def run(*arguments: object) -> int:
    """The exit status of `derm ...`."""
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


def test_json_has_one_line_an_image_and_the_rest_go_on(models, photographs, capsys):
    assert run("predict", photographs, "--json", "--top", 2) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    broken, first, second = lines
    assert set(first) == {"path", "image_id", "model", "version", "predictions", "seconds"}
    assert first["image_id"] == "first"
    assert first["model"] == "tiny"
    assert [set(line) for line in first["predictions"]] == [{"condition", "probability"}] * 2
    assert first["predictions"][0]["probability"] >= first["predictions"][1]["probability"]
    assert second["seconds"] > 0
    assert "broken.jpg" in broken["error"]
    assert "predictions" not in broken


def test_good_pictures_exit_0_and_print_names(models, photographs, capsys):
    assert run("predict", photographs / "first.png") == 0
    assert "%" in capsys.readouterr().out


def test_out_submission_and_overlays(models, photographs, tmp_path):
    out, submission, cam = tmp_path / "p.parquet", tmp_path / "s.csv", tmp_path / "cam"
    assert run("predict", photographs / "first.png", photographs / "second.png", "--out", out,
               "--submission", submission, "--cam", cam) == 0
    table = pd.read_parquet(out)
    assert list(table.columns) == ["image_id", "group_id", "split", "fst", "condition",
                                   *(f"p:{name}" for name in CLASSES)]
    assert table["fst"].isna().all()
    with submission.open(newline="") as file:
        rows = list(csv.DictReader(file))
    best = table.set_index("image_id").filter(like="p:").idxmax(axis=1).str.removeprefix("p:")
    assert rows == [{"md5hash": name, "label": best[name]} for name in ("first", "second")]
    overlays = sorted(cam.iterdir())
    assert len(overlays) == 2
    with Image.open(overlays[0]) as picture:
        assert picture.size == (96, 96)


@pytest.mark.parametrize(("arguments", "named"), [
    (("predict", "absent.jpg"), "absent.jpg"),
    (("predict", "{photographs}", "--model", "nobody"), "nobody"),
    (("predict", "{photographs}", "--out", "table.xlsx"), "table.xlsx"),
    (("evaluate", "--split", "everything"), "everything"),
    (("evaluate", "--data", "absent"), "absent"),
    (("train", "absent.toml"), "absent.toml"),
    (("train", "--preset", "huge"), "huge"),
    (("train", "--data", "absent"), "absent"),
    (("train", "--set", "rate=-1"), "rate = -1"),
    (("train", "--set", "rate=nan"), "rate = nan"),
    (("train", "--set", "batch_size=0"), "batch_size = 0"),
    (("train", "--set", "colour=1"), "unknown key 'colour'"),
    (("train", "--resume", "absent"), "absent"),
])
def test_bad_input_is_one_sentence_and_status_2(models, photographs, capsys, arguments, named):
    assert run(*(str(argument).format(photographs=photographs) for argument in arguments)) == 2
    said = capsys.readouterr().err
    assert said.startswith("derm: ")
    assert named in said
    assert len(said.strip().splitlines()) == 1


def test_models_lists_and_verifies(models, capsys):
    assert run("models", "--json") == 0
    assert [entry["name"] for entry in json.loads(capsys.readouterr().out)] == ["tiny"]
    assert run("models", "verify") == 0
    network = models / "tiny" / registry.NETWORK
    network.write_bytes(network.read_bytes()[:-100])
    assert run("models", "verify") == 1
    assert "SHA-256" in " ".join(capsys.readouterr().err.split())


def test_add_copies_a_run_and_makes_it_the_default(models, tmp_path):
    make_bundle(tmp_path / "run", classes=CLASSES)
    assert run("models", "add", tmp_path / "run", "--name", "better", "--default", "--override", "To try it.") == 0
    assert registry.find(models=models).name == "better"


@pytest.fixture
def three(models):
    """Three models that held out the same photographs."""
    for seed, name in enumerate(("tiny", "other", "third")):
        folder = models / name
        bundle = registry.read(folder) if name == "tiny" else make_bundle(folder, classes=CLASSES, seed=seed)
        rng = np.random.default_rng(seed)
        rows = pd.DataFrame({"image_id": range(60), "group_id": range(60), "split": "val", "fst": 3,
                             "condition": list(CLASSES) * 20})
        predictions.write(folder / "predictions.parquet", predictions.table(
            rows, classes=CLASSES, probabilities=rng.dirichlet(np.ones(3), 60)))
        registry.write(folder, bundle)
    return models


def test_ensemble_makes_a_model_that_is_listed_and_predicts(three, photographs, capsys):
    assert run("ensemble", "tiny", "other", "third", "--vote", "hard", "--name", "all", "--weights",
               "0.5,0.3,0.2") == 0
    said = capsys.readouterr().out
    assert "other (weight 0.300): accuracy" in said
    assert "all is a model now" in said
    assert run("models", "--json") == 0
    members = {entry["name"]: entry["members"] for entry in json.loads(capsys.readouterr().out)}
    assert members == {"all": ["tiny", "other", "third"], "tiny": [], "other": [], "third": []}
    assert run("models", "verify", "all") == 0
    assert run("predict", photographs / "first.png", "--model", "all", "--json") == 0
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert line["model"] == "all"
    assert line["ensemble"] == {"members": ["tiny", "other", "third"], "vote": "hard", "weights": [0.5, 0.3, 0.2]}
    assert run("models", "remove", "other") == 2
    assert "a member of all" in capsys.readouterr().err


@pytest.mark.parametrize(("arguments", "named"), [
    (("tiny", "other", "--name", "new", "--weights", "half,half"), "weights = 'half,half'"),
    (("tiny", "other", "--name", "new", "--vote", "loud"), "expected soft or hard"),
])
def test_a_bad_ensemble_is_one_sentence_and_status_2(three, capsys, arguments, named):
    assert run("ensemble", *arguments) == 2
    said = capsys.readouterr().err
    assert named in said
    assert len(said.strip().splitlines()) == 1
    assert not (three / "new").exists()


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that reads metadata; beside it `plain`, one that does not."""
    folder = tmp_path_factory.mktemp("reading")
    make_bundle(folder / "plain", classes=CLASSES)
    return make_bundle(folder / "reader", classes=CLASSES, metadata=METADATA).folder


def answers(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[list[dict[str, object]], str]:
    assert run("predict", *arguments, "--json") == 0
    said = capsys.readouterr()
    return [json.loads(line) for line in said.out.splitlines()], said.err


def likely(answer: dict[str, object]) -> list[float]:
    return [round(line["probability"], 5) for line in sorted(answer["predictions"], key=str)]


def test_what_is_known_is_for_all_photographs_and_changes_the_answer(reading, photographs, tmp_path, capsys):
    both = (photographs / "first.png", photographs / "second.png", "--model", reading)
    alone, said = answers(capsys, *both)
    assert (said, ["metadata" in one for one in alone]) == ("", [False, False])
    told, said = answers(capsys, *both, "--meta", "age=71", "--meta", "x_sex=Female", "--meta", "itch=")
    assert said == ""
    assert [one["metadata"] for one in told] == [{"x_age": 71, "x_sex": "female"}] * 2
    assert all(likely(one) != likely(other) for one, other in zip(alone, told, strict=True))
    strange, said = answers(capsys, *both, "--meta", "sex=alien", "--out", tmp_path / "out.csv")
    assert said == "derm: x_sex = 'alien' is none of those learnt (female, male); it is read as 'other'.\n"
    assert strange[0]["metadata"] == {"x_sex": "alien"}
    assert list(predictions.read(tmp_path / "out.csv")["x_sex"]) == ["alien"] * 2


def test_a_table_says_what_is_known_of_each_photograph(reading, photographs, tmp_path, capsys):
    table = tmp_path / "known.csv"
    table.write_text("path,age,colour\n"
                     "elsewhere/first.png,20,red\n" + f"{photographs.name}/first.png,71,red\nsecond,,blue\n")
    both = (photographs / "first.png", photographs / "second.png", "--model", reading)
    found, said = answers(capsys, *both, "--metadata", table)
    assert (said, [one.get("metadata") for one in found]) == ("", [{"x_age": 71}, None])
    assert likely(found[0]) == likely(answers(capsys, *both, "--meta", "age=71")[0][0])
    table.write_text("image_id;x_itch\nsecond;yes\n")
    found, said = answers(capsys, *both, "--metadata", table)
    assert [one.get("metadata") for one in found] == [None, {"x_itch": True}]
    assert said == f"derm: 1 of 2 photographs are not in {table}; nothing is known of them.\n"


TABLES = {"twice": "image_id,age\nfirst,1\nsecond,2\nfirst,3\n", "nameless": "age\n5\n",
          "other": "image_id,colour\nfirst,red\n", "wrong": "image_id,age\nfirst,5\nsecond,old\n",
          "shared": "image_id,age\nfirst,5\n"}


@pytest.mark.parametrize(("arguments", "named"), [
    (("--meta", "age=old"), "x_age = 'old'; expected a number, or nothing"),
    (("--meta", "itch=maybe"), "x_itch = 'maybe'; expected true or false"),
    (("--meta", "smoke=yes"), "'smoke': not read by this model; expected some of x_age, x_sex, x_itch"),
    (("--meta", "age"), "expected COLUMN=VALUE"),
    (("--meta", "age=5", "--meta", "x_age=6"), "x_age is given twice"),
    (("--meta", "age=5", "--metadata", "twice.csv"), "give one of them"),
    (("--meta", "age=5", "--model", "{plain}"), "plain reads photographs alone"),
    (("--metadata", "absent.csv"), "absent.csv: no such file"),
    (("--metadata", "twice.csv"), "more than one row. Keep one of each (1 in all: first)"),
    (("--metadata", "nameless.csv"), "no column names the photographs"),
    (("--metadata", "other.csv"), "none of the columns that reader reads (x_age, x_sex, x_itch)"),
    (("--metadata", "wrong.csv"), "x_age = 'old' (second); expected a number"),
    (("{copy}", "--metadata", "shared.csv"), "several photographs are called as. Name them by path"),
])
def test_bad_metadata_is_one_sentence_and_status_2(reading, photographs, tmp_path, monkeypatch, capsys, arguments,
                                                   named):
    monkeypatch.chdir(tmp_path)
    for name, text in TABLES.items():
        Path(f"{name}.csv").write_text(text)
    copy = Path("copy") / "first.png"
    copy.parent.mkdir()
    copy.write_bytes((photographs / "first.png").read_bytes())
    given = [str(argument).format(copy=copy, plain=reading.parent / "plain") for argument in arguments]
    assert run("predict", photographs / "first.png", "--model", reading, *given) == 2
    said = capsys.readouterr().err
    assert said.startswith("derm: ")
    assert named in said
    assert len(said.strip().splitlines()) == 1
