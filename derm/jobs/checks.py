"""What a run must find to begin, looked at in a second: its data, its lists, its weights, room on the disk.

Knows settings and files; no Keras, so that a start is refused before there is a process. What only the network can
tell, such as the name of a layer, the run itself says.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from derm import datasets
from derm.errors import ConfigError, DatasetError, ModelError
from derm.jobs import turns
from derm.nn import material, metadata
from derm.nn.config import LISTS, TrainConfig, data_folder, find_weights
from derm.settings import settings

_MARGIN = 8 / 7  # training photographs are kept a little larger, so that crops lose no detail


def check(config: TrainConfig) -> None:
    """Nothing, if a run of `config` may begin. Raises `ConfigError`, `DatasetError`, `ModelError` or, for GPUs
    that are not there, `JobError`, which says what is missing and what to do."""
    for key in LISTS:
        if (source := getattr(config, key)) and not Path(source).expanduser().is_file():
            raise ConfigError(f"{key} = '{source}': cannot be read (no such file).", key)
    dataset = datasets.load(data_folder(config))
    rows = material.chosen_rows(dataset, config)
    metadata.fit(rows, metadata.names(config.metadata))
    if config.split_file:
        material.saved_parts(dataset, rows, config.split_file, fold=config.fold)
    if config.weights not in ("none", "imagenet"):
        find_weights(config.weights)
    elif config.weights == "imagenet" and config.backbone == "baseline":
        raise ModelError("weights = 'imagenet': the baseline network has no published weights; use 'none'.")
    if config.gpus > 1:
        turns.wanted(config.gpus, turns.visible(os.environ))
    _check_room(settings().cache, len(rows) * 3 * round(_MARGIN * config.side) ** 2)


def _check_room(folder: Path, needed: int) -> None:
    """Whether the decoded photographs find room; what the cache holds already may be they."""
    there = sum(path.stat().st_size for path in (folder / "pixels").glob("*.uint8"))
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if needed > (free := shutil.disk_usage(existing).free) + there:
        raise DatasetError(f"{folder}: the decoded photographs need {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB "
                           "is free; make room, choose a smaller image_size, or name another folder with "
                           "DERM_CACHE.")
