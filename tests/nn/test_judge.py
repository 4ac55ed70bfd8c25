"""Which epoch is the best, by which figure."""

from __future__ import annotations

import pytest

from derm.nn.judge import METRICS, Judge

# All together the third epoch is the best; the skin types it does worst on had the second.
HISTORY = [{"epoch": epoch, "macro_f1": all_of_them, "worst_group_f1": worst}
           for epoch, all_of_them, worst in ((1, 0.3, 0.2), (2, 0.4, 0.35), (3, 0.6, 0.3), (4, 0.5, 0.35))]


@pytest.mark.parametrize(("metric", "best", "waited"), [("macro-f1", 3, 1), ("worst-group", 2, 2)])
def test_the_metric_picks_the_epoch(metric, best, waited):
    judge = Judge(METRICS[metric])
    better = [row["epoch"] for row in HISTORY if judge.is_better(row, waits=True)]
    assert (judge.best_epoch, judge.waited) == (best, waited)
    assert better[-1] == best


def test_the_first_phase_waits_for_nothing():
    judge = Judge(METRICS["macro-f1"], best=0.9, best_epoch=1)
    assert not any(judge.is_better(row, waits=False) for row in HISTORY)
    assert judge.waited == 0
