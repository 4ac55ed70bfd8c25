"""Many files through one model, batch by batch. Knows the model and paths; prints nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from derm import images
from derm.errors import ConfigError, ImageError
from derm.images import Photo
from derm.nn.model import BATCH, Model
from derm.schema import Diagnosis


@dataclass(frozen=True)
class Scored:
    """One file: a photograph with its diagnosis, or the reason why there is none."""

    path: Path
    photo: Photo | None = None
    diagnosis: Diagnosis | None = None
    error: str | None = None


def find_images(paths: Sequence[Path]) -> list[Path]:
    """The files named, and every picture below the folders named, in a stable order.

    Raises `ConfigError` for a path that does not exist or a folder without pictures.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower().lstrip(".") in images.EXTENSIONS)
            if not inside:
                raise ConfigError(f"{path}: no pictures in this folder; expected {', '.join(images.EXTENSIONS)}.")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise ConfigError(f"{path}: no such file or folder.")
    return found


def score(model: Model, paths: Sequence[Path], metadata: pd.DataFrame | None = None) -> Iterator[Scored]:
    """Each file in order. A picture that cannot be read gives its error, and the rest go on.

    `metadata` is what is known beside the photographs, a row a file. The next batch is decoded in threads while
    the network looks at this one.
    """
    batches = [paths[i:i + BATCH] for i in range(0, len(paths), BATCH)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        ahead = [pool.submit(_read, path, model.input_size) for path in batches[0]] if batches else []
        for number, following in enumerate([*batches[1:], []][:len(batches)]):
            read = [future.result() for future in ahead]
            ahead = [pool.submit(_read, path, model.input_size) for path in following]
            beside = None if metadata is None else metadata[number * BATCH:(number + 1) * BATCH]
            yield from _diagnose(model, read, beside)


def _read(path: Path, size: int) -> tuple[Scored, np.ndarray]:
    """The file without its diagnosis, and its picture as the network takes it."""
    try:
        photo = images.read(path)
        return Scored(path, photo=photo), images.fit(photo.pixels, size)
    except ImageError as error:
        return Scored(path, error=str(error)), np.empty(0)


def _diagnose(model: Model, read: Sequence[tuple[Scored, np.ndarray]],
              beside: pd.DataFrame | None) -> Iterator[Scored]:
    good = np.array([item.photo is not None for item, _ in read])
    fitted = [picture for item, picture in read if item.photo]
    known = None if beside is None else beside[good]
    found = iter(model.diagnose_fitted(np.stack(fitted), metadata=known) if fitted else [])
    for item, _ in read:
        yield Scored(item.path, item.photo, next(found)) if item.photo else item
