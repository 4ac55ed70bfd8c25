"""Colour inside the graph against the same in NumPy, and drawn skin of known tone that is moved or held."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import keras
import numpy as np
import pytest

from derm.inspection import skintone
from derm.nn import tone
from derm.settings import PROJECT

# The angles of types I to VI, well within the classes of Chardon et al.: above 55, 41, 28, 10, -30, and below.
TYPES = (62.0, 48.0, 34.0, 19.0, -10.0, -45.0)
BORDERS = (55, 41, 28, 10, -30)
SIDE = 48
BLUE = (40, 90, 200)


def array(tensor: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


def skin(angle: float) -> np.ndarray:
    """The sRGB colour, float32 [3], of skin with that angle."""
    lab = np.array([50 + 20 * np.sin(np.radians(angle)), 12, 20 * np.cos(np.radians(angle))], "float32")
    return array(tone.to_rgb(lab))


def drawn_skin() -> np.ndarray:
    """Skin of each type with a darker, redder lesion in it, blue cloth below, float32 [6, S, S, 3]."""
    pictures = np.stack([np.broadcast_to(skin(each), (SIDE, SIDE, 3)) for each in TYPES])
    lesion = pictures[:, 12:20, 20:28]
    lesion[:] = array(tone.to_rgb(array(tone.to_lab(lesion)) + np.array([-12, 8, -2])))
    pictures[:, SIDE * 2 // 3 :] = BLUE
    return pictures.astype("float32")


def measured(pictures: np.ndarray) -> np.ndarray:
    """The angle of each picture by `derm.inspection`."""
    return np.array([skintone.angle(np.round(each).astype(np.uint8)) for each in pictures])


def classes(angles: np.ndarray) -> np.ndarray:
    return np.searchsorted(BORDERS[::-1], angles)


def test_lab_and_the_angle_are_those_of_the_inspection():
    colours = np.random.default_rng(0).integers(0, 256, (5000, 3), dtype=np.uint8)
    colours[:2] = [[0], [255]]
    expected = skintone.to_lab(colours)
    found = array(tone.to_lab(colours.astype("float32")))
    np.testing.assert_allclose(found, expected, atol=0.02)
    np.testing.assert_allclose(array(tone.to_rgb(found)), colours, atol=0.05)
    np.testing.assert_allclose(array(tone.angle(found))[2:],
                               np.degrees(np.arctan2(expected[2:, 0] - 50, expected[2:, 2])), atol=0.5)


def test_skin_of_every_type_is_found_and_cloth_paper_and_darkness_are_not():
    plain = np.array([skin(each) for each in TYPES] + [BLUE, (250, 250, 248), (8, 8, 8), (60, 140, 60)])
    pictures = np.broadcast_to(plain[:, None, None], (10, SIDE, SIDE, 3)).astype("float32")
    found = tone.find_skin(pictures)
    np.testing.assert_allclose(array(found.share), [1] * 6 + [0] * 4, atol=0.01)
    np.testing.assert_allclose(array(found.colour)[:6], plain[:6], atol=0.5)
    assert array(found.near).shape == (10, SIDE, SIDE, 1)
    half = tone.find_skin(drawn_skin())
    assert array(half.near)[:, 5, :, 0].min() > 0.95
    assert array(half.near)[:, -5, :, 0].max() < 0.05


@pytest.mark.parametrize("degrees", [-20.0, -8.0, 8.0, 20.0])
def test_skin_of_every_type_moves_by_the_asked_angle_and_cloth_does_not(degrees):
    before = drawn_skin()
    after = array(tone.shifted(before, tone.find_skin(before), np.full(6, degrees, "float32")))
    # Never past 80 or -75 degrees, where skin is grey or green.
    expected = np.clip(measured(before) + degrees, -75, 80)
    # The drawn lesion is skin too and its angle another, so that the mean turns a little less or more than it.
    np.testing.assert_allclose(measured(after), expected, atol=2)
    np.testing.assert_array_equal(after[:, -10:], before[:, -10:])


def test_a_lesion_stays_as_much_darker_and_redder_than_its_skin():
    before = drawn_skin()
    after = array(tone.shifted(before, tone.find_skin(before), np.tile(np.array([-15, 15], "float32"), 3)))

    def contrast(pictures: np.ndarray) -> np.ndarray:
        lab = array(tone.to_lab(pictures))
        return lab[:, 16, 24] - lab[:, 5, 24]

    np.testing.assert_allclose(contrast(after), contrast(before), atol=0.5)


def test_without_a_shift_or_without_skin_a_picture_stays_to_the_bit():
    pictures = np.random.default_rng(0).uniform(0, 255, (2, SIDE, SIDE, 3)).astype("float32")
    pictures[1, ..., 0] = 0
    found = array(tone.shifted(pictures, tone.find_skin(pictures), np.array([0, 20], "float32")))
    np.testing.assert_array_equal(found, pictures)


def test_a_change_of_colour_is_held_only_where_it_moves_skin_too_far():
    """Darker by half, by a tenth, and by half without skin."""
    plain = np.array([skin(34), skin(34), BLUE])
    pictures = np.broadcast_to(plain[:, None, None], (3, SIDE, SIDE, 3)).astype("float32")
    gains = np.array([0.5, 0.97, 0.5], "float32")
    matrix, offset = tone.limited(gains[:, None, None] * np.eye(3, dtype="float32"),
                                  np.full((3, 1), 0.5, "float32"), tone.find_skin(pictures), limit=5.0)
    kept = array(matrix)[:, 0, 0]
    assert 0.7 < kept[0] < 0.97
    np.testing.assert_allclose(kept[1:], gains[1:])
    np.testing.assert_allclose(array(offset)[:, 0] / 0.5, (1 - kept) / (1 - gains), rtol=1e-4)
    after = measured(array(tone.changed(pictures, matrix[:, None, None], offset[:, None, None])))
    assert 2 < measured(pictures)[0] - after[0] <= 5.5


ON_JAX = """
import sys
import numpy as np
import jax
import keras
from derm.nn import tone
from derm.nn.augment import Augment
from derm.nn.config import TrainConfig

