"""Model bundles on disk: list, find, verify, write, promote. Knows files; not Keras, not pandas.

A bundle is a folder with FILES and bundle.json. bundle.json is written last and in one step, so a folder
without it is unfinished and is not listed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from derm import bundle_rules
from derm.bundle_rules import FILES, LISTS, NETWORK, REFERENCE
from derm.errors import ModelError
from derm.safety import check_network_file
from derm.settings import settings

DESCRIPTION, DEFAULT = "bundle.json", "default.txt"


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

    `turns`: the answer is also the mean over quarter turns. `members`, `vote` ("soft" or "hard") and `weights` (one
    a member, summing to 1; empty: alike) are an ensemble's; `member_sha256` says what its members' networks
    were. `metadata` is how values beside the photograph reach the network (`derm.nn.metadata`). `override` is why it
    became a model although a skin-type group does worse than with the default.
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
    metadata: Mapping[str, Any] = field(default_factory=dict)
    override: str = ""

    def path(self, name: str) -> Path:
        """Where its file `name` is, such as `registry.NETWORK`."""
        return self.folder / name


def list_bundles(models: Path | None = None) -> list[Bundle]:
    """The readable bundles under `models` (default: the models folder), by name."""
    bundles = []
    for folder in _folders(models):
        try:
            bundles.append(read(folder))
        except ModelError:  # `unreadable` tells
            continue
    return bundles


def unreadable(models: Path | None = None) -> tuple[str, ...]:
    """One sentence for each folder whose bundle.json is there but cannot be used."""
    problems = []
    for folder in _folders(models):
        try:
            read(folder)
        except ModelError as error:
            problems.append(str(error))
    return tuple(problems)


def find(name: str | None = None, *, models: Path | None = None) -> Bundle:
    """The bundle called `name`; by default the one in default.txt, else the first.

    Raises `ModelError` naming those there are, or saying how to train one.
    """
    models = models or settings().models
    folders = {folder.name: folder for folder in _folders(models)}
    if not folders:
        raise ModelError(f"{models}: no model here yet; train one with"
                         " `derm train --preset quick --data PATH`.")
    if name is None:
        name = _default(models) or min(folders)
    if name not in folders:
        raise ModelError(f"no model called '{name[:100]}' in {models}; there are: {', '.join(folders)}.")
    return read(folders[name])


def read(folder: Path) -> Bundle:
    """The bundle in `folder`, its files unseen. Raises `ModelError` naming the file and the key."""
    path = folder / DESCRIPTION
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: not readable as JSON ({error}). Copy the bundle again.") from error
    if not isinstance(table, dict):
        raise ModelError(f"{path}: holds a {type(table).__name__}; expected a JSON object."
                         " Copy the bundle again.")
    _check_keys(path, table)
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value
                              for key, value in table.items()}
    return Bundle(folder=folder, **values)


def verify(bundle: Bundle) -> tuple[str, ...]:
    """What is wrong with the bundle's files, a sentence each; empty if nothing is."""
    problems = [problem for name in bundle.sha256 if (problem := _damage(bundle, name))]
    if not _damage(bundle, NETWORK):
        try:
            _check_network(bundle)
        except ModelError as error:
            problems.append(str(error))
    return tuple(problems)


def check(bundle: Bundle) -> None:
    """Nothing, if Keras may open the bundle's network. Raises `ModelError` if it is damaged or unsafe, or if the
    reference beside it is damaged."""
    for name in (NETWORK, REFERENCE):
        if name in bundle.sha256 and (problem := _damage(bundle, name)):
            raise ModelError(problem)
    _check_network(bundle)


