"""Many files through one network, batch by batch. Knows the predictor and paths; prints nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from derm import images
from derm.errors import ConfigError, ImageError
from derm.images import Photo
from derm.nn.predict import BATCH, Predictor
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


def score(predictor: Predictor, paths: Sequence[Path]) -> Iterator[Scored]:
    """Each file in order. A picture that cannot be read gives its error, and the rest go on.

    The next batch is decoded in threads while the network looks at this one.
    """
    batches = [paths[i:i + BATCH] for i in range(0, len(paths), BATCH)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        ahead = [pool.submit(_read, path, predictor.input_size) for path in batches[0]] if batches else []
        for following in [*batches[1:], []][:len(batches)]:
            read = [future.result() for future in ahead]
            ahead = [pool.submit(_read, path, predictor.input_size) for path in following]
            yield from _diagnose(predictor, read)


def _read(path: Path, size: int) -> tuple[Scored, np.ndarray]:
    """The file without its diagnosis, and its picture as the network takes it."""
    try:
        photo = images.read(path)
        return Scored(path, photo=photo), images.fit(photo.pixels, size)
    except ImageError as error:
        return Scored(path, error=str(error)), np.empty(0)


def _diagnose(predictor: Predictor, read: Sequence[tuple[Scored, np.ndarray]]) -> Iterator[Scored]:
    fitted = [picture for item, picture in read if item.photo]
    found = iter(predictor.diagnose_fitted(np.stack(fitted)) if fitted else [])
    for item, _ in read:
        yield Scored(item.path, item.photo, next(found)) if item.photo else item
