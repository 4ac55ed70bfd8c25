"""What is made of finished bundles without training: what an older one lacks, other views, averaged weights. Knows
bundles and the data they were trained on."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from derm import datasets, predictions, registry, support
from derm.bundle_rules import PREDICTIONS
from derm.errors import DatasetError, ModelError
from derm.nn import compact, finish, reference
from derm.nn import config as configs
from derm.nn import material as materials
from derm.nn.config import TrainConfig
from derm.nn.material import Material
from derm.nn.predict import Predictor, opened

_SAME = 1e-3  # of a probability: backends and processors round differently


def complete(old: registry.Bundle, *, data: Path | None) -> registry.Bundle:
    """Add to a finished bundle what it lacks for the point of care (see `derm.nn.reference`), from the data it was
    trained on (default: the settings'). Its network and the probabilities it gave stay as they are; figures and
    card are made anew from those.

    Raises `DatasetError` if that is other data or was split otherwise, `ModelError` if the network does not answer
    as recorded.
    """
    _, material = _as_before(old, data)
    recorded = predictions.read(old.path(PREDICTIONS)).set_index("image_id", drop=False)
    rows = pd.concat([part.rows.assign(split=name) for name, part in material.held_out.items()])
    predictor = Predictor(old, opened(_bare(old)))
    predictor.known = reference.gathered(predictor, material)
    found = finish.evidence(predictor, material)
    said = recorded.loc[rows["image_id"], [f"p:{name}" for name in old.classes]].to_numpy()
    table = predictions.table(rows, classes=old.classes, probabilities=said)
    now = np.concatenate([predictor.answer(*each) for each in found.values()])
    if (apart := np.abs(now - said).max()) > _SAME:
        raise ModelError(f"{old.folder}: its network answers up to {apart:.3f} otherwise than recorded in "
                         f"{PREDICTIONS}. Make it anew with `derm models views`, or train it again.")
    return finish.leave(predictor, material, table, found)


def answering(old: registry.Bundle, folder: Path, *, mirror: bool, turns: bool, known_cases: float,
              data: Path | None) -> registry.Bundle:
    """Write into the empty `folder`, and call like it, the bundle `old` as one that answers otherwise: from other
    views (`derm.nn.views`), or with another say of the known cases. It is the same network, in the same file if
    that is as short as a finished run's, calibrated and measured anew on what it held out of the data it was
    trained on (default: the settings').

    Raises `DatasetError` if that is other data or was split otherwise, `ModelError` for an ensemble.
    """
    config, material = _as_before(old, data)
    changed = replace(config, mirror=mirror, turns=turns, known_cases=known_cases)
    network = opened(_bare(old))
    if compact.is_short(network):
        shutil.copyfile(old.path(registry.NETWORK), folder / registry.NETWORK)
    else:
        finish.save(network, folder / registry.NETWORK)
    return _written(old, network, folder, changed, material)


def averaged(olds: Sequence[registry.Bundle], folder: Path, *, data: Path | None) -> registry.Bundle:
    """Write into the empty `folder`, and call like it, one network each of whose weights is the mean of theirs in
    `olds` (stochastic weight averaging, Izmailov et al. 2018; model soups, Wortsman et al. 2022), calibrated and
    measured anew on what all held out. All else, its config and views too, is as of the first.

    It does well where they were trained one from another, or from the same one; the figures tell. Raises
    `ModelError` if there are not two, if their networks are not built alike or if one learnt from what the first
    held out, and as `answering`.
    """
    names = tuple(each.name for each in olds)
    if len(set(names)) < 2 or len(set(names)) < len(names):
        raise ModelError(f"{', '.join(names) or 'nothing'} to average; name two networks or more, each of another "
                         "name.")
    first, *others = olds
    config, material = _as_before(first, data)
    for other in others:
        _check_alike(first, other)
    networks = [opened(_bare(each)) for each in olds]
    weights = [network.get_weights() for network in networks]
    for other, theirs in zip(others, weights[1:], strict=True):
        if [each.shape for each in theirs] != [each.shape for each in weights[0]]:
            raise ModelError(f"{other.name} and {first.name} are not built alike; only networks with the same "
                             "backbone and head can be averaged. `derm ensemble` makes others vote.")
    networks[0].set_weights([np.mean(alike, axis=0) for alike in zip(*weights, strict=True)])
    named = replace(first, averaged=names)
    finish.save(networks[0], folder / registry.NETWORK)
    return _written(named, networks[0], folder, config, material)


def _check_alike(first: registry.Bundle, other: registry.Bundle) -> None:
    """Raises `ModelError` unless both mean the same by inputs and outputs, and the second held out what the first
    did."""
    if other.members:
        raise ModelError(f"{other.name} is an ensemble; only single networks can be averaged.")
    for what in ("data_fingerprint", "backbone", "classes", "metadata"):
        if getattr(first, what) != getattr(other, what):
            raise ModelError(f"{other.name} and {first.name} differ in their {what.replace('_', ' ')}; only "
                             "networks built alike and trained on the same data can be averaged.")
    theirs, ours = ({*predictions.read(each.path(PREDICTIONS))["image_id"]} for each in (other, first))
    if learnt := ours - theirs:
        raise ModelError(f"{other.name} learnt from {len(learnt):,} of the {len(ours):,} photographs that "
                         f"{first.name} held out; what both make together could not be measured.")


def _written(old: registry.Bundle, network: keras.Model, folder: Path, config: TrainConfig,
             material: Material) -> registry.Bundle:
    """A bundle that is `old` but for the network, in `folder` already, where it is and how it answers."""
    for name in {*old.sha256} - {registry.NETWORK, PREDICTIONS, registry.REFERENCE, registry.CARD}:
        shutil.copyfile(old.path(name), folder / name)
    configs.save(replace(config, data=""), folder)
    now = datetime.now(UTC)
    changed = replace(old, folder=folder, name=folder.name, mirror=config.mirror, turns=config.turns,
                      known_cases=config.known_cases, known_width=support.WIDTH, override="",
                      version=now.strftime("%Y.%m.%d"), created=now.isoformat(timespec="seconds"))
    return finish.calibrated(Predictor(changed, network), material)


def _as_before(old: registry.Bundle, data: Path | None) -> tuple[TrainConfig, Material]:
    """The config that `old` was trained by, and what it learnt from and held out."""
    if old.members:
        raise ModelError(f"{old.name} is an ensemble; do this with its members ({', '.join(old.members)}) and "
                         "make it again.")
    config = replace(configs.read(old.path(configs.CONFIG)), data=str(data) if data else "")
    root = configs.data_folder(config)
    if datasets.load(root).fingerprint != old.data_fingerprint:
        raise DatasetError(f"{root}: not the data that {old.name} was trained on ({old.data_name}); name "
                           "the folder of that.")
    material = materials.at_answer_side(materials.prepare(config), config)
    held_out = {image for part in material.held_out.values() for image in part.rows["image_id"]}
    if wrong := sorted({*predictions.read(old.path(PREDICTIONS))["image_id"]} ^ held_out):
        raise DatasetError(f"{root}: split otherwise than for {old.name}; held out only then or only now:", wrong)
    return config, material


def _bare(bundle: registry.Bundle) -> registry.Bundle:
    """A bundle on disk of which nothing but the network need be there."""
    return replace(bundle, sha256={registry.NETWORK: bundle.sha256[registry.NETWORK]})
