"""What to fetch for each source, and where it goes. Knows the publishers' addresses; HTTP is
`derm.download`'s."""

from __future__ import annotations

import json
import random
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from derm.datasets.table import read_csv
from derm.download import archives, fetch
from derm.download.fetch import Tick, Wanted
from derm.download.hosts import POLITE, Manners
from derm.errors import DatasetError

FITZPATRICK17K = "https://raw.githubusercontent.com/mattgroh/fitzpatrick17k/main/fitzpatrick17k.csv"
SCIN = "https://storage.googleapis.com/dx-scin-public-data/"
DATAVERSE = "https://dataverse.harvard.edu"
MENDELEY = "https://data.mendeley.com"
AJL = "bttai-ajl-2025"  # the competition's name on Kaggle


@dataclass(frozen=True)
class Archive:
    """A ZIP archive of pictures, and the folder they go to."""

    wanted: Wanted
    into: str


@dataclass(frozen=True)
class Plan:
    """What a data set is made of: `tables` first; then the `images` that the tables in a folder name, or
    `archives` of them."""

    tables: tuple[Wanted, ...]
    images: Callable[[Path], list[Wanted]] | None = None
    archives: tuple[Archive, ...] = ()


# Told of each stage: its title, how many files it has and their bytes, where known; gives what to tick.
Stage = Callable[[str, int, int | None], AbstractContextManager[Tick]]


@contextmanager
def silent(title: str, files: int, size: int | None) -> Iterator[Tick]:
    """A stage that nobody watches."""
    yield lambda done, read: None


def download(key: str, folder: Path, *, sample: int | None = None, seed: int = 0, manners: Manners = POLITE,
             stage: Stage = silent) -> list[fetch.Outcome]:
    """Fetch the data set of one of PLANS into the folder, or continue to; what became of each file.

    With `sample`, so many of the images that have an address, chosen by `seed`; tables always come whole.
    Raises `DatasetError` if a table cannot be had, a listing is not as expected, an archive is unsafe or the
    folder cannot be written; also for a sample of what comes in archives only.
    """
    plan = _plan(key, manners)
    if plan.archives and sample is not None:
        size = sum(archive.wanted.size or 0 for archive in plan.archives)
        raise DatasetError(f"{key} is published as {len(plan.archives)} archives ({size / 1e9:.1f} GB), so a "
                           "sample would need all of it. Leave out --sample.")
    outcomes = _fetched("Tables", plan.tables, folder, manners, stage)
    if absent := next((outcome for outcome in outcomes if not outcome.on_disk), None):
        raise DatasetError(f"{absent.wanted.url}: {absent.reason}. Without it nothing more can be fetched; try "
                           "again later.")
    if plan.images:
        try:
            wanted = plan.images(folder)
        except DatasetError:
            for outcome in outcomes:  # a table that cannot be read must not be taken for fetched next time
                if outcome.state == fetch.ARRIVED:
                    (folder / outcome.wanted.path).unlink()
            raise
        if sample is not None:
            there = [item for item in wanted if item.url]
            wanted = random.Random(seed).sample(there, min(sample, len(there)))
        outcomes += _fetched("Images", wanted, folder, manners, stage)
    return outcomes + _unpacked(plan.archives, folder, manners, stage)


def download_ajl(folder: Path, client: str) -> None:
    """The competition's files through Kaggle's own client, unpacked; nothing if they are there.

    Raises `DatasetError` if it fails.
    """
    archive = folder / f"{AJL}.zip"
    if (folder / "train.csv").is_file() and not archive.is_file():  # it goes once all is unpacked
        return
    folder.mkdir(parents=True, exist_ok=True)
    command = [client, "competitions", "download", "-c", AJL, "-p", str(folder.resolve())]
    done = subprocess.run(command, check=False)
    if done.returncode or not archive.is_file():
        raise DatasetError(f"{client} ended with status {done.returncode} and left no {archive.name}. Have you "
                           "accepted the competition's rules, and does `kaggle competitions list` work?")
    archives.unpack(archive, folder)
    archive.unlink()


def _fetched(title: str, wanted: list[Wanted] | tuple[Wanted, ...], folder: Path, manners: Manners,
             stage: Stage) -> list[fetch.Outcome]:
    if not wanted:
        return []
    sizes = [item.size for item in wanted]
    known = [size for size in sizes if size is not None]
    with stage(title, len(wanted), sum(known) if len(known) == len(sizes) else None) as tick:
        return fetch.fetch(wanted, folder, manners=manners, tick=tick)


