"""Model bundles on disk: list, find, verify, write, promote, remove. Knows files; not Keras, not pandas.

A bundle is a folder with FILES and bundle.json. bundle.json is written last and in one step, so a folder
without it is unfinished and is not listed. An ensemble is one too: its networks are those of its members, bundles
in the folder beside it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from derm import bundle_rules
from derm.bundle_rules import CARD, DESCRIPTION, FILES, LISTS, NETWORK, REFERENCE
from derm.bundle_rules import Bundle as Bundle  # everybody's word for what the registry gives
from derm.errors import ModelError
from derm.safety import check_network_file
from derm.settings import settings

DEFAULT = "default.txt"


def list_bundles(models: Path | None = None) -> list[Bundle]:
    """The usable bundles under `models` (default: the models folder), by name."""
    bundles = []
    for folder in _folders(models):
        try:
            bundles.append(_usable(folder))
        except ModelError:  # `unreadable` tells
            continue
    return bundles


def unreadable(models: Path | None = None) -> tuple[str, ...]:
    """One sentence for each folder whose bundle.json is there but cannot be used, or whose members cannot."""
    problems = []
    for folder in _folders(models):
        try:
            _usable(folder)
        except ModelError as error:
            problems.append(str(error))
    return tuple(problems)


def default(models: Path | None = None) -> str | None:
    """The name of the model that is used when none is named, usable or not; None where there is none."""
    models = models or settings().models
    path = models / DEFAULT
    named = path.read_text(encoding="utf-8").strip() if path.is_file() else ""
    return named or min((folder.name for folder in _folders(models)), default=None)


def find(name: str | None = None, *, models: Path | None = None) -> Bundle:
    """The bundle called `name`; by default the one in default.txt, else the first.

    Raises `ModelError` naming those there are, or saying how to train one.
    """
    models = models or settings().models
    folders = {folder.name: folder for folder in _folders(models)}
    if not folders:
        raise ModelError(f"{models}: no model here yet; train one with"
                         " `derm train --preset quick --data PATH`.")
    name = name if name is not None else default(models) or ""
    if name not in folders:
        raise ModelError(f"no model called '{name[:100]}' in {models}; there are: {', '.join(folders)}.")
    return _usable(folders[name])


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
    bundle_rules.check(path, table)
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value
                              for key, value in table.items()}
    return Bundle(folder=folder, **values)


def members(bundle: Bundle) -> list[Bundle]:
    """The bundles that an ensemble asks, in its order; none for a single network.

    Raises `ModelError` for one that is missing, or that has another network than when the ensemble was made.
    """
    found = []
    for name in bundle.members:
        folder = bundle.folder.parent / name
        if not (folder / DESCRIPTION).is_file():
            raise ModelError(f"{bundle.folder}: its member {name} is missing; bring it back to {folder}, or make "
                             "the ensemble again without it.")
        member = read(folder)
        if member.sha256.get(NETWORK) != bundle.member_sha256.get(name):
            raise ModelError(f"{bundle.folder}: its member {name} is not the network that it was made with; bring "
                             f"that back to {folder}, or make the ensemble again.")
        found.append(member)
    return found


def size(bundle: Bundle) -> int:
    """The bytes on disk of what bundle.json lists, of an ensemble with its members'."""
    own = sum(bundle.path(name).stat().st_size for name in bundle.sha256 if bundle.path(name).is_file())
    return own + sum(map(size, members(bundle)))


def verify(bundle: Bundle) -> tuple[str, ...]:
    """What is wrong with the bundle's files or its members', a sentence each; empty if nothing is."""
    problems = [problem for name in bundle.sha256 if (problem := _damage(bundle, name))]
    try:
        if NETWORK in bundle.sha256 and not _damage(bundle, NETWORK):
            _check_network(bundle)
        for member in members(bundle):
            problems += verify(member)
    except ModelError as error:
        problems.append(str(error))
    return tuple(problems)


def check(bundle: Bundle) -> None:
    """Nothing, if Keras may open the bundle's network. Raises `ModelError` if it is damaged or unsafe, or if the
    reference beside it is damaged. Of an ensemble the members are to be checked."""
    for name in (NETWORK, REFERENCE):
        if name in bundle.sha256 and (problem := _damage(bundle, name)):
            raise ModelError(problem)
    _check_network(bundle)


