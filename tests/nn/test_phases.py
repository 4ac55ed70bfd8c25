"""What is trained when."""

from __future__ import annotations

import pytest

from derm.nn.config import TrainConfig
from derm.nn.phases import Phase, averaged_from, phases


@pytest.mark.parametrize(("changes", "found"), [
    ({}, [Phase(0, 3, 3e-3, "head", False), Phase(3, 29, 4e-4, "all", True)]),
    ({"head_epochs": 0, "schedule": "plateau"}, [Phase(0, 26, 4e-4, "all", False)]),
    ({"epochs": 0}, [Phase(0, 3, 3e-3, "head", False)]),
    ({"epochs": 2, "train_from": "block_13", "rate": 0.1},
     [Phase(0, 3, 3e-3, "head", False), Phase(3, 5, 0.1, "block_13", True)]),
])
def test_the_head_comes_first(changes, found):
    assert phases(TrainConfig(**changes)) == found


@pytest.mark.parametrize(("changes", "first"), [
    ({}, 29), ({"swa_epochs": 5}, 24), ({"swa_epochs": 100}, 3), ({"swa_epochs": 2, "epochs": 0}, 1),
])
def test_the_last_epochs_of_the_last_phase_are_averaged(changes, first):
    assert averaged_from(TrainConfig(**changes)) == first