def _unpacked(plan: tuple[Archive, ...], folder: Path, manners: Manners, stage: Stage) -> list[fetch.Outcome]:
    """The archives' outcomes; those that arrived are unpacked and removed."""
    due = [item for item in plan
           if not archives.is_unpacked(folder / item.wanted.path, folder, digest=item.wanted.digest)]
    became = {outcome.wanted: outcome
              for outcome in _fetched("Archives", [item.wanted for item in due], folder, manners, stage)}
    for item in due:
        archive = folder / item.wanted.path
        if became[item.wanted].on_disk:
            with stage(f"Unpacking {archive.name}", 1, archive.stat().st_size) as tick:
                archives.unpack(archive, folder, pictures_into=item.into, digest=item.wanted.digest, tick=tick)
            archive.unlink()
    return [became.get(item.wanted, fetch.Outcome(item.wanted, fetch.THERE)) for item in plan]


def _fitzpatrick17k(manners: Manners) -> Plan:
    return Plan((Wanted(FITZPATRICK17K, "fitzpatrick17k.csv"),), _fitzpatrick17k_images)


def _fitzpatrick17k_images(folder: Path) -> list[Wanted]:
    """md5hash is the MD5 of the image as published. What an atlas serves today may be another picture, or the
    same one saved anew; nobody can tell which, so a file with another hash is not kept."""
    table = read_csv(folder / "fitzpatrick17k.csv", required=("md5hash", "url"))
    return [Wanted(url, f"images/{md5}.jpg", digest=f"md5:{md5}", picture=True)
            for md5, url in zip(table["md5hash"], table["url"], strict=True)]


def _scin(manners: Manners) -> Plan:
    tables = tuple(Wanted(SCIN + path, path) for path in ("dataset/scin_cases.csv", "dataset/scin_labels.csv"))
    return Plan(tables, _scin_images)


def _scin_images(folder: Path) -> list[Wanted]:
    """In folders as in the bucket: the paths in the table begin with dataset/images/."""
    columns = [f"image_{i}_path" for i in (1, 2, 3)]
    table = read_csv(folder / "dataset" / "scin_cases.csv", required=columns)
    paths = dict.fromkeys(path for path in table[columns].to_numpy().ravel() if path)
    return [Wanted(SCIN + quote(path), path, picture=True) for path in paths]


def _ham10000(manners: Manners) -> Plan:
    """Harvard Dataverse, native API: guides.dataverse.org, "List Files in a Dataset"."""
    listing = (f"{DATAVERSE}/api/datasets/:persistentId/versions/:latest-published/files"
               "?persistentId=doi:10.7910/DVN/DBW86T")
    entries = json.loads(fetch.read(listing, manners=manners))["data"]
    files = {entry["dataFile"]["filename"]: entry["dataFile"] for entry in entries}
    table = _named(files, r"HAM10000_metadata(\.\w+)?", listing)[0]
    # Dataverse keeps tables in a form of its own too. The original is asked for; the size and hash in the
    # listing may be those of either, so they are left aside.
    tables = (Wanted(f"{DATAVERSE}/api/access/datafile/{files[table]['id']}?format=original",
                     "HAM10000_metadata.csv"),)
    return Plan(tables, archives=tuple(
        Archive(Wanted(f"{DATAVERSE}/api/access/datafile/{files[name]['id']}", name, files[name]["filesize"],
                       f"md5:{files[name]['md5']}"), into=Path(name).stem)
        for name in _named(files, r"HAM10000_images_part_\d+\.zip", listing)))


def _pad_ufes_20(manners: Manners) -> Plan:
    """Mendeley Data, as its own pages ask: a data set with all its files."""
    listing = f"{MENDELEY}/public-api/datasets/zr7vgbcyr2"
    entries = json.loads(fetch.read(listing, manners=manners))["files"]
    files = {entry["filename"]: entry["content_details"] for entry in entries}

    def wanted(name: str) -> Wanted:
        file = files[name]
        return Wanted(file["download_url"], name, file["size"], f"sha256:{file['sha256_hash']}")

    return Plan(tuple(map(wanted, _named(files, r"metadata\.csv", listing))),
                archives=tuple(Archive(wanted(name), into="images")
                               for name in _named(files, r"imgs_part_\d+\.zip", listing)))


PLANS: Mapping[str, Callable[[Manners], Plan]] = {
    "fitzpatrick17k": _fitzpatrick17k, "scin": _scin, "ham10000": _ham10000, "pad-ufes-20": _pad_ufes_20,
}


def _plan(key: str, manners: Manners) -> Plan:
    make = PLANS[key]
    try:
        return make(manners)
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{key}: its publisher's listing of files is not laid out as expected ({error!r}). Get "
                           "it by hand (derm data list).") from error


def _named(files: Mapping[str, object], pattern: str, url: str) -> list[str]:
    """The file names that match, sorted; an archive's parts, say."""
    names = sorted(name for name in files if re.fullmatch(pattern, name))
    if not names:
        raise DatasetError(f"{url}: lists no file like {pattern}; found {', '.join(sorted(files)[:5])}. Its "
                           "publisher has changed it: get it by hand (derm data list).")
    return names
