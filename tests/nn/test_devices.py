"""Two devices give what one gives: each in a process that sees two, made of the processor's cores."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from derm.errors import ConfigError
from derm.nn import devices
from derm.nn.config import TrainConfig
from derm.settings import PROJECT

CHILD = Path(__file__)


def child(root: Path, folder: Path) -> None:
    """Train with one device and with two, without chance in it; with TensorFlow, whose devices draw for themselves
    (JAX draws for the whole batch), once more with two and all the chance there is."""
    if os.environ["KERAS_BACKEND"] == "tensorflow":
        import tensorflow as tf

        half = tf.config.LogicalDeviceConfiguration()
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], [half, half])
    import numpy as np

    from derm.jobs.heart import Heart
    from derm.nn import config as configs
    from derm.nn import material, train

    still = {"crop_min": 1.0, "flips": False, "right_angles": False, "rotation": 0.0, "brightness": 0.0,
             "contrast": 0.0, "hue": 0.0, "mixup": 0.0, "dropout": 0.0}
    base = {"data": str(root), "backbone": "baseline", "weights": "none", "image_size": 32, "head_epochs": 0,
            "epochs": 2, "batch_size": 8, "steps_per_epoch": 2, "rate": 3e-3, "warmup_epochs": 0.0}

    def learnt(name: str, **changes: object):
        config = TrainConfig(**{**base, **changes})
        (folder / name).mkdir(parents=True)
        with Heart(folder / name) as heart:
            network = train.learn(configs.save(config, folder / name), material.prepare(config), heart, print)
        rows = (folder / name / "history.csv").read_text().splitlines()[1:]
        return network, network.get_weights(), [float(row.split(",")[1]) for row in rows]

    _, one, losses = learnt("one", gpus=1, **still)
    network, two, again = learnt("two", gpus=0, **still)
    if os.environ["KERAS_BACKEND"] == "jax":
        used = len(network.weights[0].value.sharding.device_set)
    else:
        used = network.distribute_strategy.num_replicas_in_sync
        learnt("chance", gpus=2, epochs=1)
    apart = max(float(np.abs(a - b).max()) for a, b in zip(one, two, strict=True))
    print(json.dumps({"used": used, "apart": apart, "one": losses, "two": again}))


@pytest.mark.parametrize("backend", ["tensorflow", pytest.param("jax", marks=pytest.mark.slow)])
def test_two_devices_learn_what_one_learns(drawn_root, tmp_path, backend):
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(PROJECT), "TF_CPP_MIN_LOG_LEVEL": "3",
                   "XLA_FLAGS": "--xla_force_host_platform_device_count=2", "DERM_CACHE": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, str(CHILD), str(drawn_root), str(tmp_path)], env=environment,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["used"] == 2
    assert found["one"][0] != pytest.approx(found["one"][1], rel=1e-3)  # it learns
    assert found["one"] == pytest.approx(found["two"], rel=1e-4)
    # Adam's first steps have the length of the rate whatever the gradient, so a rounding error may show; four of
    # them are 0.012.
    assert found["apart"] < 0.002


@pytest.mark.parametrize(("gpus", "seen", "chosen"), [
    (1, ["gpu:0", "gpu:1", "gpu:2"], ["gpu:0"]), (2, ["gpu:0", "gpu:1", "gpu:2"], ["gpu:0", "gpu:1"]),
    (0, ["gpu:0", "gpu:1", "gpu:2"], ["gpu:0", "gpu:1", "gpu:2"]), (0, ["cpu:0"], ["cpu:0"])])
def test_as_many_as_the_config_says(monkeypatch, gpus, seen, chosen):
    monkeypatch.setattr(devices.keras.distribution, "list_devices", lambda: seen)
    assert devices.chosen(TrainConfig(gpus=gpus)) == chosen


def test_a_batch_that_cannot_be_shared_out_is_refused(monkeypatch):
    monkeypatch.setattr(devices.keras.distribution, "list_devices", lambda: ["gpu:0", "gpu:1", "gpu:2"])
    with pytest.raises(ConfigError, match="batch_size = 32; for 3 devices, expected a multiple of 3"), \
            devices.scope(TrainConfig(gpus=3)):
        pass


if __name__ == "__main__":
    child(Path(sys.argv[1]), Path(sys.argv[2]))
