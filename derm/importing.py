"""Somebody else's .keras file becomes a model: checked as data, tried in a process of its own, without any
figures. Knows files and labels; no Keras."""

from __future__ import annotations

import csv
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

import derm
from derm import registry, safety, sandbox
from derm.datasets.conditions import PARTITION3, to_slug
from derm.errors import ModelError
from derm.registry import Bundle
from derm.schema import display_name

MAX_BYTES, MAX_UNPACKED = 400 * 2**20, 800 * 2**20
# What a network of float input may expect of a photograph, with what people call it.
SCALINGS: Mapping[str, str] = {
    "0..255": "0 to 255, as in the file", "0..1": "0 to 1 (divided by 255)", "-1..1": "−1 to 1",
    "imagenet": "ImageNet's mean and standard deviation"}
NOT_MEASURED = "Not measured here: evaluate it on your own data before anything is made of its answers."
UNKNOWN_DATA = "data unknown here"
_HEADINGS = ("label", "class", "condition", "name")
_MOST_LABELS, _LONGEST = 2000, 200


@dataclass(frozen=True)
class Labels:
    """The labels of a network in the order of its outputs: as they were written (`given`), the canonical `slugs`,
    and those given that the table of conditions does not know, kept under a slug of their own words."""

    given: tuple[str, ...]
    slugs: tuple[str, ...]
    unmapped: tuple[str, ...]


@dataclass(frozen=True)
class Imported:
    """The new model, the SHA-256 of the file that it came from, and what one must know of it, a sentence each."""

    bundle: Bundle
    sha256: str
    notes: tuple[str, ...]


def read_labels(data: bytes, *, called: str = "the list of labels") -> Labels:
    """One label a line, of a text or CSV file; a heading such as "label" is left out.

    Raises `ModelError` for what is no such list, and where two labels mean the same condition.
    """
    try:
        lines = [row for row in csv.reader(data.decode("utf-8-sig").splitlines()) if any(map(str.strip, row))]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ModelError(f"{called}: not a text file in UTF-8 ({error}). Save it as plain text.") from error
    if wide := next((row for row in lines if len(row) > 1), None):
        raise ModelError(f"{called}: the line {','.join(wide)[:80]!r} has several columns; expected one label a "
                         "line. Put a label that has a comma in double quotes.")
    given = tuple(" ".join(row[0].split()) for row in lines)
    given = given[1:] if given and given[0].casefold() in _HEADINGS else given
    if not 2 <= len(given) <= _MOST_LABELS or max(map(len, given)) > _LONGEST:
        raise ModelError(f"{called}: {len(given)} labels; expected 2 to {_MOST_LABELS}, one a line, none longer "
                         f"than {_LONGEST} letters.")
    slugs, unmapped = to_slug(pd.Series(given))
    first: dict[str, str] = {}
    for label, slug in zip(given, slugs, strict=True):
        if slug in first:
            raise ModelError(f"{called}: '{first[slug]}' and '{label}' are the same condition ({slug}). Give "
                             "one of them another name.")
        first[slug] = label
    return Labels(given, tuple(slugs), unmapped)


def check_file(path: Path, *, called: str = "") -> tuple[str, int]:
    """The type and the side of the input of a .keras file from elsewhere, not opened by Keras. `called` is the
    file's name where it has another one here.

    Raises `ModelError` if it is too large, packed or not, or as `safety.check_outside_file` does.
    """
    called = called or str(path)
    if not path.is_file():
        raise ModelError(f"{called}: no such file; name a .keras file.")
    if (size := path.stat().st_size) > MAX_BYTES:
        raise ModelError(f"{called}: {size / 2**20:,.0f} MB; at most {MAX_BYTES // 2**20} are read.")
    try:
        found = safety.check_outside_file(path)
    except ModelError as error:
        raise ModelError(str(error).replace(str(path), called)) from error
    with zipfile.ZipFile(path) as archive:
        if (unpacked := sum(part.file_size for part in archive.infolist())) > MAX_UNPACKED:
            raise ModelError(f"{called}: {unpacked / 2**20:,.0f} MB once unpacked; at most {MAX_UNPACKED // 2**20}"
                             " are read.")
    return found


