"""Small explored tables for these tests, typed as the adapters type them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from derm.datasets.table import canonical

_MEASURED = {"flags": "category", "ita": "Float64", "duplicate": "boolean"}
_TYPES = {**_MEASURED, **dict.fromkeys(("fst", "fst_other", "mst", "x_fst_self"), "Int8")}


def explored(columns: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """A canonical table with these columns; numbered ids."""
    n = len(next(iter(columns.values())))
    ids = [f"i{row}" for row in range(n)]
    series = {name: pd.Series(pd.array(values, dtype=_TYPES[name])) if name in _TYPES else pd.Series(values)
              for name, values in columns.items()}
    measured = {name: values for name, values in series.items() if name in _MEASURED}
    table = canonical(pd.DataFrame({"image_id": ids, "group_id": ids,
                                    **{name: values for name, values in series.items() if name not in measured}}))
    return table.assign(**measured)


def counted(counts: Mapping[tuple[str | None, int | None], int]) -> pd.DataFrame:
    """So many pictures of each (condition, fst)."""
    pairs = [pair for pair, n in counts.items() for _ in range(n)]
    return explored({"condition": [condition for condition, _ in pairs], "fst": [fst for _, fst in pairs]})
