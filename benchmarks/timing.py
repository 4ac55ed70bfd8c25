"""Stopwatch and table for the benchmarks. Knows functions and numbers; not what they measure."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table


def take_turns(functions: Mapping[str, Callable[[], Any]], *, rounds: int,
               warm_up: int = 1) -> dict[str, list[float]]:
    """Seconds of each call, by name. They take turns, so that whatever else the machine does slows all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for number in range(-warm_up, rounds):
        for name, function in functions.items():
            began = time.perf_counter()
            function()
            if number >= 0:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def ratios(seconds: Mapping[str, Sequence[float]], ours: str) -> dict[str, float]:
    """How many times as long as ours each peer takes: the median over the rounds, three digits."""
    return {peer: float(f"{statistics.median(a / b for a, b in zip(each, seconds[ours], strict=True)):.3g}")
            for peer, each in seconds.items() if peer != ours}


def medians(seconds: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The median of each in milliseconds."""
    return {name: round(1000 * statistics.median(each), 2) for name, each in seconds.items()}


def machine() -> dict[str, float]:
    """How many cores there were and how busy they were."""
    return {"cores": len(os.sched_getaffinity(0)), "load": round(os.getloadavg()[0], 1)}


def parser(about: str | None, *, rounds: int) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    options = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=rounds, help=f"turns of each (default {rounds})")
    options.add_argument("--json", action="store_true", help="print one JSON object")
    return options


def show(found: Mapping[str, Any], *, title: str, as_json: bool) -> None:
    """Print `found` ("ratios", "milliseconds" and what else was measured) as one object or as a table."""
    if as_json:
        print(json.dumps(found))
        return
    table = Table("", "ms", "ours is quicker", title=title)
    for name, each in found["milliseconds"].items():
        ratio = found["ratios"].get(name)
        table.add_row(name, f"{each:,.1f}", f"{ratio:.1f} x" if ratio else "")
    console = Console()
    console.print(table)
    for name, value in found.items():
        if name not in ("milliseconds", "ratios"):
            console.print(f"{name}: {value}", highlight=False)
