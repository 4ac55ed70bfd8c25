"""Votes against numbers worked out by hand, and ensembles made of what their members recorded; no Keras."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from derm import ensembles, predictions, registry
from derm.ensembles import Rule
from derm.errors import ModelError
from derm.registry import Bundle
from tests.test_registry import describe, network_file

CLASSES = ("acne", "eczema", "melanoma")
N = 120


def recorded(*, right: float = 0.7, seed: int = 0, split: str = "val", names: Sequence[str] = ()) -> pd.DataFrame:
    """Predictions for photographs whose truth goes by their number, right so often."""
    names = names or [f"p{i}" for i in range(N)]
    rng = np.random.default_rng(seed)
    truth = np.array([int(name[1:]) % 3 for name in names])
    said = np.where(rng.random(len(names)) < right, truth, rng.integers(0, 3, len(names)))
    p = rng.dirichlet(np.ones(3), len(names)) * 0.5 + 0.5 * np.eye(3)[said]
    rows = pd.DataFrame({"image_id": names, "group_id": [f"g{int(name[1:]) // 2}" for name in names],
                         "split": split, "fst": 1 + np.arange(len(names)) % 6,
                         "condition": np.array(CLASSES, dtype=object)[truth]})
    return predictions.table(rows, classes=CLASSES, probabilities=p)


def member(models: Path, name: str, table: pd.DataFrame | None, **changes: Any) -> Bundle:
    """A bundle with a network file of its own and these predictions."""
    folder = models / name
    folder.mkdir(parents=True)
    file = io.BytesIO(network_file())
    with zipfile.ZipFile(file, "a") as archive:
        archive.comment = name.encode()
    (folder / registry.NETWORK).write_bytes(file.getvalue())
    if table is not None:
        predictions.write(folder / "predictions.parquet", table)
    return registry.write(folder, describe(folder, name=name, **changes))


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    for seed, name in enumerate(("a", "b", "c")):
        member(folder, name, recorded(seed=seed))
    return folder


def p_of(table: pd.DataFrame) -> np.ndarray:
    return table[[f"p:{name}" for name in CLASSES]].to_numpy()


@pytest.mark.parametrize(("weights", "expected"), [
    ((0.5, 0.5), [0.4, 0.35, 0.25]),
    ((0.25, 0.75), [0.25, 0.425, 0.325]),
    ((1.0, 0.0), [0.7, 0.2, 0.1]),
])
def test_a_soft_vote_is_the_weighted_mean(weights, expected):
    p = np.array([[[0.7, 0.2, 0.1]], [[0.1, 0.5, 0.4]]])
    np.testing.assert_allclose(ensembles.combined(p, Rule("soft", weights)), [expected], atol=1e-12)


@pytest.mark.parametrize(("weights", "shares"), [
    ((1 / 3, 1 / 3, 1 / 3), [0, 2 / 3, 1 / 3]),  # a sure member is outvoted by two that are not
    ((0.5, 0.25, 0.25), [0, 0.25, 0.75]),
])
def test_a_hard_vote_counts_first_answers(weights, shares):
    p = np.array([[[0.0, 0.01, 0.99]], [[0.3, 0.4, 0.3]], [[0.3, 0.4, 0.3]]])
    if weights[0] == 0.5:
        p[2] = [[0.3, 0.3, 0.4]]
    found = ensembles.combined(p, Rule("hard", weights))
    np.testing.assert_allclose(found, [shares], atol=ensembles.TIE)
    assert found.sum() == pytest.approx(1, abs=1e-12)
    assert found[0].argmax() == int(np.argmax(shares))


@pytest.mark.parametrize("vote", ensembles.VOTES)
def test_who_has_no_vote_changes_nothing(vote):
    p = np.array([[[0.7, 0.2, 0.1]], [[0.1, 0.5, 0.4]], [[np.nan] * 3]])
    found = ensembles.combined(p, Rule(vote, (0.2, 0.3, 0.5)))
    np.testing.assert_allclose(found, ensembles.combined(p[:2], Rule(vote, (0.4, 0.6))))


@pytest.mark.parametrize(("sure", "first"), [(0.9, 0), (0.5, 2)])
def test_equal_votes_are_decided_by_the_mean_probability(sure, first):
    p = np.array([[[sure, (1 - sure) / 2, (1 - sure) / 2]], [[0.15, 0.15, 0.7]]])
    found = ensembles.combined(p, Rule("hard", (0.5, 0.5)))[0]
    assert found.argmax() == first
    assert found[0] == pytest.approx(found[2], abs=2 * ensembles.TIE)


def test_the_temperature_flattens_and_keeps_the_order():
    p = np.array([[[0.7, 0.2, 0.1]], [[0.1, 0.5, 0.4]]])
    cold, warm = (ensembles.combined(p, Rule("soft", (0.5, 0.5), t))[0] for t in (1, 2))
    np.testing.assert_allclose(warm, np.sqrt(cold) / np.sqrt(cold).sum())
    # Nothing is ever impossible: a hard vote for one condition by all leaves the others a chance.
    assert (ensembles.combined(np.eye(3)[[0, 0]][:, None], Rule("hard", (0.5, 0.5)))[0] > 0).all()


@pytest.mark.parametrize("vote", ensembles.VOTES)
def test_validation_gives_weight_to_who_is_right(vote):
    good, guess, again = (p_of(recorded(right=right, seed=seed)) for right, seed in ((0.9, 0), (0, 1), (0.9, 2)))
    truth = np.arange(N) % 3
    weights = ensembles.chosen_weights(np.stack([good, guess]), truth, vote=vote)
    assert sum(weights) == pytest.approx(1)
    assert weights[0] > 0.8
    both = ensembles.chosen_weights(np.stack([good, again]), truth, vote=vote)
    assert min(both) > 0.2

    def likely(chosen: Sequence[float]) -> float:
        mean = np.tensordot(chosen, ensembles.ballots(np.stack([good, again]), vote), axes=1)
        return float(np.log(mean[np.arange(N), truth]).sum())

    assert likely(both) >= max(likely((w, 1 - w)) for w in np.linspace(0, 1, 21)) - 1e-3


def test_what_is_made_is_a_bundle_like_any_other(models):
    made = ensembles.make(["b", "a", "c"], name="all", vote="hard", weights=[0.5, 0.3, 0.2], models=models)
    assert registry.find("all", models=models) == made
    assert (made.members, made.vote, made.weights) == (("b", "a", "c"), "hard", (0.5, 0.3, 0.2))
    assert set(made.sha256) == {"predictions.parquet", "card.md"} == {p.name for p in made.folder.iterdir()} - {
        "bundle.json"}
    assert made.member_sha256["a"] == registry.find("a", models=models).sha256[registry.NETWORK]
    assert [bundle.name for bundle in registry.members(made)] == ["b", "a", "c"]
    assert registry.verify(made) == ()
    assert made.figures["accuracy"]["n"] == made.counts["val"] == N
    assert made.conformal["limits"]["all"]["n"] == N
    assert made.sensitivity["melanoma"]["all"]["n"] == N // 3
    table = predictions.read(made.path("predictions.parquet"))
    assert table["prediction_set"].str.len().gt(0).all()
    assert not table["abstained"].all()
    assert registry.size(made) > sum(registry.size(one) for one in registry.members(made))


def test_the_card_names_members_vote_and_weights(models):
    made = ensembles.make(["a", "b"], name="two", weights=ensembles.VALIDATION, models=models)
    text = made.path("card.md").read_text()
    assert f"| `a` | {made.weights[0]:.3f} |" in text
    assert "A soft vote" in text
    assert "weights from others of them (five folds)" in text
    assert "derm ensemble a b --vote soft --weights validation --name two" in text
    assert "derm train" not in text
    alike = ensembles.make(["a", "b"], name="alike", models=models)
    assert alike.weights == ()
    assert alike.shares == (0.5, 0.5)
    assert "others of them (five folds)." not in alike.path("card.md").read_text().split("## Training data")[0]


def test_only_photographs_that_every_member_held_out_are_judged(tmp_path):
    names = [f"p{i}" for i in range(N)]
    member(tmp_path, "a", pd.concat([recorded(names=names[:60]), recorded(names=names[60:90], split="test")]))
    member(tmp_path, "b", pd.concat([recorded(names=names[30:70], seed=1),
                                     recorded(names=names[70:], split="test", seed=2)]))
    made = ensembles.make(["a", "b"], name="both", models=tmp_path)
    table = predictions.read(made.path("predictions.parquet")).set_index("image_id")["split"]
    assert set(table.index) == set(names[30:90])
    # What decided anything for one of them is no test of both.
    assert set(table.index[table == "test"]) == set(names[70:90])
    assert made.figures["accuracy"]["n"] == 20
    assert made.conformal["limits"]["all"]["n"] == 40


def test_a_few_that_all_held_out_are_not_what_it_is_judged_by(tmp_path):
    names = [f"p{i}" for i in range(2 * N)]
    member(tmp_path, "a", recorded(names=names[:N]), averaged=("one", "two"), known_cases=0.4)
    member(tmp_path, "b", recorded(names=names[N - 20:2 * N - 20], seed=1))
    made = ensembles.make(["a", "b"], name="both", models=tmp_path)
    assert (made.voters, made.averaged, made.known_cases) == ((1, 2), (), 0.2)
    assert made.figures["accuracy"]["n"] == 2 * N - 20


@pytest.fixture
def folds(tmp_path: Path) -> Path:
    """Three members: a and c held out the first 120 photographs and learnt from the others, b the other way."""
    names = [f"p{i}" for i in range(2 * N)]
    for seed, (name, held_out) in enumerate({"a": names[:N], "b": names[N:], "c": names[:N]}.items()):
        learnt = {condition: {"I-II": 10, "III-IV": 20, "V-VI": 10, "not recorded": 0} for condition in CLASSES}
        member(tmp_path, name, recorded(names=held_out, seed=seed), counts={"train": N, "val": N}, training=learnt)
    return tmp_path


def test_members_of_different_folds_judge_what_they_held_out(folds):
    made = ensembles.make(["a", "b", "c"], name="all", weights=[0.5, 0.3, 0.2], models=folds)
    assert made == registry.read(made.folder)
    assert made.voters == (1, 2)
    assert made.judges == ("each photograph was answered by 1 to 2 of its 3 members, those that had not learnt "
                           "from it; all together are likely to do better")
    assert made.figures["accuracy"]["n"] == made.counts["val"] == made.counts["train"] == 2 * N
    assert sum(sum(groups.values()) for groups in made.training.values()) == 2 * N
    assert made.training["acne"] == {"I-II": 30, "III-IV": 40, "V-VI": 10, "not recorded": 0}
    table = predictions.read(made.path("predictions.parquet")).set_index("image_id")
    a, b, c = (p_of(recorded(names=[f"p{i + shift}" for i in range(N)], seed=seed))
               for seed, shift in enumerate((0, N, 0)))
    first, second = (p_of(table.loc[[f"p{i + shift}" for i in range(N)]]) for shift in (0, N))
    np.testing.assert_array_equal(first.argmax(axis=1), (5 * a + 2 * c).argmax(axis=1))
    np.testing.assert_array_equal(second.argmax(axis=1), b.argmax(axis=1))
    assert "each photograph was answered by 1 to 2 of its 3 members" in made.path("card.md").read_text()
    both = ensembles.make(["a", "c"], name="both", weights=[0.7, 0.3], models=folds)
    assert (both.voters, both.judges) == ((), "")


def test_the_temperature_is_that_of_the_most_voters(folds):
    """Two that err apart are too modest together, one alone is not: what one decides is not for both."""
    whole = ensembles.make(["a", "b", "c"], name="all", models=folds)
    pair, alone = (ensembles.make(["a", "c"], name="pair", models=folds),
                   ensembles.make(["b", "c"], name="alone", models=folds))
    assert whole.temperature == pytest.approx(pair.temperature)
    assert alone.voters == (1, 1)
    assert whole.temperature != pytest.approx(alone.temperature, abs=1e-2)


def test_a_row_has_no_say_in_its_own_recorded_answer(models):
    ids = [f"p{i}" for i in range(N)]

    def answers(name: str, change: str | None) -> np.ndarray:
        for seed, one in enumerate(("a", "b")):
            table = recorded(seed=seed)
            if change:
                table.loc[table["image_id"] == change, "condition"] = "eczema"  # it is acne
            predictions.write(models / one / "predictions.parquet", table)
            registry.write(models / one, registry.read(models / one))
        made = ensembles.make(["a", "b"], name=name, weights=ensembles.VALIDATION, models=models)
        return p_of(predictions.read(made.path("predictions.parquet")).set_index("image_id").loc[ids])

    moved = np.abs(answers("before", None) - answers("after", "p0")).max(axis=1) > 1e-9
    assert not moved[:2].any()  # p1 is of the same group and so in the same fold
    assert 0.6 < moved.mean() < 0.95


def test_the_first_member_says_what_is_unlike_and_set_sizes_are_the_ensembles_own(tmp_path):
    table = recorded().assign(abstained=np.arange(N) < 20,
                              prediction_set=["acne;eczema" if i < 10 else "acne" for i in range(N)])
    member(tmp_path, "a", table)
    member(tmp_path, "b", recorded(seed=1))
    for order, unlike in ((["a", "b"], set(range(10, 20))), (["b", "a"], set())):
        made = ensembles.make(order, name=f"led-by-{order[0]}", models=tmp_path)
        found = predictions.read(made.path("predictions.parquet"))
        large = 2 * (found["prediction_set"].str.count(";") + 1) > len(CLASSES)
        declined = found["abstained"].astype(bool)
        assert set(np.flatnonzero(declined & ~large)) <= unlike
        assert unlike <= set(np.flatnonzero(declined))


@pytest.fixture(scope="module")
def unfit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models that fit each other, an ensemble of them, and many that fit nobody."""
    models = tmp_path_factory.mktemp("unfit")
    for seed, name in enumerate(("a", "b")):
        member(models, name, recorded(seed=seed))
    member(models, "other-classes", recorded(), classes=("acne", "eczema", "keloid"))
    member(models, "other-data", recorded(), data_fingerprint="other")
    member(models, "no-record", None)
    member(models, "elsewhere", recorded(names=[f"p{i}" for i in range(N, 2 * N)]))
    for name in ("tested", "tested-too"):
        member(models, name, recorded(split="test"))
    member(models, "damaged", recorded()).path("predictions.parquet").write_bytes(b"other")
    ensembles.make(["a", "b"], name="old", models=models)
    return models


