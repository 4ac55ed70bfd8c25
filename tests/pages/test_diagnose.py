"""The Diagnose page's wiring: what a clinician is shown, and how seldom the network is asked."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from starlette.formparsers import MultiPartParser
from streamlit.testing.v1 import AppTest

from derm import images, nonskin, registry, samples
from derm.errors import ImageError
from derm.nn import speed
from derm.nn.predict import Predictor
from derm.registry import Bundle
from derm.schema import Diagnosis, KnownCase, SkinType, display_name
from derm.settings import PROJECT, settings
from derm.ui import charts, choosing, components, heatmaps, patient, readings, reliability, resources
from derm.ui.models import facts
from tests.bundles import METADATA, complete_bundle, make_bundle, make_ensemble

PAGE = str(PROJECT / "pages" / "diagnose.py")
APP = str(PROJECT / "streamlit_app.py")
WAIT = 60
BARS = '<ol class="derm-bars'


def jpeg(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()


def upload(name: str, data: bytes) -> tuple[str, bytes, str]:
    return name, data, "image/jpeg"


GOOD = upload("arm.jpg", jpeg(samples.draw("melanoma", skin="II", size=256)))
OTHER = upload("face.jpg", jpeg(samples.draw("acne", skin="V", size=256)))
HALF = upload("half.jpg", GOOD[1][:2000])
TEXT = upload("letter.jpg", b"Dear doctor, please find attached")
LETTER = upload("letter.png", jpeg(nonskin.draw("document", seed=0)))
BLACK = upload("black.jpg", jpeg(np.zeros((200, 200, 3), np.uint8)))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def models(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    yield from use(bundle.folder.parent, monkeypatch)


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return complete_bundle(tmp_path_factory.mktemp("complete") / "tiny")


@pytest.fixture
def completed(complete: Bundle, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The models folder is one with a bundle that has everything; the data folder is empty."""
    monkeypatch.setenv("DERM_DATA", str(complete.folder.parent))
    yield from use(complete.folder.parent, monkeypatch)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shape of each photograph that the network was asked about."""
    shapes: list[tuple[int, ...]] = []
    diagnose = Predictor.diagnose

    def counting(self: Predictor, image: np.ndarray, metadata: Mapping[str, object] | None = None) -> Diagnosis:
        shapes.append(image.shape)
        return diagnose(self, image, metadata)

    monkeypatch.setattr(Predictor, "diagnose", counting)
    monkeypatch.setattr(speed, "times", lambda model, *, runs: [0.05] * runs)  # which would ask it too
    return shapes


def use(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("DERM_MODELS", str(folder))
    settings.cache_clear()
    yield folder
    settings.cache_clear()


def opened(*files: tuple[str, bytes, str], script: str = PAGE) -> AppTest:
    at = AppTest.from_file(script, default_timeout=WAIT).run()
    if files:
        at.file_uploader(key="files").set_value(list(files)).run()
    return at


def html(at: AppTest) -> str:
    return "\n".join(element.proto.body for element in at.get("html"))


def words(at: AppTest) -> str:
    """What the page's HTML says, without its markup and with plain spaces."""
    return re.sub(r"<[^>]+>", " ", html(at)).replace("\N{NO-BREAK SPACE}", " ")


def choose(at: AppTest, skin: str) -> None:
    pills(at, "Patient's Fitzpatrick skin type").set_value(skin).run()


def pills(at: AppTest, label: str) -> object:
    return next(group for group in at.get("button_group") if group.proto.label == label)


def pictures(at: AppTest) -> list[str]:
    return [url for image in at.image for url in image.value]


@pytest.mark.parametrize("script", [APP, PAGE])
def test_empty_page_says_what_it_is(models, asked, script):
    at = opened(script=script)
    assert [title.value for title in at.title] == ["Diagnose"]
    assert html(at).count("not a medical device") == 1
    assert any("kept on disk" in caption.value for caption in at.caption)
    assert not at.exception
    assert not at.error
    assert asked == []


def test_without_a_model_it_says_how_to_get_one(tmp_path, monkeypatch):
    for _ in use(tmp_path, monkeypatch):
        at = opened()
    assert "no model yet" in at.info[0].value
    assert "derm train" in at.code[0].value
    assert not at.error


