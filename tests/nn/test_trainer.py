"""What a run does from epoch to epoch: it resumes, averages, judges and keeps. On drawn pictures, in seconds."""

from __future__ import annotations

import json

import numpy as np
import pytest

from derm.jobs.heart import Stopped
from derm.nn import averaging, checkpoints, finish, runlog
from derm.nn.learner import Learner
from tests.nn.conftest import assert_same, history, stop_at


@pytest.mark.parametrize(("changes", "moments"), [
    ({"head_epochs": 1}, [(1, 1), (2, 2)]),
    ({"ema": 0.8, "layer_decay": 0.5, "group_weighting": "dro", "dro_rate": 0.5, "imbalance": "focal",
      "mixup": 0.5}, [(2, 1)]),
    pytest.param({"swa_epochs": 2, "imbalance": "class-weights", "rare": "mixup", "optimizer": "adam"}, [(2, 1)],
                 marks=pytest.mark.slow),
    pytest.param({"swa_epochs": 1, "ema": 0.8, "early_stopping": 1, "schedule": "plateau",
                  "imbalance": "skin-type-sampling"}, [(2, 1)], marks=pytest.mark.slow),
], ids=lambda given: ", ".join(map(str, given)))
def test_a_run_stopped_within_an_epoch_resumes_as_if_nothing_had_happened(tmp_path, monkeypatch, learn, changes,
                                                                          moments):
    """With every option: stopped in these epochs (from 1) after so many of their steps."""
    options = {"head_epochs": 0, "epochs": 2, "steps_per_epoch": 3, **changes}
    peaceful = learn(tmp_path / "peaceful", **options)
    run = tmp_path / "stopped"
    stop_at(monkeypatch, *moments)
    for epoch, step in moments:
        with pytest.raises(Stopped):
            learn(run, **options)
        assert json.loads((run / "status.json").read_text())["state"] == "stopped"
        assert max(path.name for path in (run / "checkpoints").iterdir()) == f"{epoch - 1:05d}.{step:07d}"
    for ours, theirs in zip(learn(run, **options), peaceful, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert_same(run, tmp_path / "peaceful")


@pytest.mark.parametrize("changes", [{"ema": 0.8}, {"swa_epochs": 2}, {"swa_epochs": 2, "early_stopping": 9}],
                         ids=lambda changes: ", ".join(changes))
def test_what_is_validated_is_what_is_shipped(tmp_path, learn, material, changes):
    """And not the weights that go on training; of SWA the mean of the last two epochs' ends."""
    network = learn.network(tmp_path / "run", head_epochs=0, steps_per_epoch=3, **changes)
    rows = {int(row["epoch"]): row for row in history(tmp_path / "run")}
    best = max(rows.values(), key=lambda row: float(row["macro_f1"])) if "early_stopping" in changes else rows[3]
    val = material.held_out["val"]
    assert finish.cross_entropy(finish.logits(network, val), val.labels) == pytest.approx(
        float(best["val_loss"]), rel=1e-4)
    ends = [checkpoints.read_arrays(tmp_path / "run" / "checkpoints" / name / "state.npz")["network"]
            for name in ("00002", "00003")]
    shipped = averaging.values(network.weights)
    assert any(np.abs(ours - last).max() > 1e-5 for ours, last in zip(shipped, ends[1], strict=True))
    if changes == {"swa_epochs": 2}:
        for ours, *both in zip(shipped, *ends, strict=True):
            np.testing.assert_allclose(ours, np.mean(both, axis=0), atol=1e-6)


def test_group_dro_follows_the_groups_that_do_badly(tmp_path, learn, material):
    learn(tmp_path / "run", head_epochs=0, epochs=2, steps_per_epoch=3, group_weighting="dro", dro_rate=0.5)
    for row in history(tmp_path / "run"):
        weights = {key: float(value) for key, value in row.items() if key.startswith("dro_")}
        assert set(weights) == {f"dro_{group}" for group in (*np.unique(material.train.groups), "not recorded")}
        assert sum(weights.values()) == pytest.approx(1, abs=1e-4)
        assert len(set(weights.values())) > 1


def test_plateau_lowers_the_rate_and_early_stopping_keeps_the_best(tmp_path, learn):
    # A rate so small that nothing improves.
    lines: list[str] = []
    learn(tmp_path / "run", schedule="plateau", plateau_patience=1, rate=1e-12, head_epochs=0, epochs=9,
          early_stopping=3, steps_per_epoch=1, say=lines.append)
    rows = history(tmp_path / "run")
    assert len(rows) == 4
    assert float(rows[-1]["learning_rate"]) < float(rows[0]["learning_rate"])
    assert lines[-1] == "kept epoch 1, the best by macro F1"


def test_worst_group_early_stopping_keeps_the_epoch_that_was_best_for_that_group(tmp_path, monkeypatch, learn):
    """All together the second epoch is the best, for the group that does worst the first."""
    figures = iter([(0.3, 0.3), (0.6, 0.2), (0.5, 0.1)])
    real = runlog.scores
    monkeypatch.setattr(runlog, "scores", lambda *given: {
        **real(*given), **dict(zip(("macro_f1", "worst_group_f1"), next(figures), strict=True))})
    lines: list[str] = []
    learn(tmp_path / "run", head_epochs=0, epochs=5, steps_per_epoch=1, early_stopping=2,
          early_metric="worst-group", say=lines.append)
    assert len(history(tmp_path / "run")) == 3
    assert lines[-1].startswith("kept epoch 1, the best by the macro F1 of the skin types it does worst on")


def test_nothing_is_traced_anew_from_epoch_to_epoch(tmp_path, monkeypatch, learn):
    """What is traced is kept: memory would grow with every epoch."""
    real, traced = Learner.call, []

    def call(self: Learner, *arguments: object, **keywords: object) -> object:
        traced.append(len(history(tmp_path / "run")) if (tmp_path / "run" / "history.csv").exists() else 0)
        return real(self, *arguments, **keywords)

    monkeypatch.setattr(Learner, "call", call)
    learn(tmp_path / "run", head_epochs=0, epochs=3, steps_per_epoch=2, ema=0.9, swa_epochs=2,
          group_weighting="dro")
    assert set(traced) == {0}
