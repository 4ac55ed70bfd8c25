"""The Skin Condition Image Network (SCIN) as Google publishes it. Knows its files and columns; reads no pixels."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from derm.datasets import scin_readers
from derm.datasets.columns import absent, answers, known, places
from derm.datasets.conditions import PARTITION3, to_slug
from derm.datasets.reading import files, has_columns, read_csv
from derm.datasets.source import Adapter, Source
from derm.datasets.table import Dataset, canonical, fingerprint, scale
from derm.errors import DatasetError

CASES, LABELS = "scin_cases.csv", "scin_labels.csv"
_SELF = "fitzpatrick_skin_type"
_PATHS = tuple(f"image_{i}_path" for i in (1, 2, 3))
_TICKED = ("race_ethnicity_", "textures_", "body_parts_", "condition_symptoms_", "other_symptoms_")
_TEXTS = ("release", "year", "age_group", "related_category", "condition_duration", "combined_race", "source")
SOURCE = Source(
    key="scin", name="SCIN", homepage="https://github.com/google-research-datasets/scin",
    licence="SCIN Data Use License: attribution when shared; re-identifying anybody is forbidden.",
    citation="Ward A. et al., Crowdsourcing Dermatology Images with Google Search Ads: Creating a Real-World Skin "
             "Condition Dataset, arXiv:2402.18545, 2024.",
    images=10407,
    skin_type="one to three dermatologists' estimates; the volunteer's own; Monk skin tone by two pools of "
              "laypeople (United States, India)",
    how=("derm data fetch scin, or by hand:",
         "gcloud storage cp -r gs://dx-scin-public-data/dataset DIR",
         "Name DIR, which then holds dataset/scin_cases.csv, dataset/scin_labels.csv and dataset/images/."),
    limits=("Labels are dermatologists' opinions of the pictures, not confirmed diagnoses; four in ten cases have "
            "none.",
            "The condition is the one with the highest weight; the others are in x_weighted_labels.",
            "FST is the median of three readers, else the first reader's; the second annotator's FST is one of "
            "these readers, so the two agree more than strangers would.",
            "Volunteers in the United States with mostly short-lived rashes; few tumours; no children."),
    fetchable=True)


def load(root: Path) -> Dataset:
    """One row a picture, grouped by case; the two tables lie in the folder or its subfolder `dataset`.

    `condition` is the label of highest weight. `fst` is the dermatologists' (`scin_readers.skin`), `x_fst_self`
    the volunteer's own; `mst` is the United States pool's, `x_mst_india` the other's. The further appearances
    of one picture get #2, #3 after its id. Raises `DatasetError` for what cannot be read.
    """
    root = Path(root)
    cases = _cases(root)
    rows = _pictures(cases)
    condition, unmapped = to_slug(rows["label"])
    file = rows["path"].str.rpartition("/")[2]
    sizes = files(root)
    table = canonical(rows.assign(
        image_id=_numbered(file.str.rpartition(".")[0]), path=places(file, sizes), condition=condition,
        partition3=condition.map(PARTITION3), group_id=rows["case_id"]))
    notes = (*_notes(cases, file), *absent(table["path"]))
    return Dataset(SOURCE, root, table, tuple(table["condition"].cat.categories), fingerprint(table, sizes),
                   notes=notes, unmapped=unmapped)


def _cases(root: Path) -> pd.DataFrame:
    """One row a case: the published columns, and beside them what becomes a canonical or further column."""
    cases = read_csv(_file(root, CASES), required=("case_id", _SELF, "sex_at_birth", *_PATHS, *_TEXTS))
    labels = read_csv(_file(root, LABELS), required=scin_readers.REQUIRED)
    for name, table in ((CASES, cases), (LABELS, labels)):
        if len(repeated := table.loc[table["case_id"].duplicated(), "case_id"]):
            raise DatasetError(f"{_file(root, name)}: cases with two rows. Keep one of each", list(repeated))
    both = cases.merge(labels, on="case_id", how="left").fillna("")
    own = both.assign(**{_SELF: scin_readers.skin_type(both[_SELF])})
    return both.join(pd.DataFrame({
        **scin_readers.conditions(both), **scin_readers.skin(both), "x_fst_self": scale(own, _SELF, ids="case_id"),
        "x_sex": both["sex_at_birth"].str.lower(),
        **{f"x_{name}": known(both[name], "AGE_UNKNOWN", "UNKNOWN") for name in _TEXTS},
        **{f"x_{name}": answers(both, name, ids="case_id") for name in both.columns if name.startswith(_TICKED)}}))


def _file(root: Path, name: str) -> Path:
    return root / name if (root / name).is_file() else root / "dataset" / name


def _pictures(cases: pd.DataFrame) -> pd.DataFrame:
    """One row a picture, in the order of the cases, with `path` and `x_shot_type`."""
    shots = [cases.assign(path=cases[path], x_shot_type=cases.get(path.replace("path", "shot_type"), ""))
             for path in _PATHS]
    rows = pd.concat(shots).sort_index(kind="stable")
    return rows[rows["path"] != ""].reset_index(drop=True)


def _numbered(stem: pd.Series) -> pd.Series:
    """Ids of their own for a picture that several cases hold: 12, 12#2, 12#3."""
    earlier = stem.groupby(stem).cumcount()
    return stem.where(earlier == 0, stem + "#" + (earlier + 1).astype("str"))


def _notes(cases: pd.DataFrame, file: pd.Series) -> tuple[str, ...]:
    unlabelled = cases["label"] == ""
    gradable = int((unlabelled & cases["x_gradable"].fillna(False)).sum())
    repeated = file[file.duplicated(keep=False)]
    return (f"Cases without a label: {int(unlabelled.sum()):,} of {len(cases):,}; a dermatologist called "
            f"{gradable:,} of them gradable.",
            *([f"Pictures that appear more than once: {repeated.nunique():,}, in {len(repeated):,} rows."]
              if len(repeated) else []))


def recognise(root: Path) -> bool:
    """Whether the folder, or its subfolder `dataset`, holds SCIN's cases."""
    return has_columns(_file(root, CASES), ("case_id", _SELF, *_PATHS))


ADAPTER = Adapter(SOURCE, recognise, load)
