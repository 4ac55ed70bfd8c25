"""Several networks in memory that answer as one. Knows their predictors and how their votes are combined; how each
of them sees is theirs to know."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pandas as pd
from PIL import Image

from derm import ensembles, images, registry
from derm.nn import reference
from derm.nn.model import Model
from derm.nn.predict import HEAT_MAPS, Predictor, Seen
from derm.registry import Bundle
from derm.schema import Diagnosis


class Ensemble(Model):
    """An ensemble's `members`, ready to call from any thread. The first one leads: strangeness and known cases are
    those that it finds.

    A fitted picture is as large as the largest member takes; the others get it resized.
    """

    def __init__(self, bundle: Bundle, members: Sequence[Predictor]) -> None:
        super().__init__(bundle, members[0].known)
        self.members = {member.bundle.name: member for member in members}

    @classmethod
    def load(cls, bundle: Bundle) -> Ensemble:
        """The ensemble of a bundle on disk and of its members beside it, each checked as `Predictor.load` does.

        Raises `ModelError` for a member that is missing, damaged, or another than when the ensemble was made.
        """
        return cls(bundle, [Predictor.load(member) for member in registry.members(bundle)])

    def warm(self) -> None:
        """Run one black picture through each member."""
        for member in self.members.values():
            member.warm()

    def _diagnosed(self, batch: np.ndarray, metadata: pd.DataFrame | None, began: float) -> list[Diagnosis]:
        """As `Model` says; `Diagnosis.members` has each member's own heat maps."""
        seen = [member.look(_resized(batch, member.input_size), metadata) for member in self.members.values()]
        probabilities = self._combined([one.probabilities for one in seen])
        return [self._diagnosis(p, [Seen(*(part[i] for part in one)) for one in seen], began, count=len(batch))
                for i, p in enumerate(probabilities)]

    def probabilities(self, batch: np.ndarray, metadata: pd.DataFrame | None = None) -> np.ndarray:
        """Calibrated probabilities float64 [N, classes], as `Model` says."""
        return self._combined([member.probabilities(_resized(batch, member.input_size), metadata)
                               for member in self.members.values()])

    def features(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The first member's, as `Model` says."""
        first = next(iter(self.members.values()))
        return first.features(_resized(batch, first.input_size))

    def together(self, maps: Sequence[np.ndarray]) -> np.ndarray:
        """The members' heat maps of one condition, each [h, w] of its own size, as one float32 [h, w] of the
        largest: their mean by the members' weights, over its maximum."""
        largest = max((one.shape for one in maps), key=lambda shape: shape[0] * shape[1])
        mean = np.tensordot(self.bundle.shares, np.stack([_stretched(one, largest) for one in maps]), axes=1)
        return np.asarray(mean / max(mean.max(), np.finfo(np.float32).tiny), dtype=np.float32)

    def _combined(self, p: Sequence[np.ndarray]) -> np.ndarray:
        rule = ensembles.Rule(self.bundle.vote, self.bundle.shares, self.bundle.temperature)
        return ensembles.combined(np.stack(p), rule)

    def _diagnosis(self, probabilities: np.ndarray, seen: Sequence[Seen], began: float, *,
                   count: int) -> Diagnosis:
        leading = np.argsort(-probabilities, kind="stable")[:HEAT_MAPS]
        names = [self.classes[c] for c in leading]
        each = {name: dict(zip(names, member.grad_cam(one.features, leading), strict=True))
                for (name, member), one in zip(self.members.items(), seen, strict=True)}
        maps = {name: self.together([member[name] for member in each.values()]) for name in names}
        found = Diagnosis(self.bundle.name, self.bundle.version, self.classes, probabilities, maps,
                          (time.perf_counter() - began) / count, self.bundle.partition3, members=each)
        if self.known is None:
            return found
        return reference.placed(found, self.known, seen[0])


def _resized(batch: np.ndarray, size: int) -> np.ndarray:
    """Pictures uint8 [N, S, S, 3] at another size, as they are if it is theirs."""
    if batch.shape[1] == size:
        return batch
    return np.stack([images.fit(picture, size) for picture in batch]) if len(batch) else batch[:, :size, :size]


def _stretched(heatmap: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A heat map in 0..1 at a size no smaller; bilinear, so that it stays within."""
    if heatmap.shape == shape:
        return heatmap
    height, width = shape
    return np.asarray(Image.fromarray(heatmap).resize((width, height), Image.Resampling.BILINEAR))
