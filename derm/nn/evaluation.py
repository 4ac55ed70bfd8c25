"""A bundle's predictions for a part of a data set, the parts being those of the bundle's own training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from derm import datasets, predictions, registry
from derm.bundle_rules import PREDICTIONS
from derm.errors import DatasetError
from derm.nn import config as configs
from derm.nn import predict, scoring
from derm.nn.material import chosen_rows, labelled_rows
from derm.registry import Bundle


def predict_split(bundle: Bundle, *, data: Path | None, split: str) -> pd.DataFrame:
    """The predictions table for "train", "val", "test" or "all" labelled photographs of the data set.

    Of an ensemble, "train" are those that not every member held out; where its members held out different ones,
    the predictions of the others are those recorded when it was made, for the whole of it has learnt from each.
    "all" are also those of a publisher's test part, and those that a list left out of training. No known case has
    a say in its own answer. Raises `DatasetError` if the data is not what the bundle was trained on (its split
    would be another one) and a part was asked for, or if a photograph cannot be read.
    """
    first, *_ = registry.members(bundle) or [bundle]
    recorded = first.path(configs.CONFIG)  # a bundle from elsewhere need not have one
    config = configs.read(recorded) if recorded.is_file() else configs.TrainConfig()
    config = replace(config, data=str(data) if data else "")
    dataset = datasets.load(configs.data_folder(config))
    if split == "all":
        rows = labelled_rows(dataset, exclude_flagged=config.exclude_flagged, test=True)
    else:
        _check_same(bundle, dataset, split)
        rows = _part(bundle, chosen_rows(dataset, config), split)
        if bundle.voters:
            return _recorded(bundle).loc[rows["image_id"]].reset_index(drop=True)
    model = predict.load(bundle)
    scored = list(scoring.score(model, [dataset.root / path for path in rows["path"]], rows))
    broken = [item.error for item in scored if item.error]
    if broken:
        raise DatasetError("Some photographs cannot be read; replace or remove them:", broken)
    found = [item.diagnosis.probabilities for item in scored if item.diagnosis]
    return predictions.table(rows, classes=model.classes, probabilities=pd.DataFrame(found).to_numpy())


def _check_same(bundle: Bundle, dataset: datasets.Dataset, split: str) -> None:
    if dataset.fingerprint != bundle.data_fingerprint:
        raise DatasetError(f"{dataset.root}: not the data that {bundle.name} was trained on, so there is no part "
                           f"'{split}' of it; use --split all.")


def _part(bundle: Bundle, rows: pd.DataFrame, split: str) -> pd.DataFrame:
    """The rows of one part. The bundle's own predictions say which were held out; the rest was trained on."""
    part = rows[rows["image_id"].map(_recorded(bundle)["split"]).fillna("train") == split]
    if part.empty:
        raise DatasetError(f"{bundle.name}: its part '{split}' is empty; it was split {bundle.split}.")
    return part.assign(split=split)


def _recorded(bundle: Bundle) -> pd.DataFrame:
    return predictions.read(bundle.path(PREDICTIONS)).set_index("image_id", drop=False)
