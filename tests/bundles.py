"""A tiny bundle for tests: an untrained two-layer network that answers in milliseconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from derm import registry
from derm.registry import Bundle

CLASSES = ("acne", "acne-vulgaris", "eczema", "keloid", "malignant-melanoma", "melanoma",
           "seborrheic-keratosis", "superficial-spreading-melanoma-ssm")
MALIGNANT = ("malignant-melanoma", "melanoma", "superficial-spreading-melanoma-ssm")
FIGURES = {
    "accuracy": {"value": 0.62, "low": 0.58, "high": 0.66, "n": 571},
    "accuracy:I-II": {"value": 0.64, "low": 0.58, "high": 0.7, "n": 280},
    "accuracy:V-VI": {"value": None, "low": None, "high": None, "n": 17},
}


def make_bundle(folder: Path, *, classes: Sequence[str] = CLASSES, size: int = 32,
                figures: Mapping[str, Mapping[str, float | int | None]] = FIGURES) -> Bundle:
    """A whole bundle in `folder`, which gives it its name; seeded, so that its answers are the same each time."""
    import keras

    from derm.nn import architecture

    keras.utils.set_random_seed(0)
    folder.mkdir(parents=True)
    architecture.build("baseline", classes=len(classes), size=size).save(folder / registry.NETWORK)
    return registry.write(folder, Bundle(
        folder=folder, name=folder.name, version="1", classes=tuple(classes),
        partition3={name: "malignant" if name in MALIGNANT else "benign" for name in classes},
        input_size=size, backbone="baseline", temperature=1.0, data_name="drawn pictures",
        data_fingerprint="0" * 64, licence="Apache-2.0", intended_use="Tests only.",
        keras_version=keras.__version__, code_version="0", created="2025-01-01", figures=figures))
