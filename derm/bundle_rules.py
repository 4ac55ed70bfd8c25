"""What each key of bundle.json must hold, and which files a bundle may have. Knows JSON values; not files."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from derm.schema import PARTITIONS

NETWORK, REFERENCE = "model.keras", "reference.npz"
FILES = (NETWORK, "config.toml", "predictions.parquet", "history.csv", "card.md", REFERENCE)
LISTS = ("exclude.csv", "split.csv")  # what was left out and how it was split, where a file said so

NAME = "1 to 64 letters, digits, '-', '_' or '.', starting with a letter or digit"


def is_name(value: object) -> bool:
    """Whether a model may be called so: NAME."""
    return isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9][\w.-]{0,63}", value, re.ASCII) is not None


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _is_labels(value: object) -> bool:
    return (isinstance(value, list) and all(isinstance(item, str) and item for item in value)
            and len(set(value)) == len(value) > 1)


def _is_table(of: Callable[[Any], bool]) -> Callable[[object], bool]:
    return lambda value: (isinstance(value, dict) and all(isinstance(key, str) for key in value)
                          and all(of(item) for item in value.values()))


def _is_figure(value: object) -> bool:
    return (isinstance(value, dict) and set(value) == {"value", "low", "high", "n"}
            and all(item is None or isinstance(item, int | float) for item in value.values()))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_limit(value: object) -> bool:
    return (isinstance(value, dict) and set(value) == {"least", "n"} and _is_count(value["n"])
            and isinstance(value["least"], int | float) and 0 <= value["least"] <= 1)


def _is_conformal(value: object) -> bool:
    return value == {} or (
        isinstance(value, dict) and set(value) == {"level", "limits"} and isinstance(value["level"], float)
        and 0 < value["level"] < 1 and _is_table(_is_limit)(value["limits"]) and "all" in value["limits"])


def _is_hashes(value: object) -> bool:
    return (isinstance(value, dict) and NETWORK in value and set(value) <= {*FILES, *LISTS}
            and all(_is_hash(item) for item in value.values()))


def _is_hash(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def _is_names(value: object) -> bool:
    return value == [] or (_is_labels(value) and isinstance(value, list) and all(map(is_name, value)))


def _is_weights(value: object) -> bool:
    if not isinstance(value, list) or not all(isinstance(item, int | float) and 0 <= item <= 1 for item in value):
        return False
    return not value or math.isclose(sum(value), 1, abs_tol=1e-6)


# What a value must be where "a text" does not say enough.
RULES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "name": (is_name, NAME),
    "classes": (_is_labels, "a list of two or more different labels"),
    "partition3": (_is_table(PARTITIONS.__contains__), f"a table of conditions to {', '.join(PARTITIONS)}"),
    "input_size": (_is_whole, "a whole number of pixels above 0"),
    "mirror": (lambda value: isinstance(value, bool), "true or false"),
    "turns": (lambda value: isinstance(value, bool), "true or false"),
    "members": (_is_names, "a list of different names of models, none or two or more"),
    "vote": (lambda value: value in ("", "soft", "hard"), "soft, hard or nothing"),
    "weights": (_is_weights, "a list of numbers from 0, none or with a sum of 1"),
    "member_sha256": (_is_table(_is_hash), "a table of SHA-256s"),
    "metadata": (lambda value: isinstance(value, dict), "a table"),
    "temperature": (_is_positive, "a number above 0"),
    "figures": (_is_table(_is_figure), "a table of figures, each with value, low, high and n"),
    "sha256": (_is_hashes, f"a SHA-256 for {NETWORK} and any of {', '.join((*FILES[1:], *LISTS))}"),
    "counts": (_is_table(_is_whole), "a table of whole numbers above 0"),
    "environment": (_is_table(_is_text), "a table of texts"),
    "conformal": (_is_conformal, "a level and limits, each with least (0 to 1) and n, one of them for all"),
    "sensitivity": (_is_table(_is_table(_is_figure)), "tables of figures, each with value, low, high and n"),
    "training": (_is_table(_is_table(_is_count)), "tables of whole numbers from 0"),
    "nonskin": (_is_table(_is_figure), "a table of figures, each with value, low, high and n"),
}
TEXT = (_is_text, "a text")
