"""Which epoch of a run is the best so far, and for how long none has been better. Knows figures; no networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


class Metric(NamedTuple):
    """What decides: a column of the history, and how it is called."""

    column: str
    name: str


METRICS = {"macro-f1": Metric("macro_f1", "macro F1"),
           "worst-group": Metric("worst_group_f1", "the macro F1 of the skin types it does worst on")}


@dataclass
class Judge:
    """The best epoch (from 1; 0: none yet) by a metric, its figure, and how many epochs there were since without a
    better one."""

    metric: Metric
    best: float = -1.0
    best_epoch: int = 0
    waited: int = 0

    def is_better(self, row: Mapping[str, Any], *, waits: bool) -> bool:
        """Take in an epoch; whether it is the best so far. `waits`: it counts as one without gain if it is not."""
        if row[self.metric.column] > self.best:
            self.best, self.best_epoch, self.waited = row[self.metric.column], row["epoch"], 0
            return True
        self.waited += waits
        return False
