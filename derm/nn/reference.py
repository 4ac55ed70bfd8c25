"""What a bundle carries for the point of care: how near a photograph is to those learnt from, which conditions
stay possible, whom the model was trained on and how well it does there. Knows predictors, data, files; no pages.

A new run and a finished bundle (`derm models complete`) get it through the same functions.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from derm import conformal, duplicates, images, nonskin, splits, support
from derm.errors import ModelError
from derm.fairness.figure import proportion
from derm.fairness.groups import SKIN_TYPE_GROUPS, skin_type_group
from derm.nn import cache
from derm.registry import REFERENCE, Bundle
from derm.schema import Diagnosis, KnownCase, SkinType
from derm.settings import settings
from derm.support import Reference, Space

if TYPE_CHECKING:
    from derm.nn.material import Material
    from derm.nn.predict import Predictor, Seen

MOST = 6000  # known cases kept; keeps the file small and the search for similar ones quick
DRAWN = 25  # drawn pictures of each kind that is not skin
_LARGEST = 64 * 2**20  # bytes: a bundle from elsewhere must not fill the memory
MALIGNANT = "malignant"
_TEXTS = ("image_ids", "conditions", "paths")
_SPACES = ("deep", "middle")


@dataclass(frozen=True)
class Support:
    """`reference` for the bundle's file, `predictions` with the columns `abstained` and `prediction_set`, and the
    keys of bundle.json."""

    reference: Reference
    predictions: pd.DataFrame
    keys: Mapping[str, Any]


def measure(predictor: Predictor, material: Material, table: pd.DataFrame) -> Support:
    """The support of a predictor, which knows its cases (`gathered`), from what it was trained on and its
    predictions `table` for what was held out.

    Limits are those of the photographs held out for validation; what `table` says of these comes from limits
    measured on others of them, so that it tells how the limits do on photographs not seen.
    """
    reference = predictor.known or gathered(predictor, material)
    seen = {name: predictor.features(part.pixels) for name, part in material.held_out.items()}
    apart = support.residuals(reference.deep, reference.middle, *seen["val"])
    reference = replace(reference, widths=support.widths(apart))
    strange = {name: support.distance(reference, *features) for name, features in seen.items()}
    reference = replace(reference, limit=support.limit(strange["val"]))
    limits, predictions = declared(table, _unlike(table, strange, reference.limit))
    judged = predictions[predictions["split"] == ("test" if "test" in strange else "val")]
    keys = {"conformal": {"level": conformal.LEVEL, "limits": {name: asdict(one) for name, one in limits.items()}},
            "sensitivity": sensitivity(judged, predictor.bundle.partition3),
            "training": training(material.train.rows, material.classes),
            "nonskin": _nonskin(predictor, reference)}
    return Support(reference, predictions, keys)


def declared(table: pd.DataFrame, unlike: np.ndarray) -> tuple[dict[str, conformal.Limit], pd.DataFrame]:
    """The prediction sets' limits, and the predictions table with what they make of each row and whether it is
    declined, for too large a set or because it is `unlike`, bool [n]. Rows of "val" are judged out of fold."""
    p, truth, groups = arrays(table)
    val = (table["split"] == "val").to_numpy(dtype=bool)
    limits = conformal.fit(p[val], truth[val], groups[val])
    held = conformal.sets(p, limits, groups)
    held[val] = conformal.out_of_fold(p[val], truth[val], groups[val], table["group_id"].to_numpy(object)[val])
    names = np.array(_classes(table), dtype=object)
    sets = pd.array([";".join(names[row]) for row in held], dtype="string[pyarrow]")
    return limits, table.assign(abstained=unlike | conformal.too_large(held), prediction_set=sets)


def sensitivity(judged: pd.DataFrame, partition3: Mapping[str, str]) -> dict[str, dict[str, dict[str, Any]]]:
    """Figures by skin-type group and for "all", with Wilson's interval: of MALIGNANT, how many malignant cases the
    leading condition calls malignant, and of each condition, how many it names. The answer given is that of all
    cases, also of those the model would decline."""
    p, truth, groups = arrays(judged)
    leading = p.argmax(axis=1)
    classes = _classes(judged)
    malignant = np.array([partition3.get(name) == MALIGNANT for name in classes])
    found = {name: _by_group(truth == i, leading == i, groups) for i, name in enumerate(classes)}
    if set(classes) <= set(partition3) and malignant.any():
        found[MALIGNANT] = _by_group((truth >= 0) & malignant[truth], malignant[leading], groups)
    return found


def training(rows: pd.DataFrame, classes: tuple[str, ...]) -> dict[str, dict[str, int]]:
    """Training photographs of each condition by skin-type group, none of them left out."""
    counts = pd.crosstab(rows["condition"].astype(str), skin_type_group(rows["fst"]))
    counts = counts.reindex(index=list(classes), columns=list(SKIN_TYPE_GROUPS), fill_value=0)
    return {str(name): {str(group): int(n) for group, n in row.items()} for name, row in counts.iterrows()}


def placed(diagnosis: Diagnosis, known: Reference, seen: Seen) -> Diagnosis:
    """The diagnosis with how strange its photograph is, by the upright picture, and the known cases most like it,
    by all views; what was `seen` of that one photograph."""
    away = float(support.distance(known, seen.features.mean(axis=(0, 1))[None], seen.middle[None])[0])
    cases = tuple(_case(known, row) for row in support.nearest(known, seen.deep))
    return replace(diagnosis, strangeness=away / known.limit, similar=cases)


def read(bundle: Bundle) -> Reference | None:
    """The bundle's reference, None if it lists none. Raises `ModelError` if the file is not one."""
    if REFERENCE not in bundle.sha256:
        return None
    path = bundle.path(REFERENCE)
    try:
        with zipfile.ZipFile(path) as file:
            if sum(part.file_size for part in file.infolist()) > _LARGEST:
                raise ValueError(f"more than {_LARGEST // 2**20} MB unpacked")
        with np.load(path, allow_pickle=False) as held:
            return _unpacked(held)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise ModelError(f"{path}: not a reference that can be read ({error}). Copy the bundle again.") from error


