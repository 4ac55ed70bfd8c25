"""What a run would learn from: which rows, in which part, and what is refused. No network is trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from derm import datasets, splits
from derm.datasets import Dataset
from derm.errors import ConfigError, DatasetError
from derm.nn import config as configs
from derm.nn import material
from derm.nn.config import TrainConfig
from derm.settings import settings
from tests.conftest import blotches


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("DERM_CACHE", str(tmp_path_factory.mktemp("cache")))
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def drawn(drawn_root: Path) -> Dataset:
    return datasets.load(drawn_root)


def usable(dataset: Dataset) -> pd.Series:
    """The ids of the rows that a run takes by default."""
    return material.labelled_rows(dataset)["image_id"]


def listed(tmp_path: Path, ids: list[str]) -> str:
    (tmp_path / "list.csv").write_text("image_id\n" + "".join(f"{image_id}\n" for image_id in ids))
    return str(tmp_path / "list.csv")


def saved(tmp_path: Path, ids: list[str], parts: list[str]) -> str:
    """A split file with the parts going round."""
    rows = pd.DataFrame({"image_id": ids, "group": ids})
    splits.write(tmp_path / "split.csv", rows.assign(split=[parts[i % len(parts)] for i in range(len(ids))]))
    return str(tmp_path / "split.csv")


def prepared(root: Path, **changes: object) -> dict[str, set[str]]:
    """The image ids of each part."""
    made = material.prepare(TrainConfig(data=str(root), image_size=32, **changes))
    parts = {"train": made.train, **made.held_out}
    for part in parts.values():
        assert len(part.pixels) == len(part.labels) == len(part.groups) == len(part.rows)
    return {name: set(part.rows["image_id"]) for name, part in parts.items()}


def test_listed_images_are_in_no_part(drawn_root, drawn, tmp_path):
    ids = list(usable(drawn))
    out = {*ids[:3], drawn.table["image_id"].iloc[-1]}  # one of the publisher's test part, which is out anyway
    parts = prepared(drawn_root, exclude=listed(tmp_path, sorted(out)))
    assert set(parts) == {"train", "val"}
    assert parts["train"] | parts["val"] == set(ids) - out


def test_a_split_file_decides_and_others_are_left_out(drawn_root, drawn, tmp_path):
    ids = list(usable(drawn))
    flagged = set(drawn.table.loc[drawn.table["x_excluded"], "image_id"])
    tested = list(drawn.table.loc[drawn.table["split"] == "test", "image_id"])
    named = [*ids[:20], *flagged, *tested]
    parts = prepared(drawn_root, split_file=saved(tmp_path, named, ["train", "train", "val", "test"]), seed=9)
    assert parts == {"train": {*ids[0:20:4], *ids[1:20:4]}, "val": set(ids[2:20:4]), "test": set(ids[3:20:4])}


def test_a_list_and_a_split_file_together(drawn_root, drawn, tmp_path):
    ids = list(usable(drawn))
    parts = prepared(drawn_root, split_file=saved(tmp_path, ids, ["train", "train", "val"]),
                     exclude=listed(tmp_path, ids[:6]))
    assert parts["train"] | parts["val"] == set(ids[6:])


@pytest.mark.parametrize("fold", [1, 3])
def test_one_fold_validates(drawn_root, drawn, tmp_path, fold):
    ids = list(usable(drawn))
    parts = prepared(drawn_root, split_file=saved(tmp_path, ids, ["fold1", "fold2", "fold3"]), fold=fold)
    assert parts["val"] == set(ids[fold - 1::3])
    assert parts["train"] == set(ids) - parts["val"]


def test_what_derm_data_split_saves_can_be_trained_on(drawn_root, drawn, tmp_path):
    rows = material.labelled_rows(drawn)
    found = splits.split(rows, fractions="80/10/10", groups=range(len(rows)), seed=4)
    splits.write(tmp_path / "split.csv", rows.assign(split=found, group=rows["image_id"]))
    parts = prepared(drawn_root, split_file=str(tmp_path / "split.csv"))
    assert parts == {name: set(rows.loc[found == name, "image_id"]) for name in ("train", "val", "test")}


@pytest.mark.parametrize(("parts", "fold", "error", "words"), [
    (["fold1", "fold2"], 0, ConfigError, r"fold = 0; \S+split.csv has 2 folds: say which .* --set fold=1"),
    (["fold1", "fold2"], 3, ConfigError, r"fold = 3; \S+split.csv has 2 folds"),
    (["train", "val"], 1, ConfigError, "has no folds but train, val; leave it 0"),
    (["train", "validation"], 0, DatasetError, r"train, val and test, or fold1.*\(1 in all: validation\)"),
    (["train", "fold1"], 0, DatasetError, r"1 in all: fold1"),
    (["train", "test"], 0, DatasetError, "no photograph that can be used is in its part val"),
    (["test"], 0, DatasetError, "in its part train or val"),
])
def test_a_split_file_that_does_not_fit_is_refused(drawn, tmp_path, parts, fold, error, words):
    rows = material.labelled_rows(drawn)
    with pytest.raises(error, match=words):
        material.saved_parts(drawn, rows, saved(tmp_path, list(rows["image_id"]), parts), fold=fold)


@pytest.mark.parametrize("key", ["exclude", "split_file"])
def test_a_list_of_another_data_set_is_refused(drawn, tmp_path, key):
    strange = [f"strange-{number}" for number in range(7)]
    file = listed(tmp_path, strange) if key == "exclude" else saved(tmp_path, strange, ["train", "val"])
    with pytest.raises(DatasetError, match=r"not in this data set.*7 in all: strange-0, .*strange-4, \.\.\."):
        material.chosen_rows(drawn, TrainConfig(**{key: file}))
    with pytest.raises(DatasetError, match=r"absent\.csv"):
        material.chosen_rows(drawn, TrainConfig(**{key: "absent.csv"}))


@pytest.mark.parametrize(("change", "words"), [
    ({"split": "test"}, r"AJL 2025 \(.*\) is for testing only: its publisher calls all 40 .* Train on another"),
    ({"path": None}, "none of its 40 photographs is on disk. `derm data list` says how to get them"),
    ({"condition": "acne"}, "35 photographs can be used, of 1 conditions.*; 4 in the publisher's test part.*; "
                            "1 flagged"),
    ({"condition": None}, "0 photographs can be used.*; 36 without a condition"),
])
def test_data_that_cannot_be_trained_on_says_why(drawn, change, words):
    table = drawn.table.assign(**change)
    with pytest.raises(DatasetError, match=words):
        material.labelled_rows(replace(drawn, table=table))


@pytest.mark.parametrize("excluded", ["absent", "missing"])
def test_flags_may_be_absent_or_unknown(drawn, excluded):
    table = drawn.table.drop(columns="x_excluded")
    if excluded == "missing":
        flags = drawn.table["x_excluded"].astype("boolean")
        table = table.assign(x_excluded=flags.where(flags))
    rows = material.labelled_rows(replace(drawn, table=table))
    assert len(rows) == (36 if excluded == "absent" else 35)


def test_a_publishers_test_part_may_be_measured_on(drawn):
    labelled = drawn.table["condition"].astype(object).fillna("acne")
    table = drawn.table.assign(condition=pd.Categorical(labelled))
    assert len(material.labelled_rows(replace(drawn, table=table), test=True)) == 39


def test_a_run_keeps_its_own_lists(drawn_root, drawn, tmp_path):
    """So that a list that changes, or goes, changes no run; and none of their folders is told."""
    ids = list(usable(drawn))
    config = TrainConfig(data=str(drawn_root), exclude=listed(tmp_path, ids[:2]),
                         split_file=saved(tmp_path, ids, ["train", "val"]))
    (tmp_path / "run").mkdir()
    kept = configs.save(config, tmp_path / "run")
    for name in ("list.csv", "split.csv"):
        (tmp_path / name).unlink()
    written = (tmp_path / "run" / "config.toml").read_text()
    assert 'exclude = "exclude.csv"' in written
    assert 'split_file = "split.csv"' in written
    assert configs.read(tmp_path / "run" / "config.toml") == kept
    assert set(material.chosen_rows(drawn, kept)["image_id"]) == set(ids[2:])
    assert configs.save(replace(kept, data=""), tmp_path / "run") == replace(kept, data="")


def own(root: Path, counts: dict[str, int]) -> Path:
    """Data of one's own: so many different pictures in a folder for each condition."""
    for number, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True)
        for i in range(count):
            blotches(100 * number + i, side=32).save(root / name / f"{i}.png")
    return root


