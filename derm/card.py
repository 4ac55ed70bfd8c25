"""The model card: what a bundle is, what it was measured to do and for whom, in Markdown.

Every statement comes from the bundle, from its predictions or from the named data set's known limits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from derm import conformal
from derm.fairness import metrics, probabilities
from derm.fairness.figure import TOO_FEW, Figure, proportion
from derm.fairness.groups import SKIN_TYPE_GROUPS, skin_type_group
from derm.registry import Bundle, overridden
from derm.schema import FAMILIES, display_name

SPLITS = {"val": "Validation", "test": "Test"}
VOTES = {
    "soft": "A soft vote: the probability of each condition is the mean over the members, each by its weight.",
    "hard": "A hard vote: the probability of each condition is the share of the members, each by its weight, whose"
            " first answer it is; where shares are equal, the mean probability decides.",
}
_FITZPATRICK17K = (
    "The labels are those of two online atlases and are not confirmed by biopsy; some are known to be wrong.",
    "The two atlases differ in skin types, cameras and conditions, so a difference between skin-type groups"
    " may come from the source and not from the skin.",
    "The skin types were judged from the photographs by annotators, not measured on the patient.",
)
# What is known of a data set, by a word in its name.
DATA_LIMITS: Mapping[str, tuple[str, ...]] = {"ajl": _FITZPATRICK17K, "fitzpatrick17k": _FITZPATRICK17K}


def markdown(bundle: Bundle, predictions: pd.DataFrame, *, ece_before: Figure | None = None,
             weights_chosen: bool = False, n_boot: int = 2000, seed: int = 0) -> str:
    """The card of `bundle`, measured on the labelled rows of `predictions`, split by split.

    `ece_before` is the validation's expected calibration error before the temperature was fitted;
    `weights_chosen`: validation decided what the members of this ensemble count.
    """
    labelled = predictions[predictions["condition"].notna()]
    tables = {title: labelled[labelled["split"] == split] for split, title in SPLITS.items()}
    tables = {title: table for title, table in tables.items() if len(table)}
    measured = [line for title, table in tables.items()
                for line in _measured(title, table, n_boot=n_boot, seed=seed)]
    sections = [_heading(bundle), _members(bundle, chosen=weights_chosen), _data(bundle), _beside(bundle),
                measured, _calibration(bundle, list(tables), ece_before), _point_of_care(bundle, tables),
                _limits(bundle, tables), _reproduce(bundle, chosen=weights_chosen),
                overridden(bundle.override) if bundle.override else []]
    return "\n".join(line for section in sections if section for line in [*section, ""]).rstrip() + "\n"


def _heading(bundle: Bundle) -> list[str]:
    size, answers = bundle.input_size, f"{len(bundle.classes)} logits out"
    what = f"{bundle.backbone}: a photograph of {size} x {size} pixels (uint8) in, {answers}"
    if bundle.averaged:
        names = ", ".join(f"`{name}`" for name in bundle.averaged)
        what += f"; its weights are the mean of those of {names}"
    if bundle.members:
        what = f"{len(bundle.members)} networks that vote: {bundle.backbone}"
    return [
        f"# Model card: {bundle.backbone} trained on {bundle.data_name}", "",
        "A research demo, not a medical device.", "",
        *_table([("", ""),
                 ("Made as" if bundle.members else "Trained as",
                  f"`{bundle.name}`, version {bundle.version}, {bundle.created}"),
                 ("Network", what),
                 ("Answer", _answer(bundle)),
                 ("Licence", bundle.licence)]), "",
        "## Intended use", "", bundle.intended_use,
    ]


def _answer(bundle: Bundle) -> str:
    if bundle.members:
        return "the mean of what its members say, each by its weight"
    views = [name for name, looked_at in (("its mirror image", bundle.mirror), ("its quarter turns", bundle.turns))
             if looked_at]
    both = ", those of the mirror image too" if len(views) == 2 else ""
    seen = f"the mean over the photograph and {views[-1]}{both}" if views else "from the photograph as it is"
    if not bundle.known_cases:
        return seen
    return (f"{seen}; {bundle.known_cases:.0%} of it is the vote of the photographs for training and validation,"
            " each for its own condition, weighted by how alike its features are. In the figures below no"
            " photograph had a say in its own answer, nor had its near-duplicates")


def _members(bundle: Bundle, *, chosen: bool) -> list[str]:
    """Who votes and how; nothing for a single network."""
    if not bundle.members:
        return []
    lines = [VOTES[bundle.vote]]
    if chosen:
        lines.append("The weights are those under which the true conditions of the validation photographs are most"
                     " likely. For the figures below each photograph was answered with weights from others of them"
                     " (five folds).")
    judged = "The figures are of photographs that every member held out;"
    if bundle.voters:
        judged = f"The members held out different photographs: {bundle.judges}. But for that,"
    lines.append("The first member leads: whether a photograph is unlike those learnt from, and the known cases"
                 f" like it, are as `{bundle.members[0]}` finds them. {judged} a member's training may have been"
                 " stopped, or the member chosen, by them.")
    weights = [("Member", "Weight"), *((f"`{name}`", f"{weight:.3f}") for name, weight in
                                       zip(bundle.members, bundle.shares, strict=True))]
    return ["## Members", "", *_table(weights), *(part for line in lines for part in ("", line))]


def _data(bundle: Bundle) -> list[str]:
    counts = ", ".join(f"{n:,} {split}" for split, n in bundle.counts.items())
    facts = [("Photographs", counts), ("Split", bundle.split), ("Licence of the data", bundle.licence),
             ("Source", bundle.citation), ("Fingerprint", f"`{bundle.data_fingerprint}`")]
    stated = [("Data set", bundle.data_name), *(fact for fact in facts if fact[1])]
    kinds = bundle.partition3
    conditions = [f"{display_name(name)} ({kinds[name]})" if name in kinds else display_name(name)
                  for name in bundle.classes]
    return ["## Training data", "", *_table(stated), "",
            f"The {len(conditions)} conditions: {'; '.join(conditions)}."]


def _beside(bundle: Bundle) -> list[str]:
    """What it reads beside the photograph; nothing for a model that reads photographs alone."""
    if not bundle.metadata:
        return []
    rows = [("Column", "Read as"), *((f"`{name}`", _kind(column)) for name, column in bundle.metadata.items())]
    return ["## Beside the photograph", "", *_table(rows), "",
            "Any of it may be absent, or all of it. The figures below are measured with what was recorded of the"
            " photographs held out; how often a value was missing there is not kept. From the photograph"
            " alone it was not measured."]


def _kind(column: Mapping[str, Any]) -> str:
    if column["kind"] == "number":
        return f"a number; in training {column['mean']:.1f} on average, standard deviation {column['sd']:.1f}"
    return "yes or no" if column["kind"] == "answer" else f"{', '.join(column['categories'])}, or another"


def _measured(title: str, table: pd.DataFrame, *, n_boot: int, seed: int) -> list[str]:
    # The figures are of every answer, also of those that the model would decline.
    table = table.drop(columns=["abstained", "prediction_set"], errors="ignore")
    groups = {"All": metrics.summary(table, n_boot=n_boot, seed=seed),
              **metrics.by_skin_type(table, n_boot=n_boot, seed=seed)}
    header, *body = zip(*metrics.rows(groups, list(metrics.LABELS)), strict=True)
    conditions = [("Condition", "n", "Sensitivity", "F1")]
    for name, found in metrics.by_condition(table, n_boot=n_boot, seed=seed).items():
        sensitivity, f1 = found["sensitivity"], found["f1"]
        conditions.append((display_name(name), f"{f1.n:,}", sensitivity.text, f1.text))
    return [
        f"## {title} figures, overall and by Fitzpatrick skin type", "",
        *_table([(f"{title} photographs", *header[1:]), *body]), "",
        "In brackets the 95 % interval: Wilson's for accuracy, top-3 accuracy and sensitivity, the bootstrap"
        f" over photographs for the others. Below n = {TOO_FEW} no figure is given.", "",
        f"## {title} figures by condition", "", *_table(conditions), "",
    ]


def _calibration(bundle: Bundle, measured_on: Sequence[str], ece_before: Figure | None) -> list[str]:
    lines = [f"Logits are divided by a temperature of {bundle.temperature:.3f} before the softmax. It was"
             " fitted on the validation photographs, so the calibration measured on those is somewhat too good."]
    if bundle.members:
        lines = ["Each member's probabilities are calibrated by its own temperature, fitted on validation"
                 " photographs. The logarithm of their mean is divided by a temperature of"
                 f" {bundle.temperature:.3f} before a softmax. It too was fitted on the validation photographs;"
                 " for the figures, on others of them (five folds)."]
    if ece_before:
        lines.append(f"Expected calibration error on validation before that: {ece_before}.")
    if after := bundle.figures.get("ece"):
        where = f" on {measured_on[-1].lower()}" if measured_on else ""
        lines.append(f"Expected calibration error{where} after that: {Figure(**after)}.")
    return ["## Calibration", "", *(part for line in lines for part in (line, ""))][:-1]


def _point_of_care(bundle: Bundle, tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Prediction sets and abstention, on the split measured last; nothing for a bundle that has none."""
    if not bundle.conformal or not tables:
        return []
    title, table = list(tables.items())[-1]
    groups = skin_type_group(table["fst"])
    parts = {"All": table, **{name: table[groups == name] for name in SKIN_TYPE_GROUPS}}
    columns = [_declared(name, part, bundle) for name, part in parts.items()]
    labels = (f"{title} photographs", "n", "In the set", "Conditions in a set, mean", "Limit from", "Declined",
              "Declined: set too large", "Declined: unlike the training photographs")
    drawn = "; ".join(f"{kind} {Figure(**figure).text}" for kind, figure in bundle.nonskin.items())
    per_kind = next((figure["n"] for figure in bundle.nonskin.values()), 0)
    lead = [f"Where `{bundle.members[0]}` itself declined for too large a set, it is not recorded whether the"
            " photograph was unlike those learnt from; it counts as not.", ""] if bundle.members else []
    return [
        "## At the point of care", "",
        f"Beside its answer the model gives a set of conditions meant to hold the right one in"
        f" {100 * bundle.conformal['level']:.0f} % of cases on each skin-type group. A group with fewer than"
        f" {conformal.LEAST} validation photographs shares the limit of all. It declines to answer when a"
        " photograph is unlike those it was trained on, or when the set holds more than half of all conditions.",
        "",
        *_table(list(zip(labels, *columns, strict=True))), "",
        "Measured on validation photographs with limits from other validation photographs (ten folds). In brackets"
        " the 95 % interval." if title == SPLITS["val"] else "In brackets the 95 % interval.", "", *lead,
        f"Declined as unlike the training photographs, of {per_kind} drawn pictures of each kind that is not skin:"
        f" {drawn}. What people upload by mistake is not drawn: how often it is declined is not known from this.",
    ]