@pytest.mark.parametrize(("names", "options", "words"), [
    ([], {}, "two models or more"),
    (["a"], {}, "two models or more"),
    (["a", "b", "a"], {}, "a is named more than once"),
    (["a", "nobody"], {}, "no model called 'nobody'"),
    (["a", "other-classes"], {}, "other conditions than a"),
    (["a", "other-data"], {}, "other data than a"),
    (["a", "no-record"], {}, "no predictions.parquet"),
    (["a", "elsewhere"], {"weights": "validation"}, "held out different photographs.*Give 2 numbers"),
    (["tested", "tested-too"], {}, "no photograph for validation"),
    (["a", "old"], {}, "old is an ensemble itself; name its members: a, b"),
    (["a", "damaged"], {}, "SHA-256"),
    (["a", "b"], {"name": "old"}, "exists already"),
    (["a", "b"], {"name": "../c"}, "cannot name a model"),
    (["a", "b"], {"vote": "loud"}, "expected soft or hard"),
    (["a", "b"], {"weights": [1.0]}, "expected 2 numbers above 0 that sum to 1, such as 0.5,0.5"),
    (["a", "b"], {"weights": [0.7, 0.7]}, "sum to 1"),
    (["a", "b"], {"weights": [1.0, 0.0]}, "above 0"),
    (["a", "b"], {"weights": [1.5, -0.5]}, "above 0"),
    (["a", "b"], {"weights": [float("nan"), 0.5]}, "weights = nan,0.5"),
    (["a", "b"], {"weights": "tests"}, "weights = tests"),
])
def test_what_cannot_be_combined_is_told_and_nothing_is_written(unfit, names, options, words):
    before = sorted(path.name for path in unfit.iterdir())
    with pytest.raises(ModelError, match=words):
        ensembles.make(names, **({"name": "new", "models": unfit} | options))
    assert sorted(path.name for path in unfit.iterdir()) == before


