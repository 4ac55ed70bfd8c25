"""The errors a user can mend. Each text names the value, what was expected and what to do."""

from __future__ import annotations

from collections.abc import Sequence


class DermError(Exception):
    """Base of everything that pages and the command line show as one sentence."""


class ImageError(DermError):
    """A picture that cannot be used."""


class DatasetError(DermError):
    """A data set that is missing, incomplete or contradicts itself; `items` are the offenders."""

    def __init__(self, message: str, items: Sequence[str] = ()) -> None:
        self.items = tuple(items)
        super().__init__(f"{message} {first_five(self.items)}" if self.items else message)


class ConfigError(DermError):
    """A setting that is unknown or out of range; `key` is its name."""

    def __init__(self, message: str, key: str | None = None) -> None:
        self.key = key
        super().__init__(message)


class ModelError(DermError):
    """A model bundle that is missing, damaged or unsafe."""


class JobError(DermError):
    """A training run that cannot be started, found or resumed."""


def first_five(items: Sequence[str]) -> str:
    """'(7 in all: a, b, c, d, e, ...)': enough to find the problem without a wall of text."""
    more = ", ..." if len(items) > 5 else ""
    return f"({len(items)} in all: {', '.join(items[:5])}{more})"
