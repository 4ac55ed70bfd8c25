import numpy as np
import pytest

from derm import nonskin


@pytest.mark.parametrize("kind", nonskin.KINDS)
def test_each_kind_is_drawn_the_same_again_and_differs_by_seed(kind):
    first, again, other = (nonskin.draw(kind, seed=seed) for seed in (0, 0, 1))
    assert (first.dtype, first.shape) == (np.uint8, (256, 256, 3))
    assert (first == again).all()
    assert (first != other).any()
    assert first.std() > 5


def test_no_two_kinds_look_alike():
    drawn = [nonskin.draw(kind, seed=3).astype(int) for kind in nonskin.KINDS]
    assert all(np.abs(a - b).mean() > 8 for i, a in enumerate(drawn) for b in drawn[:i])
