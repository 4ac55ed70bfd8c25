"""Which epochs train what, and how fast. Knows the settings; no Keras."""

from __future__ import annotations

from dataclasses import dataclass

from derm.nn.config import TrainConfig


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


def averaged_from(config: TrainConfig) -> int:
    """The first epoch (from 0) whose weights `swa_epochs` averages: of the last phase. One too many for none."""
    last = phases(config)[-1]
    return max(last.first, last.last - config.swa_epochs)
