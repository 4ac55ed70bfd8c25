"""Tiny data sets in exactly the published shapes, with the traps that each is known for. Made up, drawn, small.

Every writer fills the folder `root`, makes it if need be, and returns it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path

import pandas as pd

from tests.conftest import blotches

SCIN_CASES = (
    "case_id", "source", "release", "year", "age_group", "sex_at_birth", "fitzpatrick_skin_type",
    *(f"race_ethnicity_{name}" for name in (
        "american_indian_or_alaska_native", "asian", "black_or_african_american",
        "hispanic_latino_or_spanish_origin", "middle_eastern_or_north_african",
        "native_hawaiian_or_pacific_islander", "white", "other_race", "prefer_not_to_answer",
        "two_or_more_after_mitigation")),
    *(f"textures_{name}" for name in ("raised_or_bumpy", "flat", "rough_or_flaky", "fluid_filled")),
    *(f"body_parts_{name}" for name in (
        "head_or_neck", "arm", "palm", "back_of_hand", "torso_front", "torso_back", "genitalia_or_groin",
        "buttocks", "leg", "foot_top_or_side", "foot_sole", "other")),
    *(f"condition_symptoms_{name}" for name in (
        "bothersome_appearance", "bleeding", "increasing_size", "darkening", "itching", "burning", "pain",
        "no_relevant_experience")),
    *(f"other_symptoms_{name}" for name in (
        "fever", "chills", "fatigue", "joint_pain", "mouth_sores", "shortness_of_breath", "no_relevant_symptoms")),
    "related_category", "condition_duration", "image_1_path", "image_2_path", "image_3_path",
    "image_1_shot_type", "image_2_shot_type", "image_3_shot_type", "combined_race")
SCIN_LABELS = (
    "case_id",
    *(f"dermatologist_gradable_for_skin_condition_{i}" for i in (1, 2, 3)),
    "dermatologist_skin_condition_on_label_name", "dermatologist_skin_condition_confidence",
    "weighted_skin_condition_label",
    *(f"dermatologist_gradable_for_fitzpatrick_skin_type_{i}" for i in (1, 2, 3)),
    *(f"dermatologist_fitzpatrick_skin_type_label_{i}" for i in (1, 2, 3)),
    "gradable_for_monk_skin_tone_india", "gradable_for_monk_skin_tone_us",
    "monk_skin_tone_label_india", "monk_skin_tone_label_us")
GRADABLE, UNGRADABLE = "DEFAULT_YES_IMAGE_QUALITY_SUFFICIENT", "NO_IMAGE_QUALITY_INSUFFICIENT"


def write_scin(root: Path) -> Path:
    """Six cases, nine rows of pictures under root/dataset, in the order of their numbers.

    Case 1: three pictures, three readers. 2: weights tied, two readers a type apart. 3: no label,
    NONE_IDENTIFIED. 4: gradable, yet no label; another's picture again. 5: a name no table knows, with an
    apostrophe; its picture was not downloaded. 6: no dermatologist's skin type.
    """
    common = {"source": "SCIN", "release": "1.0.0", "year": "2023"}
    first, second, third, fourth, fifth, sixth = (
        "-3205742176803893704", "9007199254740993", "-1", "4471893250117653905", "-9223372036854775808", "00123")
    cases = (
        {"case_id": first, "age_group": "AGE_30_TO_39", "sex_at_birth": "FEMALE", "fitzpatrick_skin_type": "FST2",
         "race_ethnicity_white": "YES", "textures_raised_or_bumpy": "YES", "body_parts_arm": "YES",
         "body_parts_leg": "YES", "condition_symptoms_itching": "YES", "other_symptoms_fatigue": "YES",
         "related_category": "RASH", "condition_duration": "ONE_TO_FOUR_WEEKS", "combined_race": "WHITE",
         **_scin_images("-1001", "1002", "1003")},
        {"case_id": second, "age_group": "AGE_UNKNOWN", "sex_at_birth": "OTHER_OR_UNSPECIFIED",
         "fitzpatrick_skin_type": "FST6", "race_ethnicity_black_or_african_american": "YES",
         "combined_race": "BLACK_OR_AFRICAN_AMERICAN", "body_parts_palm": "YES", **_scin_images("2001")},
        {"case_id": third, "age_group": "AGE_UNKNOWN", "fitzpatrick_skin_type": "NONE_IDENTIFIED",
         "related_category": "LOOKS_HEALTHY", "condition_duration": "UNKNOWN", **_scin_images("3001")},
        {"case_id": fourth, "fitzpatrick_skin_type": "NONE_SELECTED", "sex_at_birth": "MALE",
         **_scin_images("4001", "2001")},
        {"case_id": fifth, **_scin_images("5001")},
        {"case_id": sixth, "fitzpatrick_skin_type": "FST4", **_scin_images("6001")})
    labels = (
        {"case_id": first, **_scin_label({"Eczema": 0.67, "Psoriasis": 0.33}, [5, 3]),
         **_scin_types("FST3", "FST2", "FST4"), "monk_skin_tone_label_india": "2", "monk_skin_tone_label_us": "3"},
        {"case_id": second, **_scin_label({"Tinea": 0.5, "SCC/SCCIS": 0.5}, [3, 4]),
         **_scin_types("FST5", "FST6"), "monk_skin_tone_label_india": "9.0", "monk_skin_tone_label_us": "10.0"},
        {"case_id": third, "dermatologist_gradable_for_skin_condition_1": UNGRADABLE,
         "dermatologist_gradable_for_fitzpatrick_skin_type_1": "NO"},
        {"case_id": fourth, "dermatologist_gradable_for_skin_condition_1": GRADABLE,
         "dermatologist_skin_condition_on_label_name": "[]", "dermatologist_skin_condition_confidence": "[]",
         "weighted_skin_condition_label": "{}", **_scin_types("FST1")},
        {"case_id": fifth, **_scin_label({"Bullis's unheard-of rash": 1.0}, [2]), **_scin_types("FST6")},
        {"case_id": sixth, **_scin_label({"Keratosis pilaris": 1.0}, [4])})
    _csv(root / "dataset" / "scin_cases.csv", ({**common, **case} for case in cases), SCIN_CASES)
    _csv(root / "dataset" / "scin_labels.csv", reversed(labels), SCIN_LABELS)
    for seed, stem in enumerate(("-1001", "1002", "1003", "2001", "3001", "4001", "6001"), 100):
        _picture(root / "dataset" / "images" / f"{stem}.png", seed)
    return root


def _scin_images(*stems: str) -> dict[str, str]:
    shots = ("CLOSE_UP", "AT_AN_ANGLE", "AT_DISTANCE")
    return {key: value for i, stem in enumerate(stems, 1) for key, value in (
        (f"image_{i}_path", f"dataset/images/{stem}.png"), (f"image_{i}_shot_type", shots[i - 1]))}


def _scin_label(weights: dict[str, float], confidences: list[int]) -> dict[str, str]:
    return {"dermatologist_gradable_for_skin_condition_1": GRADABLE,
            "dermatologist_skin_condition_on_label_name": str(list(weights)),
            "dermatologist_skin_condition_confidence": str(confidences),
            "weighted_skin_condition_label": str(weights)}


def _scin_types(*labels: str) -> dict[str, str]:
    return {key: value for i, label in enumerate(labels, 1) for key, value in (
        (f"dermatologist_gradable_for_fitzpatrick_skin_type_{i}", "YES"),
        (f"dermatologist_fitzpatrick_skin_type_label_{i}", label))}


def write_ddi(root: Path, *, old: bool = False) -> Path:
    """Five biopsied lesions of all three skin-tone groups; `old` names the malignancy column as early files do."""
    rows = [("1", "000001.png", "56", "True", "melanoma-in-situ"),
            ("2", "000002.png", "56", "True", "mycosis-fungoides"),
            ("3", "000003.png", "34", "False", "seborrheic-keratosis-irritated"),
            ("4", "000123.png", "12", "False", "melanocytic-nevi"),
            ("5", "000005.png", "12", "False", "an-unheard-of-lump")]
    malignant = "malignancy(malig=1)" if old else "malignant"
    names = ("DDI_ID", "DDI_file", "skin_tone", malignant, "disease")
    frame = pd.DataFrame(rows, columns=list(names), dtype="str")
    if old:
        frame[malignant] = (frame[malignant] == "True").astype(int)
    root.mkdir(parents=True, exist_ok=True)
    frame.to_csv(root / "ddi_metadata.csv")  # with pandas' nameless index column, as published
    for seed, file in enumerate(frame["DDI_file"], 200):
        _picture(root / "images" / file, seed)
    return root


PAD_UFES = ("patient_id", "lesion_id", "smoke", "drink", "background_father", "background_mother", "age",
            "pesticide", "gender", "skin_cancer_history", "cancer_history", "has_piped_water",
            "has_sewage_system", "fitspatrick", "region", "diameter_1", "diameter_2", "diagnostic", "itch",
            "grew", "hurt", "changed", "bleed", "elevation", "img_id", "biopsed")


def write_pad_ufes(root: Path) -> Path:
    """All six diagnoses, four patients: two pictures of one lesion, two lesions of one patient, blank, UNK, NA."""
    full = {"smoke": "False", "drink": "True", "background_father": "POMERANIA", "background_mother": "NA",
            "age": "55", "pesticide": "False", "gender": "FEMALE", "skin_cancer_history": "True",
            "cancer_history": "True", "has_piped_water": "True", "has_sewage_system": "True", "fitspatrick": "3.0",
            "region": "NECK", "diameter_1": "6.0", "diameter_2": "5.0", "itch": "True", "grew": "UNK",
            "hurt": "False", "changed": "UNK", "bleed": "True", "elevation": "True", "biopsed": "True"}
    blank = {"age": "8", "region": "ARM", "itch": "True", "grew": "False", "hurt": "False", "changed": "False",
             "bleed": "False", "elevation": "False", "biopsed": "False"}
    rows = [{**full, **_pad("46", "881", "939", "BCC")}, {**full, **_pad("46", "881", "14", "BCC")},
            {**full, **_pad("46", "00882", "140", "MEL"), "fitspatrick": "2.0"},
            {**blank, **_pad("1516", "1765", "530", "NEV")}, {**blank, **_pad("1516", "1766", "531", "SEK")},
            {**full, **_pad("9", "13", "1", "ACK"), "gender": "MALE", "fitspatrick": "6.0"},
            {**blank, **_pad("77", "120", "2", "SCC")}]
    _csv(root / "metadata.csv", rows, PAD_UFES)
    for seed, row in enumerate(rows, 300):
        _picture(root / "images" / row["img_id"], seed)
    return root


def _pad(patient: str, lesion: str, number: str, code: str) -> dict[str, str]:
    return {"patient_id": f"PAT_{patient}", "lesion_id": lesion, "diagnostic": code,
            "img_id": f"PAT_{patient}_{lesion}_{number}.png"}


def write_telling_pad_ufes(root: Path, *, count: int = 48) -> Path:
    """Pictures that tell nothing, of lesions that the age tells apart: 20 to 34 years nevi, 60 to 74 carcinomas;
    every sixth patient's is not recorded."""
    rows = [{**_pad(str(i), str(i), str(i), ("NEV", "BCC")[i % 2]),
             "age": "" if i % 6 > 4 else str((20, 60)[i % 2] + i % 15), "itch": ("True", "False", "UNK")[i % 3],
             "region": ("NECK", "ARM")[i // 2 % 2]} for i in range(count)]
    _csv(root / "metadata.csv", rows, PAD_UFES)
    for seed, row in enumerate(rows, 700):
        _picture(root / "images" / row["img_id"], seed)
    return root


def write_telling_scin(root: Path, *, count: int = 48) -> Path:
    """Pictures that tell nothing, of cases that the sex tells apart: women's eczema, men's psoriasis; every sixth
    volunteer did not say."""
    ids = [str(1000 + i) for i in range(count)]
    cases = [{"case_id": case, "source": "SCIN", "release": "1.0.0", "year": "2023", "age_group": "AGE_30_TO_39",
              "sex_at_birth": "" if i % 6 > 4 else ("FEMALE", "MALE")[i % 2], "fitzpatrick_skin_type": "FST3",
              "condition_symptoms_itching": ("YES", "")[i // 2 % 2], **_scin_images(case)}
             for i, case in enumerate(ids)]
    labels = [{"case_id": case, **_scin_label({("Eczema", "Psoriasis")[i % 2]: 1.0}, [5]), **_scin_types("FST3")}
              for i, case in enumerate(ids)]
    _csv(root / "dataset" / "scin_cases.csv", cases, SCIN_CASES)
    _csv(root / "dataset" / "scin_labels.csv", labels, SCIN_LABELS)
    for seed, case in enumerate(ids, 800):
        _picture(root / "dataset" / "images" / f"{case}.png", seed)
    return root


def write_ham10000(root: Path, *, extension: str = ".csv", dataset: bool = True) -> Path:
    """All seven diagnoses, one lesion photographed twice; metadata as Kaggle (.csv) or Dataverse ('') names it."""
    names = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization", "dataset")
    rows = [("HAM_0000118", "ISIC_0027419", "bkl", "histo", "80.0", "male", "scalp", "vidir_modern"),
            ("HAM_0000118", "ISIC_0025030", "bkl", "histo", "80.0", "male", "scalp", "vidir_modern"),
            ("HAM_0002730", "ISIC_0026769", "nv", "follow_up", "0.0", "female", "ear", "rosendahl"),
            ("HAM_0001466", "ISIC_0031633", "mel", "histo", "", "unknown", "unknown", "vienna_dias"),
            ("HAM_0002761", "ISIC_0029176", "akiec", "histo", "60.0", "male", "face", "rosendahl"),
            ("HAM_0005132", "ISIC_0025837", "bcc", "histo", "70.0", "female", "back", "vidir_molemax"),
            ("HAM_0001396", "ISIC_0025276", "df", "consensus", "55.0", "female", "trunk", "vidir_modern"),
            ("HAM_0007207", "ISIC_0031326", "vasc", "confocal", "50.0", "male", "back", "vidir_modern")]
    root.mkdir(parents=True, exist_ok=True)
    frame = pd.DataFrame(rows, columns=list(names), dtype="str")
    frame.drop(columns=[] if dataset else ["dataset"]).to_csv(root / f"HAM10000_metadata{extension}", index=False)
    for i, image_id in enumerate(frame["image_id"]):
        _picture(root / f"HAM10000_images_part_{1 + i % 2}" / f"{image_id}.jpg", 400 + i)
    return root


def write_fitzpatrick17k(root: Path, images: bool = False) -> Path:
    """Nine rows with every kind of label, quality note and gap; `images` beside it in images/<md5hash>.jpg.

    md5hash is the MD5 of the picture, except in the last two rows: those have no url (nobody can download
    them) and ids that a careless reader takes for the numbers 123 and infinity.
    """
    rows = [("1", "2", "melanoma", "malignant melanoma", "malignant", "1 Diagnostic", "dermaamin"),
            ("-1", "-1", "drug induced pigmentary changes", "inflammatory", "non-neoplastic", "", "dermaamin"),
            ("6", "5", "acne vulgaris", "inflammatory", "non-neoplastic", "3 Wrongly labelled", "atlas"),
            ("3", "-1", "basal cell carcinoma morpheiform", "malignant epidermal", "malignant", "", "dermaamin"),
            ("4", "4", "pilar cyst", "benign dermal", "benign", "2 Characteristic", "atlas"),
            ("5", "6", "superficial spreading melanoma ssm", "malignant melanoma", "malignant", "5 Potentially",
             "atlas"),
            ("2", "3", "acquired autoimmune bullous diseaseherpes gestationis", "inflammatory", "non-neoplastic",
             "4 Other", "dermaamin"),
            ("5", "5", "prurigo nodularis", "benign epidermal", "benign", "", ""),
            ("2", "2", "mycosis fungoides", "malignant cutaneous lymphoma", "malignant", "", "")]
    hosts = {"dermaamin": "https://www.dermaamin.com/site/images/clinical-pic/x/picture{}.jpg",
             "atlas": "http://atlasdermatologico.com.br/img?imageId={}", "": ""}
    known = ("00000000000000000000000000000123", "1234567890123456789012345678e999")
    pictures = [_jpeg(500 + i) for i in range(len(rows))]
    ids = [*(hashlib.md5(data).hexdigest() for data in pictures[:-2]), *known]
    names = ("fitzpatrick_scale", "fitzpatrick_centaur", "label", "nine_partition_label", "three_partition_label",
             "qc", "url")
    frame = pd.DataFrame(rows, columns=list(names), dtype="str")
    frame.insert(0, "md5hash", ids)
    frame["url"] = [hosts[host].format(i) for i, host in enumerate(frame["url"])]
    frame["url_alphanum"] = [f"{''.join(filter(str.isalnum, url))}.jpg" if url else "" for url in frame["url"]]
    root.mkdir(parents=True, exist_ok=True)
    frame.to_csv(root / "fitzpatrick17k.csv", index=False)
    if images:
        (root / "images").mkdir(exist_ok=True)
        for image_id, data in zip(ids[:-2], pictures, strict=False):
            (root / "images" / f"{image_id}.jpg").write_bytes(data)
    return root


def _csv(path: Path, rows: Iterable[Mapping[str, str]], columns: tuple[str, ...]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(list(rows), columns=list(columns)).to_csv(path, index=False)


def _picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    blotches(seed, side=32).save(path)


def _jpeg(seed: int) -> bytes:
    buffer = BytesIO()
    blotches(seed, side=32).save(buffer, "JPEG")
    return buffer.getvalue()