def _declared(name: str, table: pd.DataFrame, bundle: Bundle) -> tuple[str, ...]:
    """One group's column: its name and n, coverage and size of its sets, whose limit, and what was declined."""
    n, declined = len(table), table["abstained"].to_numpy(dtype=bool)
    sets = [text.split(";") for text in table["prediction_set"]]
    size = np.array([len(held) for held in sets], dtype=np.float64)
    covered = sum(condition in held for condition, held in zip(table["condition"], sets, strict=True))
    large = 2 * size > len(bundle.classes)
    return (name, f"{n:,}", proportion(covered, n).text, probabilities.mean(size).figure().text,
            "itself" if name in bundle.conformal["limits"] or name == "All" else "all", *(
                proportion(int(count), n).text for count in
                (declined.sum(), large.sum(), (declined & ~large).sum())))


def _limits(bundle: Bundle, tables: Mapping[str, pd.DataFrame]) -> list[str]:
    lines = []
    families = [[display_name(slug) for slug in slugs if slug in bundle.classes] for slugs in FAMILIES.values()]
    if overlapping := "; ".join(" / ".join(names) for names in families if len(names) > 1):
        lines.append("Some labels overlap, and one taken for the other counts as a mistake here; read them"
                     f" as one: {overlapping}.")
    for title, table in tables.items():
        group = skin_type_group(table["fst"])
        counts = ", ".join(f"{(group == name).sum():,} {name}" for name in SKIN_TYPE_GROUPS)
        lines.append(f"{title} photographs by Fitzpatrick skin type: {counts}. The fewer, the less is"
                     " known of how the model does there.")
    for word, limits in DATA_LIMITS.items():
        if word in bundle.data_name.casefold():
            lines += [limit for limit in limits if limit not in lines]
    lines.append(f"Whatever is shown, the answer is one of the {len(bundle.classes)} conditions above.")
    return ["## Limits", "", *(f"- {line}" for line in lines)]


def _reproduce(bundle: Bundle, *, chosen: bool) -> list[str]:
    if bundle.members:
        weights = "validation" if chosen else ",".join(f"{weight:.6g}" for weight in bundle.weights)
        return ["## Reproduce", "", "With the same members:", "",
                f"    derm ensemble {' '.join(bundle.members)} --vote {bundle.vote}"
                f"{f' --weights {weights}' if weights else ''} --name {bundle.name}"]
    versions = [("Derm", bundle.code_version), ("Keras", bundle.keras_version), *bundle.environment.items()]
    averaged = [] if not bundle.averaged else [
        "", "That is the first of the networks averaged. With the others, trained on from it or before it:", "",
        f"    derm models average {' '.join(bundle.averaged)} --name {bundle.name}"]
    return ["## Reproduce", "", "With the same data, and `config.toml` from this folder:", "",
            "    derm train config.toml", *averaged, "", *_table([("Trained with", ""), *versions])]


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    header, *body = [f"| {' | '.join(_cell(text) for text in row)} |" for row in rows]
    return [header, "|" + " --- |" * len(rows[0]), *body]


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
