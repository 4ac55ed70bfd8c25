"""A tiny bundle for tests: an untrained two-layer network that answers in milliseconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from derm import registry
from derm.bundle_rules import metadata_width
from derm.registry import Bundle

CLASSES = ("acne", "acne-vulgaris", "eczema", "keloid", "malignant-melanoma", "melanoma",
           "seborrheic-keratosis", "superficial-spreading-melanoma-ssm")
MALIGNANT = ("malignant-melanoma", "melanoma", "superficial-spreading-melanoma-ssm")
FIGURES = {
    "accuracy": {"value": 0.62, "low": 0.58, "high": 0.66, "n": 571},
    "accuracy:I-II": {"value": 0.64, "low": 0.58, "high": 0.7, "n": 280},
    "accuracy:V-VI": {"value": None, "low": None, "high": None, "n": 17},
}


# What a network may read beside the photograph, of each kind.
METADATA: Mapping[str, Mapping[str, Any]] = {
    "x_age": {"kind": "number", "mean": 50.0, "sd": 20.0},
    "x_sex": {"kind": "category", "categories": ["female", "male"]}, "x_itch": {"kind": "answer"}}


def make_bundle(folder: Path, *, classes: Sequence[str] = CLASSES, size: int = 32, seed: int = 0,
                figures: Mapping[str, Mapping[str, float | int | None]] = FIGURES, **changes: Any) -> Bundle:
    """A whole bundle in `folder`, which gives it its name; seeded, so that its answers are the same each time."""
    import keras

    from derm.nn import architecture

    keras.utils.set_random_seed(seed)
    folder.mkdir(parents=True)
    architecture.build("baseline", classes=len(classes), size=size,
                       metadata=metadata_width(changes.get("metadata", {}))).save(folder / registry.NETWORK)
    return registry.write(folder, Bundle(
        folder=folder, name=folder.name, version="1", classes=tuple(classes),
        partition3={name: "malignant" if name in MALIGNANT else "benign" for name in classes},
        input_size=size, backbone="baseline", temperature=1.0, data_name="drawn pictures",
        data_fingerprint="0" * 64, licence="Apache-2.0", intended_use="Tests only.",
        keras_version=keras.__version__, code_version="0", created="2025-01-01", figures=figures, **changes))


def make_ensemble(folder: Path, members: Sequence[Bundle], *, vote: str = "soft",
                  weights: Sequence[float] = (), **changes: Any) -> Bundle:
    """An ensemble of bundles beside `folder`, without predictions: enough for whoever asks it."""
    folder.mkdir()
    return registry.write(folder, replace(
        members[0], name=folder.name, members=tuple(one.name for one in members), vote=vote,
        weights=tuple(weights), input_size=max(one.input_size for one in members), mirror=False, turns=False,
        **changes,
        member_sha256={one.name: one.sha256[registry.NETWORK] for one in members}))


def complete_bundle(folder: Path) -> Bundle:
    """`make_bundle` with all that `derm models complete` adds, its training photographs drawn ones of skin.

    Photographs like those are answered, pictures that are not of skin declined. Two malignant cases in three are
    called malignant on V-VI, and 'melanoma' was never seen there.
    """
    import numpy as np

    from derm import images, samples, support
    from derm.nn import reference
    from derm.nn.predict import Predictor

    bundle = make_bundle(folder)
    skins = ("I", "II", "III", "IV", "V", "VI")
    drawn = np.stack([images.fit(samples.draw(kind, skin=skin, size=256), bundle.input_size)
                      for kind in ("melanoma", "acne") for skin in skins])
    deep, middle = Predictor.load(bundle).features(drawn)
    near, like = (support.Space(one.centre, one.axes[:8]) for one in support.spaces(deep, middle))
    known = support.Reference(
        near, like, support.widths(support.residuals(near, like, deep, middle)), 1.0, support.points(near, deep),
        np.array([f"known-{i}" for i in range(12)], dtype=object),
        np.array(["melanoma"] * 6 + ["acne"] * 6, dtype=object), np.array([1, 2, 3, 4, 5, -1] * 2, np.int8),
        np.array([f"train/known-{i}.jpg" for i in range(12)], dtype=object), np.arange(12, dtype=np.int64),
        np.arange(12, dtype=np.int32))
    known = replace(known, limit=1.5 * float(support.distance(known, deep, middle).max()))
    (folder / registry.REFERENCE).write_bytes(reference.packed(known))
    return registry.write(folder, replace(bundle, **COMPLETED))


def _by_group(*figures: tuple[float | None, int]) -> dict[str, dict[str, float | int | None]]:
    names = ("all", "I-II", "III-IV", "V-VI", "not recorded")
    return {name: {"value": value, "low": None if value is None else value - 0.1,
                   "high": None if value is None else value + 0.05, "n": n}
            for name, (value, n) in zip(names, figures, strict=True)}


COMPLETED: Mapping[str, Any] = {
    "conformal": {"level": 0.9,
                  "limits": {"all": {"least": 0.13, "n": 330}, "I-II": {"least": 0.1, "n": 200}}},
    "sensitivity": {"malignant": _by_group((0.7, 200), (0.8, 120), (0.75, 50), (0.66, 30), (None, 0)),
                    **{name: _by_group((0.5, 60), (0.6, 40), (None, 17), (None, 3), (None, 0))
                       for name in CLASSES}},
    "training": {name: {"I-II": 27, "III-IV": 16, "V-VI": 0, "not recorded": 1} for name in CLASSES},
    "nonskin": {"document": {"value": 1.0, "low": 0.86, "high": 1.0, "n": 25}},
}