with np.load(sys.argv[1]) as given:
    pictures, degrees, matrix = (given[name] for name in ("pictures", "degrees", "matrix"))
skin = jax.jit(tone.find_skin)(pictures)
matrix, _ = jax.jit(lambda *all: tone.limited(*all, limit=5.0))(matrix, np.zeros((6, 1), "float32"), skin)
np.savez(sys.argv[1], shifted=jax.jit(tone.shifted)(pictures, skin, degrees), matrix=matrix)

augment = Augment(TrainConfig(rare="paste", randaugment=2, skin_tone=0.5, colour_limit=5.0, cutmix=0.3), size=21)

def step(state, *batch):
    with keras.StatelessScope(state_mapping=[(augment.seeds.state, state)]) as scope:
        return *augment(*batch), scope.get_current_value(augment.seeds.state)

batch = pictures.astype("uint8"), np.eye(6, dtype="float32"), pictures.astype("uint8")
# Tracing is what can fail on another backend; compiling all of it takes seconds.
images, targets, _ = jax.eval_shape(step, augment.seeds.state.value, *batch)
assert (images.shape, images.dtype, targets.shape) == ((6, 21, 21, 3), "float32", (6, 6))
assert "tensorflow" not in sys.modules
"""


def test_jax_gives_the_same_and_traces_every_option(tmp_path):
    pytest.importorskip("jax")
    pictures = drawn_skin()
    given = {"pictures": pictures, "degrees": np.linspace(-20, 20, 6, dtype="float32"),
             "matrix": np.linspace(0.6, 1.4, 6, dtype="float32")[:, None, None] * np.eye(3, dtype="float32")}
    np.savez(tmp_path / "arrays.npz", **given)
    done = subprocess.run([sys.executable, "-c", ON_JAX, str(tmp_path / "arrays.npz")], cwd=PROJECT,
                          env=os.environ | {"KERAS_BACKEND": "jax"}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = tone.find_skin(pictures)
    shifted = tone.shifted(pictures, found, given["degrees"])
    matrix, _ = tone.limited(given["matrix"], np.zeros((6, 1), "float32"), found, limit=5.0)
    with np.load(tmp_path / "arrays.npz") as theirs:
        np.testing.assert_allclose(theirs["shifted"], array(shifted), atol=0.02)
        np.testing.assert_allclose(theirs["matrix"], array(matrix))
