"""Several models that answer as one: how their votes are combined, and the making of such a bundle from what its
members recorded. Knows predictions and bundles; no network and no photograph.

An ensemble is judged on the photographs that every member held out, for one that a member learnt from would
flatter it. Where these are few or none, as with members trained on different folds, each photograph is answered by
those members alone that held it out: fewer than will answer, so that the figures are likely to be too low. What
such photographs decide, the temperature and if wanted the weights, is for the recorded prediction of each decided
by others of them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import derm
from derm import card, conformal, predictions, registry
from derm.bundle_rules import PREDICTIONS
from derm.errors import ModelError
from derm.fairness import metrics
from derm.nn import calibrate, reference
from derm.registry import Bundle
from derm.schema import PROBABILITY_PREFIX
from derm.settings import settings

VOTES = ("soft", "hard")
VALIDATION = "validation"  # instead of weights: have them chosen
TIE = 1e-3  # what the mean probability counts beside the votes: enough to decide between equal ones
FOLDS = 5
_LEAST = 1e-12  # of a probability, before its logarithm
_MOST = 0.5  # of what the member held out that held out least, for all to be judged by what they have in common


@dataclass(frozen=True)
class Rule:
    """How votes become an answer: `vote` is one of VOTES, `weights` are the members', summing to 1."""

    vote: str
    weights: tuple[float, ...]
    temperature: float = 1.0


def combined(p: np.ndarray, rule: Rule) -> np.ndarray:
    """The ensemble's probabilities float64 [n, C] from its members' calibrated ones, p [members, n, C]; NaN of a
    member without a vote.

    The mean of the `ballots` by the members' weights, its logarithm divided by the temperature before a softmax.
    """
    weights = np.asarray(rule.weights)[:, None] * ~np.isnan(p[..., 0])
    mean = np.einsum("mn,mnc->nc", weights / weights.sum(axis=0), np.nan_to_num(ballots(p, rule.vote)))
    return calibrate.probabilities(np.log(np.maximum(mean, _LEAST)), rule.temperature)


def ballots(p: np.ndarray, vote: str) -> np.ndarray:
    """What each member puts in, [members, n, C], each row summing to 1: with a soft vote its probabilities, with a
    hard one all for its first answer but TIE for its probabilities, so that these decide where votes are equal."""
    if vote == "soft":
        return p
    first = np.arange(p.shape[-1]) == p.argmax(axis=-1)[..., None]
    return (1 - TIE) * first + TIE * p


def chosen_weights(p: np.ndarray, truth: np.ndarray, *, vote: str, rounds: int = 500) -> tuple[float, ...]:
    """The members' weights, from 0 and summing to 1, under which the true conditions `truth` int [n] are most
    likely: the proportions of a mixture, by expectation and maximisation (Dempster, Laird & Rubin 1977)."""
    likely = np.maximum(ballots(p, vote)[:, np.arange(len(truth)), truth], _LEAST)
    weights = np.full(len(p), 1 / len(p))
    for _ in range(rounds):
        share = weights[:, None] * likely
        weights = (share / share.sum(axis=0)).mean(axis=1)
    weights = np.round(weights, 3)
    return tuple((weights / weights.sum()).tolist())


def make(names: Sequence[str], *, name: str, vote: str = "soft", weights: Sequence[float] | str = (),
         models: Path | None = None) -> Bundle:
    """Write the ensemble `name` of the models called `names`, the first of them leading, and return its bundle.

    `weights` are one a member, above 0 and summing to 1; none: alike; VALIDATION: chosen there. Raises
    `ModelError` for models that cannot be combined, for weights or a vote that are none and for a name that is
    taken; nothing is written then.
    """
    models = models or settings().models
    registry.check_free(name, models=models)
    if vote not in VOTES:
        raise ModelError(f"vote = '{vote}'; expected {' or '.join(VOTES)}.")
    members = _members(names, models)
    fixed = None if weights == VALIDATION else _fixed(weights, members)
    rows, p = _held_out(members)
    if weights == VALIDATION and np.isnan(p).any():
        raise ModelError(f"weights = {VALIDATION}; these members held out different photographs, so that none "
                         f"tell what each should count. Give {len(members)} numbers that sum to 1, or none.")
    rule, answers = _answered(rows, p, vote=vote, weights=fixed)
    limits, table = reference.declared(
        predictions.table(rows, classes=members[0].classes, probabilities=answers), _unlike(rows, members[0]))
    judged = table[table["split"] == ("test" if (table["split"] == "test").any() else "val")]
    bundle = replace(
        _described(name, members, rule, table, p), figures=metrics.figures(judged),
        conformal={"level": conformal.LEVEL, "limits": {group: asdict(one) for group, one in limits.items()}},
        sensitivity=reference.sensitivity(judged, members[0].partition3))
    text = card.markdown(bundle, table, weights_chosen=fixed is None)
    with registry.new_folder(models / name) as part:
        predictions.write(part / PREDICTIONS, table)
        (part / registry.CARD).write_text(text, encoding="utf-8")
        written = registry.write(part, bundle)
    return replace(written, folder=models / name)


