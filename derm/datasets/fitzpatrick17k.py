"""Fitzpatrick17k's annotations, with or without the photographs. Knows its columns and its two atlases."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pandas as pd

from derm.datasets import ajl
from derm.datasets.columns import absent, places
from derm.datasets.conditions import to_slug
from derm.datasets.reading import files, has_columns, read_csv
from derm.datasets.source import Adapter, Source
from derm.datasets.table import Dataset, canonical, fingerprint, scale, slug
from derm.errors import DatasetError
from derm.settings import settings

MARK = "fitzpatrick17k.csv"
SOURCE = Source(
    key="fitzpatrick17k", name="Fitzpatrick17k", homepage="https://github.com/mattgroh/fitzpatrick17k",
    licence="Annotations: CC BY-NC-SA 3.0. Images: DermaAmin and Atlas Dermatologico, for research only, not for "
            "commercial use.",
    citation="Groh M. et al., Evaluating Deep Neural Networks Trained on Clinical Images in Dermatology with "
             "the Fitzpatrick 17k Dataset, CVPR Workshops 2021.",
    images=16577, skin_type="two annotations of the photograph, by Scale AI's and by Centaur Labs' annotators",
    how=("derm data fetch fitzpatrick17k, or by hand:",
         "Download fitzpatrick17k.csv from the homepage, and the photograph at each url as images/<md5hash>.jpg.",
         "For those that are gone, ask the authors through the form on the homepage."),
    limits=("Types V and VI are about one in seven of the photographs whose type is known; many conditions "
            "have few or none.",
            "The skin type was read off the photograph, not asked or measured; the annotations often disagree.",
            "The labels are the atlases'. Dermatologists looked at 504 of them and found some wrong (qc).",
            "It says nothing of age, sex, country, camera, or which photographs are of one patient.",
            "Its two atlases have very different skin types, so that source and tone are confounded; some "
            "photographs are there twice.",
            "Many photographs are no longer at their url."),
    fetchable=True)
_ATLASES = {"dermaamin": "DermaAmin", "atlasdermatologico": "Atlas Dermatologico"}
_COLUMNS = ("md5hash", "fitzpatrick_scale", "fitzpatrick_centaur", "label", "nine_partition_label",
            "three_partition_label", "qc", "url")


def load(root: Path) -> Dataset:
    """The annotations; `path` is missing for photographs that are not on disk, in any folder, as <md5hash>.jpg.

    `x_source` is the atlas of the photograph's address, missing where that is blank. `x_excluded` marks what
    the authors call wrongly labelled and, where an AJL folder is found nearby, the photographs of AJL's test
    set. Raises `DatasetError` for a file that is not as published.
    """
    frame = read_csv(root / MARK, required=_COLUMNS)
    sizes = files(root)
    in_ajl_test = frame["md5hash"].isin(_ajl_test(root))
    condition, unmapped = to_slug(frame["label"])
    host = frame["url"].str.extract(r"//(?:www\.)?([^/.]+)", expand=False)
    table = canonical(pd.DataFrame({
        "image_id": frame["md5hash"], "path": places(frame["md5hash"] + ".jpg", sizes),
        "group_id": frame["md5hash"], "condition": condition, "qc": frame["qc"],
        "partition3": slug(frame["three_partition_label"]), "partition9": slug(frame["nine_partition_label"]),
        "fst": scale(frame, "fitzpatrick_scale", ids="md5hash"),
        "fst_other": scale(frame, "fitzpatrick_centaur", ids="md5hash"),
        "x_source": host.map(_ATLASES).fillna(host),
        "x_excluded": (frame["qc"] == ajl.WRONGLY_LABELLED) | in_ajl_test,
        **{f"x_{column}": frame[column] for column in frame.columns if column not in _COLUMNS[:-1]}}))
    notes = [*absent(table["path"])]
    if len(table) != SOURCE.images:
        notes.append(f"{MARK} has {len(table):,} of the {SOURCE.images:,} rows published.")
    if in_ajl_test.any():
        notes.append(f"{in_ajl_test.sum():,} photographs of AJL's test set are left out of training.")
    return Dataset(SOURCE, root, table, tuple(table["condition"].cat.categories), fingerprint(table, sizes),
                   notes=tuple(notes), unmapped=unmapped)


def _ajl_test(root: Path) -> set[str]:
    """The photographs of AJL's test set, if that is beside the root or where the settings say."""
    found: set[str] = set()
    for place in filter(None, (root.absolute().parent, settings().data)):
        for csv in (place / "test.csv", *place.glob("*/test.csv")):
            with contextlib.suppress(DatasetError, OSError):  # a stranger's file
                if has_columns(csv, ("md5hash", "ddi_scale")):
                    found |= set(read_csv(csv, required=("md5hash",), only=True)["md5hash"])
    return found


def recognise(root: Path) -> bool:
    """Whether the folder holds the annotations."""
    return has_columns(root / MARK, ("md5hash", "fitzpatrick_scale", "url"))


ADAPTER = Adapter(SOURCE, recognise, load)
