"""What one network and several have in common: how a photograph in any form becomes a fitted picture and that a
diagnosis. Knows pictures; no network."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from derm import images
from derm.errors import ImageError
from derm.images import Photo
from derm.nn import metadata as beside
from derm.registry import Bundle
from derm.schema import Diagnosis
from derm.support import Reference

BATCH = 32
Picture = np.ndarray | bytes | str | Path | Image.Image | Photo


class Model(ABC):
    """A bundle in memory, ready to call from any thread. `known` is what tells known cases and strangeness, None
    where the bundle has no reference.

    Pictures fitted already are uint8 [N, S, S, 3], as `images.fit` makes them of `input_size`. `metadata` beside
    them is a table with a row a picture, in any columns; without it nothing is known beside them. Where it has the
    column `image_id`, a picture that is a known case has no say in its own answer.
    """

    def __init__(self, bundle: Bundle, known: Reference | None = None) -> None:
        self.bundle = bundle
        self.known = known

    @property
    def classes(self) -> tuple[str, ...]:
        """The conditions, in the order of the probabilities."""
        return self.bundle.classes

    @property
    def input_size(self) -> int:
        """The side of a fitted picture, in pixels."""
        return self.bundle.input_size

    def diagnose(self, image: Picture, metadata: Mapping[str, Any] | None = None) -> Diagnosis:
        """The diagnosis of one photograph, with heat maps of the five most probable conditions.

        `image` is an array uint8 [H, W, 3], the bytes of a file, a path, or a Pillow image; `metadata` what is
        known beside it, some of the columns of the bundle's `metadata`, with or without their x_. Raises
        `ImageError` and, for metadata that the bundle does not read, `ConfigError`.
        """
        began = time.perf_counter()
        known = beside.row(self.bundle.metadata, metadata) if metadata else None
        return self.diagnose_fitted(self._fit(image)[None], metadata=known, began=began)[0]

    def diagnose_many(self, pictures: Sequence[Picture]) -> list[Diagnosis]:
        """One diagnosis a photograph, in order. Raises `ImageError` at the first that cannot be read.

        For many files see `derm.nn.scoring`, which reads ahead and goes on after a broken one.
        """
        found: list[Diagnosis] = []
        for i in range(0, len(pictures), BATCH):
            began = time.perf_counter()
            found += self.diagnose_fitted(np.stack([self._fit(one) for one in pictures[i:i + BATCH]]), began=began)
        return found

    @abstractmethod
    def warm(self) -> None:
        """Run one black picture, so that the first photograph need not wait."""

    def diagnose_fitted(self, batch: np.ndarray, *, metadata: pd.DataFrame | None = None,
                        began: float | None = None) -> list[Diagnosis]:
        """One diagnosis a picture fitted already, all together. `began` is when work on them started
        (`time.perf_counter`), if it was before."""
        found = self._diagnosed(batch, metadata, time.perf_counter() if began is None else began)
        if metadata is None or not self.bundle.metadata:
            return found
        known = beside.known(self.bundle.metadata, metadata)
        return [replace(one, metadata=said) for one, said in zip(found, known, strict=True)]

    @abstractmethod
    def _diagnosed(self, batch: np.ndarray, metadata: pd.DataFrame | None, began: float) -> list[Diagnosis]:
        """As `diagnose_fitted`, but for what the diagnoses say was known."""

    @abstractmethod
    def probabilities(self, batch: np.ndarray, metadata: pd.DataFrame | None = None) -> np.ndarray:
        """Calibrated probabilities float64 [N, classes] of pictures fitted already."""

    @abstractmethod
    def features(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of pictures fitted already the `deep` and the `middle` view of `derm.support`, float32 [N, c] and
        [N, c']; of an ensemble its first member's."""

    def _fit(self, image: Picture) -> np.ndarray:
        return images.fit(_pixels(image), self.input_size)


def _pixels(image: Picture) -> np.ndarray:
    """uint8 [H, W, 3] of whatever a caller may have. Raises `ImageError`."""
    if isinstance(image, bytes):
        return images.decode(image).pixels
    if isinstance(image, str | Path):
        return images.read(Path(image)).pixels
    if isinstance(image, Photo):
        return image.pixels
    if isinstance(image, Image.Image):
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ImageError(f"An array {image.dtype} {list(image.shape)} is no photograph; expected uint8 "
                         "[height, width, 3], red first, 0 to 255.")
    return image
