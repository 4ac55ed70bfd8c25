"""Over how many devices a training is spread: the batch is shared out, the weights are the same on all (data
parallelism). Knows Keras's two ways of that; not what is trained, nor who else wants the devices
(`derm.jobs.turns`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from derm.errors import ConfigError
from derm.nn.config import TrainConfig


@contextlib.contextmanager
def scope(config: TrainConfig) -> Iterator[int]:
    """Build, compile and fit within this block, and each step runs on all devices of `chosen`; gives their number.

    Nothing changes where there is one. Raises `ConfigError` for a batch that cannot be shared out evenly.
    """
    devices = chosen(config)
    if len(devices) == 1:
        yield 1
        return
    if config.batch_size % len(devices):
        raise ConfigError(f"batch_size = {config.batch_size}; for {len(devices)} devices, expected a multiple of "
                          f"{len(devices)}.", "batch_size")
    with _jax(devices) if keras.backend.backend() == "jax" else _tensorflow(devices):
        yield len(devices)


def chosen(config: TrainConfig) -> list[str]:
    """The devices to train on: the first `gpus` of those that this process sees, or all where that is 0."""
    seen: list[str] = keras.distribution.list_devices()
    return seen[:config.gpus] if config.gpus else seen


def shared(loss: Any) -> Any:
    """A batch's mean loss as each device must state it, so that the gradients of all add up to that of the mean.

    TensorFlow adds the devices' gradients; JAX computes one for the whole batch.
    """
    if keras.backend.backend() != "tensorflow":
        return loss
    import tensorflow as tf

    return loss / tf.distribute.get_strategy().num_replicas_in_sync


def undivided() -> contextlib.AbstractContextManager[None]:
    """Within a `scope`, a block whose batches may be of any size: with JAX each device does all of it."""
    return _distributed(None)


def _jax(devices: list[str]) -> contextlib.AbstractContextManager[None]:
    return _distributed(keras.distribution.DataParallel(devices=devices))


@contextlib.contextmanager
def _distributed(how: Any) -> Iterator[None]:
    """A block in which Keras distributes its work so, on JAX; None: not at all."""
    before = keras.distribution.distribution()
    keras.distribution.set_distribution(how)
    try:
        yield
    finally:
        keras.distribution.set_distribution(before)


@contextlib.contextmanager
def _tensorflow(devices: list[str]) -> Iterator[None]:
    import tensorflow as tf

    with tf.distribute.MirroredStrategy(devices).scope():
        yield
