"""Train a network: from a config to a bundle, surviving a kill at any moment.

    python -m derm.nn.train CONFIG.toml        (the same as `derm train CONFIG.toml`)

Knows the order of things: refuse what cannot be, read the data, train (`trainer`), then `finish`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from derm import predictions, registry
from derm.bundle_rules import PREDICTIONS
from derm.errors import ConfigError, JobError
from derm.fairness.figure import TOO_FEW
from derm.jobs import origin
from derm.jobs.heart import Heart
from derm.nn import architecture, backbones, devices, finish, learner, runlog
from derm.nn import config as configs
from derm.nn.config import TrainConfig, data_folder
from derm.nn.material import Material, prepare
from derm.nn.trainer import Trainer
from derm.schema import FST_GROUPS


def start(config: TrainConfig, *, run: Path, say: Callable[[str], None] = print) -> Path:
    """Train from the beginning into the new folder `run`, at once and in this process; returns it, a bundle.

    `derm.jobs` starts runs that wait their turn and survive. Raises `ConfigError`, `DatasetError` and
    `ModelError` before anything is written, `JobError` if `run` exists.
    """
    if run.exists():
        raise JobError(f"{run}: exists already; choose another --run, or continue it with --resume {run}.")
    registry.check_name(run.name)
    config = _checked(replace(config, data=str(data_folder(config).resolve())))
    material = _prepared(config)
    _check_unseen(config, material)
    run.mkdir(parents=True)
    config = configs.save(config, run)
    with Heart(run) as heart:
        return _train(config, material, heart, say)


def resume(run: Path, *, say: Callable[[str], None] = print) -> Path:
    """Continue the run in the folder `run` from its last complete checkpoint, at once and in this process.

    Raises `JobError` if there is no run, if it is finished, or if its data changed since.
    """
    if not (run / configs.CONFIG).is_file():
        raise JobError(f"{run}: no {configs.CONFIG}; expected the folder of an earlier `derm train`.")
    if (run / registry.DESCRIPTION).is_file():
        raise JobError(f"{run}: finished already; its bundle is there. Start a new run instead.")
    with Heart(run) as heart:
        return proceed(run, heart=heart, say=say)


def proceed(run: Path, *, heart: Heart, say: Callable[[str], None] = print) -> Path:
    """Do what is left of the run that `heart` holds; raises as `start` does, and `Stopped` when asked to stop."""
    config = configs.read(run / configs.CONFIG)
    fresh = not config.image_size
    if fresh:
        config = configs.save(_checked(config), run)
    heart.tell(doing="reading photographs")
    material = _prepared(config)
    if fresh:
        _check_unseen(config, material)
    return _train(config, material, heart, say)


def _checked(config: TrainConfig) -> TrainConfig:
    """The config with its image size; in seconds, before the data is decoded, whether it can be built as asked."""
    config = replace(config, image_size=config.image_size or backbones.backbone(config.backbone).size)
    learner.use_xla(config)
    network = architecture.build(config.backbone, classes=2, size=config.image_size, weights=config.weights,
                                 head=config.head)
    architecture.set_trainable(network, from_layer=config.train_from)
    keras.backend.clear_session()
    return config


def _prepared(config: TrainConfig) -> Material:
    """What the run learns from; `ConfigError` where it lacks the rare conditions or the skin types that the config
    counts on."""
    material = prepare(config)
    fewest = int(np.bincount(material.train.labels).min())
    if config.rare != "none" and fewest >= config.rare_below:
        raise ConfigError(f"rare = '{config.rare}': every condition has {fewest} training photographs or more, "
                          f"none fewer than rare_below = {config.rare_below}. Raise that, or use 'none'.", "rare")
    groups, held_out = material.train.groups, material.held_out["val"].groups
    if config.group_weighting == "dro" and len(set(groups)) == 1:
        raise ConfigError(f"group_weighting = 'dro': all training photographs have skin type {groups[0]}; two "
                          "groups or more are needed to weigh them against each other. Use 'none'.",
                          "group_weighting")
    if config.early_metric == "worst-group" and not runlog.large_groups(held_out):
        most = max((held_out == name).sum() for name in FST_GROUPS)
        raise ConfigError(f"early_metric = 'worst-group': of each skin-type group at most {most} photographs are "
                          f"held out for validation, and {TOO_FEW} are needed to judge by. Use 'macro-f1'.",
                          "early_metric")
    return material


def _check_unseen(config: TrainConfig, material: Material) -> None:
    """`ConfigError` where the run starts from a model that may have learnt from what this run holds out."""
    if config.weights in ("none", "imagenet"):
        return
    folder = configs.find_weights(config.weights).parent
    if not (folder / registry.DESCRIPTION).is_file():  # weights from elsewhere
        return
    before = registry.read(folder)
    if before.data_name != material.dataset.name:
        return
    held_out = {image for part in material.held_out.values() for image in part.rows["image_id"]}
    recorded = before.folder / PREDICTIONS
    unseen = {*predictions.read(recorded)["image_id"]} if recorded.is_file() else set()
    if seen := len(held_out - unseen):
        raise ConfigError(f"weights = '{config.weights}': {seen:,} of the {len(held_out):,} photographs held out "
                          f"here may have taught {before.name}, and figures on them would flatter. Use the split "
                          "that it was trained with (the same seed, or a split_file), or start from 'imagenet'.",
                          "weights")


def _train(config: TrainConfig, material: Material, heart: Heart, say: Callable[[str], None]) -> Path:
    run = heart.folder
    if missing := sorted({*material.dataset.table["condition"].dropna().astype(str)} - {*material.classes}):
        say(f"Left out, as no photograph of theirs can be used: {', '.join(missing)}.")
    origin.check(run, material.dataset)
    origin.record(run, material.dataset)
    network = learn(config, material, heart, say)
    heart.tell(doing="finishing", seconds_left=None)
    network = finish.portable(network, config, len(material.classes))
    finish.bundle(network, config, material, run)
    return run


def learn(config: TrainConfig, material: Material, heart: Heart, say: Callable[[str], None]) -> keras.Model:
    """The network, trained to the end in the run that `heart` holds; it has become no bundle yet."""
    keras.utils.set_random_seed(config.seed)
    with devices.scope(config):
        trainer = Trainer(config, material, heart, say)
        trainer.run_all()
    return trainer.network


if __name__ == "__main__":
    import sys

    from derm.cli import main

    main(["train", *sys.argv[1:]])