def write(folder: Path, bundle: Bundle) -> Bundle:
    """Write bundle.json into `folder`, with the hashes of its FILES and LISTS; return what it now says.

    Raises `ModelError` if the network is missing or a value is out of range.
    """
    if not (folder / NETWORK).is_file():
        raise ModelError(f"{folder}: no {NETWORK}; save the network before describing it.")
    hashes = {name: sha256(folder / name) for name in (*FILES, *LISTS) if (folder / name).is_file()}
    bundle = replace(bundle, folder=folder, sha256=hashes)
    table = asdict(bundle)
    del table["folder"]
    table = {key: list(value) if isinstance(value, tuple) else value for key, value in table.items()}
    path = folder / DESCRIPTION
    _check_keys(path, table)
    _replace_text(path, json.dumps(table, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return bundle


def promote(run: Path, name: str, *, models: Path | None = None) -> Bundle:
    """Copy the bundle that a finished run left in `run` to `models`/`name`, whole or not at all.

    Raises `ModelError` if the run has none, if it is damaged, or if the name is taken or not usable.
    """
    models = models or settings().models
    target = models / name
    check_name(name)
    if target.exists():
        raise ModelError(f"{target} exists already; choose another name or remove it first.")
    source = read(run)
    if problems := verify(source):
        raise ModelError(problems[0])
    part = models / f".{uuid.uuid4().hex}"  # a sibling, so that the rename stays on one disk
    part.mkdir(parents=True)
    try:
        for file in source.sha256:
            shutil.copyfile(source.path(file), part / file)
        copied = write(part, replace(source, name=name))
        part.rename(target)
    except OSError as error:
        raise ModelError(f"{target}: could not be written ({error.strerror}). Free some space and try again,"
                         " or choose another name.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return replace(copied, folder=target)


def check_name(name: str) -> None:
    """Nothing, if a model may be called `name`. Raises `ModelError` that says what may."""
    if not bundle_rules.is_name(name):
        raise ModelError(f"'{name[:100]}' cannot name a model; use {bundle_rules.NAME}.")


def set_default(name: str, *, models: Path | None = None) -> None:
    """Make `name` the model that is used when none is named. Raises `ModelError` if it is not there."""
    models = models or settings().models
    find(name, models=models)
    _replace_text(models / DEFAULT, name + "\n")


def sha256(path: Path) -> str:
    """The SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folders(models: Path | None) -> list[Path]:
    """Folders with a bundle.json, by name. Hidden ones are copies under way."""
    found = (models or settings().models).glob(f"*/{DESCRIPTION}")
    return sorted(path.parent for path in found if not path.parent.name.startswith("."))


def _default(models: Path) -> str | None:
    path = models / DEFAULT
    return path.read_text(encoding="utf-8").strip() or None if path.is_file() else None


def _damage(bundle: Bundle, name: str) -> str | None:
    path, expected = bundle.path(name), bundle.sha256[name]
    if not path.is_file():
        return f"{path}: missing, though {DESCRIPTION} lists it. Copy the bundle again."
    if (found := sha256(path)) != expected:
        return (f"{path}: its SHA-256 is {found[:12]}..., {DESCRIPTION} says {expected[:12]}...; the file is"
                " damaged or was changed. Copy the bundle again.")
    return None


def _check_network(bundle: Bundle) -> None:
    check_network_file(bundle.path(NETWORK), classes=len(bundle.classes), input_size=bundle.input_size)


def _replace_text(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


def _check_keys(path: Path, table: Mapping[str, Any]) -> None:
    """Raise `ModelError` for the first key that is missing, unknown or holds something else."""
    known = {item.name: item for item in fields(Bundle) if item.name != "folder"}
    for key, item in known.items():
        optional = item.default is not MISSING or item.default_factory is not MISSING
        if key not in table and (key == "sha256" or not optional):
            raise ModelError(f"{path}: no key '{key}'. Is the bundle from another version of Derm?")
    for key, value in table.items():
        if key not in known:
            raise ModelError(f"{path}: unknown key '{key}'; expected {', '.join(known)}."
                             " Is the bundle from another version of Derm?")
        holds, expected = bundle_rules.RULES.get(key, bundle_rules.TEXT)
        if not holds(value):
            raise ModelError(f"{path}: {key} = {str(value)[:80]!r}; expected {expected}.")
