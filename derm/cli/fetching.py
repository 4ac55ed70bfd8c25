"""`derm data list` and `derm data fetch`: what is known and on disk, and how to get the rest."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from derm import datasets
from derm.cli.console import errors, progress, say
from derm.datasets import Source, downloads
from derm.download.fetch import ARRIVED, THERE, Outcome, Tick
from derm.errors import ConfigError, DatasetError
from derm.explore.export import csv_bytes
from derm.settings import settings

HERE = Path("data")  # where data sets go if no folder was named
MISSING = "gone.csv"


def list_sources(*, as_json: bool) -> None:
    """Every source, what of it is on disk, and how to get it."""
    known = [(adapter.source, _on_disk(key)) for key, adapter in datasets.ADAPTERS.items()]
    if as_json:
        print(json.dumps([asdict(source) | {"get": _how(source), "on_disk": found} for source, found in known]))
        return
    for source, found in known:
        count = f"{source.images:,} images" if source.images else "as many images as you have"
        say(f"{source.key}: {source.name}, {count}")
        _field("licence", source.licence)
        _field("skin type", source.skin_type)
        for place in found or [{}]:
            _field("on disk", _place(place))
        for number, step in enumerate(_how(source)):
            _field("" if number else "get it", step)
        say("")


def fetch(key: str, *, sample: int | None, to: Path | None, accept_licence: bool, partial: bool, seed: int) -> int:
    """Fetch or continue; 0 if all of it is there (or `partial`), 1 if not, 2 if it cannot be fetched."""
    if key not in datasets.ADAPTERS:
        raise ConfigError(f"No source '{key}'; expected one of {', '.join(datasets.ADAPTERS)}.", "source")
    source = datasets.ADAPTERS[key].source
    client = shutil.which("kaggle") if key == "ajl" else None
    if key not in downloads.PLANS and client is None:
        say(f"{source.name} cannot be fetched from here. The steps:")
        for number, step in enumerate(source.how, 1):
            say(f"  {number}. {step}")
        return 2
    folder = to or _folder(key)
    if (other := datasets.detect(folder)) not in (None, key):
        raise ConfigError(f"{folder} holds {datasets.ADAPTERS[str(other)].source.name} already. Name another "
                          "folder with --to.", "to")
    if not _accepted(source, accept_licence):
        say("Nothing was fetched.")
        return 2
    try:
        if client is not None:
            return _fetch_ajl(folder, client, sample=sample)
        outcomes = downloads.download(key, folder, sample=sample, seed=seed, stage=_bar)
    except KeyboardInterrupt:
        say("Stopped. Run the same command again to go on.")
        raise
    return _report(source, folder, outcomes, partial=partial)


def _fetch_ajl(folder: Path, client: str, *, sample: int | None) -> int:
    if sample is not None:
        raise ConfigError("--sample: Kaggle gives AJL 2025 as one archive. Leave out --sample.", "sample")
    downloads.download_ajl(folder, client)
    say(_place(_found("ajl", folder)))
    return 0


def _report(source: Source, folder: Path, outcomes: Sequence[Outcome], *, partial: bool) -> int:
    """Say what arrived; write what did not to MISSING; the exit status."""
    states = Counter(outcome.state for outcome in outcomes)
    missing = [outcome for outcome in outcomes if not outcome.on_disk]
    say(f"{source.name}: {len(outcomes):,} files; {states[ARRIVED]:,} arrived, {states[THERE]:,} were there "
        f"before, {len(missing):,} missing.")
    (folder / MISSING).unlink(missing_ok=True)
    if missing:
        for (state, reason), count in Counter((o.state, o.reason) for o in missing).most_common(5):
            say(f"  {count:,} {state}: {reason}")
        lines = [(PurePosixPath(o.wanted.path).stem, o.wanted.url, f"{o.state}: {o.reason}") for o in missing]
        table = pd.DataFrame(lines, columns=["image_id", "url", "reason"], dtype="str")
        (folder / MISSING).write_bytes(csv_bytes(table))
        say(f"Each of them with its address and reason: {folder / MISSING}")
    say(_place(_found(source.key, folder)))
    say(f"Next: derm data check {folder}")
    return int(bool(missing) and not partial)


def _folder(key: str) -> Path:
    """Beside other data sets, if the folder of the settings holds such; else in ./data."""
    home = settings().data
    return (home if home and home.is_dir() and datasets.detect(home) is None else HERE) / key


def _accepted(source: Source, accept_licence: bool) -> bool:
    """Whether the user takes the licence, having read it."""
    say(f"{source.name} ({source.homepage})")
    _field("licence", source.licence)
    if accept_licence:
        return True
    if not sys.stdin.isatty():
        raise ConfigError(f"The licence of {source.name} must be accepted: read it, then add --accept-licence.",
                          "accept-licence")
    return typer.confirm("Do you accept it?")


def _how(source: Source) -> list[str]:
    command = f"derm data fetch {source.key}"
    if source.key in downloads.PLANS:
        return [command]
    return [*([f"{command}, if Kaggle's client is installed; else:"] if source.key == "ajl" else []), *source.how]


def _on_disk(key: str) -> list[dict[str, Any]]:
    """Where the data set is, in the folder of the settings and in ./data."""
    homes = {home.resolve(): home for home in (settings().data, HERE) if home}
    return [_found(key, root) for home in homes.values() for found, root in datasets.on_disk(home) if found == key]


def _found(key: str, root: Path) -> dict[str, Any]:
    try:
        table = datasets.load(root, adapter=key, strict=False).table
    except (DatasetError, OSError) as error:
        return {"folder": str(root), "rows": None, "images": None, "problem": str(error)}
    images = sum((root / path).is_file() for path in table["path"].dropna())
    return {"folder": str(root), "rows": len(table), "images": images, "problem": None}


def _place(found: dict[str, Any]) -> str:
    if not found:
        return "no"
    if found["problem"]:
        return f"{found['folder']}: {found['problem']}"
    return f"{found['folder']}: {found['images']:,} of {found['rows']:,} images"


def _field(name: str, text: str) -> None:
    """A line of a description, wrapped to the terminal; paths and commands stay whole."""
    width = max(40, min(100, shutil.get_terminal_size().columns))
    say(textwrap.fill(text, width, initial_indent=f"  {name:<10} ", subsequent_indent=" " * 13,
                      break_long_words=False, break_on_hyphens=False))


@contextmanager
def _bar(title: str, files: int, size: int | None) -> Iterator[Tick]:
    """A bar with the time left on a terminal: of bytes where they are known, else of files."""
    if size is None:
        with progress(title, files) as show:
            yield lambda done, read: show(done, files)
        return
    columns = (TextColumn(title), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, disable=not errors.is_terminal, transient=True) as bar:
        task = bar.add_task(title, total=size)
        yield lambda done, read: bar.update(task, completed=read)