def test_rounded_weights_are_taken_as_meant(models):
    made = ensembles.make(["a", "b", "c"], name="thirds", weights=[0.33, 0.33, 0.33], models=models)
    assert made.shares == pytest.approx((1 / 3,) * 3)


def test_a_full_disk_leaves_nothing_behind(models, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = sorted(path.name for path in models.iterdir())
    monkeypatch.setattr(ensembles.registry, "write", full)
    with pytest.raises(ModelError, match="No space left"):
        ensembles.make(["a", "b"], name="both", models=models)
    assert sorted(path.name for path in models.iterdir()) == before


def test_a_member_that_is_gone_or_another_makes_it_unusable_and_nothing_else(models):
    made = ensembles.make(["a", "b"], name="both", models=models)
    away = models.parent / "away"
    (models / "b").rename(away)
    assert [bundle.name for bundle in registry.list_bundles(models)] == ["a", "c"]
    problem, = registry.unreadable(models)
    assert "both: its member b is missing" in problem
    with pytest.raises(ModelError, match="its member b is missing"):
        registry.find("both", models=models)
    assert problem in registry.verify(made)
    away.rename(models / "b")
    assert registry.unreadable(models) == ()
    (models / "b" / registry.NETWORK).write_bytes(network_file())
    registry.write(models / "b", registry.read(models / "b"))
    problem, = registry.unreadable(models)
    assert "its member b is not the network that it was made with" in problem


def test_damage_of_a_member_is_damage_of_the_ensemble(models):
    made = ensembles.make(["a", "b"], name="both", models=models)
    (models / "b" / registry.NETWORK).write_bytes(b"cut")
    problem, = registry.verify(made)
    assert "b/model.keras: its SHA-256" in problem


def test_half_written_is_not_listed(models):
    ensembles.make(["a", "b"], name="both", models=models).folder.rename(models / ".both")
    assert [bundle.name for bundle in registry.list_bundles(models)] == ["a", "b", "c"]
    assert registry.unreadable(models) == ()


def test_the_default_and_members_of_an_ensemble_are_not_removed(models):
    ensembles.make(["a", "b"], name="both", models=models)
    for name, words in (("a", "default model"), ("b", "a member of both"), ("nobody", "there are: a, b, both, c")):
        with pytest.raises(ModelError, match=words):
            registry.remove(name, models=models)
    registry.set_default("c", models=models)
    registry.remove("both", models=models)
    registry.remove("a", models=models)
    assert sorted(path.name for path in models.iterdir()) == ["b", "c", "default.txt"]


def test_what_is_damaged_can_be_removed(models):
    (models / "b" / "bundle.json").write_text("{")
    registry.remove("b", models=models)
    assert not (models / "b").exists()


def test_an_ensemble_is_promoted_to_where_its_members_are(models, tmp_path):
    made = ensembles.make(["a", "b"], name="both", models=models)
    with pytest.raises(ModelError, match="its member a is missing"):
        registry.promote(made.folder, "again", models=tmp_path / "others")
    again = registry.promote(made.folder, "again", models=models, override="For\nteaching.")
    assert registry.verify(again) == ()
    assert again.override == "For\nteaching."
    assert again.path("card.md").read_text().endswith(
        "## A model although a skin-type group does worse\n\nFor teaching.\n")
