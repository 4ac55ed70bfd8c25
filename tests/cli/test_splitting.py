"""`derm data dedup` and `derm data split` as a person or a script uses them."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from derm import cli, datasets, samples
from derm.settings import settings
from tests.conftest import blotches
from tests.datasets.fixtures import write_ddi, write_fitzpatrick17k, write_pad_ufes


@pytest.fixture(autouse=True)
def places(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own, no data set in the settings, and a folder to write into."""
    monkeypatch.setenv("DERM_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv("DERM_DATA", raising=False)
    monkeypatch.chdir(tmp_path_factory.mktemp("here"))
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def repeated(tmp_path: Path) -> Path:
    """Drawn pictures, the first three twice; one copy's label is changed, and a fourth is also a test picture."""
    root = samples.write_dataset(tmp_path / "ajl", per_class=12, duplicates=3)
    rows = rows_of(root / "train.csv")
    wrong, copied = rows[1], rows[8]
    (root / "train" / "train" / "acne" / f"{wrong['md5hash']}.jpg").rename(
        root / "train" / "train" / "eczema" / f"{wrong['md5hash']}.jpg")
    wrong["label"] = "eczema"
    write(root / "train.csv", rows)
    tested = rows_of(root / "test.csv")
    source = root / "train" / "train" / copied["label"] / f"{copied['md5hash']}.jpg"
    (root / "test" / "test" / f"{tested[0]['md5hash']}.jpg").write_bytes(source.read_bytes())
    return root


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def run(*arguments: object) -> int:
    """The exit status of `derm data ...`."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["data", *(str(argument) for argument in arguments)])
    return int(ended.value.code or 0)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_dedup_tells_what_is_twice(repeated, capsys):
    assert run("dedup", repeated) == 0
    text = said(capsys)
    for part in ("all 43 pictures compared",
                 "Near-duplicate pairs: 4, linking 8 pictures in 4 groups; 1 the same file, 1 with different "
                 "conditions, 1 across the publisher's splits.",
                 "Pictures of AJL 2025's test part that also sit in its train part, the same or nearly: 1.",
                 "4 of 4 pairs, different conditions first"):
        assert part in text
    shown = text[text.index("conditions first"):]
    assert shown.index("Eczema") < shown.index("same file")


def test_dedup_writes_a_row_a_pair(repeated, tmp_path):
    assert run("dedup", repeated, "--csv", tmp_path / "new" / "pairs.csv") == 0
    lines = (tmp_path / "new" / "pairs.csv").read_text().splitlines()
    assert lines[0] == "image_a,image_b,split_a,split_b,distance,same_condition"
    rows = rows_of(tmp_path / "new" / "pairs.csv")
    assert Counter(row["same_condition"] for row in rows) == {"false": 1, "true": 2, "": 1}
    assert rows[0]["same_condition"] == "false"
    assert rows[1]["split_a"] == "train"
    assert rows[1]["split_b"] == "test"
    assert all(0 <= int(row["distance"]) <= 16 for row in rows)


def test_dedup_escapes_what_a_spreadsheet_would_run(tiny_ajl, tmp_path):
    for name in ("train.csv", "test.csv"):
        file = tiny_ajl / name
        file.write_text(file.read_text().replace("a0", "-12").replace("b1", "=1+1"))
    train = tiny_ajl / "train" / "train"
    for name in ("melanoma/-12", "keloid/=1+1"):
        blotches(0).save(train / f"{name}.jpg")
    assert run("dedup", tiny_ajl, "--csv", tmp_path / "pairs.csv") == 0
    (row,) = rows_of(tmp_path / "pairs.csv")
    assert {row["image_a"], row["image_b"]} == {"'-12", "'=1+1"}


def test_dedup_as_json(repeated, capsys):
    assert run("dedup", repeated, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["sets"] == [{"name": "AJL 2025", "root": str(repeated), "images": 43, "on_disk": 43}]
    assert {key: found[key] for key in ("pairs", "groups", "conflicting", "across_splits", "unreadable")} == {
        "pairs": 4, "groups": 4, "conflicting": 1, "across_splits": 1, "unreadable": []}
    assert len(found["rows"]) == 4
    assert found["rows"][0]["same_condition"] is False
    assert found["rows"][1]["condition_b"] is None


def test_dedup_across_two_data_sets(repeated, tmp_path, capsys):
    other = samples.write_dataset(tmp_path / "other", per_class=2, test=1, classes=("acne", "keloid"))
    assert run("dedup", repeated, other, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    across = [row for row in found["rows"] if row["set_a"] != row["set_b"]]
    assert found["across_sets"] == len(across) >= 2
    assert {row["set_b"] for row in across} == {"AJL 2025 (second)"}
    assert run("dedup", repeated, other) == 0
    assert f"{len(across)} across the two data sets" in said(capsys)


def test_dedup_passes_over_what_cannot_be_read_and_says_so(repeated, capsys):
    first = rows_of(repeated / "train.csv")[0]
    (repeated / "train" / "train" / first["label"] / f"{first['md5hash']}.jpg").write_bytes(b"no picture")
    assert run("dedup", repeated) == 0
    text = said(capsys)
    assert f"42 of 43 pictures compared, unreadable (1 in all: {repeated}" in text
    assert "Near-duplicate pairs: 3," in text


def test_dedup_without_repeats(tiny_ajl, capsys):
    assert run("dedup", tiny_ajl) == 0
    assert "Near-duplicate pairs: 0, linking 0 pictures in 0 groups." in said(capsys)


def test_split_saves_what_verify_finds_sound(repeated, capsys):
    assert run("split", repeated, "--seed", 3) == 0
    text = said(capsys)
    for part in ("AJL 2025", "80/20, seed 3: 38 images: train", "Left out: 4 in the publisher's test part",
                 "Left out: 1 flagged",
                 "Kept together: 4 near-duplicate pairs (all 43 pictures compared); no patients",
                 "Pictures of the publisher's test part that repeat one in this split: 1 of 4;",
                 "Pictures: train / val", "val: of 9 cells", "Written: split-ajl.csv"):
        assert part in text
    saved = pd.read_csv("split-ajl.csv", dtype="str")
    assert list(saved) == ["image_id", "split", "group"]
    assert set(saved["split"]) == {"train", "val"}
    table = datasets.load(repeated).table
    trainable = table[(table["split"] == "train") & ~table["x_excluded"]]
    assert set(saved["image_id"]) == set(trainable["image_id"])
    assert len(saved) - saved["group"].nunique() == 3
    assert saved.groupby("group")["split"].nunique().max() == 1
    assert run("split", repeated, "--verify", "split-ajl.csv") == 0
    text = said(capsys)
    assert "Checked against AJL 2025" in text
    assert "Nothing crosses: each of the 35 groups is within one part." in text


@pytest.mark.parametrize(("fractions", "parts"), [
    ("80/10/10", ["train", "val", "test"]), ("5-fold", [f"fold{number}" for number in range(1, 6)])])
def test_split_into_more_parts(repeated, tmp_path, capsys, fractions, parts):
    out = tmp_path / "new" / "split.csv"
    assert run("split", repeated, "--fractions", fractions, "--out", out) == 0
    assert set(pd.read_csv(out)["split"]) == set(parts)
    text = said(capsys)
    assert ("--set fold=1" in text) == (fractions == "5-fold")
    assert f"38 images: {parts[0]} " in text
    assert run("split", repeated, "--verify", out) == 0


def test_the_same_seed_makes_the_same_file(repeated, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert run("split", repeated, "--seed", seed, "--out", tmp_path / name) == 0
    texts = [(tmp_path / name).read_text() for name in "abc"]
    assert texts[0] == texts[1] != texts[2]


def test_split_leaves_out_listed_images(repeated, tmp_path, capsys):
    ids = [row["md5hash"] for row in rows_of(repeated / "train.csv")[:2]]
    (tmp_path / "list.csv").write_text("image_id\n" + "\n".join(ids) + "\n")
    assert run("split", repeated, "--exclude", tmp_path / "list.csv") == 0
    assert "Left out: 2 on the list of images to leave out." in said(capsys)
    assert not set(pd.read_csv("split-ajl.csv")["image_id"]) & set(ids)


@pytest.fixture
def crossing(repeated) -> Path:
    """A saved split in which one of two near-duplicates was moved to another part."""
    assert run("split", repeated) == 0
    saved = pd.read_csv("split-ajl.csv", dtype="str")
    moved = saved.index[saved["group"].duplicated()][0]
    saved.loc[moved, "split"] = "val" if saved.loc[moved, "split"] == "train" else "train"
    saved.to_csv("crossing.csv", index=False)
    return Path("crossing.csv")


def test_verify_names_what_crosses(repeated, crossing, capsys):
    capsys.readouterr()
    assert run("split", repeated, "--verify", crossing) == 1
    text = said(capsys)
    assert "Groups in several parts (near-duplicates, or of one patient, case or lesion): 1." in text
    assert "Nothing crosses" not in text


def test_verify_believes_the_pictures_rather_than_the_file(repeated, crossing, capsys):
    """A file that calls every image a group of its own still crosses, once the pictures are compared."""
    saved = pd.read_csv(crossing, dtype="str")
    saved.assign(group=saved["image_id"]).to_csv(crossing, index=False)
    assert run("split", "--verify", crossing) == 0
    assert "Checked: only the groups that the file itself names." in said(capsys)
    assert run("split", repeated, "--verify", crossing) == 1


def test_verify_without_data_goes_by_the_files_groups(crossing, capsys):
    assert run("split", "--verify", crossing) == 1
    pd.read_csv(crossing).drop(columns="group").to_csv(crossing, index=False)
    capsys.readouterr()
    assert run("split", "--verify", crossing) == 2
    assert "no column 'group' to go by. Name the data set" in capsys.readouterr().err


def test_verify_takes_the_data_set_of_the_settings(repeated, crossing, capsys, monkeypatch):
    monkeypatch.setenv("DERM_DATA", str(repeated))
    settings.cache_clear()
    assert run("split", "--verify", crossing) == 1
    assert "Checked against AJL 2025" in said(capsys)


def test_verify_minds_the_publishers_test_part(repeated, tmp_path, capsys):
    train, test = rows_of(repeated / "train.csv"), rows_of(repeated / "test.csv")
    rows = [{"image_id": row["md5hash"], "split": part, "group": row["md5hash"]}
            for row, part in [(train[0], "train"), (train[9], "val"), (test[2], "train"), (test[3], "test")]]
    write(tmp_path / "split.csv", rows)
    assert run("split", repeated, "--verify", tmp_path / "split.csv") == 1
    text = said(capsys)
    assert f"Trained on, though in the publisher's test part: (1 in all: {test[2]['md5hash']})" in text


def test_patients_stay_together(tmp_path, capsys):
    root = write_pad_ufes(tmp_path / "pad")
    assert run("split", root, "--fractions", "2-fold") == 0
    kept = r"Kept together: 0 near-duplicate pairs .*; [1-9]\d* patients, cases or lesions"
    assert re.search(kept, said(capsys))
    saved = pd.read_csv("split-pad-ufes-20.csv")
    of_one = saved["image_id"].str.startswith("PAT_46_")
    assert of_one.sum() > 1
    assert saved.loc[of_one, "split"].nunique() == saved.loc[of_one, "group"].nunique() == 1
    saved.loc[saved.index[of_one][0], "split"] = "fold1"
    saved.loc[saved.index[of_one][1], "split"] = "fold2"
    saved.to_csv("broken.csv", index=False)
    assert run("split", root, "--verify", "broken.csv") == 1
    assert "PAT_46_" in said(capsys)


def test_without_pictures_there_are_groups_to_go_by(tmp_path, capsys):
    root = write_fitzpatrick17k(tmp_path / "f17k")
    assert run("split", root, "--fractions", "2-fold") == 0
    assert "near-duplicates unknown, as no picture is on disk; no patients" in said(capsys)
    assert run("split", root, "--verify", "split-fitzpatrick17k.csv") == 0
    assert "near-duplicates unknown" in said(capsys)
    assert run("dedup", root) == 0
    text = said(capsys)
    assert "0 of 9 pictures compared, 9 are not on disk" in text


def test_a_test_set_is_not_split(tmp_path, capsys):
    assert run("split", write_ddi(tmp_path / "ddi")) == 2
    assert "no picture may be trained on: 5 in the publisher's test part" in capsys.readouterr().err


@pytest.mark.parametrize(("arguments", "words"), [
    (("split",), "No data set"),
    (("split", "{root}", "--fractions", "70/30"), "'70/30'; expected one of 80/20"),
    (("split", "{root}", "--fractions", "40-fold"), "needs at least 40"),
    (("split", "{root}", "--exclude", "{strange}"), "not in this data set"),
    (("split", "{root}", "--verify", "{strange}"), "not in this data set"),
    (("split", "{root}", "--verify", "absent.csv"), "absent.csv"),
    (("split", "absent"), "absent"),
    (("dedup", "{root}", "{root}"), "the same folder"),
    (("dedup", "absent"), "absent"),
])
def test_bad_input_is_one_sentence_and_status_2(repeated, tmp_path, capsys, arguments, words):
    (tmp_path / "strange.csv").write_text("image_id,split,group\nstrange,train,1\n")
    places = {"root": repeated, "strange": tmp_path / "strange.csv"}
    assert run(*(argument.format(**places) for argument in arguments)) == 2
    text = capsys.readouterr().err
    assert text.startswith("derm: ")
    assert words in text
    assert len(text.strip().splitlines()) == 1