def packed(reference: Reference) -> bytes:
    """The reference as the content of an .npz file, numbers as float16; the same one gives the same bytes."""
    points, step = support.stepped(reference.points)
    held = {"limit": np.array(reference.limit), "widths": reference.widths, "points": points,
            "step": np.array(step), "fst": reference.fst, "sizes": reference.sizes, "groups": reference.groups}
    for name in _SPACES:
        one: Space = getattr(reference, name)
        held |= {f"{name}_centre": one.centre.astype(np.float16), f"{name}_axes": one.axes.astype(np.float16)}
    for name in _TEXTS:
        held[name] = np.frombuffer("\n".join(getattr(reference, name).tolist()).encode(), dtype=np.uint8)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        for name, values in held.items():
            part = io.BytesIO()
            np.lib.format.write_array(part, values, allow_pickle=False)
            # numpy.savez would put the hour into the file.
            file.writestr(zipfile.ZipInfo(f"{name}.npy"), part.getvalue(), zipfile.ZIP_DEFLATED)
    return content.getvalue()


def _unpacked(held: Mapping[str, np.ndarray]) -> Reference:
    deep, middle = (Space(*(held[f"{name}_{part}"].astype(np.float32) for part in ("centre", "axes")))
                    for name in _SPACES)
    ids, conditions, paths = (np.array(held[name].tobytes().decode().split("\n"), dtype=object)
                              for name in _TEXTS)
    points = held["points"].astype(np.float32)
    if "step" in held:  # float16 in files of an earlier version
        points *= np.float32(held["step"])
    # In files of an earlier version, of training photographs only, no group was ever needed.
    groups = held["groups"] if "groups" in held else np.arange(len(points), dtype=np.int32)
    lengths = set(map(len, (points, held["fst"], held["sizes"], groups, ids, conditions, paths)))
    fits = 0 < points.shape[1] <= len(deep.axes) and held["widths"].shape == (2,)
    if len(lengths) > 1 or not fits or not float(held["limit"]) > 0:
        raise ValueError("its parts do not fit each other")
    return Reference(deep, middle, held["widths"], float(held["limit"]), points, ids, conditions, held["fst"],
                     paths, held["sizes"], groups)


