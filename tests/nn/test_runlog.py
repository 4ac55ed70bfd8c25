"""What a run tells, file by file."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest

from derm.jobs.heart import Heart
from derm.nn import runlog
from derm.nn.runlog import RunLog

ROW = {"epoch": 1, "loss": 2.34567891, "val_loss": 2.0, "accuracy": 0.5, "macro_f1": 0.4, "weighted_f1": 0.45,
       "f1_I-II": 0.5, "f1_III-IV": 0.25, "f1_V-VI": None, "n_I-II": 30, "n_III-IV": 12, "n_V-VI": 0,
       "learning_rate": 4e-4, "seconds": 12.5, "images_per_second": 80.04}


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def log(tmp_path: Path, said: list[str]) -> RunLog:
    clock = Clock()
    return RunLog(Heart(tmp_path, clock=clock, tick=clock), 21, say=said.append, clock=clock, tick=clock)


def progress(run: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (run / "progress.jsonl").read_text().splitlines()]


def test_scores_of_all_and_of_each_group():
    labels = np.array([0, 0, 1, 1, 2, 2])
    predicted = np.array([0, 1, 1, 1, 2, 0])
    groups = np.array(["I-II", "I-II", "I-II", "III-IV", "III-IV", "not recorded"])
    found = runlog.scores(labels, predicted, groups)
    assert found["accuracy"] == pytest.approx(4 / 6)
    # By hand: F1 of the classes 1/2, 4/5 and 2/3, each of two images.
    assert found["macro_f1"] == pytest.approx((1 / 2 + 4 / 5 + 2 / 3) / 3)
    assert found["weighted_f1"] == pytest.approx((1 / 2 + 4 / 5 + 2 / 3) / 3)
    assert found["f1_I-II"] == pytest.approx((2 / 3 + 2 / 3) / 2)
    assert found["f1_III-IV"] == 1
    assert [found[f"n_{group}"] for group in ("I-II", "III-IV", "V-VI")] == [3, 2, 0]


def test_a_group_without_images_has_no_figure():
    found = runlog.scores(np.array([0, 1]), np.array([1, 0]), np.array(["I-II", "I-II"]))
    assert found["f1_I-II"] == 0
    assert found["f1_V-VI"] is None


@pytest.mark.parametrize(("counts", "found"), [
    ((20, 20, 20), 1 / 3), ((20, 19, 20), 3 / 7), ((0, 20, 0), 1 / 3), ((19, 0, 5), None)])
def test_the_worst_group_is_one_that_can_be_judged(counts, found):
    """One condition, told always in I-II, half of the time in III-IV, three times of four in V-VI. By hand: F1 is
    1, 2/3 and 6/7, and 0 for the condition told instead."""
    shares = (1.0, 0.5, 0.75)
    parts = [(np.zeros(n, int), np.where(np.arange(n) < share * n, 0, 1))
             for n, share in zip(counts, shares, strict=True)]
    groups = np.repeat(["I-II", "III-IV", "V-VI"], counts)
    labels, predicted = (np.concatenate(column) for column in zip(*parts, strict=True))
    assert runlog.scores(labels, predicted, groups)["worst_group_f1"] == (found and pytest.approx(found))


def test_weights_of_groups_are_told_where_there_are_any(tmp_path):
    told = {f"dro_{group}": 0.25 for group in ("I-II", "III-IV", "V-VI", "not recorded")}
    runlog.write_history(tmp_path / "history.csv", [{**ROW, **told}])
    with (tmp_path / "history.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert tuple(row) == (*runlog.COLUMNS, *told)
    assert row["dro_V-VI"] == "0.25"


def test_an_epoch_goes_to_every_file_and_the_console(log, tmp_path, said):
    log.epoch(ROW, seconds_left=3900)
    log.epoch({**ROW, "epoch": 2}, seconds_left=65)
    with (tmp_path / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == runlog.COLUMNS
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert rows[0]["f1_V-VI"] == ""
    assert rows[0]["n_V-VI"] == "0"
    assert rows[0]["loss"] == "2.34568"
    lines = progress(tmp_path)
    assert [(line["kind"], line["epoch"], line["seconds_left"]) for line in lines] == [
        ("epoch", 1, 3900), ("epoch", 2, 65)]
    assert lines[0]["time"] == 1000.0
    assert lines[0]["f1_V-VI"] is None
    assert said == (tmp_path / "log.txt").read_text().splitlines()
    assert said[0] == ("epoch   1/21  loss 2.346  accuracy 0.50  macro F1 0.40  weighted F1 0.45  by skin type: "
                       "I-II 0.50  III-IV 0.25  V-VI -  rate 4.0e-04  80 images/s  65 min left")


def test_status_says_where_the_run_is(log, tmp_path):
    log.doing("training")
    log.epoch(ROW, seconds_left=20)
    status = json.loads((tmp_path / "status.json").read_text())
    expected = {"state": "running", "pid": os.getpid(), "epoch": 1, "epochs": 21, "seconds_left": 20,
                "updated": 1000.0, "doing": "training", "reason": ""}
    assert {key: status[key] for key in expected} == expected
    log.clock.now += 5
    log.step(epoch=2, step=1, steps=10, loss=1.0, rate=50.0, seconds_left=12.0)
    assert json.loads((tmp_path / "status.json").read_text())["seconds_left"] == 12.0


@pytest.mark.parametrize("write", [
    lambda log: log.doing("finishing"), lambda log: runlog.write_history(log.run / "history.csv", [ROW, ROW]),
], ids=["status.json", "history.csv"])
def test_a_kill_while_writing_leaves_the_old_file_whole(log, tmp_path, monkeypatch, write):
    log.epoch(ROW, seconds_left=20)
    before = {name: (tmp_path / name).read_text() for name in ("status.json", "history.csv")}

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            write(log)
    assert {name: (tmp_path / name).read_text() for name in before} == before


def test_steps_are_told_every_few_seconds(log, tmp_path):
    for step in range(1, 11):
        log.clock.now += 1
        log.step(epoch=1, step=step, steps=10, loss=1.23456, rate=55.55,
                 seconds_left=9.6)
    lines = progress(tmp_path)
    assert [line["step"] for line in lines] == [1, 4, 7, 10]
    assert lines[0] == {"time": 1001.0, "kind": "step", "epoch": 1, "step": 1, "steps": 10, "loss": 1.2346,
                        "images_per_second": 55.5, "seconds_left": 10}


@pytest.mark.parametrize(("seconds", "text"), [
    (0.4, "0 s"), (45, "45 s"), (89, "89 s"), (90, "2 min"), (720, "12 min"), (5340, "89 min"),
    (5400, "1 h 30 min"), (11100, "3 h 05 min"), (86400, "24 h 00 min"),
])
def test_time_left_in_words(seconds, text):
    assert runlog.duration(seconds) == text