def test_a_photograph_becomes_a_differential(models, asked):
    at = opened(GOOD)
    shown = html(at)
    assert len(asked) == 1
    assert shown.partition("</ol>")[0].count('<div class="derm-fill"') == 5
    assert "3 other conditions together" in shown
    assert "Melanoma (any label)" in shown
    assert "Non-neoplastic" in shown
    assert len(pictures(at)) == 2
    assert any(caption.value == heatmaps.CAPTION for caption in at.caption)
    labels = [button.label for button in at.get("download_button")]
    assert labels == ["Report (HTML)", "Overlay (PNG)", "Data (JSON)"]


def test_changing_the_view_never_asks_the_network_again(models, asked):
    at = opened(GOOD)
    first = pictures(at)
    conditions = pills(at, "Where the model looked for")
    conditions.set_value(conditions.options[2]).run()
    second = pictures(at)
    at.slider[0].set_value(90).run()
    third = pictures(at)
    pills(at, "Patient's Fitzpatrick skin type").set_value("VI").run()
    assert first[0] == second[0] == third[0]
    assert len({first[1], second[1], third[1]}) == 3
    assert "Too few photographs of skin types V–VI (n = 17)" in html(at)
    assert len(asked) == 1


def test_another_way_to_see_is_computed_on_request(models, asked):
    at = opened(GOOD)
    pills(at, "Method").set_value("LayerCAM").run()
    assert not at.error
    assert at.session_state["ways"]
    assert len(asked) == 1


def test_two_bad_files_of_three_leave_the_third(models, asked):
    at = opened(HALF, GOOD, TEXT)
    assert len(at.error) == 2
    assert "half" in at.error[0].value
    assert "letter" in at.error[1].value
    assert all("Traceback" not in error.value for error in at.error)
    assert BARS in html(at)
    assert len(asked) == 1


def test_several_photographs_have_a_combined_reading_named_as_such(models, asked):
    at = opened(GOOD, OTHER, GOOD)
    labels = [tab.label for tab in at.tabs]
    assert "Combined reading of 2" in labels  # the same photograph twice counts once
    assert sum("arm" in label for label in labels) == 1
    assert len(asked) == 2


def test_a_hopeless_photograph_gets_advice_and_no_diagnosis(models, asked):
    at = opened(BLACK)
    assert at.warning
    assert "No diagnosis" in at.info[0].value
    assert BARS not in html(at)
    assert asked == []


def test_a_bug_shows_a_reference_and_goes_to_the_log(models, asked, monkeypatch, caplog):
    decode = images.decode

    def broken(data: bytes, *, name: str) -> images.Photo:
        if name == "arm.jpg":
            raise ZeroDivisionError("secret detail")
        return decode(data, name=name)

    monkeypatch.setattr(images, "decode", broken)
    at = opened(GOOD, OTHER)
    reference = re.search(r"reference ([0-9a-f]{6})", at.error[0].value)
    assert reference
    assert "secret" not in at.error[0].value
    assert f"reference {reference[1]}" in caplog.text
    assert "secret detail" in caplog.text
    assert BARS in html(at)


