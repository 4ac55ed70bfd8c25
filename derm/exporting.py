"""A model as a file for use elsewhere: its network as .keras or ONNX, its predictions as CSV, its card. Knows
bundles; no Keras."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from derm import atomic, predictions, registry, sandbox
from derm.bundle_rules import CARD, NETWORK, PREDICTIONS
from derm.errors import ModelError
from derm.registry import Bundle

_STORED = (2025, 1, 1, 0, 0, 0)  # the date of what is in a zip: the same model, the same bytes


def content(bundle: Bundle, kind: str) -> bytes:
    """The file of `kind`, one of KINDS. For ONNX that takes seconds.

    Raises `ModelError` for another kind, for a model that is damaged, and for what it does not have.
    """
    if kind not in KINDS:
        raise ModelError(f"'{kind[:40]}': no such kind of file; expected one of {', '.join(KINDS)}.")
    return KINDS[kind](bundle)


def filename(bundle: Bundle, kind: str) -> str:
    """What the file is called: 'mobilenetv2-ajl-2026.11.21.keras'."""
    ending = {"keras": "zip" if bundle.members else "keras", "csv": "predictions.csv", "card": "card.md"}
    return f"{bundle.name}-{bundle.version}.{ending.get(kind, kind)}"


def write(bundle: Bundle, kind: str, folder: Path) -> Path:
    """Write that file into `folder`, over an older one. Raises `ModelError`."""
    data, path = content(bundle, kind), folder / filename(bundle, kind)
    try:
        atomic.write_bytes(path, data)
    except OSError as error:
        raise ModelError(f"{path}: cannot be written ({error.strerror}); name another folder.") from error
    return path


def _keras(bundle: Bundle) -> bytes:
    """The network's file; of an ensemble a zip with its folder and those of its members."""
    _check(bundle)
    if not bundle.members:
        return bundle.path(NETWORK).read_bytes()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:  # networks do not get smaller
        for one in (bundle, *registry.members(bundle)):
            for name in sorted((*one.sha256, registry.DESCRIPTION)):
                archive.writestr(zipfile.ZipInfo(f"{one.name}/{name}", _STORED), one.path(name).read_bytes())
    return file.getvalue()


def _onnx(bundle: Bundle) -> bytes:
    """The network in ONNX: `image` uint8 [B, S, S, 3] in, `logits` out, and how to read those in the metadata."""
    if bundle.members:
        raise ModelError(f"{bundle.name} is an ensemble, which ONNX does not hold; export its members "
                         f"({', '.join(bundle.members)}) one by one, and average what they answer.")
    _check(bundle)
    properties = {
        "name": bundle.name, "version": bundle.version, "classes": json.dumps(bundle.classes),
        "temperature": repr(bundle.temperature), "mirror": json.dumps(bundle.mirror),
        "turns": json.dumps(bundle.turns), "known_cases": repr(bundle.known_cases),
        "metadata": json.dumps(dict(bundle.metadata)),
        "licence": bundle.licence, "intended_use": bundle.intended_use}
    with TemporaryDirectory(prefix="derm-") as place:
        target = Path(place) / "network.onnx"
        sandbox.run({"do": "onnx", "source": str(bundle.path(NETWORK).resolve()), "target": str(target),
                     "properties": properties}, Path(place), subject=bundle.name, memory=sandbox.PLENTY)
        return target.read_bytes()


def _csv(bundle: Bundle) -> bytes:
    """The predictions table that the model was measured by."""
    if PREDICTIONS not in bundle.sha256:
        raise ModelError(f"{bundle.name} has no recorded predictions; make some with `derm predict FOLDER --model "
                         f"{bundle.name} --out predictions.csv`.")
    return predictions.read(bundle.path(PREDICTIONS)).to_csv(index=False).encode()


def _card(bundle: Bundle) -> bytes:
    if CARD not in bundle.sha256:
        raise ModelError(f"{bundle.name} has no model card; ask whoever made it what it was trained on.")
    return bundle.path(CARD).read_bytes()


def _check(bundle: Bundle) -> None:
    if problems := registry.verify(bundle):
        raise ModelError(problems[0])


KINDS: Mapping[str, Callable[[Bundle], bytes]] = {"keras": _keras, "onnx": _onnx, "csv": _csv, "card": _card}
