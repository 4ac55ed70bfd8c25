"""How a finished network is kept small: weights of fewer digits, in a compressed file. Knows Keras and one file.

Still a Keras file with float32 weights: whoever opens it needs nothing of this.
"""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np

from derm import atomic

_WEIGHTS = "model.weights.h5"  # what Keras calls them in a .keras file
_LOST, _LOST_OF_MANY = 13, 16  # bits of float32's fraction; half precision and bfloat16 keep as many as are left
_MANY = 20_000  # weights in an array whose errors even out: a sum over so many inputs


def shorten(network: keras.Model) -> None:
    """Round every weight to the 11 significant bits of half precision, in float32's range: none changes by more
    than 1/2048 of itself. Those of large kernels, nearly all there are, to the 8 of bfloat16, by up to 1/256."""
    network.set_weights([_shortened(weight) for weight in network.get_weights()])


def is_short(network: keras.Model) -> bool:
    """Whether `shorten` would change nothing."""
    return all(np.array_equal(weight, _shortened(weight)) for weight in network.get_weights())


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
            content = source.read(part)
            if part.filename == _WEIGHTS:
                content = _shuffled(content)
            target.writestr(part, content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _shuffled(weights: bytes) -> bytes:
    """The same HDF5 file, each array in it compressed with its first bytes beside each other, then its second ones
    and so on: a fifth smaller than when the zip alone compresses."""
    content = io.BytesIO()
    with h5py.File(io.BytesIO(weights)) as source, h5py.File(content, "w") as target:
        def copy(name: str, part: h5py.Group | h5py.Dataset) -> None:
            if isinstance(part, h5py.Dataset):
                kept = {"chunks": part.shape, "shuffle": True, "compression": 9} if part.size else {}
                copied = target.create_dataset(name, data=part[()], **kept)
            else:
                copied = target.require_group(name)
            copied.attrs.update(part.attrs)

        source.visititems(copy)
        target.attrs.update(source.attrs)
    return content.getvalue()


def _shortened(weight: np.ndarray) -> np.ndarray:
    """To the nearest, ties to even."""
    if weight.dtype != np.float32:
        return weight
    lost = _LOST_OF_MANY if weight.size >= _MANY else _LOST
    bits = weight.view(np.uint32)
    up = np.uint32((1 << (lost - 1)) - 1) + ((bits >> lost) & np.uint32(1))
    return ((bits + up) & ~np.uint32((1 << lost) - 1)).view(np.float32)