def write(folder: Path, bundle: Bundle) -> Bundle:
    """Write bundle.json into `folder`, with the hashes of its FILES and LISTS; return what it now says.

    Raises `ModelError` if the network is missing or a value is out of range. An ensemble has no network.
    """
    if not bundle.members and not (folder / NETWORK).is_file():
        raise ModelError(f"{folder}: no {NETWORK}; save the network before describing it.")
    hashes = {name: sha256(folder / name) for name in (*FILES, *LISTS) if (folder / name).is_file()}
    bundle = replace(bundle, folder=folder, sha256=hashes)
    table = asdict(bundle)
    del table["folder"]
    table = {key: list(value) if isinstance(value, tuple) else value for key, value in table.items()}
    path = folder / DESCRIPTION
    bundle_rules.check(path, table)
    _replace_text(path, json.dumps(table, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return bundle


def promote(run: Path, name: str, *, override: str = "", models: Path | None = None) -> Bundle:
    """Copy the bundle that a finished run left in `run` to `models`/`name`, whole or not at all.

    `override` is why it is to be a model although a skin-type group does worse; bundle.json and the card keep it.
    Raises `ModelError` if the run has none, if it is damaged, if it is an ensemble whose members are not among the
    models, or if the name is taken or not usable.
    """
    models = models or settings().models
    target = models / name
    check_free(name, models=models)
    source = read(run)
    if problems := verify(source):
        raise ModelError(problems[0])
    members(replace(source, folder=target))
    with new_folder(target) as part:
        for file in source.sha256:
            shutil.copyfile(source.path(file), part / file)
        if override and (part / CARD).is_file():
            with (part / CARD).open("a", encoding="utf-8") as card:
                card.write("\n" + "\n".join(overridden(override)) + "\n")
        copied = write(part, replace(source, name=name, override=override or source.override))
    return replace(copied, folder=target)


def overridden(reason: str) -> list[str]:
    """The section of a model card that says why it became a model although a skin-type group does worse."""
    return ["## A model although a skin-type group does worse", "", " ".join(reason.split())]


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A hidden folder beside `target` to fill, which takes its name when the block ends; whole or not at all.

    Raises `ModelError` if it cannot be written.
    """
    part = target.parent / f".{uuid.uuid4().hex}"  # a sibling, so that the rename stays on one disk
    try:
        part.mkdir(parents=True)
        yield part
        part.rename(target)
    except OSError as error:
        raise ModelError(f"{target}: could not be written ({error.strerror}). Free some space and try again,"
                         " or choose another name.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def remove(name: str, *, models: Path | None = None) -> None:
    """Delete a model, damaged or not. Raises `ModelError` if there is none of that name, if it is the default or a
    member of an ensemble, which is named, or if its folder cannot be deleted."""
    models = models or settings().models
    folder = {found.name: found for found in _folders(models)}.get(name)
    if folder is None:
        find(name, models=models)  # says which there are
        return
    if name == default(models):
        raise ModelError(f"{name} is the default model; make another one the default first.")
    if users := [one.name for one in _described(models) if name in one.members]:
        raise ModelError(f"{name} is a member of {', '.join(users)}, which cannot answer without it; remove "
                         f"{'that' if len(users) == 1 else 'those'} first.")
    gone = models / f".{uuid.uuid4().hex}"
    try:
        folder.rename(gone)  # in one step: nobody finds half a bundle
        shutil.rmtree(gone)
    except OSError as error:
        raise ModelError(f"{folder}: could not be removed ({error.strerror}). Whoever runs this machine has to"
                         f" delete {gone if gone.exists() else folder}.") from error


def check_free(name: str, *, models: Path | None = None) -> None:
    """Nothing, if a new model may be called `name`. Raises `ModelError` if it is taken or not usable."""
    check_name(name)
    target = (models or settings().models) / name
    if target.exists():
        raise ModelError(f"{target} exists already; choose another name or remove it first.")


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


def _usable(folder: Path) -> Bundle:
    """The bundle in `folder`. Raises `ModelError` if it cannot be read or is an ensemble that lacks a member."""
    bundle = read(folder)
    members(bundle)
    return bundle


def _described(models: Path) -> Iterator[Bundle]:
    """All bundles that can be read, usable or not."""
    for folder in _folders(models):
        with suppress(ModelError):
            yield read(folder)


def _damage(bundle: Bundle, name: str) -> str | None:
    path, expected = bundle.path(name), bundle.sha256[name]
    if not path.is_file():
        return f"{path}: missing, though {DESCRIPTION} lists it. Copy the bundle again."
    if (found := sha256(path)) != expected:
        return (f"{path}: its SHA-256 is {found[:12]}..., {DESCRIPTION} says {expected[:12]}...; the file is"
                " damaged or was changed. Copy the bundle again.")
    return None


def _check_network(bundle: Bundle) -> None:
    check_network_file(bundle.path(NETWORK), classes=len(bundle.classes), input_size=bundle.input_size,
                       metadata=bundle_rules.metadata_width(bundle.metadata))


def _replace_text(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)
