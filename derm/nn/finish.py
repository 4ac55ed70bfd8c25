"""The end of a run: a calibrated, portable bundle. Knows networks and what was held out; no training."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from scipy.special import log_softmax

import derm
from derm import atomic, card, predictions, registry, support
from derm.bundle_rules import PREDICTIONS
from derm.fairness import metrics
from derm.fairness.figure import Figure
from derm.nn import architecture, calibrate, compact, reference
from derm.nn import config as configs
from derm.nn import material as materials
from derm.nn.config import TrainConfig
from derm.nn.material import Material, Part
from derm.nn.predict import Evidence, Predictor

INTENDED_USE = ("Research and teaching: a differential to discuss, with its measured reliability by skin type. "
                "Not a medical device; not for deciding on anybody's care.")


def logits(network: keras.Model, part: Part) -> np.ndarray:
    """Logits float32 [n, classes] of one view of a part's pictures, while a run goes on."""
    inputs = {"image": part.pixels, "metadata": part.metadata} if part.metadata.shape[1] else part.pixels
    if not network.compiled:
        # Left to itself Keras would choose XLA, whose convolutions crawl on processors.
        network.compile(jit_compile=keras.backend.backend() == "jax")
    return np.asarray(network.predict(inputs, batch_size=64, verbose=0))


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean negative log-likelihood, in nats."""
    return -float(log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(labels)), labels].mean())


def portable(network: keras.Model, config: TrainConfig, classes: int) -> keras.Model:
    """The same network in float32, so that it is as exact and as fast as can be on any processor, and with the
    input that answers are to have: the weights do not depend on it."""
    plain = architecture.build(config.backbone, classes=classes, size=config.answer_side, dropout=config.dropout,
                               head=config.head, metadata=architecture.metadata_width(network))
    plain.set_weights(network.get_weights())
    return plain


def bundle(network: keras.Model, config: TrainConfig, material: Material, run: Path) -> registry.Bundle:
    """Calibrate on validation and write the bundle's files into `run`, bundle.json last.

    Figures are those of "test" where the split holds one out, else of "val".
    """
    material = materials.at_answer_side(material, config)
    save(network, run / registry.NETWORK)
    predictor = Predictor(_describe(config, material, run), network)
    # A bundle travels: it knows its data by name and fingerprint, and what it began with by name, not by folders
    # of one machine.
    start = Path(config.weights)
    start = start.parent if start.name == registry.NETWORK else start
    configs.save(replace(config, data="", weights=start.name), run)
    return calibrated(predictor, material)


def save(network: keras.Model, path: Path) -> None:
    """Shortened before it answers: what is recorded is what the saved network says."""
    compact.shorten(network)
    compact.save(network, path)


def calibrated(predictor: Predictor, material: Material) -> registry.Bundle:
    """Find the temperature on validation and write what comes of it; the network and its config are there."""
    predictor.known = reference.gathered(predictor, material)
    found = evidence(predictor, material)
    described = predictor.bundle
    temperature = calibrate.temperature(found["val"][0], material.held_out["val"].labels, found["val"][1],
                                        share=described.known_cases)
    predictor.bundle = replace(described, temperature=temperature)
    table = pd.concat([
        predictions.table(material.held_out[name].rows.assign(split=name), classes=material.classes,
                          probabilities=predictor.answer(*each))
        for name, each in found.items()], ignore_index=True)
    return leave(predictor, material, table, found)


def evidence(predictor: Predictor, material: Material) -> dict[str, Evidence]:
    """What the answers to each part held out are made of."""
    return {name: predictor.evidence(part.pixels, part.rows) for name, part in material.held_out.items()}


def leave(predictor: Predictor, material: Material, table: pd.DataFrame,
          found: Mapping[str, Evidence]) -> registry.Bundle:
    """Write what only the network and its data can tell, the card and bundle.json, into the bundle's folder;
    `table` of the answers that came of what was `found`."""
    held = reference.measure(predictor, material, table)
    judged = table[table["split"] == ("test" if "test" in material.held_out else "val")]
    described = replace(predictor.bundle, figures=metrics.figures(judged), **held.keys)
    text = card.markdown(described, held.predictions, ece_before=_ece_before(described, material, found))
    # All is measured before the first file is touched.
    atomic.write_bytes(described.path(registry.REFERENCE), reference.packed(held.reference))
    predictions.write(described.path(PREDICTIONS), held.predictions)
    atomic.write_bytes(described.path(registry.CARD), text.encode())
    return registry.write(described.folder, described)


def _ece_before(described: registry.Bundle, material: Material, found: Mapping[str, Evidence]) -> Figure:
    """The expected calibration error on validation with a temperature of 1."""
    logits, vote = found["val"]
    raw = calibrate.probabilities(logits, 1.0, vote, share=described.known_cases)
    return metrics.summary(predictions.table(material.held_out["val"].rows, classes=described.classes,
                                             probabilities=raw))["ece"]


def _describe(config: TrainConfig, material: Material, run: Path) -> registry.Bundle:
    """All that is known before the network answers."""
    dataset = material.dataset
    now = datetime.now(UTC)
    counts = {"train": len(material.train.labels)}
    counts |= {name: len(part.labels) for name, part in material.held_out.items()}
    return registry.Bundle(
        folder=run, name=run.name, version=now.strftime("%Y.%m.%d"), created=now.isoformat(timespec="seconds"),
        classes=material.classes, partition3=_partitions(dataset.table), input_size=config.answer_side,
        backbone=config.backbone, temperature=1.0, mirror=config.mirror, turns=config.turns,
        known_cases=config.known_cases, known_width=support.WIDTH, metadata=material.metadata,
        data_name=dataset.name, data_fingerprint=dataset.fingerprint, licence=dataset.source.licence,
        citation=dataset.source.citation, intended_use=INTENDED_USE,
        keras_version=keras.__version__, code_version=derm.__version__,
        figures={}, counts=counts, environment=_environment(),
        split=f"by {configs.LISTS['split_file']}" if config.split_file else config.split)


def _partitions(table: pd.DataFrame) -> dict[str, str]:
    """Condition -> benign / malignant / non-neoplastic, as the data set's rows most often say."""
    known = table.dropna(subset=["condition", "partition3"])
    most = known.groupby("condition", observed=True)["partition3"].agg(lambda values: values.mode().iloc[0])
    return {str(condition): str(partition) for condition, partition in most.items()}


def _environment() -> dict[str, Any]:
    return {"python": platform.python_version(), "backend": keras.backend.backend(),
            "system": f"{platform.system()} {platform.machine()}",
            "devices": ", ".join(keras.distribution.list_devices())}
