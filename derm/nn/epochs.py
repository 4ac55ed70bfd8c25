"""What each epoch of a run shows the learner, and in which order: the same whenever it is asked. Knows arrays."""

from __future__ import annotations

import keras
import numpy as np

from derm.nn import groupdro, metadata, pipeline
from derm.nn.config import TrainConfig
from derm.nn.material import Material


class Epochs:
    """The training part of the material, drawn as the config says. `steps` is batches an epoch."""

    def __init__(self, config: TrainConfig, material: Material) -> None:
        train = material.train
        self._config, self._labels, self._metadata = config, train.labels, material.metadata
        self.steps = pipeline.steps_per_epoch(len(train.labels), config)
        self._shares = pipeline.draw_shares(train.labels, train.groups, config.imbalance)
        self._columns = {"image": train.pixels,
                         "target": np.eye(len(material.classes), dtype="float32")[train.labels]}
        if config.group_weighting == "dro":
            self._columns["group"] = groupdro.codes(train.groups)
        if material.metadata:
            self._columns["metadata"] = train.metadata

    def batches(self, epoch: int, *, first: int = 0) -> pipeline.Batches:
        """The batches of an epoch (from 0) from step `first` on."""
        config = self._config
        order = pipeline.epoch_order(self._shares, batch=config.batch_size, steps=self.steps, seed=config.seed,
                                     epoch=epoch)
        partners = None if config.rare == "none" else pipeline.partners(
            order, self._labels, below=config.rare_below, seed=config.seed, epoch=epoch)[first:]
        return pipeline.Batches(self._shown(epoch), order[first:], partners=partners)

    def _shown(self, epoch: int) -> dict[str, np.ndarray]:
        """The columns, the metadata of some images withheld."""
        if not self._metadata:
            return self._columns
        return self._columns | {"metadata": metadata.withheld(
            self._columns["metadata"], self._metadata, seed=self._config.seed, epoch=epoch)}

    def inputs(self) -> dict[str, keras.KerasTensor]:
        """A batch without content, to build the learner with."""
        found = {name: keras.KerasTensor((None, *column.shape[1:]), column.dtype.name)
                 for name, column in self._columns.items()}
        return found | ({} if self._config.rare == "none" else {"partner": found["image"]})
