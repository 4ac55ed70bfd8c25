"""Made-up predictions for tests: a model whose answers are worse on some skin, and bundles that hold them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from derm import predictions, registry
from derm.registry import Bundle

CLASSES = ("acne", "keloid", "melanoma", "seborrheic-keratosis")
PARTITIONS = {"acne": "non-neoplastic", "keloid": "non-neoplastic", "melanoma": "malignant",
              "seborrheic-keratosis": "benign"}


def made_up(n: int = 400, *, dark: float = 0.4, light: float = 0.85, seed: int = 0) -> pd.DataFrame:
    """A predictions table; `dark` and `light` are how often the answer is right on FST V-VI and on the rest."""
    rng = np.random.default_rng(seed)
    fst, truth = 1 + rng.integers(7, size=n), rng.integers(len(CLASSES), size=n)
    right = rng.random(n) < np.where(np.isin(fst, (5, 6)), dark, light)
    said = np.where(right, truth, (truth + rng.integers(1, len(CLASSES), size=n)) % len(CLASSES))
    sure = rng.uniform(0.5, 0.95, n)
    p = np.repeat((1 - sure)[:, None] / (len(CLASSES) - 1), len(CLASSES), axis=1)
    p[np.arange(n), said] = sure
    rows = pd.DataFrame({"image_id": [f"case-{i}" for i in range(n)], "split": "val",
                         "fst": pd.array(np.where(fst == 7, 0, fst), "Int8"),
                         "condition": np.array(CLASSES, dtype=object)[truth]})
    rows["fst"] = rows["fst"].mask(rows["fst"] == 0)
    rows["group_id"] = rows["image_id"]
    return predictions.table(rows, classes=CLASSES, probabilities=p)


def bundle(folder: Path, table: pd.DataFrame, *, version: str = "1.0") -> Bundle:
    """A bundle whose network is no network: enough for whoever reads predictions only."""
    folder.mkdir(parents=True)
    (folder / registry.NETWORK).write_bytes(b"not opened by the Fairness page")
    predictions.write(folder / "predictions.parquet", table)
    return registry.write(folder, Bundle(
        folder=folder, name=folder.name, version=version, classes=CLASSES, partition3=PARTITIONS, input_size=32,
        backbone="baseline", temperature=1.0, data_name="made-up cases", data_fingerprint="0" * 64,
        licence="Apache-2.0", intended_use="Tests only.", keras_version="3", code_version="0",
        created="2025-01-01", figures={}))


def foreign(table: pd.DataFrame) -> pd.DataFrame:
    """The same as another vendor would hand it over: other names, other spellings, no probabilities."""
    p = table[[f"p:{name}" for name in CLASSES]].to_numpy()
    numerals = dict(enumerate(("I", "II", "III", "IV", "V", "VI"), 1))
    spelt = {name: name.replace("-", " ").title() for name in CLASSES}
    return pd.DataFrame({"file_name": table["image_id"], "true_label": table["condition"].map(spelt),
                         "prediction": [spelt[CLASSES[i]] for i in p.argmax(axis=1)],
                         "fitzpatrick": table["fst"].map(numerals)})
