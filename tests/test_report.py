import base64
import io
import re
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from derm import report
from derm.registry import Bundle
from derm.report import Reading
from derm.schema import Diagnosis, SkinType

CLASSES = ("acne", "acne-vulgaris", "melanoma", "keloid", "eczema", "folliculitis")
PARTITION3 = {"acne": "non-neoplastic", "acne-vulgaris": "non-neoplastic", "melanoma": "malignant",
              "keloid": "benign", "eczema": "non-neoplastic", "folliculitis": "non-neoplastic"}
PIXELS = np.full((60, 80, 3), (180, 120, 90), np.uint8)


def figure(value: float | None, n: int) -> dict[str, float | int | None]:
    return {"value": value, "low": value and value - 0.1, "high": value and value + 0.1, "n": n}


def bundle(**changes: Any) -> Bundle:
    values: dict[str, Any] = {
        "folder": Path("tiny"), "name": "tiny-1", "version": "7", "classes": CLASSES, "partition3": PARTITION3,
        "input_size": 32, "backbone": "MobileNetV2", "temperature": 1.0, "data_name": "drawn pictures",
        "data_fingerprint": "f", "licence": "Apache-2.0", "intended_use": "Tests.", "keras_version": "3.0.0",
        "code_version": "0", "created": "2026-01-01",
        "figures": {"accuracy": figure(0.61, 572), "accuracy:I-II": figure(0.7, 300),
                    "accuracy:III-IV": figure(0.6, 200), "accuracy:V-VI": figure(None, 12)}}
    return Bundle(**(values | changes))


def diagnosis(*p: float, **changes: Any) -> Diagnosis:
    values: dict[str, Any] = {
        "model": "tiny-1", "version": "7", "classes": CLASSES, "heatmaps": {}, "seconds": 0.25,
        "probabilities": np.array(p or (0.3, 0.25, 0.2, 0.15, 0.098, 0.002)), "partition3": PARTITION3}
    return Diagnosis(**(values | changes))


def render(*readings: Reading, **options: Any) -> str:
    options = {"bundle": bundle(), "created": date(2026, 2, 3)} | options
    return report.html(readings or [Reading("a.jpg", PIXELS, diagnosis())], **options)


def text_of(html: str) -> str:
    """What a person reads, with the white space made plain."""
    parts: list[str] = []
    parser = HTMLParser()
    parser.handle_data = parts.append  # type: ignore[method-assign]
    parser.feed(re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL))
    return " ".join(" ".join(parts).split())


def test_the_page_says_what_a_reader_needs() -> None:
    text = text_of(render(Reading("arm.jpg", PIXELS, diagnosis(), PIXELS, "melanoma",
                                     notices=("The photograph is dark; use more light.",))))
    for words in ("3 February 2026", "Research demo, not a medical device", "arm.jpg", "tiny-1, version 7",
                  "drawn pictures, 6 conditions", "0.61 [0.51-0.71], n = 572", "The photograph is dark",
                  "Grad-CAM heat map for Melanoma", "not evidence that the answer is right"):
        assert words in text


def test_differential_merged_reading_and_roll_up() -> None:
    text = text_of(render())
    assert "Differential Acne 30 % Acne vulgaris 25 % Melanoma 20 % Keloid 15 % Eczema 10 % Overlap" in text
    assert "as one Acne (any label) 55 % Melanoma 20 % Keloid 15 % Eczema 10 % Folliculitis <1 % Benign" in text
    assert "Benign or malignant Benign 15 % Malignant 20 % Non-neoplastic 65 %" in text


def test_no_merged_reading_without_overlap_and_no_roll_up_when_unknown() -> None:
    text = text_of(render(Reading("a", PIXELS, diagnosis(
        0.6, 0.4, classes=("keloid", "eczema"), partition3={"keloid": "benign"}))))
    assert "Overlapping" not in text
    assert "Benign" not in text


@pytest.mark.parametrize(("skin_type", "stated", "patient"), [
    (SkinType.II, "Fitzpatrick type II", "Accuracy, types I-II, this patient 0.70 [0.60-0.80], n = 300"),
    (SkinType.VI, "Fitzpatrick type VI", "Accuracy, types V-VI, this patient too few (n = 12)"),
])
def test_the_patients_skin_type_and_how_the_model_does_there(skin_type: SkinType, stated: str,
                                                             patient: str) -> None:
    text = text_of(render(skin_type=skin_type))
    assert f"Skin type: {stated}" in text
    assert patient in text
    assert text.count("this patient") == 1


