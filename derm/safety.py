"""Is this .keras file one that Keras may open? Knows zip and JSON; never imports Keras.

Opening a network runs what its config names, so a file from elsewhere is read as data first: Keras's own
layers and Derm's pass, anything that could carry code or read other files does not.
"""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from derm.errors import ModelError

MEMBERS = ("config.json", "metadata.json", "model.weights.h5")
PACKAGE = "derm"  # of layers registered with keras.saving.register_keras_serializable(package="derm")

_CONFIG_LIMIT = 64 * 2**20
# Weights that really are some come out of a compressed file at two to four times its size, a bomb at a thousand.
_WEIGHTS_LIMIT, _WEIGHTS_RATIO = 64 * 2**20, 20
_PICKLE, _HDF5 = b"\x80", b"\x89HDF\r\n\x1a\n"
_MODULES = re.compile(r"keras(\.src)?(\.(activations|constraints|dtype_policies|initializers|layers|losses"
                      r"|metrics|models|ops|optimizers|random|regularizers)(\.\w+)*)?")
# Keras's own, but these carry code, call another framework or read a file named in the config.
_CARRIERS = frozenset({"Lambda", "__lambda__", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer",
                       "StringLookup", "IntegerLookup", "TextVectorization"})
_VALUES = frozenset({"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__"})


def check_network_file(path: Path, *, classes: int, input_size: int, metadata: int = 0) -> None:
    """Nothing, if `path` is a network of Keras's and Derm's own layers, from a Keras no newer than ours,
    that takes uint8 photographs of `input_size` pixels and, if more than 0, so many numbers of `metadata`, and
    answers with `classes` numbers.

    Raises `ModelError` with the first thing that is wrong.
    """
    saved, config = _read(path)
    _check_version(path, str(saved.get("keras_version")))
    try:
        _check_objects(path, config)
        _check_input(path, config, input_size, metadata)
        _check_output(path, config, classes)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: config.json in it is not laid out as Keras does. Copy the model again."
                         ) from error


def check_outside_file(path: Path) -> tuple[str, int]:
    """The type and the side in pixels of the input of a network from elsewhere, if a process of its own may open
    it: as `check_network_file`, but its photographs may be of float numbers, and its answer is not looked at.

    Raises `ModelError` with the first thing that is wrong.
    """
    metadata, config = _read(path)
    _check_version(path, str(metadata.get("keras_version")))
    try:
        _check_objects(path, config)
        found = _inputs(config)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: config.json in it is not laid out as Keras does. Save the model again with "
                         "model.save.") from error
    first: tuple[Any, Any] = found[0] if len(found) == 1 else (None, None)
    dtype, shape = first
    if not str(dtype).startswith(("uint8", "float")) or not _is_square(shape):
        raise ModelError(f"{path}: its input is {_said(found)}; expected one of uint8 or float32 [None, S, S, 3], "
                         "S a number of pixels. Save it with such an input.")
    return str(dtype), int(shape[1])


def _is_square(shape: Any) -> bool:
    """Whether it is [None, S, S, 3]."""
    return (isinstance(shape, list) and len(shape) == 4 and shape[0] is None and shape[3] == 3
            and isinstance(shape[1], int) and 0 < shape[1] == shape[2])


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """metadata.json and config.json of the file."""
    try:
        with path.open("rb") as file:
            start = file.read(1)
        if start == _PICKLE:
            raise ModelError(f"{path}: a pickle, not a Keras file; it could run any code, so it is not"
                             " opened. Train the model again or ask for its .keras file.")
        with zipfile.ZipFile(path) as archive:
            names = tuple(sorted(archive.namelist()))
            if names != MEMBERS:
                raise ModelError(f"{path}: holds {', '.join(names)[:200] or 'nothing'}; a Keras file holds"
                                 f" {', '.join(MEMBERS)}. Was another file renamed?")
            packed = archive.getinfo("model.weights.h5")
            if packed.file_size > max(_WEIGHTS_LIMIT, _WEIGHTS_RATIO * packed.compress_size):
                raise ModelError(f"{path}: {packed.compress_size / 2**20:,.1f} MB of weights would unpack to"
                                 f" {packed.file_size / 2**20:,.0f} MB, as no network's do. Copy it again.")
            with archive.open(packed) as weights:
                if weights.read(len(_HDF5)) != _HDF5:
                    raise ModelError(f"{path}: model.weights.h5 is not an HDF5 file. Copy the model again.")
            return _read_json(path, archive, "metadata.json"), _read_json(path, archive, "config.json")
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise ModelError(f"{path}: not a readable Keras file ({error}). Copy it again.") from error