@pytest.mark.parametrize(("counts", "says"), [
    ({"acne": 1, "eczema": 1, "keloid": 1, "melanoma": 1, "psoriasis": 1, "rosacea": 1},
     "no photograph is left for validation, because most of its 6 conditions have only one"),
    ({"acne": 20, "eczema": 0}, "no pictures in folders|no known data set"),
    ({"acne": 2, "eczema": 2}, "needs at least 5 photographs"),
])
def test_too_little_to_learn_from_is_a_sentence(tmp_path, counts, says):
    with pytest.raises(DatasetError, match=says) as refusal:
        prepared(own(tmp_path / "own", counts))
    assert "\n" not in str(refusal.value)


def test_a_data_set_that_is_not_there_is_a_sentence(tmp_path):
    with pytest.raises(ConfigError, match=r"data = '.*absent': no such folder"):
        prepared(tmp_path / "absent")


def test_a_condition_that_is_only_in_validation_is_refused_and_named(tmp_path):
    root = own(tmp_path / "own", {"acne": 6, "eczema": 6, "keloid": 2})
    ids = list(datasets.load(root).table["image_id"])
    parts = ["val" if image_id.startswith("keloid") or image_id.endswith("0.png") else "train" for image_id in ids]
    rows = pd.DataFrame({"image_id": ids, "group": ids, "split": parts})
    splits.write(tmp_path / "split.csv", rows)
    with pytest.raises(DatasetError, match=r"nothing would be learnt of them.*`exclude`.*1 in all: keloid"):
        prepared(root, split_file=str(tmp_path / "split.csv"))
    # The remedy it names works, and the network then has no output for what it never saw.
    left = listed(tmp_path, [image_id for image_id in ids if image_id.startswith("keloid")])
    config = TrainConfig(data=str(root), image_size=32, split_file=str(tmp_path / "split.csv"), exclude=left)
    made = material.prepare(config)
    assert made.classes == ("acne", "eczema")
    assert set(made.train.labels) == {0, 1}
    assert {tuple(row) for row in zip(made.train.rows["condition"], made.train.labels, strict=True)} == {
        ("acne", 0), ("eczema", 1)}
