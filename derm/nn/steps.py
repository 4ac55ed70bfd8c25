"""What happens after each step of a training: its progress is told, and a wish to stop is heard."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import keras

from derm.nn.runlog import RunLog


class StepLog(keras.callbacks.Callback):
    """Tells the run log how far `epoch` (from 1) is, and ends it when the run is asked to stop.

    `first` of its `steps` were done before; `done` counts on from there. `after` gives the seconds that are left
    after this epoch, when one takes so many.
    """

    def __init__(self, log: RunLog, *, epoch: int, first: int, steps: int, batch: int,
                 after: Callable[[float], float]) -> None:
        super().__init__()
        self.epoch, self.first, self.done = epoch, first, first
        self._log, self._steps, self._batch, self._after = log, steps, batch, after
        self._began = time.perf_counter()
        self._warm = 0.0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """After each step."""
        now = time.perf_counter()
        self.done += 1
        fresh = self.done - self.first
        # The first step compiles the network: it says nothing about the others.
        self._warm = self._warm or now
        pace = (now - self._warm) / (fresh - 1) if fresh > 1 else now - self._began
        self._log.step(epoch=self.epoch, step=self.done, steps=self._steps,
                       loss=float((logs or {}).get("loss", float("nan"))),
                       rate=fresh * self._batch / (now - self._began),
                       seconds_left=pace * (self._steps - self.done) + self._after(pace * self._steps))
        if self._log.heart.is_asked:
            self.model.stop_training = True
