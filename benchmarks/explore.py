"""A filter change on the Explore page: every figure and chart anew, and what the browser is sent.

    python -m benchmarks.explore [--data FOLDER] [--rows N] [--json]

Ours counts the filtered rows and draws charts from the counts. The peer hands the rows themselves to Altair, which
embeds them in each chart for the browser to count, as most pages do: the same charts, for each only the columns
that it needs, without the intervals, kappas and sentences that ours works out on the way. Bytes are those of the
specifications with their data as JSON.

FOLDER holds a data set such as Fitzpatrick17k's annotations, else as many rows are made up, with more columns. A
million made-up rows are counted in a process of their own, whose memory is read at the end; with --rows that is
all that is done.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from benchmarks import timing
from derm import datasets
from derm.explore import agreement, association, compare, counts, filters
from derm.explore.codes import numeric
from derm.schema import SkinType
from derm.ui import plots
from derm.ui.plots import Chart

ROWS, MANY = 16_577, 1_000_000  # as many as Fitzpatrick17k has, and many
OURS, PEER = "derm, counts", "Altair, rows"
ATLASES, CONDITIONS = ("Atlas A", "Atlas B", "Hospital"), 114


def made_up(rows: int, *, seed: int = 0) -> pd.DataFrame:
    """An explored table as an adapter and a scan leave it, all kinds of columns in it."""
    rng = np.random.default_rng(seed)

    def words(names: list[str] | tuple[str, ...], *, missing: float = 0.05, skew: float = 0.0) -> pd.Categorical:
        weights = 1 / np.arange(1, len(names) + 1) ** skew
        codes = rng.choice(len(names), rows, p=weights / weights.sum())
        return pd.Categorical.from_codes(np.where(rng.random(rows) < missing, -1, codes), list(names))

    def whole(highest: int) -> pd.arrays.IntegerArray:
        return pd.arrays.IntegerArray(rng.integers(1, highest + 1, rows, dtype=np.int8), rng.random(rows) < 0.05)

    def numbers(low: float, high: float) -> pd.arrays.FloatingArray:
        return pd.arrays.FloatingArray(rng.uniform(low, high, rows), rng.random(rows) < 0.1)

    ids = pd.Series(np.arange(rows)).astype("str")
    conditions = [f"condition-{number:03}" for number in range(CONDITIONS)]
    return pd.DataFrame({
        "image_id": ids, "path": "images/" + ids + ".jpg", "condition": words(conditions, skew=0.5),
        "partition3": words(("benign", "malignant", "non-neoplastic")),
        "partition9": words([f"partition-{number}" for number in range(9)]),
        "fst": whole(6), "fst_other": whole(6), "mst": whole(10), "group_id": ids,
        "split": words(("test", "train")), "qc": words(("1 Diagnostic", "2 Characteristic"), missing=0.95),
        "x_source": words(ATLASES), "x_fst_self": whole(6), "x_sex": words(("female", "male")),
        "x_age": numbers(0, 90), "x_diameter": numbers(1, 60),
        "x_body_site": words([f"site {number}" for number in range(15)]),
        "x_itch": pd.arrays.BooleanArray(rng.random(rows) < 0.5, rng.random(rows) < 0.2),
        "x_smoker": words(("no", "yes"), missing=0.5), "x_excluded": rng.random(rows) < 0.02,
        "flags": words(("", "blurred", "blurred;dark", "dark", "odd-size"), skew=2), "ita": numbers(-60, 80),
        "duplicate": pd.arrays.BooleanArray(rng.random(rows) < 0.05, np.zeros(rows, dtype=bool))})


def filter_change(whole: pd.DataFrame) -> Callable[[], list[Chart]]:
    """Filters the table, leaving most of it, and makes every figure and chart of every part of the page."""
    conditions = filters.choices(whole)["condition"][1:]

    def change() -> list[Chart]:
        kept = filters.mask(whole, {"condition": conditions, "fst": ["I", "II", "III", "IV", "V", "VI"]}, {})
        table = whole[kept]
        filters.choices(table), filters.ranges(table)
        counts.overview(table)
        return [*overview(table), *further(table, whole)]

    return change


def overview(table: pd.DataFrame) -> Iterator[Chart]:
    """The page's first part, and what Altair is set beside."""
    for column in ("fst", "group"):
        yield plots.fst_bars(counts.distribution(table, column))
    for column in ("condition", "partition9", "partition3"):
        yield plots.label_bars(counts.distribution(table, column), column=column)
    cells = counts.coverage(table)
    yield plots.coverage_map(cells)
    [counts.sentence(gap) for gap in counts.gaps(cells)]
    for reading in agreement.readings(table):
        found = agreement.agreement(table, reading)
        yield plots.agreement_map(found.matrix, rows=reading.rows, columns=reading.columns)
    if sources := association.confounding(table):
        yield plots.source_bars(sources.shares)


