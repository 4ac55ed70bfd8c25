import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from derm import datasets
from derm.datasets import Dataset
from derm.errors import DatasetError
from derm.inspection.findings import Findings, find
from derm.inspection.scan import scan
from tests.conftest import blotches


def found(dataset: Dataset) -> Findings:
    return find(dataset, scan(dataset, cache=None, progress=None))


def loaded(root: Path) -> Findings:
    return found(datasets.load(root, strict=False))


def saying(texts: tuple[str, ...], what: str) -> str:
    """The one text that begins so."""
    [text] = [text for text in texts if text.startswith(what)]
    return text


def test_a_sound_data_set(tiny_ajl):
    findings = loaded(tiny_ajl)
    assert findings.errors == ()
    assert findings.cells["V-VI"].to_dict() == {"acne": 1, "keloid": 0, "melanoma": 0}
    assert findings.groups == {"I-II": 1, "III-IV": 2, "V-VI": 1}
    assert [each.title for each in findings.agreements] == ["Scale v Centaur"]
    assert findings.repeats.pairs == 0
    assert saying(findings.warnings, "Wrongly labelled") == "Wrongly labelled, says the publisher (1 in all: NA)"


def test_leaks_and_conflicts(tiny_ajl):
    shutil.copy(tiny_ajl / "train/train/acne/NA.jpg", tiny_ajl / "test/test/c2.jpg")
    shutil.copy(tiny_ajl / "train/train/melanoma/a0.jpg", tiny_ajl / "train/train/keloid/b1.jpg")
    findings = loaded(tiny_ajl)
    repeats = findings.repeats
    assert (repeats.pairs, repeats.groups, repeats.images) == (2, 2, 4)
    [across] = repeats.across
    assert (across.split, across.other, across.images, across.n) == ("test", "train", ("c2",), 1)
    assert repeats.conflicting == ("a0 (melanoma) and b1 (keloid)",)
    assert "(1 in all: c2)" in saying(findings.warnings, "Pictures of test that also sit in train")
    assert "(1 in all: a0 (melanoma) and b1 (keloid))" in saying(findings.warnings, "Near-duplicates with")


def test_unreadable_pictures_and_problems_are_errors(tiny_ajl):
    (tiny_ajl / "train/train/acne/NA.jpg").write_bytes(b"")
    (tiny_ajl / "train/train/melanoma/a0.jpg").rename(tiny_ajl / "train/train/acne/a0.jpg")
    findings = loaded(tiny_ajl)
    assert findings.unreadable["NA"].startswith("NA.jpg is empty")
    assert "NA.jpg is empty" in saying(findings.errors, "Pictures that cannot be read")
    assert any("a0.jpg is melanoma" in text for text in findings.errors)


def test_files_that_do_not_belong(tiny_ajl):
    (tiny_ajl / "train/train/acne/Thumbs.db").write_bytes(b"x")
    (tiny_ajl / "train/train/acne/notes").mkdir()
    (tiny_ajl / "train/train/acne/loop").symlink_to(tiny_ajl / "train")
    (tiny_ajl / "readme.txt").write_text("beside the tables, where it belongs")
    blotches(9).save(tiny_ajl / "test/test/extra.jpg")
    findings = loaded(tiny_ajl)
    assert saying(findings.warnings, "Files among").endswith("(1 in all: train/train/acne/Thumbs.db)")
    assert saying(findings.warnings, "Pictures on disk").endswith("(1 in all: test/test/extra.jpg)")


@pytest.mark.parametrize(("field", "value", "where", "text"), [
    ("problems", (DatasetError("Two labels for", ["x"]),), "errors", "Two labels for (1 in all: x)"),
    ("unmapped", ("Wart?",), "warnings", "does not know, kept as they are (1 in all: Wart?)"),
])
def test_what_the_adapter_found_is_passed_on(tiny_ajl, field, value, where, text):
    dataset = replace(datasets.load(tiny_ajl), **{field: value})
    assert any(text in said for said in getattr(found(dataset), where))
