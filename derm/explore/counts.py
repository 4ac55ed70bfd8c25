"""What a data set holds and leaves out: shares with intervals, empty cells in words. Knows tables; no pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from derm.explore.codes import GROUP, MISSING, SCALES, coded, joint, numbers
from derm.fairness.figure import TOO_FEW, Figure, proportion, proportions
from derm.schema import FST_GROUPS, display_name

ALL_TYPES = "I-VI"
ANY = "any"  # the row of a gap that is the same for all
YES_OR_BLANK = "Yes or blank in the source: a blank may mean no, or not asked. The two cannot be told apart."
_NOT_COUNTED = ("image_id", "group_id")
# First words that keep their capital inside a sentence: the names in datasets/conditions.csv and some more.
_PROPER = frozenset(("Becker", "Behcet", "Bowen", "Darier", "Ehlers", "Fordyce", "Grover", "Hailey", "Kaposi",
                     "Langerhans", "Lyme", "Merkel", "Paget", "Raynaud", "Spitz", "Stevens", "Sweet"))


@dataclass(frozen=True)
class Overview:
    """The header of the page. `dark` is the share of types V-VI among the pictures of known skin type;
    `duplicates` (pictures that have a near-duplicate) and `flagged` are None where nothing was measured."""

    images: int
    conditions: int
    known_fst: Figure
    dark: Figure
    duplicates: int | None
    flagged: int | None


@dataclass(frozen=True)
class Gap:
    """Fewer than TOO_FEW pictures, `n`, of a row (`ANY`: of all rows together) on `columns_text` ("V-VI").
    If there are some, `none_on` names the types among them that have none."""

    row: str
    columns_text: str
    n: int
    none_on: tuple[str, ...] = ()


def overview(table: pd.DataFrame) -> Overview:
    """The figures of the header, with Wilson intervals."""
    groups = coded(table, GROUP).counts
    known = int(groups[:-1].sum())
    return Overview(
        images=len(table), conditions=int(np.count_nonzero(coded(table, "condition").counts[:-1])),
        known_fst=proportion(known, len(table)),
        dark=proportion(int(groups[FST_GROUPS.index("V-VI")]), known),
        duplicates=_count(table, "duplicate", without="no"), flagged=_count(table, "flags", without=""))


def distribution(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """How often each value of a column occurs: value, n, share of all rows and its Wilson interval low to high.

    Values that do not occur are left out, but for scales (skin types); "Missing" comes last, if there is any.
    Shares are NaN under TOO_FEW rows.
    """
    found = occurring(table, column)
    n = np.array(list(found.values()), dtype=np.int64)
    return pd.DataFrame({"value": list(found), "n": n, **_shares(n, len(table))})


def occurring(table: pd.DataFrame, column: str) -> dict[str, int]:
    """How often each value occurs, in order, MISSING last; those that do not only if they belong to a scale."""
    known = coded(table, column)
    scale = SCALES.get(column, ())
    return {name: int(n) for name, n in zip((*known.names, MISSING), known.counts, strict=True)
            if n or name in scale}


def coverage(table: pd.DataFrame, rows: str = "condition", columns: str = "fst") -> pd.DataFrame:
    """How many pictures each pair of values has: row, column, n, in order; "Missing" is a value, last.

    Every pair of a row that has a picture and a column that has one or belongs to a scale, also where n is 0;
    `columns` may be "group".
    """
    down, across = coded(table, rows), coded(table, columns)
    counts = joint(down, across)
    right = (counts.sum(axis=0) > 0) | (np.arange(counts.shape[1]) < len(SCALES.get(columns, ())))
    kept = counts[(below := counts.sum(axis=1) > 0)][:, right]
    names = np.array([*down.names, MISSING], dtype=object)[below]
    heads = np.array([*across.names, MISSING], dtype=object)[right]
    return pd.DataFrame({"row": np.repeat(names, len(heads)), "column": np.tile(heads, len(names)),
                         "n": kept.ravel()})


def gaps(cells: pd.DataFrame) -> list[Gap]:
    """Where a `coverage` by "fst" or "group" has fewer than TOO_FEW pictures, worst first.

    Said once: of all rows rather than of each, of a group of types rather than of its two types, and, of a row
    that has too few altogether, only that and its empty groups. Missing rows and types are not gaps.
    """
    counts: dict[str, dict[str, int]] = {}
    for row, column, n in cells[["row", "column", "n"]].itertuples(index=False, name=None):
        if MISSING not in (row, column):
            counts.setdefault(row, {})[column] = n
    if not counts:
        return []
    together = {column: sum(n[column] for n in counts.values()) for column in next(iter(counts.values()))}
    found = list(_row_gaps(ANY, together, frozenset()))
    known = frozenset(gap.columns_text for gap in found)
    found += [gap for row, n in counts.items() for gap in _row_gaps(row, n, known)]
    size = {ANY: 0} | {row: sum(n.values()) for row, n in counts.items()}
    return sorted(found, key=lambda gap: (gap.row != ANY, gap.n, "-" not in gap.columns_text, -size[gap.row],
                                          gap.row))


def sentence(gap: Gap) -> str:
    """'No picture of dermatofibroma on FST V-VI.' or 'Only 3 pictures of acne on FST V-VI (under 20), none on VI.'
    """
    of = "" if gap.row == ANY else f" of {in_sentence(gap.row)}"
    on = "with a known skin type" if (gap.columns_text, gap.n) == (ALL_TYPES, 0) else f"on FST {gap.columns_text}"
    if gap.n == 0:
        return f"No picture{of} {on}."
    none = f", none on {' or '.join(gap.none_on)}" if gap.none_on else ""
    return f"Only {gap.n} picture{'s' if gap.n > 1 else ''}{of} {on} (under {TOO_FEW}){none}."


def in_sentence(condition: str) -> str:
    """The condition as it is written within a sentence: 'wart', but 'Kaposi sarcoma', 'B cell lymphoma', 'SCC'."""
    name = display_name(condition)
    first = name.split(" ")[0]
    return name if first in _PROPER or first.isupper() else name[:1].lower() + name[1:]


def missingness(table: pd.DataFrame) -> pd.DataFrame:
    """How much of each column is missing, most first: column, n (rows), missing, share and its Wilson interval.

    `yes_or_blank` marks columns that are only ever "yes" or blank (see YES_OR_BLANK): these come last, as what
    looks missing may be a no.
    """
    columns = [str(column) for column in table.columns if column not in _NOT_COUNTED]
    missing = np.array([int(table[column].isna().sum()) for column in columns], dtype=np.int64)
    frame = pd.DataFrame({
        "column": columns, "n": len(table), "missing": missing, **_shares(missing, len(table)),
        "yes_or_blank": [_yes_or_blank(table, column) for column in columns]})
    return frame.sort_values(["yes_or_blank", "missing"], ascending=[True, False], kind="stable",
                             ignore_index=True)


def histogram(table: pd.DataFrame, column: str, bins: int = 20) -> pd.DataFrame:
    """A column of numbers in at most `bins` equal bins: low, high, n; a bin holds its low end, the last both.

    Bins of whole numbers hold equally many of them. Empty if nothing is known.
    """
    values = numbers(table, column)
    values = values[~np.isnan(values)]
    if not len(values):
        return pd.DataFrame({"low": [], "high": [], "n": []}).astype({"n": np.int64})
    low, high = values.min(), values.max()
    if (values == np.floor(values)).all():
        each = np.ceil((high - low + 1) / bins)
        bins = int(np.ceil((high - low + 1) / each))
        high = low + each * bins
    n, edges = np.histogram(values, bins, (low, high))
    return pd.DataFrame({"low": edges[:-1], "high": edges[1:], "n": n})


def _shares(n: np.ndarray, total: int) -> dict[str, np.ndarray]:
    return dict(zip(("share", "low", "high"), proportions(n, total), strict=True))


def _count(table: pd.DataFrame, column: str, *, without: str) -> int | None:
    column_codes = coded(table, column)
    known = dict(zip(column_codes.names, column_codes.counts, strict=False))
    return int(sum(known.values()) - known.get(without, 0)) if sum(known.values()) else None


def _yes_or_blank(table: pd.DataFrame, column: str) -> bool:
    values = table[column]
    return bool(column.startswith("x_") and values.dtype == "boolean" and values.isna().any() and values.all())


def _row_gaps(row: str, n: Mapping[str, int], known: frozenset[str]) -> Iterator[Gap]:
    """The gaps of one row of counts by type or group, but for those in `known`."""
    total = sum(n.values())
    if total < TOO_FEW:
        if ALL_TYPES not in known:
            yield Gap(row, ALL_TYPES, total)
        if total == 0:
            return
    for group in FST_GROUPS:
        types = [group] if group in n else group.split("-")
        together = sum(n[kind] for kind in types)
        if group in known or (total < TOO_FEW and together):
            continue
        if together < TOO_FEW:
            none_on = tuple(kind for kind in types if n[kind] == 0 and together)
            yield Gap(row, group, together, none_on)
        else:
            yield from (Gap(row, kind, n[kind]) for kind in types if n[kind] < TOO_FEW and kind not in known)
