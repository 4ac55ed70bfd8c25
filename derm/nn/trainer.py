"""One run in memory: its network, its optimiser and where it stands, epoch by epoch. Knows checkpoints and the
run's files; neither where the data comes from nor what becomes of the network.

Three sets of weights: those that train; those that answer, the averages where the config asks for one; and those
kept, the answering ones of the best epoch (with early stopping) or of the last. What is validated at the end of an
epoch, judged, kept and shipped is the answering ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras

from derm.fairness.groups import SKIN_TYPE_GROUPS
from derm.jobs.heart import Heart, Stopped
from derm.nn import architecture, averaging, checkpoints, devices, finish, learner, optimizers, pipeline, runlog
from derm.nn.averaging import EpochMean
from derm.nn.config import TrainConfig
from derm.nn.epochs import Epochs
from derm.nn.judge import METRICS, Judge
from derm.nn.material import Material
from derm.nn.phases import Phase, averaged_from, phases
from derm.nn.steps import StepLog

KEPT = "best.npz"


class Trainer:
    """`run_all` trains what is left of the run that `heart` holds; then `network` is what it has come to."""

    def __init__(self, config: TrainConfig, material: Material, heart: Heart, say: Callable[[str], None]) -> None:
        self.config, self.material, self.heart, self.run = config, material, heart, heart.folder
        self.epochs = Epochs(config, material)
        self.steps = self.epochs.steps
        self.judge = Judge(METRICS[config.early_metric])
        self.step, self.partial_loss = 0, 0.0  # of an epoch that was begun: steps done, and their mean loss
        self.mean = EpochMean()
        self.log = runlog.RunLog(heart, phases(config)[-1].last, say=say)
        self.saved = checkpoints.latest(self.run / "checkpoints")
        train, classes = material.train, len(material.classes)
        with _policy(learner.precision(config)):
            self.network = architecture.build(
                config.backbone, classes=classes, size=config.image_size,
                weights="none" if self.saved else config.weights, dropout=config.dropout, head=config.head,
                metadata=train.metadata.shape[1])
            self.learner = learner.Learner(
                self.network, config, pipeline.class_weights(train.labels, classes, config.imbalance),
                groups=train.groups)
        # Left to build it, `fit` would take a batch for that, and with JAX begin the epoch at the one after.
        self.learner(self.epochs.inputs())

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
        if self._keeps:
            averaging.assign(self.network.weights, checkpoints.read_arrays(self.run / KEPT)["network"])
        if self.config.early_stopping:
            self.log.line(f"kept epoch {self.judge.best_epoch}, the best by {self.judge.metric.name}")

    @property
    def _keeps(self) -> bool:
        """Whether the answer is other weights than those that train."""
        return bool(self.config.early_stopping or self.config.ema or self.config.swa_epochs)

    def _compile(self, phase: Phase, *, resumed: bool) -> None:
        config = self.config
        architecture.set_trainable(self.network, from_layer=phase.train_from,
                                   live_batch_norm=config.batch_norm == "live")
        rate: Any = phase.rate
        warmup = int(config.warmup_epochs * self.steps) if phase.cosine else 0
        if phase.cosine:
            # A rate that has fallen to nothing would leave nothing to average.
            held = self.steps * (averaged_from(config) - phase.first) if config.swa_epochs else None
            rate = optimizers.Cosine(phase.rate, steps=self.steps * (phase.last - phase.first), warmup=warmup,
                                     held=held)
        self.optimizer = optimizers.optimizer(config, self.network, rate=rate, warmup=warmup)
        self.learner.compile(optimizer=self.optimizer, jit_compile=learner.use_xla(config))
        # float16 has put it into another, which scales the loss.
        self.learner.optimizer.build(self.learner.trainable_variables)
        if resumed and self.saved:
            averaging.assign(self.learner.optimizer.variables, self.saved.arrays["optimizer"])

    def _epoch(self, epoch: int, phase: Phase) -> None:
        batches = self.epochs.batches(epoch, first=self.step)
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
        with self._answering(epoch):
            row = {"epoch": epoch + 1, "loss": loss, **self._validate(), **self._group_weights(),
                   "learning_rate": float(keras.ops.convert_to_numpy(self.learner.optimizer.learning_rate)),
                   "images_per_second": fresh * self.config.batch_size / trained}
            row["seconds"] = time.perf_counter() - began
            self._judge(row, phase)
        # History first in memory, then the checkpoint, then the visible files: a kill in between
        # leaves a checkpoint that knows its own history.
        self._save(epoch + 1, [*self.log.history, row])
        self.log.epoch(row, seconds_left=self._seconds_left(epoch + 1, row["seconds"]))

    def _answering(self, epoch: int) -> AbstractContextManager[None]:
        """A block in which the network has the weights to answer with after this epoch."""
        in_mean = bool(self.config.swa_epochs) and epoch >= averaged_from(self.config)
        if not in_mean and not self.config.ema:
            return nullcontext()
        weights = averaging.replaced(self.network, self.optimizer.averages)
        if in_mean:
            self.mean.add(weights)
            weights = self.mean.arrays
        return averaging.answering(self.network, weights)

    def _stop(self, epoch: int, step: int, loss: float) -> None:
        """Keep what the steps of an unfinished epoch have brought, and end the run."""
        if step > self.step:
            self.step, self.partial_loss = step, loss
            self._save(epoch, self.log.history)
        self.log.line(f"stopped in epoch {epoch + 1}, after step {step} of {self.steps}")
        raise Stopped

    def _validate(self) -> dict[str, Any]:
        val = self.material.held_out["val"]
        with devices.undivided():
            logits = finish.logits(self.network, val)
        return {"val_loss": finish.cross_entropy(logits, val.labels),
                **runlog.scores(val.labels, logits.argmax(axis=1), val.groups)}

    def _group_weights(self) -> dict[str, float]:
        """What each skin-type group weighs in the loss now, where the config asks for that."""
        if self.config.group_weighting == "none":
            return {}
        return dict(zip((f"dro_{group}" for group in SKIN_TYPE_GROUPS),
                        map(float, keras.ops.convert_to_numpy(self.learner.group_weights)), strict=True))

    def _judge(self, row: dict[str, Any], phase: Phase) -> None:
        """Keep the best weights, count epochs without gain, lower the rate on a plateau."""
        fine_tuning = phase.train_from != "head"
        better = self.judge.is_better(row, waits=fine_tuning)
        if self._keeps and (better or not self.config.early_stopping):
            checkpoints.write_arrays(self.run / KEPT, {"network": averaging.values(self.network.weights)})
        waited = self.judge.waited if fine_tuning and self.config.schedule == "plateau" else 0
        if waited and waited % self.config.plateau_patience == 0:
            self.learner.optimizer.learning_rate = row["learning_rate"] * self.config.plateau_factor

    def _stopped_early(self) -> bool:
        return bool(self.config.early_stopping) and self.judge.waited >= self.config.early_stopping

    def _save(self, epoch: int, history: list[dict[str, Any]]) -> None:
        arrays = {"network": averaging.values(self.network.weights),
                  "optimizer": averaging.values(self.learner.optimizer.variables),
                  "seeds": averaging.values(self._states()), "mean": self.mean.arrays}
        judge = self.judge
        meta = {"history": history, "best": judge.best, "best_epoch": judge.best_epoch, "waited": judge.waited,
                "partial_loss": self.partial_loss, "averaged": self.mean.count}
        checkpoints.save(self.run / "checkpoints", checkpoints.Checkpoint(epoch, arrays, meta, self.step))

    def _restore(self) -> int:
        """Take up the last complete checkpoint; returns how many epochs are done."""
        if self.saved is None:
            return 0
        meta, arrays = self.saved.meta, self.saved.arrays
        averaging.assign(self.network.weights, arrays["network"])
        averaging.assign(self._states(), arrays["seeds"])
        self.mean = EpochMean(meta.get("averaged", 0), list(arrays.get("mean", ())))
        self.judge = Judge(self.judge.metric, meta["best"], meta["best_epoch"], meta["waited"])
        self.step, self.partial_loss = self.saved.step, meta.get("partial_loss", 0.0)
        self.log.history = list(meta["history"])
        runlog.write_history(self.run / "history.csv", self.log.history)
        steps = f" and {self.step} steps of the next" if self.step else ""
        self.log.line(f"continuing after epoch {self.saved.epoch}{steps}")
        return self.saved.epoch

    def _states(self) -> list[Any]:
        """What changes besides weights, in a fixed order: random states, and the weights of the groups."""
        dropout = [layer.seed_generator.state for layer in self.network.layers
                   if getattr(layer, "seed_generator", None) is not None]
        groups = [self.learner.group_weights] if self.config.group_weighting == "dro" else []
        return [self.learner.augment_seeds.state, *dropout, *groups]

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