def gathered(predictor: Predictor, material: Material) -> Reference:
    """Of the photographs for training and validation, at most MOST, decoded as for an answer; without the widths
    and the limit. The spaces are of those for training alone."""
    parts = {"train": material.train.rows, "val": material.held_out["val"].rows}
    rows = pd.concat([part.assign(split=name) for name, part in parts.items()], ignore_index=True)
    files = np.array([material.dataset.root / path for path in rows["path"]], dtype=object)
    groups = splits.units(rows, duplicates.groups(list(files), cache=settings().cache))
    kept = _kept(groups)
    rows, files, groups = rows[kept], files[kept], groups[kept]
    pixels = cache.pixels(list(files), size=predictor.input_size, folder=settings().cache / "pixels")
    near, like = support.spaces(*predictor.features(pixels[:int((rows["split"] == "train").sum())]))
    points, step = support.stepped(support.points(near, predictor.deep(pixels)))
    return Reference(
        deep=near, middle=like, widths=np.ones(2), limit=np.inf,
        points=points.astype(np.float32) * np.float32(step), groups=groups.astype(np.int32),
        image_ids=rows["image_id"].to_numpy(dtype=object), conditions=rows["condition"].to_numpy(dtype=object),
        fst=rows["fst"].fillna(-1).to_numpy(dtype=np.int8), paths=rows["path"].to_numpy(dtype=object),
        sizes=np.array([file.stat().st_size for file in files], dtype=np.int64))


def _kept(groups: np.ndarray) -> np.ndarray:
    """Which rows are kept, bool [n]: all, or as many whole groups by lot as have no more than MOST rows. Were a
    group divided, one of it that is left out would be answered by its near-duplicates."""
    if len(groups) <= MOST:
        return np.ones(len(groups), dtype=bool)
    lot = np.random.default_rng(0).permutation(groups.max() + 1)[groups]
    return np.asarray(lot < max(np.sort(lot)[MOST], 1))


def _nonskin(predictor: Predictor, reference: Reference) -> dict[str, dict[str, Any]]:
    """The share of drawn pictures of each kind that are unlike the training photographs."""
    found = {}
    for kind in nonskin.KINDS:
        drawn = [images.fit(nonskin.draw(kind, seed=seed), predictor.input_size) for seed in range(DRAWN)]
        away = support.distance(reference, *predictor.features(np.stack(drawn)))
        found[kind] = asdict(proportion(int((away > reference.limit).sum()), DRAWN))
    return found


def _case(known: Reference, row: int) -> KnownCase:
    fst = int(known.fst[row])
    return KnownCase(str(known.image_ids[row]), str(known.conditions[row]), SkinType(fst) if fst > 0 else None,
                     str(known.paths[row]), int(known.sizes[row]))


def _unlike(table: pd.DataFrame, strange: Mapping[str, np.ndarray], limit: float) -> np.ndarray:
    """Whether each row is unlike the training photographs, bool [n]: its split's distance, in the order of the
    rows, is beyond `limit`, or for one of "val" beyond what the other folds say."""
    unlike = np.zeros(len(table), dtype=bool)
    for name, distances in strange.items():
        unlike[(table["split"] == name).to_numpy(dtype=bool)] = distances > limit
    val = (table["split"] == "val").to_numpy(dtype=bool)
    unlike[val] = support.unlike_out_of_fold(strange["val"], table["group_id"].to_numpy(object)[val])
    return unlike


def _classes(table: pd.DataFrame) -> tuple[str, ...]:
    return tuple(name.removeprefix("p:") for name in table.columns if name.startswith("p:"))


def arrays(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities [n, C], true conditions as numbers [n] (-1: not one of the classes), skin-type groups [n]."""
    p = table.filter(regex="^p:").to_numpy(dtype=np.float64)
    truth = pd.Index(_classes(table)).get_indexer(pd.Index(table["condition"].astype(object)))
    return p, truth, skin_type_group(table["fst"]).to_numpy(dtype=object)


def _by_group(true: np.ndarray, said: np.ndarray, groups: np.ndarray) -> dict[str, dict[str, Any]]:
    within = {conformal.ALL: true} | {name: true & (groups == name) for name in SKIN_TYPE_GROUPS}
    return {name: asdict(proportion(int(said[of].sum()), int(of.sum()))) for name, of in within.items()}
