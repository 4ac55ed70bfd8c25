"""The `derm data` commands. Knows arguments; the work is imported when needed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Data sets: list, fetch, check, find duplicates, split, describe.", no_args_is_help=True)

Data = Annotated[Path, typer.Argument(help="The data set's folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@app.command(name="list")
def list_sources(as_json: Json = False) -> None:
    """The known sources: licence, what is on disk, how to get each."""
    from derm.cli import fetching

    fetching.list_sources(as_json=as_json)


@app.command()
def fetch(
    source: Annotated[str, typer.Argument(help="fitzpatrick17k, scin, ham10000, pad-ufes-20, ajl or ddi.")],
    sample: Annotated[int | None, typer.Option(min=1, help="Only this many images, chosen by --seed.")] = None,
    to: Annotated[Path | None, typer.Option(help="The folder (default: one of its name in DERM_DATA).")] = None,
    accept_licence: Annotated[bool, typer.Option("--accept-licence", help="Do not ask.")] = False,
    partial: Annotated[bool, typer.Option("--partial", help="Exit status 0 even if images are gone.")] = False,
    seed: Annotated[int, typer.Option(help="Chooses the sample.")] = 0,
) -> None:
    """Download a data set; call it again to continue. Exit status 0 only if it is complete, or --partial."""
    from derm.cli import fetching

    raise typer.Exit(fetching.fetch(source, sample=sample, to=to, accept_licence=accept_licence, partial=partial,
                                    seed=seed))


@app.command()
def check(data: Data, adapter: Annotated[str | None, typer.Option(help="Read it as this source.")] = None,
          as_json: Json = False) -> None:
    """Counts, gaps, unreadable and poor pictures, contradictions. Exit status 1 if there are errors."""
    from derm.cli import checking

    raise typer.Exit(checking.check(data, adapter=adapter, as_json=as_json))


@app.command()
def card(data: Data,
         out: Annotated[Path | None, typer.Option(help="Write it there (.md or .html), not here.")] = None,
         ) -> None:
    """A datasheet: origin, licence, counts, gaps, skin types, disagreement, duplicates, known limits."""
    from derm.cli import checking

    checking.card(data, out=out)


@app.command()
def dedup(
    data: Data,
    other: Annotated[Path | None, typer.Argument(help="Another data set to compare with.")] = None,
    out: Annotated[Path | None, typer.Option("--csv", help="Write one row a pair.")] = None,
    as_json: Json = False,
) -> None:
    """Exact and near-duplicates within and across data sets and splits; conflicting labels marked."""
    from derm.cli import splitting

    splitting.dedup(data, other, out=out, as_json=as_json)


@app.command()
def split(
    data: Annotated[Path | None, typer.Argument(help="The data set's folder.")] = None,
    fractions: Annotated[str, typer.Option(help="80/20, 80/10/10, or 5-fold (any number of folds).")] = "80/20",
    seed: Annotated[int, typer.Option(help="Another seed, another split.")] = 0,
    exclude: Annotated[Path | None, typer.Option(help="Images to leave out (CSV with image_id).")] = None,
    out: Annotated[Path | None, typer.Option(help="The file to write (default: split-<name>.csv here).")] = None,
    verify: Annotated[Path | None, typer.Option(help="Instead: check that nothing crosses in this file.")] = None,
) -> None:
    """Split by condition and skin-type group; patients, lesions and near-duplicates stay together."""
    from derm.cli import splitting

    raise typer.Exit(splitting.split(data, fractions=fractions, seed=seed, exclude=exclude, out=out,
                                     verify=verify))
