"""Printing for every command: tables that are not cut short, progress with a time left. Knows no work."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

errors = Console(stderr=True)
# A figure is not to be cut short where there is no terminal, or a narrow one.
wide = Console(width=140)


def say(text: str) -> None:
    """A line at once, unwrapped: it may go to a file, and rich would break a path in two."""
    print(text, flush=True)


def table(title: str, *columns: str) -> Table:
    """An empty table in the style of all commands; print it with `wide.print`."""
    made = Table(title=title, title_justify="left", box=box.SIMPLE)
    for name in columns:
        made.add_column(name, no_wrap=True)
    return made


@contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal's standard error, nothing elsewhere; gives a function of (done, total).

    Answers printed meanwhile go above the bar, but never to the terminal when they are sent to a file.
    """
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, disable=not errors.is_terminal or total < 2, transient=True,
                  redirect_stdout=sys.stdout.isatty()) as bar:
        task = bar.add_task(title, total=total)
        yield lambda done, total: bar.update(task, completed=done, total=total)
