import csv
import json
from pathlib import Path

import pandas as pd
import pytest

from derm.datasets.conditions import PARTITION3, TABLE, to_slug
from derm.schema import FAMILIES, PARTITIONS
from derm.settings import PROJECT

ROWS = list(csv.DictReader(TABLE.read_text(encoding="utf-8").splitlines()))
SLUGS = {row["slug"] for row in ROWS}


def slug(name: str) -> str:
    return to_slug(pd.Series([name]))[0].item()


@pytest.mark.parametrize(("name", "expected"), [
    # however it is written
    ("basal cell carcinoma", "basal-cell-carcinoma"), ("  Basal-Cell_Carcinoma ", "basal-cell-carcinoma"),
    ("BASAL  CELL CARCINOMA.", "basal-cell-carcinoma"), ("Behçet’s disease", "behcet-disease"),
    ("Seborrhoeic keratosis", "seborrheic-keratosis"), ("Haemangioma", "hemangioma"),
    # Fitzpatrick17k's own spellings
    ("behcets disease", "behcet-disease"), ("naevus comedonicus", "nevus-comedonicus"),
    ("erythema annulare centrifigum", "erythema-annulare-centrifugum"),
    ("acquired autoimmune bullous diseaseherpes gestationis", "autoimmune-bullous-disease"),
    ("superficial spreading melanoma ssm", "superficial-spreading-melanoma-ssm"),
    ("Superficial spreading melanoma", "superficial-spreading-melanoma-ssm"),
    # DDI
    ("nodular-melanoma-(nm)", "nodular-melanoma"), ("seborrheic-keratosis-irritated", "seborrheic-keratosis"),
    ("condyloma-accuminatum", "condyloma-acuminatum"), ("acrochordon", "skin-tag"),
    # SCIN
    ("SCC/SCCIS", "squamous-cell-carcinoma-or-in-situ"), ("SK/ISK", "seborrheic-keratosis"),
    ("O/E - ecchymoses present", "ecchymosis"), ("CD - Contact dermatitis", "contact-dermatitis"),
    ("Abrasion, scrape, or scab", "abrasion"), ("Drug Rash", "drug-eruption"),
    # what is distinct stays so
    ("malignant melanoma", "malignant-melanoma"), ("melanoma", "melanoma"),
    ("melanoma in situ", "melanoma-in-situ"), ("acne", "acne"), ("acne vulgaris", "acne-vulgaris"),
    ("Atopic Dermatitis", "atopic-dermatitis"),
    ("Eczema", "eczema"), ("Tinea", "tinea"), ("tinea-pedis", "tinea-pedis"),
    ("Tinea Versicolor", "tinea-versicolor"), ("Bowen's disease", "squamous-cell-carcinoma-in-situ")])
def test_known_names(name, expected):
    slugs, unmapped = to_slug(pd.Series([name]))
    assert (slugs.item(), unmapped) == (expected, ())
    assert expected in SLUGS


def test_unknown_names_are_kept_and_listed():
    names = pd.Series(["Zig-zag lump", "acne", "", None, "../evil", "zig zag LUMP", "黑色素瘤", "?!", "NA"],
                      index=range(10, 19))
    slugs, unmapped = to_slug(names)
    assert slugs.tolist() == ["zig-zag-lump", "acne", "", "", "evil", "zig-zag-lump", "黑色素瘤", "unnamed", "na"]
    assert slugs.index.equals(names.index)
    assert unmapped == ("../evil", "?!", "NA", "Zig-zag lump", "zig zag LUMP", "黑色素瘤")


def test_the_models_conditions_stay_as_they_are():
    bundle = json.loads((PROJECT / "models" / "mobilenetv2-ajl" / "bundle.json").read_text(encoding="utf-8"))
    names = pd.Series([*bundle["classes"], *(slug for family in FAMILIES.values() for slug in family)])
    slugs, unmapped = to_slug(names)
    assert slugs.tolist() == names.tolist()
    assert unmapped == ()
    assert {slug: PARTITION3[slug] for slug in bundle["classes"]} == bundle["partition3"]


def test_the_table_is_tidy():
    assert [row["slug"] for row in ROWS] == sorted(SLUGS)
    assert all(slug(row["slug"]) == row["slug"] for row in ROWS)
    assert {row["partition3"] for row in ROWS} == {*PARTITIONS, ""}
    assert PARTITION3.keys() == {row["slug"] for row in ROWS if row["partition3"]}


def test_every_label_of_fitzpatrick17k_has_a_slug_of_its_own():
    path = Path(PROJECT.parent / "shared" / "data" / "fitzpatrick17k" / "fitzpatrick17k.csv")
    if not path.is_file():
        pytest.skip("no Fitzpatrick17k annotations")
    labels = pd.read_csv(path).groupby("label")["three_partition_label"].first()
    slugs, unmapped = to_slug(labels.index.to_series())
    assert unmapped == ()
    assert slugs.nunique() == len(labels) == 114
    assert slugs.map(PARTITION3).tolist() == labels.tolist()