def bring(file: Path, *, labels: Labels, name: str, scaling: str | None = None, called: str = "",
          models: Path | None = None, now: datetime | None = None) -> Imported:
    """Make the network in `file` the model `name`. `scaling`, one of SCALINGS, is what a float input expects;
    `called` is the file's name where it has another one here.

    Its network is written anew: `image` uint8 in, logits out, its scaling inside. It has no figures. Raises
    `ModelError` for a file that is unsafe, too large, needs too much time or memory, or does not answer as
    `labels` say; nothing is left behind then.
    """
    registry.check_free(name, models=models)
    called = called or str(file)
    dtype, size = check_file(file, called=called)
    scaling = _scaling(called, dtype, scaling)
    digest = registry.sha256(file)
    with TemporaryDirectory(prefix="derm-") as place:
        folder, made = Path(place) / "work", Path(place) / "bundle"
        folder.mkdir()
        made.mkdir()
        source = shutil.copyfile(file, folder / "source.keras")  # what was checked stays what is opened
        if registry.sha256(source) != digest:
            raise ModelError(f"{called}: changed while it was read; try again.")
        target = folder / "target.keras"
        answer = sandbox.run({"do": "adopt", "source": str(source), "target": str(target), "scaling": scaling,
                              "classes": len(labels.slugs)}, folder, subject=called)
        shutil.copyfile(target, made / registry.NETWORK)
        origin = {"imported from": Path(called).name[-_LONGEST:], "imported SHA-256": digest,
                  "imported scaling": SCALINGS.get(scaling, "none: it takes bytes"),
                  "weights": f"{answer['weights']:,}"}
        bundle = _described(made, name, labels, size, origin, now or datetime.now(UTC))
        (made / "card.md").write_text(_card(bundle, labels), encoding="utf-8")
        registry.write(made, bundle)
        bundle = registry.promote(made, name, models=models)
    return Imported(bundle, digest, (f"SHA-256 of the file: {digest}", *_notes(labels)))


def _scaling(called: str, dtype: str, scaling: str | None) -> str:
    if dtype == "uint8":
        if scaling:
            raise ModelError(f"{called}: takes bytes (uint8), so its scaling is inside; leave out the scaling.")
        return ""
    if scaling is None or scaling not in SCALINGS:
        said = f"scaling = '{scaling}'" if scaling else "no scaling is named"
        raise ModelError(f"{called}: takes {dtype} numbers and {said}; expected one of {', '.join(SCALINGS)}, as "
                         "the network was trained.")
    return scaling


def _notes(labels: Labels) -> tuple[str, ...]:
    if not labels.unmapped:
        return (NOT_MEASURED,)
    return (f"{len(labels.unmapped)} of {len(labels.given)} labels are not in the table of conditions and are "
            f"kept as they are: {', '.join(labels.unmapped)}.", NOT_MEASURED)


def _described(folder: Path, name: str, labels: Labels, size: int, origin: Mapping[str, str],
               now: datetime) -> Bundle:
    return Bundle(
        folder=folder, name=name, version=now.strftime("%Y.%m.%d"), classes=labels.slugs,
        partition3={slug: PARTITION3[slug] for slug in labels.slugs if slug in PARTITION3}, input_size=size,
        backbone="imported network", temperature=1.0, data_name=UNKNOWN_DATA, data_fingerprint="",
        licence="not stated; ask whoever made it", intended_use=NOT_MEASURED, keras_version=version("keras"),
        code_version=derm.__version__, created=now.isoformat(timespec="seconds"), figures={}, environment=origin)


def _card(bundle: Bundle, labels: Labels) -> str:
    named = [f"- {display_name(slug)} (there {_code(label)})"
             for label, slug in zip(labels.given, labels.slugs, strict=True)]
    return "\n".join([
        f"# Model card: {bundle.name}, imported", "", "A research demo, not a medical device.", "",
        f"Brought in on {bundle.created} from a file made elsewhere. {NOT_MEASURED}", "",
        *(f"- {key[0].upper()}{key[1:]}: {_code(value)}" for key, value in bundle.environment.items()),
        f"- Input: {bundle.input_size} x {bundle.input_size} pixels", f"- Licence: {bundle.licence}", "",
        f"## The {len(named)} conditions", "", *named, ""])


def _code(text: str) -> str:
    """What somebody else wrote, so that nothing in it is markup."""
    return f"`{' '.join(text.replace('`', ' ').split())}`"