def _read_json(path: Path, archive: zipfile.ZipFile, name: str) -> dict[str, Any]:
    with archive.open(name) as file:
        text = file.read(_CONFIG_LIMIT + 1)
    try:
        table = json.loads(text) if len(text) <= _CONFIG_LIMIT else None
    except (ValueError, RecursionError):
        table = None
    if not isinstance(table, dict):
        raise ModelError(f"{path}: {name} in it is not a JSON object. Copy the model again.")
    return table


def _check_version(path: Path, written: str) -> None:
    installed = version("keras")
    match = re.match(r"(\d+)\.(\d+)", written)
    if not match:
        raise ModelError(f"{path}: says it was written by Keras '{written[:40]}', which is no version."
                         " Copy the model again.")
    if (int(match[1]), int(match[2])) > tuple(int(part) for part in installed.split(".")[:2]):
        raise ModelError(f"{path}: written by Keras {written}, newer than the {installed} installed here."
                         " Update Keras or train the model again.")


def _check_objects(path: Path, config: dict[str, Any]) -> None:
    for item in _objects(config):
        name, module = item["class_name"], item.get("module")
        if name in _CARRIERS:
            raise ModelError(f"{path}: has a {name} layer, which can run code or read files, so it is not"
                             " opened. Build the network from plain layers.")
        if not _is_known(name, module, item.get("registered_name")):
            raise ModelError(f"{path}: names {module}.{name}, which is neither Keras's nor Derm's, so it is"
                             " not opened. Build the network from plain layers.")


def _is_known(name: str, module: object, registered: object) -> bool:
    if module is None:
        return name in _VALUES or str(registered).startswith(f"{PACKAGE}>")
    if module == "builtins":
        return name == "function"  # Keras looks the name up among its own functions only
    module = str(module)
    return module.startswith(f"{PACKAGE}.") or _MODULES.fullmatch(module) is not None


def _objects(config: object) -> Iterator[dict[str, Any]]:
    """Every serialised object anywhere in the config."""
    waiting = [config]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if "class_name" in item:
                yield item
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


def _check_input(path: Path, config: dict[str, Any], input_size: int, metadata: int) -> None:
    found = _inputs(config)
    expected: list[tuple[Any, Any]] = [("uint8", [None, input_size, input_size, 3])]
    expected += [("float32", [None, metadata])] if metadata else []
    if sorted(found, key=str) != sorted(expected, key=str):
        raise ModelError(f"{path}: its input is {_said(found)}; bundle.json says one of {_said(expected)}."
                         " The two files do not belong together.")


def _inputs(config: dict[str, Any]) -> list[tuple[Any, Any]]:
    """The type and the shape of each input."""
    inputs = [layer.get("config", {}) for layer in _layers(config) if layer.get("class_name") == "InputLayer"]
    return [(item.get("dtype"), item.get("batch_shape")) for item in inputs]


def _said(inputs: list[tuple[Any, Any]]) -> str:
    return "; ".join(f"{dtype} {shape}" for dtype, shape in inputs)[:200] or "none"


def _check_output(path: Path, config: dict[str, Any], classes: int) -> None:
    units = _units(config)
    if units != classes:
        raise ModelError(f"{path}: answers with {units or 'an unknown number of'} classes, bundle.json names"
                         f" {classes}. The two files do not belong together.")


def _units(model: dict[str, Any]) -> int | None:
    """How many numbers the network answers with: the units of the layer nearest to its output."""
    layers = {layer.get("name") or layer["config"]["name"]: layer for layer in _layers(model)}
    outputs = _names(model.get("config", {}).get("output_layers"))
    waiting = outputs or list(layers)[-1:]  # a Sequential model lists no outputs
    seen: set[str] = set()
    while waiting:
        name = waiting.pop(0)
        if name in seen or name not in layers:
            continue
        seen.add(name)
        units = layers[name].get("config", {}).get("units") or _units(layers[name])
        if units is not None:
            return int(units)
        waiting += [tensor["config"]["keras_history"][0]
                    for tensor in _objects(layers[name].get("inbound_nodes"))
                    if tensor["class_name"] == "__keras_tensor__"]
    return None


def _layers(model: dict[str, Any]) -> list[dict[str, Any]]:
    config = model.get("config")
    layers = config.get("layers") if isinstance(config, dict) else None
    return [layer for layer in layers if isinstance(layer, dict)] if isinstance(layers, list) else []


def _names(outputs: object) -> list[str]:
    """Layer names in Keras's ["logits", 0, 0], or a list or table of such."""
    if isinstance(outputs, dict):
        outputs = list(outputs.values())
    if isinstance(outputs, list) and outputs and isinstance(outputs[0], str):
        return [outputs[0]]
    return [name for item in outputs for name in _names(item)] if isinstance(outputs, list) else []
