"""How a finished network is kept small: weights of fewer digits, in a compressed file. Knows Keras and one file.

Still a Keras file with float32 weights: whoever opens it needs nothing of this.
"""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path

import keras
import numpy as np

from derm import atomic

_LOST = 13  # bits of float32's fraction; half precision keeps as many as are left


def shorten(network: keras.Model) -> None:
    """Round every weight to the 11 significant bits of half precision, in float32's range: none changes by more
    than 1/2048 of itself."""
    network.set_weights([_shortened(weight) for weight in network.get_weights()])


def save(network: keras.Model, path: Path) -> None:
    """Write the network as a .keras file whose parts are compressed."""
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / path.name
        network.save(plain)
        atomic.write_bytes(path, _deflated(plain))


def _deflated(plain: Path) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(packed, "w") as target:
        for part in source.infolist():
            target.writestr(part, source.read(part), zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _shortened(weight: np.ndarray) -> np.ndarray:
    """To the nearest, ties to even."""
    if weight.dtype != np.float32:
        return weight
    bits = weight.view(np.uint32)
    up = np.uint32((1 << (_LOST - 1)) - 1) + ((bits >> _LOST) & np.uint32(1))
    return ((bits + up) & ~np.uint32((1 << _LOST) - 1)).view(np.float32)
