"""The Train page's parts without a page: command and file, fields, what is read of a run, its charts."""

from __future__ import annotations

import json
import shlex
from dataclasses import fields as keys_of
from dataclasses import replace
from pathlib import Path

import altair
import pandas as pd
import pytest

from derm.nn import config as configs
from derm.nn.config import PRESETS, TrainConfig, override, preset
from derm.schema import FST_GROUPS
from derm.ui import plots, words
from derm.ui.training import charts, command, fields, progress
from derm.ui.training.progress import Step
from tests.runs import run

# A value of each setting that is not its default; some look like something else.
OTHER = {"data": "/pictures/of skin", "exclude": "it's a list.csv", "split_file": "5", "weights": "true.h5",
         "metadata": "x_age, x_sex", "train_from": "block_13", "backbone": "resnet50", "image_size": 96,
         "answer_size": 128, "exclude_flagged": False, "flips": False, "right_angles": False, "mirror": False,
         "turns": True}


def values(base: TrainConfig) -> list[TrainConfig]:
    """`base` with each setting in turn made another, and with all of OTHER."""
    found = [replace(base, **OTHER)]
    for spec in keys_of(TrainConfig):
        now = getattr(base, spec.name)
        if choices := spec.metadata.get("choices"):
            other = next(choice for choice in choices if choice != now)
        elif spec.name in OTHER:
            other = OTHER[spec.name]
        else:
            other = type(now)(spec.metadata["high"]) if now != spec.metadata["high"] else now / 2
        found.append(override(replace(base, cutmix=0.0, mixup=0.0), {spec.name: other}))
    return found


def parsed(text: str) -> tuple[TrainConfig, dict[str, str]]:
    """What `derm train` makes of a command, and its other options."""
    words = shlex.split(text.replace("\\\n", " "))
    assert words[:2] == ["derm", "train"]
    assert words[-1] == "--detach"
    options = list(zip(words[2:-1:2], words[3:-1:2], strict=True))
    sets = configs.parse_assignments([value for option, value in options if option == "--set"])
    named = {option: value for option, value in options if option != "--set"}
    lists = {key: named.pop(f"--{key.replace('_', '-')}") for key in ("data", "exclude", "split_file")
             if f"--{key.replace('_', '-')}" in named}
    return override(override(preset(named.pop("--preset")), sets), lists), named


@pytest.mark.parametrize("name", PRESETS)
def test_the_command_and_the_file_make_the_same_config_again(tmp_path: Path, name: str) -> None:
    for config in [preset(name), *values(preset(name))]:
        found, named = parsed(command.command(config, preset=name, run=Path("runs/a b")))
        assert found == config
        assert named == {"--run": "runs/a b"}
        (tmp_path / "mine.toml").write_text(command.toml(replace(config, exclude="", split_file="")), "utf-8")
        assert configs.read(tmp_path / "mine.toml") == replace(config, exclude="", split_file="")


def test_the_command_says_no_more_than_it_must() -> None:
    assert command.command(preset("quick"), preset="quick") == "derm train --preset quick \\\n  --detach"


def test_every_setting_has_a_field_that_says_what_is_usual() -> None:
    found = fields.every()
    assert {*found, "data"} == {spec.name for spec in keys_of(TrainConfig)}
    for spec in keys_of(TrainConfig):
        if spec.name == "data":
            continue
        assert found[spec.name].why
        assert set(found[spec.name].names) >= set(spec.metadata.get("choices", ()))
    assert set(fields.BACKBONES) == set(configs.BACKBONES)
    assert set(fields.PRESETS) == set(fields.PRESET_WHY) == set(PRESETS)


def test_strengths_of_augmentation_are_told_apart_and_allowed() -> None:
    for name, level in fields.STRENGTHS.items():
        config = override(TrainConfig(), level)
        assert fields.strength({key: getattr(config, key) for key in level}) == name
    assert fields.strength({**fields.STRENGTHS["Usual"], "hue": 0.3}) == fields.OWN_STRENGTH
    usual = {key: getattr(TrainConfig(), key) for key in fields.STRENGTHS["Usual"]}
    assert fields.strength(usual) == "Usual"


@pytest.mark.parametrize("text", ["", "epoch,loss\n", "epoch,loss\n1,abc\n2", "\x00\x01",
                                  "epoch,loss\n1,2,3,4,5\n", "nothing,of,ours\n1,2,3\n"])
def test_a_damaged_history_tells_less_and_no_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "history.csv").write_text(text)
    table = progress.history(tmp_path)
    assert {"epoch", "loss", "learning_rate"} <= set(table)
    assert progress.f1(table)["value"].isna().all()
    assert len(progress.rates(table)) == 0


@pytest.mark.parametrize(("text", "found"), [
    ("", None), ("{", None), ("[]", None), ("null", None), ('{"kind": "step"}', None), ('{"kind": "epoch"}', None),
    ('{"kind": "step", "epoch": 2, "step": 3, "steps": 9, "images_per_second": 40.5}', Step(2, 3, 9, 40.5)),
    ('{"kind": "step", "epoch": 2, "step": 3, "steps": 9}', Step(2, 3, 9, None)),
    ('x' * 9000 + '\n{"kind": "step", "epoch": 1, "step": 1, "steps": 2}\n', Step(1, 1, 2, None))])
def test_the_last_step_is_the_last_whole_line(tmp_path: Path, text: str, found: Step | None) -> None:
    assert progress.step(tmp_path) is None
    (tmp_path / "progress.jsonl").write_text(text)
    assert progress.step(tmp_path) == found


def test_what_was_added_is_seen(tmp_path: Path) -> None:
    folder = run(tmp_path / "live")
    before = progress.history(folder)
    with (folder / "history.csv").open("a") as file:
        file.write("3,0.4,0.4,0.5,,40,30,0\n")
    assert list(before["epoch"]) == [1, 2]
    assert list(progress.history(folder)["epoch"]) == [1, 2, 3]


def test_f1_of_each_group_has_its_n_and_too_few_no_value(tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text(
        "epoch,macro_f1,n,f1_I-II,f1_III-IV,f1_V-VI,n_I-II,n_III-IV,n_V-VI\n1,0.5,70,0.6,0.4,0.3,30,25,15\n")
    found = progress.f1(progress.history(tmp_path)).set_index("group")
    assert dict(found["n"]) == {"All": 70, **dict(zip(FST_GROUPS, (30, 25, 15), strict=True))}
    assert found.loc["All", "value"] == 0.5
    assert pd.isna(found.loc["V-VI", "value"])


@pytest.mark.parametrize("names", [("Learning rate",), ("Learning", "Validation")])
def test_charts_are_ones_that_vega_lite_knows(names: tuple[str, ...]) -> None:
    values = pd.DataFrame([{"epoch": epoch, "name": name, "value": 1 / epoch}
                           for name in names for epoch in (1, 2)])
    chart = charts.epochs(values, label="Loss")
    altair.Chart.from_dict(json.loads(json.dumps(chart.complete())))
    assert [row["y"] for row in chart.rows] == list(values["value"])
    assert (f">{names[0]}<" in plots.export(chart, "svg", source="a run").decode()) == (len(names) > 1)


@pytest.mark.parametrize(("seconds", "text"), [
    (-1, "0 seconds"), (1.2, "1 second"), (89, "89 seconds"), (90, "2 minutes"), (5370, "1 hour 30 minutes"),
    (5300, "88 minutes"), (7200, "2 hours"), (7260, "2 hours 1 minute"), (40000, "11 hours 7 minutes")])
def test_a_duration_in_words(seconds, text):
    assert words.duration(seconds) == text
