"""Models in the memory of a server that goes on for weeks: searched for garbage seldom, and let go in the end."""

from __future__ import annotations

import gc
import time
import weakref

from derm.ui import resources
from tests.bundles import make_bundle


def test_a_loaded_model_is_not_searched_for_garbage_and_one_let_go_is_freed_at_the_next_load(tmp_path):
    first, second = (make_bundle(tmp_path / name, seed=seed) for seed, name in enumerate(("first", "second")))
    resources._loading.clear()
    gc.unfreeze()
    network = weakref.ref(resources.predictor(first).network)
    assert gc.get_freeze_count() > 100_000
    resources._loading.clear()
    gc.collect()
    assert network() is not None  # nobody has it any more, but nobody looks for it
    resources.predictor(second)
    deadline = time.monotonic() + 10
    while network() is not None and time.monotonic() < deadline:
        time.sleep(0.05)  # the thread that loaded it may hold it for a moment
    assert network() is None
    resources._loading.clear()
