"""One table of conditions: how each publisher's name becomes a slug. Knows names; no data set and no picture.

The table is conditions.csv beside this file: `slug`, `partition3` (blank where it depends) and `also_called`,
other names of the same condition separated by semicolons. For the conditions of Fitzpatrick17k, partition3 is
its own, so actinic keratosis counts as malignant and prurigo nodularis as benign. Kinds of a condition keep
their own slugs; adding them up is for `derm.schema.FAMILIES`.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pandas as pd

TABLE = Path(__file__).with_name("conditions.csv")
# British spellings and the American ones that the slugs use.
_SPELLINGS = (("naev", "nev"), ("haem", "hem"), ("oedem", "edem"), ("orrhoe", "orrhe"), ("tumour", "tumor"),
              ("leukaem", "leukem"), ("generalis", "generaliz"), ("localis", "localiz"))


def to_slug(names: pd.Series) -> tuple[pd.Series, tuple[str, ...]]:
    """The slug of each name, '' where it is blank or missing, and the sorted names that the table lacks.

    Case, accents, hyphens, apostrophes and other punctuation make no difference. A name that the table lacks
    becomes a plain slug of its own words: it is never dropped and never guessed at.
    """
    text = names.astype("str").fillna("").str.strip()
    slugs, unmapped = {"": ""}, []
    for name in text.unique():
        slug = _SLUGS.get(_key(name)) if name else ""
        if slug is None:
            unmapped.append(name)
            slug = _key(name).replace(" ", "-") or "unnamed"
        slugs[name] = slug
    return text.map(slugs).astype("str"), tuple(sorted(unmapped))


def _key(name: str) -> str:
    """What remains of a name when spelling, case and punctuation are set aside: words with single spaces."""
    plain = re.sub("['’`´\u0300-\u036f]", "", unicodedata.normalize("NFKD", name.casefold()))
    words = re.sub(r"[\W_]+", " ", unicodedata.normalize("NFC", plain)).strip()
    for british, american in _SPELLINGS:
        words = words.replace(british, american)
    return words


def _read() -> tuple[dict[str, str], dict[str, str]]:
    """Slug by key, and partition3 by slug. Raises `ValueError` if one name has two slugs."""
    slugs: dict[str, str] = {}
    partition3: dict[str, str] = {}
    with TABLE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            for name in (row["slug"], *filter(None, row["also_called"].split(";"))):
                if (slug := slugs.setdefault(_key(name), row["slug"])) != row["slug"]:
                    raise ValueError(f"{TABLE.name}: {name.strip()!r} is both {slug} and {row['slug']}")
            if row["partition3"]:
                partition3[row["slug"]] = row["partition3"]
    return slugs, partition3


_SLUGS, _partitions = _read()
# benign, malignant or non-neoplastic by slug: for publishers that do not say.
PARTITION3: Mapping[str, str] = MappingProxyType(_partitions)