def further(table: pd.DataFrame, other: pd.DataFrame) -> Iterator[Chart]:
    """The page's other parts."""
    if estimated := agreement.ita_agreement(table):
        yield plots.ita_boxes(agreement.ita_by_type(table))
        yield plots.agreement_map(estimated.matrix, rows="Estimated", columns="Annotated")
    yield plots.association_map(association.association(table))
    yield plots.missing_bars(counts.missingness(table))
    for column in numeric(table):
        yield plots.histogram(counts.histogram(table, column), column=column)
    for column in ("fst", "partition3", "condition"):
        compared = compare.compare(table, other, column)
        compare.distance(compared)
        yield plots.compare_bars(compared, names=("As filtered", "All"), column=column)


def altair(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The charts of `overview` by Altair, from the rows."""
    named = table.assign(group=table["fst"].map({int(skin): skin.group for skin in SkinType}))
    for column in ("fst", "group", "condition", "partition9", "partition3"):
        yield alt.Chart(named[[column]]).mark_bar().encode(x="count()", y=f"{column}:N").to_dict()
    pairs = [("condition", "fst"), *((reading.a, reading.b) for reading in agreement.readings(table))]
    for down, across in pairs:
        yield alt.Chart(named[[down, across]]).mark_rect().encode(
            x=f"{across}:N", y=f"{down}:N", color="count()").to_dict()
    if "x_source" in table:
        yield alt.Chart(named[["x_source", "group"]]).mark_bar().encode(
            x=alt.X("count()", stack="normalize"), y="x_source:N", color="group:N").to_dict()


def sent(specifications: Iterator[Mapping[str, Any]]) -> list[int]:
    """The bytes of each chart as JSON."""
    return [len(json.dumps(specification).encode()) for specification in specifications]


def beside(table: pd.DataFrame, *, rounds: int) -> dict[str, Any]:
    """Ours and Altair's, in turns: seconds and bytes of the same charts."""
    sizes: dict[str, list[int]] = {}

    def ours() -> None:
        sizes[OURS] = sent(chart.complete() for chart in overview(table))

    def theirs() -> None:
        sizes[PEER] = sent(altair(table))

    with alt.data_transformers.enable("default", max_rows=None):
        seconds = timing.take_turns({OURS: ours, PEER: theirs}, rounds=rounds)
    if len(sizes[OURS]) != len(sizes[PEER]):
        raise AssertionError(f"{len(sizes[OURS])} charts of ours, {len(sizes[PEER])} of Altair's")
    total = {name: sum(each) for name, each in sizes.items()}
    return {"ratios": timing.ratios(seconds, OURS), "milliseconds": timing.medians(seconds),
            "charts": len(sizes[OURS]), "kilobytes": {name: round(each / 1000, 1) for name, each in total.items()},
            "times the bytes": round(total[PEER] / total[OURS], 1)}


def measure(table: pd.DataFrame, *, rounds: int) -> dict[str, Any]:
    """A filter change: its median time, what it sends, and the most memory this process ever had."""
    change = filter_change(table)
    change()  # imports, first allocations
    wall, busy = [], []
    for _ in range(rounds):
        began = time.perf_counter(), time.process_time()
        charts = change()
        wall.append(time.perf_counter() - began[0])
        busy.append(time.process_time() - began[1])
    return {"rows": len(table), "milliseconds": round(1000 * median(wall)),
            "milliseconds of the processor": round(1000 * median(busy)), "charts": len(charts),
            "kilobytes": round(sum(sent(chart.complete() for chart in charts)) / 1000, 1),
            "peak memory, MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)}


def main() -> None:
    parser = timing.parser(__doc__, rounds=7)
    parser.add_argument("--data", type=Path, help="the folder of a data set, instead of made-up rows")
    parser.add_argument("--rows", type=int, help="only a filter change on this many made-up rows")
    arguments = parser.parse_args()
    if arguments.rows:
        print(json.dumps(measure(made_up(arguments.rows), rounds=arguments.rounds)))
        return
    table = datasets.load(arguments.data, strict=False).table if arguments.data else made_up(ROWS)
    change = measure(table, rounds=arguments.rounds)
    found = beside(table, rounds=arguments.rounds)
    alone = subprocess.run([sys.executable, "-m", "benchmarks.explore", "--rows", str(MANY), "--rounds",
                            str(arguments.rounds)], check=True, capture_output=True, text=True)
    timing.show({**found, "a filter change": change, "a filter change, many rows": json.loads(alone.stdout),
                 "rounds": arguments.rounds, **timing.machine()},
                title=f"{found['charts']} charts of {len(table):,} rows", as_json=arguments.json)


if __name__ == "__main__":
    main()