def test_a_damaged_model_is_one_sentence(tmp_path, monkeypatch):
    damaged = make_bundle(tmp_path / "models" / "damaged")
    data = bytearray((damaged.folder / "model.keras").read_bytes())
    data[len(data) // 2] ^= 1
    (damaged.folder / "model.keras").write_bytes(data)
    for _ in use(tmp_path / "models", monkeypatch):
        at = opened(GOOD, OTHER)
    assert len(at.error) == 1
    assert "SHA" in at.error[0].value
    assert html(at).count("not a medical device") == 1


def test_names_are_text_and_nothing_else(models):
    at = opened(upload("<img src=x onerror=alert(1)> **b** [x](e).jpg", GOOD[1]))
    name = at.subheader[0].value
    assert "<img" not in name
    assert "**" not in name
    assert r"\[x\]\(" in name


def test_a_drawn_sample_can_be_read(models, asked):
    at = opened()
    at.session_state["source"] = "Drawn samples"
    at.run()
    next(button for button in at.button if (button.key or "").startswith("sample-")).click().run()
    assert at.subheader[0].value.startswith("Drawn")
    assert len(asked) == 1


@pytest.mark.parametrize(("skin", "expected"), [
    (None, "On 571 validation photographs of all skin types, the first answer was right in 62 % "
           "(95 % interval 58 % to 66 %)."),
    (SkinType.II, "On 280 validation photographs of skin types I–II, the first answer was right in 64 % "
                  "(95 % interval 58 % to 70 %)."),
    (SkinType.III, "How often this model is right on photographs of skin types III–IV has not been measured."),
    (SkinType.VI, "Too few photographs of skin types V–VI (n = 17) to say how often this model is right on them."),
])
def test_reliability(bundle, skin, expected):
    assert components.reliability(bundle, skin).replace("\N{NO-BREAK SPACE}", " ") == expected


@pytest.mark.parametrize(("probability", "expected"), [
    (0.0, "<1 %"), (0.004, "<1 %"), (0.006, "1 %"), (0.344, "34 %"), (0.994, "99 %"),
    (0.995, ">99 %"), (1.0, ">99 %"),
])
def test_percent(probability, expected):
    assert charts.percent(probability) == expected.replace(" ", "\N{NO-BREAK SPACE}")


def test_a_class_name_cannot_bring_in_html():
    diagnosis = Diagnosis("m", "1", ("<b>x</b>", "acne"), np.array([0.6, 0.4]), {}, 0.0)
    assert "<b>" not in charts.differential(diagnosis).lower().replace("<bar", "")


def test_an_error_of_ours_is_said_in_full():
    assert readings.explain(ImageError("a.jpg is empty.")) == "a.jpg is empty."


def test_every_way_to_see_exists():
    from derm.nn.explain import METHODS

    labels = {name: method.label for name, method in METHODS.items()}
    assert {name: label for name, (label, _) in heatmaps.WAYS.items() if name != heatmaps.GRAD_CAM} == labels


def test_uploads_stay_in_memory():
    assert MultiPartParser.spool_max_size > images.MAX_BYTES


def test_the_card_speaks_of_the_skin_type_that_was_chosen(completed):
    at = opened(GOOD)
    choose(at, "V")
    said = words(at)
    assert ("On skin types V–VI, this model called 66 % of 30 malignant cases malignant "
            "(95 % interval 56 % to 71 %)") in said
    assert "is not known: too few cases (n = 3)." in said
    assert ("0 photographs of superficial spreading melanoma on skin types V–VI were used for training, "
            "of 44 in all.") in said
    assert html(at).count("<li class=derm-chosen>") == 2
    assert not at.error


def test_not_sure_shows_the_worst_group(completed):
    said = words(opened(GOOD))
    assert ("Skin type not stated: this model called 66 % of 30 malignant cases malignant (95 % interval 56 % to "
            "71 %) on skin types V–VI, where it does worst") in said
    assert "27 on I–II, 16 on III–IV, 0 on V–VI" in said


def test_the_prediction_set_is_shown_and_pooled_openly(completed):
    at = opened(GOOD)
    assert "90 % prediction set: 2 conditions stay possible." in " ".join(words(at).split())
    assert "by 330 held-out photographs of all skin types." in words(at)
    choose(at, "VI")
    assert "too few of them of skin types V–VI to go by those alone" in words(at)


def test_a_set_too_large_is_no_answer(completed):
    at = opened(GOOD)
    choose(at, "II")  # whose own limit leaves 7 of the 8 conditions
    assert "7 of 8 conditions stay possible" in at.error[0].value
    assert BARS not in html(at)
    choose(at, "Not sure")
    assert not at.error


def test_what_is_not_skin_gets_no_answer_unless_asked_for(completed):
    at = opened(LETTER)
    assert at.error[0].value == readings.UNLIKE
    assert BARS not in html(at)
    assert len(pictures(at)) == 1
    at.toggle[0].set_value(True).run()
    kept = next(iter(at.session_state["readings"].values()))
    assert kept.remarks[-1] == readings.UNLIKE  # so that a report says it too
    assert BARS in html(at)
    assert at.error[0].value == readings.UNLIKE


def test_what_is_not_skin_is_no_part_of_a_combined_reading(completed):
    at = opened(GOOD, OTHER, LETTER)
    assert "Combined reading of 2" in [tab.label for tab in at.tabs]
    assert "prediction set" not in html(at).partition(BARS)[0]
    assert words(at).count("prediction set:") == 2  # of each photograph of skin, not of their mean


def test_a_drawn_sample_shows_both_that_it_is_declined_and_what_the_page_would_say(completed, monkeypatch):
    monkeypatch.setattr(samples.Sample, "draw", lambda self, *, size: nonskin.draw("animal", seed=0))
    at = opened()
    at.session_state["source"] = "Drawn samples"
    at.run()
    next(button for button in at.button if (button.key or "").startswith("sample-")).click().run()
    assert readings.UNLIKE in [error.value for error in at.error]
    assert BARS in html(at)


def test_known_cases_are_named_without_pictures_where_the_data_is_not_on_disk(completed):
    at = opened(GOOD)
    assert [markdown.value for markdown in at.markdown].count("#### Similar known cases") == 1
    assert words(at).count("Skin type") >= 4
    assert len(pictures(at)) == 2
    assert not any("of the say" in caption.value for caption in at.caption)


def test_it_is_said_that_known_cases_have_a_say(tmp_path, monkeypatch):
    bundle = complete_bundle(tmp_path / "models" / "tiny")
    registry.write(bundle.folder, replace(bundle, known_cases=0.4))
    for _ in use(tmp_path / "models", monkeypatch):
        said = "others like them have 40\N{NO-BREAK SPACE}% of the say in the answer."
        assert any(said in caption.value for caption in opened(GOOD).caption)
        assert "; known cases have 40\N{NO-BREAK SPACE}% of the say)" in facts.kind(registry.find("tiny"))


def test_an_older_bundle_says_what_is_not_measured(models, asked):
    at = opened(GOOD)
    assert any(caption.value == reliability.NOT_MEASURED for caption in at.caption)
    assert "derm models complete tiny" in at.code[0].value
    assert "prediction set" not in words(at)
    assert not at.error


@pytest.mark.parametrize(("path", "size", "shown"), [
    ("train/a.jpg", None, True), ("train/a.jpg", 7, False), ("train/none.jpg", 7, False), ("", 7, False),
    ("../secret.jpg", None, False), ("train/letter.jpg", None, False),
])
def test_a_known_cases_picture_is_that_very_file_of_the_data(tmp_path, monkeypatch, path, size, shown):
    data = tmp_path / "data"
    (data / "train").mkdir(parents=True)
    for target in (data / "train" / "a.jpg", tmp_path / "secret.jpg"):
        target.write_bytes(GOOD[1])
    (data / "train" / "letter.jpg").write_bytes(TEXT[1])
    monkeypatch.setenv("DERM_DATA", str(data))
    monkeypatch.setenv("DERM_CACHE", str(tmp_path / "cache"))
    for _ in use(tmp_path, monkeypatch):
        size = (data / path).stat().st_size if size is None else size
        found = reliability.picture(KnownCase("a", "acne", None, path, size))
    assert (found is not None) is shown


@pytest.mark.parametrize(("figures", "skin", "expected"), [
    ({}, None, "too few cases (n = 0)"),
    ({"all": {"value": None, "low": None, "high": None, "n": 12}}, None, "too few cases (n = 12)"),
    ({"all": {"value": 0.5, "low": 0.4, "high": 0.6, "n": 90}}, None, "it recognised 50 % of 90 cases of keloid"),
    ({"all": {"value": 0.5, "low": 0.4, "high": 0.6, "n": 90}}, SkinType.IV, "too few cases (n = 0)"),
])
def test_the_sentence_never_gives_a_figure_that_is_not_there(complete, figures, skin, expected):
    said = reliability.sentence("keloid", replace(complete, sensitivity={"keloid": figures}), skin)
    assert expected in said.replace("\N{NO-BREAK SPACE}", " ")
    assert "None" not in said


def test_the_same_worst_group_is_named_once(complete):
    worst = {"I-II": {"value": 0.5, "low": 0.4, "high": 0.6, "n": 90}}
    both = replace(complete, sensitivity={"malignant": worst, "keloid": worst})
    said = reliability.sentence("keloid", both, None)
    assert said.count("on skin types I–II, where it does worst") == 1
    assert said.endswith("there, again its worst.")


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A default model, two members and their ensemble."""
    folder = tmp_path_factory.mktemp("several")
    make_bundle(folder / "fast")
    members = [complete_bundle(folder / "first"), make_bundle(folder / "second", size=64, seed=1)]
    make_ensemble(folder / "best", members, weights=(0.7, 0.3), figures={
        "accuracy": {"value": 0.7134, "low": 0.66, "high": 0.75, "n": 1571}})
    registry.set_default("fast", models=folder)
    return folder


@pytest.fixture
def choice(several: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    yield from use(several, monkeypatch)


def captions(at: AppTest) -> list[str]:
    return [text.replace("\N{NO-BREAK SPACE}", " ") for text in at.radio(key="model").proto.captions]


def test_the_choice_says_what_each_model_costs_and_brings(choice):
    at = opened(GOOD)
    radio = at.radio(key="model")
    assert radio.options == ["fast", "best"]  # its members answer through the ensemble
    assert radio.value == "fast"
    assert at.subheader  # there is an answer, so the default has been timed
    first, second = captions(at.run())
    assert re.fullmatch(r"Accuracy 0\.62 \[0\.58–0\.66\], n = 571; one network, 1 MB, "
                        r"about [\d.e-]+ s a photograph on this machine", first)
    assert second == "Accuracy 0.71 [0.66–0.75], n = 1,571; 2 networks, 1 MB"  # not loaded yet: no seconds


def test_figures_of_a_part_of_the_members_say_so(several, monkeypatch):
    bundle = replace(registry.find("best", models=several), voters=(1, 1))
    said = choosing.phrase(bundle).replace("\N{NO-BREAK SPACE}", " ")
    assert ("n = 1,571; each photograph was answered by 1 of its 2 members, those that had not learnt from it; "
            "all together are likely to do better") in said
    assert dict(facts.lines(bundle))["Measured"].startswith("Each photograph was answered by 1 of its 2 members")
    assert "each held out by some members" in dict(facts.lines(bundle))["Learnt from"]
    shown: list[str] = []
    monkeypatch.setattr(reliability.st, "html", shown.append)
    diagnosis = SimpleNamespace(top=lambda n: [SimpleNamespace(condition="acne")])
    reliability.card(diagnosis, bundle, None)
    assert "held out from training; each photograph was answered by 1 of its 2 members" in shown[0]


def test_an_ensembles_maps_are_shown_together_or_one_by_one(choice):
    at = opened(GOOD)
    assert "Which of the networks" not in [group.proto.label for group in at.get("button_group")]
    at.radio(key="model").set_value("best").run()
    assert not at.error
    assert not at.exception
    networks = pills(at, "Which of the networks")
    assert networks.options == [heatmaps.TOGETHER, "first", "second"]
    shown = {heatmaps.TOGETHER: pictures(at)[1]}
    for name in ("first", "second"):
        pills(at, "Which of the networks").set_value(name).run()
        shown[name] = pictures(at)[1]
        readable = display_name(pills(at, "Where the model looked for").value)
        said = [caption.replace("\\", "") for image in at.image for caption in image.captions]
        assert f"Grad-CAM of {name}: {readable}" in said
    assert len(set(shown.values())) == 3
    assert any("An ensemble" in text.value and "first, second" in text.value for text in at.markdown)


def test_other_ways_to_see_follow_the_chosen_network(choice):
    at = opened(GOOD)
    at.radio(key="model").set_value("best").run()
    pills(at, "Method").set_value("Grad-CAM++").run()
    pills(at, "Which of the networks").set_value("second").run()
    assert not at.error
    assert {key[2:] for key in at.session_state["ways"]} == {("gradcam++", None), ("gradcam++", "second")}


def test_the_seconds_are_those_measured_and_never_zero(several, monkeypatch):
    bundle = registry.find("fast", models=several)
    for measured, said in ((0.0471, "about 0.05 s"), (1.26, "about 1 s"), (23.4, "about 20 s"),
                           (0.00001, "about 0.001 s")):
        monkeypatch.setattr(resources, "seconds", lambda _, measured=measured: measured)
        assert said in choosing.phrase(bundle).replace("\N{NO-BREAK SPACE}", " ")
    monkeypatch.setattr(resources, "seconds", lambda _: None)
    assert " s a photograph" not in choosing.phrase(bundle).replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(("measured", "said"), [
    (None, "Its speed on this machine is being measured."), (0.3, "About 0.3 s a photograph on this machine.")])
def test_a_line_tells_the_seconds_that_came_after_the_phrases(choice, monkeypatch, measured, said):
    asked_three_times = iter([None] * 3)  # for two phrases, and whether to draw the line
    monkeypatch.setattr(resources, "seconds", lambda _: next(asked_three_times, measured))
    captions = [caption.value.replace("\N{NO-BREAK SPACE}", " ") for caption in opened().caption]
    assert said in captions


def test_a_model_that_was_not_measured_says_so(bundle, monkeypatch):
    monkeypatch.setattr(resources, "seconds", lambda _: None)
    for figures in ({}, {"accuracy": {"value": None, "low": None, "high": None, "n": 7}}):
        assert choosing.phrase(replace(bundle, figures=figures)).startswith("Accuracy not measured; one network")


def test_the_digest_depends_on_what_decides_the_answer(several, tmp_path):
    copy = Path(shutil.copytree(several, tmp_path / "copy"))
    made = registry.find("best", models=copy)
    before = resources.digest(made)
    assert before == resources.digest(registry.find("best", models=several))
    for changed in (replace(made, weights=(0.6, 0.4)), replace(made, vote="hard"), replace(made, temperature=2.0),
                    replace(made, turns=True)):
        assert resources.digest(changed) != before
    member = registry.find("second", models=copy)
    registry.write(member.folder, replace(member, temperature=2.0))  # the same network answers otherwise
    assert resources.digest(made) != before


def test_a_default_that_cannot_be_used_is_said_and_the_others_answer(several, tmp_path, monkeypatch):
    folder = Path(shutil.copytree(several, tmp_path / "copy"))
    registry.set_default("best", models=folder)
    shutil.rmtree(folder / "second")
    for _ in use(folder, monkeypatch):
        at = opened(GOOD)
    assert "The default model, best, cannot be used" in at.warning[0].value
    assert at.radio(key="model").options == ["fast", "first"]
    assert BARS in html(at)


def test_many_models_are_a_list_with_the_phrase_of_the_chosen_one(bundle, tmp_path, monkeypatch):
    for name in "abcde":
        shutil.copytree(bundle.folder, tmp_path / name)
        registry.write(tmp_path / name, replace(bundle, name=name))
    for _ in use(tmp_path, monkeypatch):
        at = opened()
        assert at.selectbox(key="model").options == list("abcde")
        assert any(caption.value.startswith("Accuracy 0.62") for caption in at.caption)


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`tiny`, and an ensemble of it with a model that reads metadata."""
    folder = tmp_path_factory.mktemp("readers")
    members = [make_bundle(folder / "tiny"), make_bundle(folder / "reader", metadata=METADATA)]
    make_ensemble(folder / "both", members, metadata=METADATA)
    registry.set_default("tiny", models=folder)
    return folder


def answered(at: AppTest) -> list[str]:
    return [caption.value for caption in at.caption if caption.value.startswith("Answered")]


def test_what_is_known_of_the_patient_changes_the_answer_at_once(readers, asked, monkeypatch):
    for _ in use(readers, monkeypatch):
        at = opened(GOOD)
        assert patient.TITLE not in [expander.label for expander in at.expander]
        assert len(answered(at)) == len(at.number_input) == len(at.selectbox) == 0
        at.radio(key="model").set_value("both").run()
        assert [expander.label for expander in at.expander].count(patient.TITLE) == 1
        assert answered(at)[0].startswith("Answered from the photograph alone. The model was measured with")
        assert [field.options for field in at.selectbox] == [
            [patient.NOT_KNOWN, "female", "male"], [patient.NOT_KNOWN, "Yes", "No"]]
        assert at.number_input[0].value is None
        shown = [html(at)]
        at.number_input[0].set_value(71).run()
        assert answered(at) == ["Answered with age 71."]
        at.selectbox[0].set_value("female").run()
        at.selectbox[1].set_value("No").run()
        assert answered(at) == ["Answered with age 71, sex female, itch no."]
        shown.append(html(at))
        assert shown[0] != shown[1]
        assert not at.error
        reading = next(iter(at.session_state["readings"].values()))
        assert reading.diagnosis.metadata == {"x_age": 71, "x_sex": "female", "x_itch": False}
        at.number_input[0].set_value(None).run()
        at.selectbox[0].set_value(patient.NOT_KNOWN).run()
        at.selectbox[1].set_value(patient.NOT_KNOWN).run()
        assert html(at) == shown[0]