def _members(names: Sequence[str], models: Path) -> list[Bundle]:
    """The bundles, sound and fit to be combined."""
    if len(names) < 2:
        raise ModelError(f"An ensemble of {', '.join(names) or 'nothing'}: expected two models or more.")
    if twice := [name for name in dict.fromkeys(names) if list(names).count(name) > 1]:
        raise ModelError(f"{', '.join(twice)} is named more than once; name each member once and let the weights "
                         "say what it counts.")
    members = [registry.find(name, models=models) for name in names]
    for member in members:
        _check_fits(member, members[0])
        if problems := registry.verify(member):
            raise ModelError(problems[0])
    return members


def _check_fits(member: Bundle, lead: Bundle) -> None:
    if member.members:
        raise ModelError(f"{member.name} is an ensemble itself; name its members: {', '.join(member.members)}.")
    if member.classes != lead.classes:
        odd = ", ".join(sorted(set(member.classes) ^ set(lead.classes))[:5]) or "in another order"
        raise ModelError(f"{member.name} knows other conditions than {lead.name} ({odd}); combine models of the "
                         "same ones.")
    if member.data_fingerprint != lead.data_fingerprint:
        raise ModelError(f"{member.name} was trained on other data than {lead.name} ({member.data_name} and "
                         f"{lead.data_name}, or another state of it); combine models trained on the same.")
    if PREDICTIONS not in member.sha256:
        raise ModelError(f"{member.name} has no {PREDICTIONS}, so that nothing tells which photographs it held "
                         "out; combine models trained here.")


def _fixed(weights: Sequence[float] | str, members: Sequence[Bundle]) -> tuple[float, ...]:
    """The weights asked for, made to sum to 1 where rounding left a hundredth; none if all count alike."""
    if len(weights) == 0:
        return ()
    numbers = [float(weight) for weight in weights if not isinstance(weight, str)]
    sound = all(0 < weight < math.inf for weight in numbers) and abs(sum(numbers) - 1) <= 0.0101
    if len(numbers) != len(members) or not sound:
        example = ",".join(["0.5", *(f"{0.5 / (len(members) - 1):.2g}" for _ in members[1:])])
        said = weights if isinstance(weights, str) else ",".join(f"{weight:g}" for weight in weights)
        raise ModelError(f"weights = {said}; expected {len(members)} numbers above 0 that sum to 1, such as "
                         f"{example}, or {VALIDATION}.")
    return tuple(weight / sum(numbers) for weight in numbers)


def _held_out(members: Sequence[Bundle]) -> tuple[pd.DataFrame, np.ndarray]:
    """The rows of the photographs that every member held out, as the first of them recorded each, and what each
    member said of them, [members, n, C]; if these are too few, of those that any held out, NaN for who did not. A
    photograph is "test" only where nothing was decided on it by any of them."""
    tables = [predictions.read(member.path(PREDICTIONS)).set_index("image_id", drop=False)
              for member in members]
    tables = [table[table["split"].isin(["val", "test"])] for table in tables]
    splits = pd.concat([table["split"] for table in tables], axis=1)
    if splits.notna().all(axis=1).sum() > _MOST * splits.notna().sum().min():
        splits = splits.dropna()
    test = (splits.isna() | (splits == "test")).all(axis=1)
    if test.all():
        raise ModelError(f"{', '.join(member.name for member in members)} held out no photograph for validation, "
                         "so that nothing tells how good they are together; combine models trained with the same "
                         "split.")
    columns = [f"{PROBABILITY_PREFIX}{name}" for name in members[0].classes]
    every = pd.concat(tables)
    rows = every[~every.index.duplicated()].loc[splits.index].assign(split=np.where(test, "test", "val"))
    return rows, np.stack([table.reindex(splits.index)[columns].to_numpy() for table in tables])


def _voters(p: np.ndarray) -> np.ndarray:
    """How many members have a vote in each row, int [n]."""
    return (~np.isnan(p[..., 0])).sum(axis=0)


def _answered(rows: pd.DataFrame, p: np.ndarray, *, vote: str,
              weights: tuple[float, ...] | None) -> tuple[Rule, np.ndarray]:
    """The rule, and the probabilities [n, C] of each row. More voters are less sure of what they say together, so
    rows of as many voters decide and are answered by a rule of their own, where they are enough for that; that of
    the most voters is the ensemble's."""
    voters, val = _voters(p), (rows["split"] == "val").to_numpy(dtype=bool)
    if any((voters[val] == number).sum() < conformal.LEAST for number in set(voters.tolist())):
        voters[:] = 0
    answers = np.empty(p.shape[1:])
    for number in np.unique(voters):
        alike = np.flatnonzero(voters == number)
        rule, answers[alike] = _answered_alike(rows.iloc[alike], p[:, alike], vote=vote, weights=weights)
    return rule, answers


