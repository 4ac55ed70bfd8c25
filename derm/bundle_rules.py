"""What bundle.json says of a model, what each of its keys must hold, and which files a bundle may have. Knows JSON
values; opens no files."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from derm.errors import ModelError
from derm.schema import PARTITIONS

DESCRIPTION = "bundle.json"

NETWORK, REFERENCE, CARD, PREDICTIONS = "model.keras", "reference.npz", "card.md", "predictions.parquet"
FILES = (NETWORK, "config.toml", PREDICTIONS, "history.csv", CARD, REFERENCE)
LISTS = ("exclude.csv", "split.csv")  # what was left out and how it was split, where a file said so

NAME = "1 to 64 letters, digits, '-', '_' or '.', starting with a letter or digit"


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """What bundle.json says of a model.

    `figures` are those of validation, each {"value", "low", "high", "n"}, value None where n is too small;
    "accuracy" is over all photographs, "accuracy:V-VI" over that skin-type group (`metrics.figures`).
    `mirror`: the answer is the mean over the photograph and its mirror image.
    `counts` are photographs a split, `environment` what it was trained with; both may be empty.

    What `derm models complete` adds, empty in a bundle without it: `conformal`, the level of the prediction sets
    and a `conformal.Limit` for each group that has its own; `sensitivity`, figures by skin-type group of
    "malignant" and of each condition, on the photographs held out; `training`, training photographs of each
    condition by skin-type group; `nonskin`, the share of drawn pictures of each kind that the model declines.

    `turns`: the answer is also the mean over quarter turns. `members`, `vote` ("soft" or "hard") and `weights`
    (one a member, summing to 1; empty: alike) are an ensemble's; `member_sha256` says what its members' networks
    were. `voters` are the fewest and the most members that answered a photograph which the figures are of, where
    some had learnt from each; empty: all of them did. `metadata` is how values beside the photograph reach the
    network (`derm.nn.metadata`). `averaged` names the networks whose weights' mean its own are; empty: they are as
    they were learnt. `known_cases` is the share of the answer that the known cases of its reference.npz have
    (`derm.support.vote`), of an ensemble the mean over its members, and `known_width` the width of that vote, each
    member's its own. `override` is why it became a model although a skin-type group does worse than with the
    default.
    """

    folder: Path
    name: str
    version: str
    classes: tuple[str, ...]
    partition3: Mapping[str, str]
    input_size: int
    backbone: str
    temperature: float
    data_name: str
    data_fingerprint: str
    licence: str
    intended_use: str
    keras_version: str
    code_version: str
    created: str
    figures: Mapping[str, Mapping[str, Any]]
    mirror: bool = False
    sha256: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    split: str = ""
    citation: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    conformal: Mapping[str, Any] = field(default_factory=dict)
    sensitivity: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    training: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    nonskin: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    turns: bool = False
    members: tuple[str, ...] = ()
    vote: str = ""
    weights: tuple[float, ...] = ()
    member_sha256: Mapping[str, str] = field(default_factory=dict)
    voters: tuple[int, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    averaged: tuple[str, ...] = ()
    known_cases: float = 0.0
    known_width: float = 0.03  # of bundles that do not say: they are of an earlier version
    override: str = ""

    def path(self, name: str) -> Path:
        """Where its file `name` is, such as `registry.NETWORK`."""
        return self.folder / name

    @property
    def shares(self) -> tuple[float, ...]:
        """What each member of an ensemble counts, adding up to 1; empty for a single network."""
        return self.weights or tuple(1 / len(self.members) for _ in self.members)

    @property
    def judges(self) -> str:
        """Which members its figures are of, a clause; '' if they are of all, or of one network."""
        if not self.voters:
            return ""
        fewest, most = self.voters
        return (f"each photograph was answered by {fewest if fewest == most else f'{fewest} to {most}'} of its "
                f"{len(self.members)} members, those that had not learnt from it; all together are likely to do "
                "better")


def is_name(value: object) -> bool:
    """Whether a model may be called so: NAME."""
    return isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9][\w.-]{0,63}", value, re.ASCII) is not None


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1


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
    return isinstance(value, dict) and set(value) <= {*FILES, *LISTS} and all(map(_is_hash, value.values()))


def _is_hash(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def _is_names(value: object) -> bool:
    return value == [] or (_is_labels(value) and isinstance(value, list) and all(map(is_name, value)))


def _is_weights(value: object) -> bool:
    if not isinstance(value, list) or not all(isinstance(item, int | float) and 0 <= item <= 1 for item in value):
        return False
    return not value or math.isclose(sum(value), 1, abs_tol=1e-6)


def _is_range(value: object) -> bool:
    return value == [] or (isinstance(value, list) and len(value) == 2 and all(map(_is_whole, value))
                           and value[0] <= value[1])


def _is_column(value: object) -> bool:
    """Whether this says how a column of metadata becomes numbers, as `derm.nn.metadata.fit` does."""
    if not isinstance(value, dict):
        return False
    said = dict(value)
    kind = said.pop("kind", None)
    if kind == "number":
        return set(said) == {"mean", "sd"} and all(map(_is_finite, said.values())) and said["sd"] > 0
    if kind == "category":
        names = said.get("categories")
        return set(said) == {"categories"} and isinstance(names, list) and all(map(_is_text, names))
    return kind == "answer" and not said


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


# What a value must be where "a text" does not say enough.
RULES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "name": (is_name, NAME),
    "classes": (_is_labels, "a list of two or more different labels"),
    "partition3": (_is_table(PARTITIONS.__contains__), f"a table of conditions to {', '.join(PARTITIONS)}"),
    "input_size": (_is_whole, "a whole number of pixels above 0"),
    "mirror": (lambda value: isinstance(value, bool), "true or false"),
    "turns": (lambda value: isinstance(value, bool), "true or false"),
    "members": (_is_names, "a list of different names of models, none or two or more"),
    "averaged": (_is_names, "a list of different names of models, none or two or more"),
    "vote": (lambda value: value in ("", "soft", "hard"), "soft, hard or nothing"),
    "weights": (_is_weights, "a list of numbers from 0, none or with a sum of 1"),
    "voters": (_is_range, "none, or the fewest and the most, whole numbers above 0"),
    "member_sha256": (_is_table(_is_hash), "a table of SHA-256s"),
    "metadata": (_is_table(_is_column), "a table of columns, each a number, an answer or a category"),
    "known_cases": (_is_share, "a share from 0 to below 1"),
    "known_width": (_is_positive, "a number above 0"),
    "temperature": (_is_positive, "a number above 0"),
    "figures": (_is_table(_is_figure), "a table of figures, each with value, low, high and n"),
    "sha256": (_is_hashes, f"a SHA-256 for any of {', '.join((*FILES, *LISTS))}"),
    "counts": (_is_table(_is_whole), "a table of whole numbers above 0"),
    "environment": (_is_table(_is_text), "a table of texts"),
    "conformal": (_is_conformal, "a level and limits, each with least (0 to 1) and n, one of them for all"),
    "sensitivity": (_is_table(_is_table(_is_figure)), "tables of figures, each with value, low, high and n"),
    "training": (_is_table(_is_table(_is_count)), "tables of whole numbers from 0"),
    "nonskin": (_is_table(_is_figure), "a table of figures, each with value, low, high and n"),
}
TEXT = (_is_text, "a text")


def check(path: Path, table: Mapping[str, Any]) -> None:
    """Nothing, if the bundle.json at `path` may say `table`. Raises `ModelError` for the first key that is
    missing, unknown, holds something else or contradicts another."""
    known = {item.name: item for item in fields(Bundle) if item.name != "folder"}
    for key, item in known.items():
        optional = item.default is not MISSING or item.default_factory is not MISSING
        if key not in table and (key == "sha256" or not optional):
            raise ModelError(f"{path}: no key '{key}'. Is the bundle from another version of Derm?")
    for key, value in table.items():
        if key not in known:
            raise ModelError(f"{path}: unknown key '{key}'; expected {', '.join(known)}."
                             " Is the bundle from another version of Derm?")
        holds, expected = RULES.get(key, TEXT)
        if not holds(value):
            raise ModelError(f"{path}: {key} = {str(value)[:80]!r}; expected {expected}.")
    if problem := _contradiction(table):
        raise ModelError(f"{path}: {problem}")


def metadata_width(metadata: Mapping[str, Mapping[str, Any]]) -> int:
    """How many numbers beside the photograph the network reads: of each column whether it is missing, its value
    (or that it is another category), and each category."""
    return sum(2 + len(column.get("categories", ())) for column in metadata.values())


def _contradiction(table: Mapping[str, Any]) -> str | None:
    """What two keys say that cannot both be so, in a sentence; None if nothing is. Each key alone is as RULES say.

    A bundle has either a network or members, and what goes with members is about these and no others.
    """
    members, hashes = table.get("members") or [], table.get("member_sha256") or {}
    weights, vote = table.get("weights") or [], table.get("vote") or ""
    if members and NETWORK in table["sha256"]:
        return f"sha256 lists {NETWORK}, but an ensemble has none of its own. Make it again."
    if not members and NETWORK not in table["sha256"]:
        return f"sha256 does not list {NETWORK}; expected its SHA-256. Copy the bundle again."
    if set(hashes) != set(members) or bool(vote) != bool(members) or len(weights) not in (0, len(members)):
        return (f"member_sha256, vote or weights do not go with members = {', '.join(members) or 'none'}; expected"
                " one of each for an ensemble and none for a single network. Make the ensemble again.")
    if (most := max(table.get("voters") or [0])) > len(members):
        return f"voters says {most}, more than the {len(members)} members. Make the ensemble again."
    return None
