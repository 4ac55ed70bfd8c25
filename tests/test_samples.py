"""Drawn pictures: the same every time, told apart by class, filed as AJL files them."""

import csv
import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from derm import images, samples
from derm.schema import SkinType


@pytest.mark.parametrize("kind", samples.KINDS)
def test_draws_the_same_picture_for_the_same_arguments(kind: str) -> None:
    first = samples.draw(kind, skin="IV", seed=3, size=64)
    assert first.shape == (64, 64, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, samples.draw(kind, skin=4, seed=3, size=64))
    for other in (samples.draw(kind, skin=4, seed=4, size=64), samples.draw(kind, skin=5, seed=3, size=64)):
        assert np.abs(first.astype(int) - other).mean() > 4


def test_refuses_unknown_kinds_and_skin_types() -> None:
    for kind, skin in (("freckle", "I"), ("acne", "VII"), ("acne", 0)):
        with pytest.raises((KeyError, ValueError)):
            samples.draw(kind, skin=skin, size=8)


def test_skin_darkens_from_type_to_type() -> None:
    tones = [np.median(samples.draw("keloid", skin=fst, seed=1, size=64)) for fst in range(1, 7)]
    assert tones == sorted(tones, reverse=True)
    assert tones[0] > 2 * tones[5]


def test_samples_show_light_and_dark_skin_and_pass_their_own_quality_check() -> None:
    assert {sample.skin.group for sample in samples.SAMPLES} >= {"I-II", "V-VI"}
    for sample in samples.SAMPLES:
        assert sample.title.startswith("Drawn: ")
        assert sample.title.endswith(f"type {SkinType(sample.skin).name} skin")
        assert images.quality(sample.draw(256)).problems == ()


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_data_set_is_filed_as_published(tmp_path: Path) -> None:
    root = samples.write_dataset(tmp_path, per_class=7, classes=("acne", "keloid"), test=3, size=32)
    train, test = rows_of(root / "train.csv"), rows_of(root / "test.csv")
    assert list(train[0]) == ["md5hash", "fitzpatrick_scale", "fitzpatrick_centaur", "label",
                              "nine_partition_label", "three_partition_label", "qc", "ddi_scale"]
    assert list(test[0]) == ["md5hash", "fitzpatrick_scale", "fitzpatrick_centaur", "qc", "ddi_scale"]
    expected = {f"train/train/{row['label']}/{row['md5hash']}.jpg" for row in train}
    expected |= {f"test/test/{row['md5hash']}.jpg" for row in test}
    found = {path.relative_to(root).as_posix(): path for path in root.rglob("*.jpg")}
    assert found.keys() == expected
    assert len(expected) == len(train) + len(test) == 17  # no two pictures are the same
    assert all(hashlib.md5(path.read_bytes()).hexdigest() == path.stem for path in found.values())
    assert {images.read(path).pixels.shape for path in found.values()} == {(32, 32, 3)}
    assert Counter(row["label"] for row in train) == {"acne": 7, "keloid": 7}
    assert {row["three_partition_label"] for row in train} == {"non-neoplastic"}
    assert {row["fitzpatrick_scale"] for row in train} == {"-1", "1", "2", "3", "4", "5", "6"}
    assert {row["ddi_scale"] for row in train if row["fitzpatrick_scale"] == "-1"} == {"-1"}
    assert Counter(row["qc"] for row in train)["3 Wrongly labelled"] == 1


def test_a_data_set_is_the_same_every_time_and_differs_by_seed(tmp_path: Path) -> None:
    roots = [samples.write_dataset(tmp_path / name, per_class=2, test=1, size=24, seed=seed)
             for name, seed in (("a", 0), ("b", 0), ("c", 1))]
    tables = [(root / "train.csv").read_text(encoding="utf-8") for root in roots]
    assert tables[0] == tables[1] != tables[2]


def test_only_the_copies_asked_for_are_near_duplicates(tmp_path: Path) -> None:
    from derm import duplicates
    root = samples.write_dataset(tmp_path, duplicates=3)
    rows = rows_of(root / "train.csv")
    assert len(rows) == 3 * 12 + 3
    paths = [root / "train" / "train" / row["label"] / f"{row['md5hash']}.jpg" for row in rows]
    pairs = duplicates.pairs(paths)
    assert list(zip(pairs["a"], pairs["b"], strict=True)) == [(0, 1), (2, 3), (4, 5)]


def test_a_linear_reading_of_small_pictures_tells_the_classes_apart() -> None:
    """Nearest class mean of colour statistics: if this works, a tiny network learns in seconds."""
    def features(kind: str, seed: int) -> np.ndarray:
        pixels = samples.draw(kind, skin=seed % 6 + 1, seed=seed, size=48).astype(float)
        middle = pixels[8:40, 8:40] / np.median(pixels, axis=(0, 1))  # without most of the cloth at the edge
        return np.concatenate([np.percentile(middle, q, axis=(0, 1)) for q in (5, 25, 50, 75, 95)])
    kinds = ("acne", "eczema", "melanoma")
    means = np.stack([np.mean([features(kind, seed) for seed in range(12)], axis=0) for kind in kinds])
    right = [np.linalg.norm(means - features(kind, seed), axis=1).argmin() == i
             for i, kind in enumerate(kinds) for seed in range(100, 112)]
    assert np.mean(right) > 0.75
