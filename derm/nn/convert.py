"""Networks to and from other people: somebody's .keras file becomes a network as bundles have them, a bundle's
becomes ONNX. Knows Keras; not bundles. `python -m derm.nn.convert FOLDER` does one task for `derm.sandbox`.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from derm import images, samples
from derm.errors import ModelError
from derm.nn.backbones import IMAGENET_MEAN, IMAGENET_STD

# What each scaling makes of 0..255, said in a layer.
SCALINGS: Mapping[str, Callable[[], keras.Layer]] = {
    "0..255": lambda: keras.layers.Rescaling(1.0, name="scaling"),
    "0..1": lambda: keras.layers.Rescaling(1 / 255, name="scaling"),
    "-1..1": lambda: keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="scaling"),
    "imagenet": lambda: keras.layers.Normalization(
        mean=[255 * m for m in IMAGENET_MEAN], variance=[(255 * s) ** 2 for s in IMAGENET_STD], name="scaling"),
}
_TINY = float(np.finfo(np.float32).tiny)
_SAME = 1e-3  # of a probability: half precision rounds


def adopt(outside: keras.Model, *, classes: int, scaling: str = "") -> keras.Model:
    """The same network as a bundle has it: `image` uint8 [B, S, S, 3] in, logits float32 [B, classes] out, one
    flat graph whose layer `pool` reads the last feature maps.

    `scaling`, one of SCALINGS, is what it expects of a float input; '' of a uint8 one. Raises `ModelError` if it
    answers with another number of classes or not with numbers, or if it has no feature maps to look at.
    """
    pixels = _test_pixels(outside.input_shape[1])
    image = keras.Input(outside.input_shape[1:], dtype="uint8", name="image")
    scaled = SCALINGS[scaling]()(image) if scaling else image
    said = _call(outside, _call(keras.Model(image, scaled), pixels) if scaling else pixels)
    _check_answer(said, classes)
    output = _laid_out(outside, scaled)
    is_shares = bool((said >= 0).all() and np.allclose(said.sum(axis=1), 1, atol=_SAME))
    output = _without_activation(output, is_shares=is_shares)
    logits = keras.layers.Activation("linear", dtype="float32", name="logits")(output)
    _name_pool(image, logits)
    adopted = keras.Model(image, logits, name="imported")
    found = _call(adopted, pixels)
    if np.abs(_softmax(found) - (said if is_shares else _softmax(said))).max() > _SAME:
        raise ModelError("does not answer as before once it is laid out flat. Save it from plain layers.")
    return adopted


def to_onnx(network: keras.Model, path: Path, *, properties: Mapping[str, str]) -> None:
    """Write the network as ONNX: input `image`, output `logits`, `properties` in the file's metadata.

    Raises `ModelError` where the packages for that are not installed.
    """
    try:
        import onnx
        import tf2onnx  # noqa: F401 Keras imports it by itself, and says less where it cannot
    except ImportError as error:
        raise ModelError("ONNX needs two more packages; install them with `pip install -e .[onnx]`.") from error
    named = keras.Model(network.input, {"logits": network.output})
    # Keras exports only what was called once.
    named(keras.tree.map_structure(lambda x: ops.zeros((1, *x.shape[1:]), x.dtype), network.input))
    with warnings.catch_warnings():
        # Keras asks NumPy for a name that is gone, to give it to tf2onnx.
        warnings.filterwarnings("ignore", message="In the future `np.object`", category=FutureWarning)
        named.export(path, format="onnx", verbose=False)
    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, dict(properties))
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _test_pixels(size: int) -> np.ndarray:
    """Two drawn pictures of skin, uint8 [2, size, size, 3]."""
    return np.stack([images.fit(samples.draw(kind, skin=skin, size=128), size)
                     for kind, skin in (("melanoma", "II"), ("acne", "VI"))])


def _call(network: keras.Model, batch: np.ndarray) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(network(batch, training=False)), dtype=np.float32)


def _check_answer(said: np.ndarray, classes: int) -> None:
    if said.ndim != 2 or said.shape[1] != classes:
        raise ModelError(f"answers with {list(said.shape[1:])} numbers, but {classes} labels are listed. List "
                         "them all, one a line, in the order of its outputs.")
    if not np.isfinite(said).all():
        raise ModelError("answers a drawn picture with numbers that are none (NaN or infinite). Train it again.")


def _softmax(logits: np.ndarray) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.softmax(logits)))


def _laid_out(model: keras.Model, x: Any) -> Any:
    """The output of `model` applied to the Keras tensor x, models within it laid out in the open."""
    names: dict[str, Any] = {"image": None, "scaling": None, "logits": None, "pool": None}

    def apply(model: keras.Model, x: Any) -> Any:
        if isinstance(model, keras.Sequential):
            for layer in model.layers:
                x = called(layer)(x)
            return x
        return model._run_through_graph(x, operation_fn=called)

    def called(operation: Any) -> Callable[..., Any]:
        if isinstance(operation, keras.Model):
            return lambda x, **_: apply(operation, x)
        stem, number = operation.name, 1
        while names.setdefault(operation.name, operation) is not operation:  # two parts may have the same names
            number += 1
            operation.name = f"{stem}_{number}"
        return lambda *args, training=None, **kwargs: operation(*args, **kwargs)

    return apply(model, x)


def _without_activation(output: Any, *, is_shares: bool) -> Any:
    """Logits of the network's output. A softmax at its end is taken off; of shares that come about otherwise the
    logarithm is a logit as good as any."""
    last = output._keras_history.operation
    activation = getattr(last, "activation", None)
    if activation is keras.activations.sigmoid:
        raise ModelError("answers yes or no to each label by itself (a sigmoid); Derm takes networks that choose "
                         "between the labels.")
    if activation is keras.activations.softmax:
        last.activation = keras.activations.linear
        return output
    return ops.log(ops.maximum(output, _TINY)) if is_shares else output


def _name_pool(image: Any, logits: Any) -> None:
    """Call the layer `pool` that leads from the last feature maps to the answer: where Grad-CAM looks."""
    for operation in reversed(keras.Model(image, logits).operations):
        maps = operation._inbound_nodes[-1].input_tensors
        if len(maps) != 1 or not _is_map(maps[0]) or _is_map(operation.output):
            continue
        try:
            keras.Model(maps[0], logits)
        except ValueError:  # another path leads around it
            continue
        operation.name = "pool"
        return
    raise ModelError("has no feature maps that all of its answer comes from, so nothing could show where it "
                     "looked. Derm takes convolutional networks.")


def _is_map(tensor: Any) -> bool:
    return len(tensor.shape) == 4 and tensor.shape[1] is not None and tensor.shape[1] > 1


def _load(path: Path) -> keras.Model:
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras reports a damaged file as whatever it stumbles over
        if isinstance(error, MemoryError) or "ResourceExhausted" in type(error).__name__:
            raise ModelError("needs more memory than it is allowed. Ask for a smaller network.") from error
        raise ModelError(f"Keras cannot load it ({type(error).__name__}: {str(error)[:200]}). Save or copy it "
                         "again.") from error


def _adopted(task: Mapping[str, Any]) -> dict[str, Any]:
    """Adopt the file `source` as `target`, open that again and let it answer."""
    adopt(_load(Path(task["source"])), classes=task["classes"], scaling=task["scaling"]).save(task["target"])
    again = _load(Path(task["target"]))
    said = _softmax(_call(again, _test_pixels(again.input_shape[1])))
    return {"answers": said.astype(float).tolist(), "weights": again.count_params()}


def _exported(task: Mapping[str, Any]) -> dict[str, Any]:
    to_onnx(_load(Path(task["source"])), Path(task["target"]), properties=task["properties"])
    return {}


# What may be asked of the process, by the key `do` of the task.
TASKS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {"adopt": _adopted, "onnx": _exported}


def main(folder: Path) -> None:
    """Do the task in `folder` within its limits; leave the answer there."""
    import resource  # not on every system

    task = json.loads((folder / "task.json").read_text(encoding="utf-8"))
    resource.setrlimit(resource.RLIMIT_DATA, (task["memory"], task["memory"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        answer = TASKS[task["do"]](task)
    except ModelError as error:
        answer = {"error": str(error)}
    (folder / "answer.json").write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
