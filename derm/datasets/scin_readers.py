"""What SCIN's dermatologists and laypeople said of each case, as columns. Knows scin_labels.csv; no picture."""

from __future__ import annotations

import ast

import pandas as pd

from derm.datasets.columns import known
from derm.datasets.table import scale
from derm.errors import DatasetError

_TYPES = tuple(f"dermatologist_fitzpatrick_skin_type_label_{i}" for i in (1, 2, 3))
_TYPE_GRADABLE = tuple(f"dermatologist_gradable_for_fitzpatrick_skin_type_{i}" for i in (1, 2, 3))
_TONE_US, _TONE_INDIA = "monk_skin_tone_label_us", "monk_skin_tone_label_india"
_GRADABLE = tuple(f"dermatologist_gradable_for_skin_condition_{i}" for i in (1, 2, 3))
_CONDITION = ("dermatologist_skin_condition_on_label_name", "dermatologist_skin_condition_confidence",
              "weighted_skin_condition_label")
REQUIRED = ("case_id", *_GRADABLE, *_CONDITION, *_TYPE_GRADABLE, *_TYPES, _TONE_US, _TONE_INDIA)


def conditions(cases: pd.DataFrame) -> dict[str, pd.Series]:
    """`label`, the published name of the leading condition or '', and its weight, confidence and rivals.

    `x_gradable` is whether a dermatologist called the case gradable. Raises `DatasetError` for labels that
    cannot be read.
    """
    told = [_leading(*cells) for cells in cases[["case_id", *_CONDITION]].itertuples(index=False)]
    label, weight, confidence = (pd.Series(column, cases.index) for column in zip(*told, strict=True))
    said = cases[list(_GRADABLE)]
    gradable = said.apply(lambda column: column.str.startswith("DEFAULT_YES") | (column == "YES")).any(axis=1)
    return {"label": label, "x_weight": weight.astype("Float64"), "x_confidence": confidence.astype("Float64"),
            "x_weighted_labels": known(cases[_CONDITION[2]], "{}"),
            "x_gradable": gradable.astype("boolean").mask((said == "").all(axis=1))}


def _leading(case: str, names: str, confidences: str, weights: str) -> tuple[str, float | None, float | None]:
    """The label of highest weight, that weight, and the highest confidence (1-5) that a reader had in it.

    Of equal weights, the label with the highest confidence leads, then the first by name.
    """
    confidence: dict[str, float] = {}
    try:
        weight = {str(name): float(value) for name, value in dict(ast.literal_eval(weights or "{}")).items()}
        pairs = zip(ast.literal_eval(names or "[]"), ast.literal_eval(confidences or "[]"), strict=False)
        for name, value in pairs:
            confidence[name] = max(confidence.get(name, 0.0), float(value))
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        raise DatasetError(f"scin_labels.csv: the labels of case {case} cannot be read; expected Python literals "
                           "such as {'Eczema': 1.0}. Download it again.") from error
    if not weight:
        return "", None, None
    label = min(weight, key=lambda name: (-weight[name], -confidence.get(name, 0.0), name))
    return label, weight[label], confidence.get(label)


def skin(cases: pd.DataFrame) -> dict[str, pd.Series]:
    """Skin types by dermatologists and skin tones by laypeople, Int8 or missing.

    `fst` is the median of three estimates, else the first; `fst_other` is the second reader's. Raises
    `DatasetError` naming the cases with anything but FST1 to FST6 and tones 1 to 10.
    """
    said = cases.assign(**{name: skin_type(cases[name]) for name in _TYPES})
    readers = pd.DataFrame({i: scale(said, name, ids="case_id").mask(cases[gradable].str.startswith("NO"))
                            for i, (name, gradable) in enumerate(zip(_TYPES, _TYPE_GRADABLE, strict=True))})
    readers = readers.astype("float64")  # filled much faster along a row than Int8
    first = readers.bfill(axis=1)[0]
    second = readers.mask(readers.notna().cumsum(axis=1) < 2).bfill(axis=1)[0]
    return {"fst": readers.median(axis=1).where(readers.notna().all(axis=1), first).astype("Int8"),
            "fst_other": second.astype("Int8"),
            "mst": scale(cases, _TONE_US, ids="case_id", highest=10),
            "x_mst_india": scale(cases, _TONE_INDIA, ids="case_id", highest=10)}


def skin_type(text: pd.Series) -> pd.Series:
    """'FST3' as '3', and what stands for no type as ''."""
    return known(text.str.upper(), "NONE_SELECTED", "NONE_IDENTIFIED").str.removeprefix("FST")
