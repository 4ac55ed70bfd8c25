"""Derm: an equitable-dermatology workbench. Importing it is cheap: no Keras, no pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from derm.nn.predict import Predictor

__version__ = "0.1.0"


def load(name: str | None = None) -> Predictor:
    """The predictor of the bundle called `name` (default: the default bundle), verified and ready.

    Raises `ModelError` if there is no such bundle or a file of it fails its hash.
    """
    from derm import registry
    from derm.nn.predict import Predictor

    return Predictor.load(registry.find(name))
