"""Many files through one network, batch by batch. Knows the predictor and paths; prints nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from derm import images
from derm.errors import ConfigError, ImageError
from derm.images import Photo
from derm.nn.predict import Predictor
from derm.schema import Diagnosis

_BATCH = 32


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
    batches = [paths[i : i + _BATCH] for i in range(0, len(paths), _BATCH)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        ahead = [pool.submit(_read, path) for path in batches[0]] if batches else []
        for index in range(len(batches)):
            read = [future.result() for future in ahead]
            if index + 1 < len(batches):
                ahead = [pool.submit(_read, path) for path in batches[index + 1]]
            yield from _diagnose(predictor, read)


def _read(path: Path) -> Scored:
    try:
        return Scored(path, photo=images.read(path))
    except ImageError as error:
        return Scored(path, error=str(error))


def _diagnose(predictor: Predictor, read: Sequence[Scored]) -> Iterator[Scored]:
    found = iter(predictor.diagnose_many([item.photo.pixels for item in read if item.photo]))
    for item in read:
        yield Scored(item.path, item.photo, next(found)) if item.photo else item
