import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from derm.fairness.ranks import areas
from derm.fairness.resampling import MOST_CASES


def made(n: int, *, share: float = 0.3, seed: int = 0, digits: int = 9) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    positive = rng.random(n) < share
    return positive, np.round(rng.normal(size=n) + 1.2 * positive, digits)


@pytest.mark.parametrize(("n", "share", "digits"), [
    (50, 0.3, 9), (300, 0.3, 0), (3 * MOST_CASES, 0.02, 9), (2 * MOST_CASES, 0.5, 1)])
def test_values_are_scikit_learns(n: int, share: float, digits: int) -> None:
    positive, score = made(n, share=share, digits=digits)
    found = areas(positive, score, n_boot=20)
    assert found["auroc"].value == pytest.approx(roc_auc_score(positive, score))
    assert found["auprc"].value == pytest.approx(average_precision_score(positive, score))
    assert found["auroc"].n == min(positive.sum(), n - positive.sum())


@pytest.mark.parametrize("share", [0.03, 0.4])
def test_many_scores_in_steps_vary_as_they_do_one_by_one(share: float) -> None:
    positive, score = made(4 * MOST_CASES, share=share)
    found = areas(positive, score, n_boot=1500)
    rng = np.random.default_rng(1)
    drawn = []
    for _ in range(200):
        rows = rng.integers(len(score), size=len(score))
        drawn.append((roc_auc_score(positive[rows], score[rows]),
                      average_precision_score(positive[rows], score[rows])))
    for name, spread in zip(("auroc", "auprc"), np.std(drawn, axis=0), strict=True):
        assert found[name].drawn.std() == pytest.approx(spread, rel=0.15), name
        assert np.median(found[name].drawn) == pytest.approx(found[name].value, abs=0.2 * spread), name


@pytest.mark.parametrize("positive", [np.zeros(9, bool), np.ones(9, bool), np.zeros(0, bool)])
def test_one_kind_of_case_has_no_area(positive: np.ndarray) -> None:
    for sample in areas(positive, np.arange(float(len(positive))), n_boot=5).values():
        assert np.isnan(sample.value)
        assert np.isnan(sample.drawn).all()
        assert sample.n == 0
