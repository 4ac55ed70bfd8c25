"""Derm: an equitable-dermatology workbench. Importing it is cheap: no Keras, no pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from derm.nn.model import Model

__version__ = "0.1.0"


def load(name: str | None = None) -> Model:
    """The model called `name` (default: the default one), a network or an ensemble, verified and ready.

    Raises `ModelError` if there is none of that name or a file of it fails its hash.
    """
    from derm import registry
    from derm.nn import predict

    return predict.load(registry.find(name))