def test_a_skin_type_that_is_not_stated_is_not_guessed() -> None:
    text = text_of(render())
    assert "Skin type: not stated" in text
    assert "this patient" not in text


def test_a_model_that_was_not_measured_says_so() -> None:
    assert "Accuracy not measured" in text_of(render(bundle=bundle(figures={})))


def test_several_photographs_have_a_section_each_and_a_combined_reading() -> None:
    first = diagnosis(1.0, 0, 0, 0, 0, 0)
    second = diagnosis(0, 0, 0, 1.0, 0, 0)
    text = text_of(render(Reading("one.jpg", PIXELS, first), Reading("two.jpg", PIXELS, second)))
    assert "Combined reading of 2 photographs" in text
    assert "Acne 50 % Keloid 50 %" in text
    assert text.index("Combined") < text.index("one.jpg") < text.index("two.jpg")
    assert "Combined" not in text_of(render())


def test_names_are_text_never_markup() -> None:
    odd = '<script>alert(1)</script>"&.jpg'
    html = render(Reading(odd, PIXELS, diagnosis(), notices=("<img src=x>",)), bundle=bundle(data_name="<i>"))
    assert "<script" not in html
    assert "<img src=x" not in html
    assert "<i>," not in html
    assert odd in text_of(html)


def test_the_page_needs_nothing_but_itself() -> None:
    html = render(Reading("a.jpg", PIXELS, diagnosis(), PIXELS, "acne"))
    assert len(re.findall(r'src="data:image/jpeg;base64,', html)) == html.count("src=") == 2
    assert "http:" not in html
    assert "https:" not in html
    assert "url(" not in html


def pictures(html: str) -> list[Image.Image]:
    found = [Image.open(io.BytesIO(base64.b64decode(data))) for data in re.findall(r'base64,([^"]+)"', html)]
    for picture in found:
        picture.load()
    return found


def test_photographs_are_drawn_anew_without_metadata() -> None:
    overlay = np.zeros_like(PIXELS)
    photo, blended = pictures(render(Reading("a.jpg", PIXELS, diagnosis(), overlay, "acne")))
    assert np.asarray(photo, dtype=int) == pytest.approx(PIXELS.astype(int), abs=4)
    assert np.asarray(blended).max() <= 4
    assert not photo.getexif()
    assert set(photo.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_a_large_photograph_is_made_small_enough_to_send() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2048, 1024, 3), dtype=np.uint8)
    html = render(Reading("a.jpg", noise, diagnosis()))
    assert pictures(html)[0].size == (450, 900)
    assert len(html) < 1_000_000


def test_json_has_the_shape_of_derm_predict() -> None:
    assert report.to_json(diagnosis(), bundle=bundle(), path="in/a.jpg", image_id="a", top=2) == {
        "path": "in/a.jpg", "image_id": "a", "model": "tiny-1", "version": "7",
        "predictions": [{"condition": "acne", "probability": 0.3},
                        {"condition": "acne-vulgaris", "probability": 0.25}],
        "seconds": 0.25}
    assert len(report.to_json(diagnosis(), bundle=bundle(), path="a", image_id="a")["predictions"]) == 5


ENSEMBLE: dict[str, Any] = {"members": ("fast", "slow"), "vote": "hard", "weights": (0.75, 0.25)}


def test_an_ensemble_says_who_votes_and_how() -> None:
    text = text_of(render(bundle=bundle(**ENSEMBLE)))
    assert "fast (weight 0.75), slow (weight 0.25); hard vote" in text
    assert "ensemble" not in text_of(render())
    found = report.to_json(diagnosis(), bundle=bundle(**ENSEMBLE), path="a", image_id="a")
    assert found["ensemble"] == {"members": ["fast", "slow"], "vote": "hard", "weights": [0.75, 0.25]}


def test_it_says_what_was_known_of_the_patient_if_the_model_reads_it() -> None:
    reader = bundle(metadata={"x_age": {"kind": "number", "mean": 50.0, "sd": 20.0}})
    told = diagnosis(metadata={"x_age": 54.0})
    assert "Answered with age 54." in text_of(render(Reading("a.jpg", PIXELS, told), bundle=reader))
    assert "Answered from the photograph alone." in text_of(render(bundle=reader))
    assert "Answered" not in text_of(render())
    assert report.to_json(told, bundle=reader, path="a", image_id="a")["metadata"] == {"x_age": 54}
    assert "metadata" not in report.to_json(diagnosis(), bundle=reader, path="a", image_id="a")
