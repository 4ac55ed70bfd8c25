"""Other people's names for the columns, conditions and skin types of a predictions file. Knows words and tables;
no files. What is guessed is told, and what was told by hand is never guessed at."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from derm.datasets.conditions import to_slug
from derm.datasets.ham10000 import CONDITIONS as ABBREVIATIONS
from derm.datasets.table import scale, spelled_out
from derm.errors import DatasetError, first_five
from derm.schema import FST_GROUPS, PARTITIONS, PROBABILITY_PREFIX, display_name

# What others call our columns, the surest first; compared without case and punctuation.
_ALIASES: Mapping[str, tuple[str, ...]] = {
    "image_id": ("image", "imagename", "imagefile", "imgid", "img", "isicid", "md5hash", "filename",
                 "file", "ddifile", "uid", "id", "caseid"),
    "group_id": ("patientid", "patient", "subjectid", "subject", "personid", "lesionid"),
    "split": ("subset",),
    "fst": ("fitzpatrick", "fitzpatrickskintype", "fitzpatricktype", "fitzpatrickscale", "fitzpatrickskintone",
            "fstlabel", "skintype", "phototype", "skinphototype"),
    "mst": ("monk", "monkskintone", "monkscale", "monkskintonescale"),
    "condition": ("truelabel", "truecondition", "trueclass", "ytrue", "groundtruth", "groundtruthlabel", "truth",
                  "actual", "actuallabel", "gt", "gold", "reference", "target", "label", "diagnosis", "dx",
                  "disease", "y"),
    "predicted": ("prediction", "predictedlabel", "predictedcondition", "predictedclass", "predlabel",
                  "predclass", "pred", "ypred", "yhat", "modelprediction", "modeloutput",
                  "aiprediction", "aidiagnosis", "aioutput", "top1", "output"),
    "x_age": ("age", "ageapprox", "patientage", "ageyears"),
    "x_sex": ("sex", "gender"),
    "x_source": ("source", "site", "hospital", "centre", "center"),
    "x_body_site": ("bodysite", "anatomicalsite", "anatomsite", "localization", "localisation", "bodypart"),
}
_PREFIXES = ("probability", "proba", "prob", "softmax", "p")  # before _ . : - or a space
_BEFORE = re.compile(rf"^({'|'.join(_PREFIXES)})[\s_.:-]+(.+)$", re.IGNORECASE)
SCALES: Mapping[str, int] = {"fst": 6, "mst": 10}  # columns of skin types and tones, 1 to so many
_GROUPS = {**{name: name for name in FST_GROUPS}, "1-2": "I-II", "3-4": "III-IV", "5-6": "V-VI",
           "12": "I-II", "34": "III-IV", "56": "V-VI"}


def columns(names: Sequence[str], *, rename: Mapping[str, str]) -> dict[str, str]:
    """Our name of each of `names`, those that keep theirs left out. `rename` (theirs -> ours) comes first.

    A column is only guessed where ours is not there. Probabilities are told by what stands before the name of the
    condition ("prob_", "p_") or, where no column says what was predicted, are called as conditions that Derm
    knows; either in two columns or more.
    """
    found = {theirs: ours for theirs, ours in rename.items() if theirs in names}
    keys = {_key(name): name for name in reversed(names) if name not in found}
    for ours, aliases in _ALIASES.items():
        if ours not in names and ours not in found.values():
            theirs = next((keys[alias] for alias in (_key(ours), *aliases) if alias in keys), None)
            if theirs is not None:
                found[theirs] = ours
    left = [name for name in names if name not in found and name not in _ALIASES]
    if not any(name.startswith(PROBABILITY_PREFIX) for name in (*names, *found.values())):
        found |= _marked(left) or ({} if "predicted" in (*names, *found.values()) else _bare(left))
    return found


def _key(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _marked(names: Iterable[str]) -> dict[str, str]:
    """p:<condition> of each column of probabilities by what stands before the condition."""
    marked = {name: match for name in names if (match := _BEFORE.match(name))}
    for prefix in _PREFIXES:
        conditions = {name: match[2] for name, match in marked.items() if match[1].lower() == prefix}
        if len(conditions) > 1 and (prefix != "p" or any(map(_known, conditions.values()))):
            return {name: PROBABILITY_PREFIX + condition for name, condition in conditions.items()}
    return {}


def _bare(names: Iterable[str]) -> dict[str, str]:
    """p:<condition> of each column that is called as a condition."""
    bare = [name for name in names if _known(name)]
    return {name: PROBABILITY_PREFIX + name for name in bare} if len(bare) > 1 else {}


def _known(name: str) -> bool:
    return name.casefold() in (*ABBREVIATIONS, *PARTITIONS) or not to_slug(pd.Series([name]))[1]


def conditions(names: Sequence[str], *, rename: Mapping[str, str]) -> dict[str, str]:
    """The slug of each name of a condition. `rename` (theirs -> ours) comes first, then Derm's table, then the
    abbreviations of HAM10000 and ISIC; a name that nobody knows becomes a slug of its own words."""
    text = pd.Series(names, dtype="str")
    plain = text.map(lambda name: rename.get(name) or ABBREVIATIONS.get(name.casefold()) or
                     re.sub(r"^(\d+)\.0$", r"\1", name))
    return dict(zip(names, to_slug(plain)[0], strict=True))


def labels(text: pd.Series, *, rename: Mapping[str, str]) -> tuple[pd.Series, dict[str, str]]:
    """A column of conditions as slugs, missing where blank, and the slug of each name."""
    codes, names = pd.factorize(text)
    slugs = conditions([name for name in names if name], rename=rename)
    return _decoded(codes, [slugs.get(name) for name in names], text.index), slugs


def skin_types(frame: pd.DataFrame, column: str) -> dict[str, pd.Series]:
    """A `column` of SCALES, in a frame with `image_id`, as Int8: "V", "5.0" and "type V" are 5, blank and -1
    are missing.

    Of an `fst` that only says a group of two ("V-VI", "5-6", DDI's 56) that as `x_skin_group` too. Raises
    `DatasetError` naming the images where it is anything else.
    """
    text = frame[column]
    if column == "fst" and (groups := _groups(text)) is not None:
        return {"fst": pd.Series(pd.NA, index=text.index, dtype="Int8"), "x_skin_group": groups}
    plain = spelled_out(text.replace("NONE_IDENTIFIED", ""))
    return {column: scale(frame.assign(**{column: plain}), column, ids="image_id", highest=SCALES[column])}


def _groups(text: pd.Series) -> pd.Series | None:
    """FST_GROUPS, missing where blank; None unless every value is a group."""
    codes, names = pd.factorize(text)
    plain = [name.upper().replace("–", "-").replace(" ", "") for name in names]
    if not (said := {*plain} - {"", "-1", "UNKNOWN"}) or not said <= _GROUPS.keys():
        return None
    return _decoded(codes, [_GROUPS.get(name) for name in plain], text.index)


def _decoded(codes: np.ndarray, values: Sequence[str | None], index: pd.Index) -> pd.Series:
    return pd.Series(pd.array(values, dtype="string[pyarrow]").take(codes), index=index)


def told(renamed: Mapping[str, str], *, by_hand: Mapping[str, str], read: Mapping[str, str]) -> list[str]:
    """A sentence on each thing that was guessed, so that a wrong guess is seen: the columns, and the conditions
    (`read`, name -> slug)."""
    guessed = {theirs: ours for theirs, ours in renamed.items() if theirs not in by_hand}
    p = [theirs for theirs, ours in guessed.items() if ours.startswith(PROBABILITY_PREFIX)]
    columns = [f"{theirs!r} as {ours}" for theirs, ours in guessed.items() if theirs not in p]
    conditions = [f"{name!r} is {display_name(slug)}" for name, slug in read.items()
                  if name not in by_hand and _key(name) != _key(slug)]
    notes = []
    if columns:
        notes.append(f"Columns guessed from their names: {', '.join(columns)}.")
    if p:
        notes.append(f"Columns guessed from their names to be probabilities {first_five(p)}.")
    if conditions:
        notes.append(f"Conditions under another name {first_five(conditions)}.")
    return notes


def refuse_unused(rename: Mapping[str, str], names: Sequence[str], conditions: Iterable[str]) -> None:
    """Nothing, if each of `rename` is a column or a condition of the file; else raises `DatasetError`."""
    if unused := sorted(rename.keys() - {*names, *conditions}):
        raise DatasetError("no column and no condition is called so; the columns are "
                           f"{', '.join(names[:10])}. Mend the names to map", unused)
