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
from derm.jobs import origin
from derm.jobs.heart import Heart, Stopped
from derm.nn import architecture, backbones, checkpoints, finish, learner, pipeline, runlog
from derm.nn import config as configs
from derm.nn.config import TrainConfig, data_folder
from derm.nn.material import Material, prepare
from derm.nn.steps import StepLog


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
    """Train from the beginning into the new folder `run`, at once and in this process; returns it, a bundle.

    `derm.jobs` starts runs that wait their turn and survive. Raises `ConfigError`, `DatasetError` and
    `ModelError` before anything is written, `JobError` if `run` exists.
    """
    if run.exists():
        raise JobError(f"{run}: exists already; choose another --run, or continue it with --resume {run}.")
    registry.check_name(run.name)
    config = _checked(replace(config, data=str(data_folder(config).resolve())))
    material = prepare(config)
    run.mkdir(parents=True)
    config = configs.save(config, run)
    with Heart(run) as heart:
        return _train(config, material, heart, say)


def resume(run: Path, *, say: Callable[[str], None] = print) -> Path:
    """Continue the run in the folder `run` from its last complete checkpoint, at once and in this process.

    Raises `JobError` if there is no run, if it is finished, or if its data changed since.
    """
    if not (run / configs.CONFIG).is_file():
        raise JobError(f"{run}: no {configs.CONFIG}; expected the folder of an earlier `derm train`.")
    if (run / registry.DESCRIPTION).is_file():
        raise JobError(f"{run}: finished already; its bundle is there. Start a new run instead.")
    with Heart(run) as heart:
        return proceed(run, heart=heart, say=say)


def proceed(run: Path, *, heart: Heart, say: Callable[[str], None] = print) -> Path:
    """Do what is left of the run that `heart` holds; raises as `start` does, and `Stopped` when asked to stop."""
    config = configs.read(run / configs.CONFIG)
    if not config.image_size:  # it has not begun
        config = configs.save(_checked(config), run)
    heart.tell(doing="reading photographs")
    return _train(config, prepare(config), heart, say)


def _checked(config: TrainConfig) -> TrainConfig:
    """The config with its image size; in seconds, before the data is decoded, whether it can be built as asked."""
    config = replace(config, image_size=config.image_size or backbones.backbone(config.backbone).size)
    learner.use_xla(config)
    network = architecture.build(config.backbone, classes=2, size=config.image_size, weights=config.weights)
    architecture.set_trainable(network, from_layer=config.train_from)
    keras.backend.clear_session()
    return config


def _train(config: TrainConfig, material: Material, heart: Heart, say: Callable[[str], None]) -> Path:
    run = heart.folder
    origin.check(run, material.dataset)
    origin.record(run, material.dataset)
    keras.utils.set_random_seed(config.seed)
    trainer = _Trainer(config, material, heart, say)
    trainer.run_all()
    trainer.log.doing("finishing")
    network = finish.portable(trainer.network, config, len(material.classes))
    finish.bundle(network, config, material, run)
    return run


class _Trainer:
    """One run in memory: the network, its optimiser, and where it stands."""

    def __init__(self, config: TrainConfig, material: Material, heart: Heart, say: Callable[[str], None]) -> None:
        self.config, self.material, self.heart, self.run = config, material, heart, heart.folder
        train = material.train
        self.steps = pipeline.steps_per_epoch(len(train.labels), config)
        self.shares = pipeline.draw_shares(train.labels, train.groups, config.imbalance)
        self.targets = np.eye(len(material.classes), dtype="float32")[train.labels]
        self.best, self.best_epoch, self.waited = -1.0, 0, 0
        self.step, self.partial_loss = 0, 0.0  # of an epoch that was begun: steps done, and their mean loss
        self.log = runlog.RunLog(heart, phases(config)[-1].last, say=say)
        self.saved = checkpoints.latest(self.run / "checkpoints")
        with _policy(learner.precision(config)):
            self.network = architecture.build(
                config.backbone, classes=len(material.classes), size=config.image_size,
                weights="none" if self.saved else config.weights, dropout=config.dropout)
            self.learner = learner.Learner(
                self.network, config,
                pipeline.class_weights(train.labels, len(material.classes), config.imbalance))
        # Left to build it, `fit` would take a batch for that, and with JAX begin the epoch at the one after.
        self.learner({"image": keras.KerasTensor((None, *train.pixels.shape[1:]), "uint8"),
                      "target": keras.KerasTensor((None, len(material.classes)), "float32")})

    def run_all(self) -> None:
        """Every epoch that is left."""
        done = self._restore()
        self.log.doing("training")
        for phase in phases(self.config):
            if done >= phase.last or self._stopped_early():
                continue
            self._compile(phase, resumed=done > phase.first or self.step > 0)
            for epoch in range(max(done, phase.first), phase.last):
                self.heart.check()
                with self.heart.gently():
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
        batches = pipeline.Batches(self.material.train.pixels, self.targets, order[self.step:])
        began = time.perf_counter()
        steps = StepLog(self.log, epoch=epoch + 1, first=self.step, steps=self.steps,
                        batch=self.config.batch_size, after=lambda pace: self._seconds_left(epoch + 1, pace))
        # The order is the epoch's own, shuffled already: `fit` would use the process's random state.
        loss = self.learner.fit(batches, epochs=1, shuffle=False, verbose=0, callbacks=[steps]).history["loss"][-1]
        trained = time.perf_counter() - began
        fresh = steps.done - self.step
        loss = (self.partial_loss * self.step + float(loss) * fresh) / steps.done
        if steps.done < self.steps:
            self._stop(epoch, steps.done, loss)
        self.step, self.partial_loss = 0, 0.0
        row = {"epoch": epoch + 1, "loss": loss, **self._validate(),
               "learning_rate": float(keras.ops.convert_to_numpy(self.learner.optimizer.learning_rate)),
               "images_per_second": fresh * self.config.batch_size / trained}
        row["seconds"] = time.perf_counter() - began
        self._judge(row, phase)
        # History first in memory, then the checkpoint, then the visible files: a kill in between
        # leaves a checkpoint that knows its own history.
        self._save(epoch + 1, [*self.log.history, row])
        self.log.epoch(row, seconds_left=self._seconds_left(epoch + 1, row["seconds"]))

    def _stop(self, epoch: int, step: int, loss: float) -> None:
        """Keep what the steps of an unfinished epoch have brought, and end the run."""
        if step > self.step:
            self.step, self.partial_loss = step, loss
            self._save(epoch, self.log.history)
        self.log.line(f"stopped in epoch {epoch + 1}, after step {step} of {self.steps}")
        raise Stopped

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
                "partial_loss": self.partial_loss}
        checkpoints.save(self.run / "checkpoints", checkpoints.Checkpoint(epoch, arrays, meta, self.step))

    def _restore(self) -> int:
        """Take up the last complete checkpoint; returns how many epochs are done."""
        if self.saved is None:
            return 0
        meta = self.saved.meta
        _assign(self.network.weights, self.saved.arrays["network"])
        _assign(self._seed_states(), self.saved.arrays["seeds"])
        self.best, self.best_epoch, self.waited = meta["best"], meta["best_epoch"], meta["waited"]
        self.step, self.partial_loss = self.saved.step, meta.get("partial_loss", 0.0)
        self.log.history = list(meta["history"])
        runlog.write_history(self.run / "history.csv", self.log.history)
        steps = f" and {self.step} steps of the next" if self.step else ""
        self.log.line(f"continuing after epoch {self.saved.epoch}{steps}")
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