def _answered_alike(rows: pd.DataFrame, p: np.ndarray, *, vote: str,
                    weights: tuple[float, ...] | None) -> tuple[Rule, np.ndarray]:
    """The rule that all validation rows decide, and the probabilities [n, C] of each row: of "val" by the rule
    that the other folds decide, so that no row is judged by what it decided itself."""
    truth = reference.arrays(rows)[1]
    val = np.flatnonzero((rows["split"] == "val").to_numpy(dtype=bool))
    known = val[truth[val] >= 0]
    rule = _decided(p[:, known], truth[known], vote=vote, weights=weights)
    answers = combined(p, rule)
    fold = conformal.fold_of(rows["group_id"].to_numpy(dtype=object)[val], folds=FOLDS)
    for one in np.unique(fold):
        others = np.intersect1d(val[fold != one], known)
        if len(others):
            answers[val[fold == one]] = combined(
                p[:, val[fold == one]], _decided(p[:, others], truth[others], vote=vote, weights=weights))
    return rule, answers


def _decided(p: np.ndarray, truth: np.ndarray, *, vote: str, weights: tuple[float, ...] | None) -> Rule:
    """The rule under which `truth` is most likely: its temperature, and its weights unless they are given."""
    if weights is None:
        weights = chosen_weights(p, truth, vote=vote)
    rule = Rule(vote, weights or (1 / len(p),) * len(p))
    return replace(rule, temperature=calibrate.temperature(np.log(combined(p, rule)), truth))


def _unlike(rows: pd.DataFrame, lead: Bundle) -> np.ndarray:
    """Whether the first member that held out each row found it unlike its training photographs: those it declined,
    but for those where it declined for too large a set. Nothing is, by one that never measured it."""
    if "abstained" not in rows or "prediction_set" not in rows:
        return np.zeros(len(rows), dtype=bool)
    large = 2 * (rows["prediction_set"].str.count(";") + 1) > len(lead.classes)
    return (rows["abstained"].fillna(False).astype(bool) & ~large.fillna(False)).to_numpy(dtype=bool)


def _described(name: str, members: Sequence[Bundle], rule: Rule, table: pd.DataFrame, p: np.ndarray) -> Bundle:
    """All of it but what was measured."""
    lead, now, voters = members[0], datetime.now(UTC), _voters(p)
    alike = len(set(rule.weights)) == 1
    kinds = Counter(member.backbone for member in members)
    whole = voters.min() == len(members)
    trained, training = _learnt(members, table[:0] if whole else table[~np.isnan(p[0, :, 0])])
    counts = {str(split): int(n) for split, n in table["split"].value_counts(sort=False).items()}
    return replace(
        lead, name=name, version=now.strftime("%Y.%m.%d"), created=now.isoformat(timespec="seconds"),
        input_size=max(member.input_size for member in members), temperature=rule.temperature,
        backbone=", ".join(f"{count} x {kind}" for kind, count in kinds.items()), mirror=False, turns=False,
        code_version=derm.__version__, counts=trained | counts, environment={}, override="",
        averaged=(), known_cases=float(np.dot(rule.weights, [member.known_cases for member in members])),
        split="by those that every member held out" if whole else "by members, each its own part",
        voters=() if whole else (int(voters.min()), int(voters.max())), metadata=_metadata(members),
        training=training,
        members=tuple(member.name for member in members), vote=rule.vote, weights=() if alike else rule.weights,
        member_sha256={member.name: member.sha256[registry.NETWORK] for member in members})


def _learnt(members: Sequence[Bundle], also: pd.DataFrame) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
    """How many photographs members learnt from, and of each condition by skin-type group: those of the first and
    what it held out and others learnt from (`also`). Nothing where members that held out the same learnt from
    others, or where it is not known."""
    lead, alike = members[0], [members[0]] if len(also) else members
    trained = {"train": lead.counts["train"] + len(also)} if "train" in lead.counts and all(
        member.counts.get("train") == lead.counts["train"] for member in alike) else {}
    if not lead.training or any(member.training != lead.training for member in alike):
        return trained, {}
    more = reference.training(also, lead.classes)
    return trained, {name: {group: n + more[name].get(group, 0) for group, n in groups.items()}
                     for name, groups in lead.training.items()}


def _metadata(members: Sequence[Bundle]) -> Mapping[str, Any]:
    """Every column that a member reads; each member encodes its own."""
    return {column: how for member in reversed(members) for column, how in member.metadata.items()}
