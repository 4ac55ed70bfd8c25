"""What has changed in a run's data, said so that one can mend it."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from derm import datasets, jobs
from derm.errors import JobError
from derm.jobs import origin
from tests.conftest import blotches


def edit(root: Path, image_id: str, **changes: str) -> None:
    """Rewrite a row of train.csv; no changes drop it."""
    path = root / "train.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    kept = [row | changes if row["md5hash"] == image_id else row for row in rows
            if changes or row["md5hash"] != image_id]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(kept)


def test_nothing_changed(tiny_ajl):
    run = tiny_ajl / "run"
    origin.record(run, datasets.load(tiny_ajl))
    origin.check(run, datasets.load(tiny_ajl))
    assert origin.changes(run, datasets.load(tiny_ajl)) == ()


def test_only_the_beginning_is_kept(tiny_ajl):
    run = tiny_ajl / "run"
    origin.record(run, datasets.load(tiny_ajl))
    edit(tiny_ajl, "a0", fitzpatrick_scale="2")
    origin.record(run, datasets.load(tiny_ajl))
    with pytest.raises(JobError, match="another skin type"):
        origin.check(run, datasets.load(tiny_ajl))


@pytest.mark.parametrize(("image_id", "changes", "said"), [
    ("a0", {"fitzpatrick_scale": "5"}, ("1 photograph of another skin type (1 in all: a0)",)),
    ("00123", {"fitzpatrick_scale": "5"}, ("1 photograph of another skin type (1 in all: 00123)",)),
    ("b1", {}, ("1 photograph gone (1 in all: b1)",)),
])
def test_rows(tiny_ajl, image_id, changes, said):
    run = tiny_ajl / "run"
    origin.record(run, datasets.load(tiny_ajl))
    edit(tiny_ajl, image_id, **changes)
    assert origin.changes(run, datasets.load(tiny_ajl)) == said


def test_files(tiny_ajl):
    run = tiny_ajl / "run"
    origin.record(run, datasets.load(tiny_ajl))
    blotches(9, side=64).save(tiny_ajl / "train/train/melanoma/a0.jpg")
    assert origin.changes(run, datasets.load(tiny_ajl)) == ("1 photograph with another file (1 in all: a0)",)


def test_resume_says_what_changed(runs, config, tiny_ajl):
    """Refused at once, before a process is started."""
    from dataclasses import replace

    jobs.create(replace(config, data=str(tiny_ajl)), name="one", runs=runs)
    origin.record(runs / "one", datasets.load(tiny_ajl))
    edit(tiny_ajl, "a0", label="keloid")
    (tiny_ajl / "train/train/melanoma/a0.jpg").rename(tiny_ajl / "train/train/keloid/a0.jpg")
    with pytest.raises(JobError, match=r"1 photograph labelled otherwise \(1 in all: a0\)"):
        jobs.resume("one", runs=runs)
