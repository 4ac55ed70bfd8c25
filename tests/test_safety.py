"""Networks' files made by hand: a zip with a little JSON, no Keras."""

import io
import json
import pickle
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from derm import safety
from derm.errors import ModelError
from derm.safety import check_network_file

Config = dict[str, Any]


def layer(name: str, class_name: str, *, after: str | None = None, module: str = "keras.layers",
          **config: Any) -> Config:
    tensor = {"class_name": "__keras_tensor__", "config": {"keras_history": [after, 0, 0]}}
    return {"module": module, "class_name": class_name, "registered_name": None, "name": name,
            "config": {"name": name, **config},
            "inbound_nodes": [{"args": [tensor], "kwargs": {}}] if after else []}


def network() -> Config:
    layers = [
        layer("image", "InputLayer", dtype="uint8", batch_shape=[None, 32, 32, 3]),
        layer("hidden", "Dense", after="image", units=7, activation="relu"),
        layer("logits", "Dense", after="hidden", units=3),
        layer("float", "Activation", after="logits", activation="linear"),
    ]
    return {"module": "keras.src.models.functional", "class_name": "Functional",
            "config": {"layers": layers, "input_layers": ["image", 0, 0], "output_layers": ["float", 0, 0]}}


def zipped(config: Config | list[Config], *, keras: str = "3.0.0", weights: bytes = b"\x89HDF\r\n\x1a\n",
           **further: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": keras}))
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", weights)
        for name, data in further.items():
            archive.writestr(name, data)
    return file.getvalue()


def check(folder: Path, data: bytes) -> None:
    path = folder / "model.keras"
    path.write_bytes(data)
    check_network_file(path, classes=3, input_size=32)


def with_layer(class_name: str, module: str | None = "keras.layers", registered: str | None = None) -> bytes:
    config = network()
    odd = layer("odd", class_name, after="image") | {"module": module, "registered_name": registered}
    config["config"]["layers"].insert(1, odd)
    return zipped(config)


def changed(name: str, **values: Any) -> bytes:
    config = network()
    next(item for item in config["config"]["layers"] if item["name"] == name)["config"].update(values)
    return zipped(config)


def deep_lambda() -> bytes:
    """A Lambda inside a wrapper inside a layer's settings."""
    code = {"class_name": "__lambda__", "config": {"value": ["4wEA"]}}
    return changed("hidden", activation={"class_name": "function", "module": "builtins", "config": [code]})


def no_dense_layer() -> bytes:
    config = network()
    config["config"] = {"layers": config["config"]["layers"][:1], "output_layers": ["image", 0, 0]}
    return zipped(config)


def two_inputs() -> bytes:
    config = network()
    config["config"]["layers"].append(layer("age", "InputLayer", dtype="float32", batch_shape=[None, 1]))
    return zipped(config)


def newer(part: int) -> str:
    numbers = [int(number) for number in version("keras").split(".")[:2]]
    numbers[part] += 1
    return ".".join(map(str, numbers)) + ".0"


BAD_NETWORKS = {
    "a pickle renamed": (pickle.dumps({"weights": [1]}), "a pickle"),
    "an old pickle renamed": (pickle.dumps({"weights": [1]}, protocol=0), "not a readable Keras file"),
    "text": (b"hello", "not a readable Keras file"),
    "another zip": (zipped(network(), **{"data.pkl": b"x"}), "Was another file renamed"),
    "weights are a pickle": (zipped(network(), weights=pickle.dumps([1])), "not an HDF5 file"),
    "config is a list": (zipped([]), "not a JSON object"),
    "no layers": (zipped({"config": {"layers": []}}), "its input is none"),
    "class name is a list": (zipped({"class_name": ["x"]}), "laid out"),
    "Lambda": (with_layer("Lambda"), "Lambda"),
    "Lambda by its inner name": (with_layer("Lambda", "keras.src.layers.core.lambda_layer"), "Lambda"),
    "lambda deep inside": (deep_lambda(), "__lambda__"),
    "a saved TensorFlow program": (with_layer("TFSMLayer"), "TFSMLayer"),
    "a vocabulary file": (with_layer("StringLookup"), "StringLookup"),
    "somebody's class": (with_layer("Layer", "evil.layers"), "evil.layers.Layer"),
    "os": (with_layer("system", "os", "derm>system"), "os.system"),
    "downloads": (with_layer("get_file", "keras.utils", "derm>get_file"), "keras.utils.get_file"),
    "looks like keras": (with_layer("Dense", "keras_evil.layers"), "keras_evil"),
    "looks like keras too": (with_layer("Dense", "keras.layersx"), "keras.layersx"),
    "registered elsewhere": (with_layer("Layer", None, "other>Layer"), "None.Layer"),
    "newer minor": (zipped(network(), keras=newer(1)), "newer than"),
    "newer major": (zipped(network(), keras=newer(0)), "newer than"),
    "no version": (zipped(network(), keras="nightly"), "nightly"),
    "class count": (changed("logits", units=21), "answers with 21 classes, bundle.json names 3"),
    "no class count": (no_dense_layer(), "unknown number of classes"),
    "input size": (changed("image", batch_shape=[None, 64, 64, 3]), "64, 64"),
    "input type": (changed("image", dtype="float32"), "float32"),
    "two inputs": (two_inputs(), r"float32 \[None, 1\]"),
}


@pytest.mark.parametrize(("data", "words"), BAD_NETWORKS.values(), ids=BAD_NETWORKS.keys())
def test_a_network_that_must_not_be_opened(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        check(tmp_path, data)
    assert str(caught.value).startswith(f"{tmp_path / 'model.keras'}: ")
    assert "\n" not in str(caught.value)


def sequential() -> Config:
    layers = network()["config"]["layers"][:3]
    for item in layers:
        del item["inbound_nodes"], item["name"]
    return {"module": "keras", "class_name": "Sequential", "config": {"layers": layers}}


def nested() -> Config:
    inner = network() | {"name": "inner", "inbound_nodes": []}
    inner["config"]["name"] = "inner"
    return {"module": "keras", "class_name": "Functional", "config": {
        "layers": [network()["config"]["layers"][0], inner], "output_layers": [["inner", 0, 0]]}}


@pytest.mark.parametrize("data", [
    zipped(network(), keras=version("keras")),
    zipped(sequential()),
    zipped(nested()),
    with_layer("Normalise", None, "derm>Normalise"),
    with_layer("Normalise", "derm.nn.architecture", "derm>Normalise"),
    with_layer("Multiply", "keras.src.ops.numpy"),
    changed("hidden", activation={"class_name": "function", "module": "builtins", "config": "relu"}),
], ids=["functional", "sequential", "nested", "our layer", "our module", "an operation", "an activation"])
def test_a_network_that_may_be_opened(tmp_path: Path, data: bytes) -> None:
    check(tmp_path, data)


def test_metadata_is_a_second_input_of_the_width_that_the_bundle_says(tmp_path: Path) -> None:
    config = network()
    config["config"]["layers"].append(layer("metadata", "InputLayer", dtype="float32", batch_shape=[None, 6]))
    path = tmp_path / "model.keras"
    path.write_bytes(zipped(config))
    check_network_file(path, classes=3, input_size=32, metadata=6)
    with pytest.raises(ModelError, match=r"bundle.json says one of uint8 .*; float32 \[None, 7\]"):
        check_network_file(path, classes=3, input_size=32, metadata=7)


@pytest.mark.parametrize(("megabytes", "is_bomb"), [(2, False), (3, True)])
def test_weights_that_unpack_to_far_more_than_they_are_are_not_unpacked(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, megabytes: int, is_bomb: bool) -> None:
    monkeypatch.setattr(safety, "_WEIGHTS_LIMIT", 2 * 2**20)
    path = tmp_path / "model.keras"
    weights = b"\x89HDF\r\n\x1a\n".ljust(megabytes * 2**20, b"\0")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.0.0"}))
        archive.writestr("config.json", json.dumps(network()))
        archive.writestr("model.weights.h5", weights)
    if not is_bomb:
        check_network_file(path, classes=3, input_size=32)
        return
    with pytest.raises(ModelError, match=r"0\.0 MB of weights would unpack to 3 MB"):
        check_network_file(path, classes=3, input_size=32)
