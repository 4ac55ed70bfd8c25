"""What a run will cost: from a pace to a time, and what cannot fit."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from derm import estimates
from derm.estimates import Measured, Measuring
from derm.machine import Gpu, Machine
from derm.nn.config import TrainConfig

GB = 10**9
PACE = Measured(head=100.0, whole=25.0, memory=2 * GB, gpu_memory=None)
CPU = Machine(4, 16 * GB, 8 * GB, 0.1, ())
H200 = replace(CPU, gpus=(Gpu("H200", 140 * GB, 0, 0.0),))
ROOMS = {"cache": 100 * GB, "runs": 100 * GB}
CONFIG = TrainConfig(head_epochs=2, epochs=3, mirror=False)


def test_the_time_is_that_of_every_look_at_every_photograph() -> None:
    # By hand: 2 x 1000 at 100 a second, 3 x 1000 at 25, 5 x 200 and 1000 + 200 at 100, 1200 decoded at 100.
    assert PACE.seconds(CONFIG, train=1000, val=200) == pytest.approx(20 + 120 + 10 + 12 + 12)


@pytest.mark.parametrize(("config", "change"), [
    (replace(CONFIG, epochs=6), 120 + 6), (replace(CONFIG, mirror=True), 2), (replace(CONFIG, turns=True), 6),
    (replace(CONFIG, steps_per_epoch=10, batch_size=50), -10 - 60)])
def test_more_work_takes_longer(config: TrainConfig, change: float) -> None:
    before, after = (PACE.seconds(each, train=1000, val=200) for each in (CONFIG, config))
    assert after - before == pytest.approx(change)


def test_without_one_phase_the_other_tells_the_pace() -> None:
    headless = Measured(None, 25.0, GB, None).seconds(replace(CONFIG, head_epochs=0), train=1000, val=200)
    assert headless == pytest.approx(120 + 3 * 200 / 75 + 1200 / 75 + 12)


def problems(config: TrainConfig = CONFIG, *, machine: Machine = CPU, measured: Measured | None = None,
             size: int = 224, photographs: int = 3000, **rooms: int) -> list[str]:
    return list(estimates.obstacles(config, photographs=photographs, size=size, machine=machine,
                                    rooms=ROOMS | rooms, measured=measured))


def test_what_fits_is_not_refused() -> None:
    assert problems(measured=PACE) == []
    assert problems(machine=H200, measured=replace(PACE, gpu_memory=100 * GB)) == []


@pytest.mark.parametrize(("asked", "words"), [
    ({"cache": GB}, "disk"), ({"runs": GB // 2}, "disk of the runs"),
    ({"measured": replace(PACE, memory=9 * GB)}, "9.0\N{NO-BREAK SPACE}GB of memory"),
    ({"machine": H200, "measured": replace(PACE, gpu_memory=200 * GB)}, "GPU memory"),
    ({"config": replace(CONFIG, batch_size=4096), "size": 1024}, "smaller batch"),
    ({"config": replace(CONFIG, batch_size=4096), "size": 1024, "machine": H200}, "GPU memory")])
def test_what_cannot_fit_is_refused_with_what_to_do(asked: dict[str, object], words: str) -> None:
    found = problems(**asked)  # type: ignore[arg-type]
    assert len(found) == 1
    assert words in found[0]


def test_settings_that_change_no_step_share_an_estimate(tmp_path: Path) -> None:
    for config in (CONFIG, replace(CONFIG, epochs=900, seed=3, data="/elsewhere", early_stopping=5)):
        estimates._place(config, tmp_path).parent.mkdir(parents=True, exist_ok=True)
        estimates._place(CONFIG, tmp_path).write_text(PACE.to_json())
        assert estimates.known(config, cache=tmp_path) == PACE
    for other in (replace(CONFIG, batch_size=64), replace(CONFIG, image_size=96), replace(CONFIG, head="se")):
        assert estimates.known(other, cache=tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"head": 1}'])
def test_a_damaged_answer_is_none(tmp_path: Path, text: str) -> None:
    estimates._place(CONFIG, tmp_path).parent.mkdir(parents=True)
    estimates._place(CONFIG, tmp_path).write_text(text)
    assert estimates.known(CONFIG, cache=tmp_path) is None


@pytest.mark.parametrize(("script", "words"), [
    ("import os; print('RESOURCE_EXHAUSTED: no room'); os._exit(1)", "memory"),
    ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "memory"),
    ("print('no such network'); raise SystemExit(1)", "no such network")])
def test_a_measurement_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str,
                                           words: str) -> None:
    monkeypatch.setattr(estimates, "WORKER", ("-c", script))
    going = Measuring(CONFIG, cache=tmp_path)
    until = time.monotonic() + 30
    while not going.is_over and time.monotonic() < until:
        time.sleep(0.02)
    assert words in going.problem
    assert estimates.known(CONFIG, cache=tmp_path) is None


def test_a_measurement_can_be_cancelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimates, "WORKER", ("-c", "print('Building', flush=True); import time; time.sleep(600)"))
    going = Measuring(CONFIG, cache=tmp_path)
    assert not going.is_over
    assert going.problem == ""
    going.cancel()
    going.cancel()
    assert going.is_over


@pytest.mark.slow
def test_real_steps_are_timed(tmp_path: Path) -> None:
    from derm.nn import estimate

    said: list[str] = []
    config = TrainConfig(backbone="baseline", image_size=32, batch_size=8, head_epochs=1, epochs=5, mixup=0.0)
    found = estimate.measure(config, tmp_path, say=said.append)
    assert found.head is not None
    assert found.whole is not None
    assert found.memory > 10**8
    assert said[-1] == "Timing steps: 3 of 3"
    assert not (tmp_path / "run" / "bundle.json").exists()
