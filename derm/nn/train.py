"""Train a network: from a config to a bundle, surviving a kill at any moment.

    python -m derm.nn.train CONFIG.toml        (the same as `derm train CONFIG.toml`)

Knows the order of things: head first, then fine-tuning, a checkpoint an epoch, then `finish`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from derm import registry
from derm.errors import JobError
from derm.nn import architecture, backbones, checkpoints, finish, learner, pipeline, runlog
from derm.nn import config as configs
from derm.nn.config import TrainConfig, data_folder
from derm.nn.material import Material, prepare


@dataclass(frozen=True)
class Phase:
    """Epochs `first` to `last` (exclusive, counted from 0) that train the same layers the same way."""

    first: int
    last: int
    rate: float
    train_from: str
    cosine: bool


def phases(config: TrainConfig) -> list[Phase]:
    """The head alone at a constant rate, then fine-tuning; either may be absent."""
    head, total = config.head_epochs, config.head_epochs + config.epochs
    return [phase for phase in (
        Phase(0, head, config.head_rate, "head", False),
        Phase(head, total, config.rate, config.train_from, config.schedule == "cosine"),
    ) if phase.last > phase.first]


def start(config: TrainConfig, *, run: Path, say: Callable[[str], None] = print) -> Path:
    """Train from the beginning into the new folder `run`; returns it, a bundle.

    Raises `ConfigError`, `DatasetError` and `ModelError` before anything is written, `JobError` if `run`
    exists.
    """
    if run.exists():
        raise JobError(f"{run}: exists already; choose another --run, or continue it with --resume {run}.")
    config = replace(config, data=str(data_folder(config).resolve()),
                     image_size=config.image_size or backbones.backbone(config.backbone).size)
    registry.check_name(run.name)
    learner.use_xla(config)
    _dry_build(config)
    material = prepare(config)
    run.mkdir(parents=True)
    config = configs.save(config, run)
    return _train(config, material, run, say)


def _dry_build(config: TrainConfig) -> None:
    """Find out in seconds, before the data is decoded, whether the network can be built as asked."""
    network = architecture.build(config.backbone, classes=2, size=config.image_size, weights=config.weights)
    architecture.set_trainable(network, from_layer=config.train_from)
    keras.backend.clear_session()


def resume(run: Path, *, say: Callable[[str], None] = print) -> Path:
    """Continue the run in the folder `run` from its last complete checkpoint.

    Raises `JobError` if there is no run, if it is finished, or if its data changed since.
    """
    if not (run / "config.toml").is_file():
        raise JobError(f"{run}: no config.toml; expected the folder of an earlier `derm train`.")
    if (run / "bundle.json").is_file():
        raise JobError(f"{run}: finished already; its bundle is there. Start a new run instead.")
    config = configs.read(run / "config.toml")
    return _train(config, prepare(config), run, say)


def _train(config: TrainConfig, material: Material, run: Path, say: Callable[[str], None]) -> Path:
    keras.utils.set_random_seed(config.seed)
    trainer = _Trainer(config, material, run, say)
    try:
        trainer.run_all()
        trainer.log.status("finishing")
        network = finish.portable(trainer.network, config, len(material.classes))
        finish.bundle(network, config, material, run)
    except KeyboardInterrupt:
        trainer.log.status("stopped", message=f"continue with: derm train --resume {run}")
        raise
    except BaseException as error:
        trainer.log.status("failed", message=f"{type(error).__name__}: {error}")
        raise
    trainer.log.status("finished")
    return run


class _Trainer:
    """One run in memory: the network, its optimiser, and where it stands."""

    def __init__(self, config: TrainConfig, material: Material, run: Path, say: Callable[[str], None]) -> None:
        self.config, self.material, self.run = config, material, run
        train = material.train
        self.steps = pipeline.steps_per_epoch(len(train.labels), config)
        self.shares = pipeline.draw_shares(train.labels, train.groups, config.imbalance)
        self.targets = np.eye(len(material.classes), dtype="float32")[train.labels]
        self.best, self.best_epoch, self.waited = -1.0, 0, 0
        self.log = runlog.RunLog(run, phases(config)[-1].last, say=say)
        self.saved = checkpoints.latest(run / "checkpoints")
        if self.saved and self.saved.meta["fingerprint"] != material.dataset.fingerprint:
            raise JobError(f"{config.data}: the data changed since {run} was started (other pictures, labels "
                           "or skin types); restore it or start a new run.")
        with _policy(learner.precision(config)):
            self.network = architecture.build(
                config.backbone, classes=len(material.classes), size=config.image_size,
                weights="none" if self.saved else config.weights, dropout=config.dropout)
            self.learner = learner.Learner(
                self.network, config,
                pipeline.class_weights(train.labels, len(material.classes), config.imbalance))

    def run_all(self) -> None:
        """Every epoch that is left."""
        done = self._restore()
        self.log.status("running")
        for phase in phases(self.config):
            if done >= phase.last or self._stopped_early():
                continue
            self._compile(phase, resumed=done > phase.first)
            for epoch in range(max(done, phase.first), phase.last):
                self._epoch(epoch, phase)
                if self._stopped_early():
                    break
        if self.config.early_stopping and self.best_epoch:
            self._load_best()

    def _compile(self, phase: Phase, *, resumed: bool) -> None:
        config = self.config
        architecture.set_trainable(self.network, from_layer=phase.train_from,
                                   live_batch_norm=config.batch_norm == "live")
        steps = self.steps * (phase.last - phase.first)
        warmup = int(config.warmup_epochs * self.steps) if phase.cosine else 0
        optimizer = learner.optimizer(config, rate=phase.rate, steps=steps, warmup=warmup, cosine=phase.cosine)
        self.learner.compile(optimizer=optimizer, jit_compile=learner.use_xla(config))
        optimizer.build(self.learner.trainable_variables)
        if resumed and self.saved:
            _assign(optimizer.variables, self.saved.arrays["optimizer"])

    def _epoch(self, epoch: int, phase: Phase) -> None:
        order = pipeline.epoch_order(self.shares, batch=self.config.batch_size, steps=self.steps,
                                     seed=self.config.seed, epoch=epoch)
        batches = pipeline.Batches(self.material.train.pixels, self.targets, order)
        began = time.perf_counter()
        steps = _StepLog(self.log, epoch + 1, self.config.batch_size)
        # The order is the epoch's own, shuffled already: `fit` would use the process's random state.
        loss = self.learner.fit(batches, epochs=1, shuffle=False, verbose=0, callbacks=[steps]).history["loss"][-1]
        trained = time.perf_counter() - began
        row = {"epoch": epoch + 1, "loss": float(loss), **self._validate(),
               "learning_rate": float(keras.ops.convert_to_numpy(self.learner.optimizer.learning_rate)),
               "images_per_second": order.size / trained}
        row["seconds"] = time.perf_counter() - began
        self._judge(row, phase)
        # History first in memory, then the checkpoint, then the visible files: a kill in between
        # leaves a checkpoint that knows its own history.
        self._save(epoch + 1, [*self.log.history, row])
        self.log.epoch(row, seconds_left=self._seconds_left(epoch + 1, row["seconds"]))

    def _validate(self) -> dict[str, Any]:
        val = self.material.held_out["val"]
        logits = finish.logits(self.network, val.pixels)
        return {"val_loss": finish.cross_entropy(logits, val.labels),
                **runlog.scores(val.labels, logits.argmax(axis=1), val.groups)}

    def _judge(self, row: dict[str, Any], phase: Phase) -> None:
        """Keep the best weights, count epochs without gain, lower the rate on a plateau."""
        if row["macro_f1"] > self.best:
            self.best, self.best_epoch, self.waited = row["macro_f1"], row["epoch"], 0
            if self.config.early_stopping:
                checkpoints.write_arrays(self.run / "best.npz", {"network": _values(self.network.weights)})
        elif phase.train_from != "head":
            self.waited += 1
        plateau = self.config.schedule == "plateau" and phase.train_from != "head"
        if plateau and self.waited and self.waited % self.config.plateau_patience == 0:
            self.learner.optimizer.learning_rate = row["learning_rate"] * self.config.plateau_factor

    def _stopped_early(self) -> bool:
        return bool(self.config.early_stopping) and self.waited >= self.config.early_stopping

    def _load_best(self) -> None:
        _assign(self.network.weights, checkpoints.read_arrays(self.run / "best.npz")["network"])
        self.log.line(f"kept epoch {self.best_epoch}, the best by macro F1")

    def _save(self, epoch: int, history: list[dict[str, Any]]) -> None:
        arrays = {"network": _values(self.network.weights),
                  "optimizer": _values(self.learner.optimizer.variables),
                  "seeds": _values(self._seed_states())}
        meta = {"history": history, "best": self.best, "best_epoch": self.best_epoch, "waited": self.waited,
                "fingerprint": self.material.dataset.fingerprint}
        checkpoints.save(self.run / "checkpoints", checkpoints.Checkpoint(epoch, arrays, meta))

    def _restore(self) -> int:
        """Take up the last complete checkpoint; returns how many epochs are done."""
        if self.saved is None:
            return 0
        meta = self.saved.meta
        _assign(self.network.weights, self.saved.arrays["network"])
        _assign(self._seed_states(), self.saved.arrays["seeds"])
        self.best, self.best_epoch, self.waited = meta["best"], meta["best_epoch"], meta["waited"]
        self.log.history = list(meta["history"])
        runlog.write_history(self.run / "history.csv", self.log.history)
        self.log.line(f"continuing after epoch {self.saved.epoch}")
        return self.saved.epoch

    def _seed_states(self) -> list[Any]:
        """The random state of augmentation and dropout, in a fixed order."""
        dropout = [layer.seed_generator.state for layer in self.network.layers
                   if getattr(layer, "seed_generator", None) is not None]
        return [self.learner.augment_seeds.state, *dropout]

    def _seconds_left(self, done: int, seconds: float) -> float:
        """Epochs left at the pace of the last one. Fine-tuning also goes backwards through the trunk, which
        costs about twice the forward pass again, so seen from the head's phase it counts three times."""
        head_left = max(self.config.head_epochs - done, 0)
        rest = self.log.epochs - done - head_left
        return seconds * (head_left + rest * (3 if done < self.config.head_epochs else 1))


class _StepLog(keras.callbacks.Callback):
    """Tells the run log how far an epoch is."""

    def __init__(self, log: runlog.RunLog, epoch: int, batch: int) -> None:
        super().__init__()
        self._log, self._epoch, self._batch = log, epoch, batch
        self._began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """After each step."""
        rate = (batch + 1) * self._batch / (time.perf_counter() - self._began)
        self._log.step(epoch=self._epoch, step=batch + 1, steps=self.params["steps"],
                       loss=float((logs or {}).get("loss", float("nan"))), rate=rate)


class _policy:
    """The dtype policy within a `with`, so that a run leaves no trace in the process."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        self._before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(self._name)

    def __exit__(self, *_: object) -> None:
        keras.config.set_dtype_policy(self._before)


def _values(variables: Any) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(variable) for variable in variables]


def _assign(variables: Any, arrays: Any) -> None:
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


if __name__ == "__main__":
    import sys

    from derm.cli import main

    main(["train", *sys.argv[1:]])
