"""A search for settings: trial after trial, each a training of its own, those that fall behind ended early.

Knows Optuna and the order of things; what may be searched, and what is on disk, is `derm.tuning`.

Each trial draws its settings with a seed of its own from what the trials before came to. So a search that was
killed draws the trial that was under way again, finds that one's folder, and goes on from its last checkpoint.
"""

from __future__ import annotations

import contextlib
import csv
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import optuna
import pandas as pd
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy import URL

from derm import atomic, predictions, tuning
from derm.errors import DermError, JobError
from derm.fairness.cases import cases
from derm.fairness.figure import Sample
from derm.fairness.measures import samples
from derm.jobs import causes, origin
from derm.jobs.heart import Heart, Stopped
from derm.nn import calibrate, finish, material, runlog, train
from derm.nn import config as configs
from derm.nn.config import TrainConfig
from derm.nn.material import Material
from derm.tuning import Choices, Range, Search

Learn = Callable[[TrainConfig, Material, Heart, Callable[[str], None]], keras.Model]
_STUDY = "study.db"
_UNPRUNED = 4  # trials that are left to come to their end before the median of them judges others
_STATES = {TrialState.COMPLETE: "finished", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed",
           TrialState.RUNNING: "running"}


class Pruned(Stopped):
    """The trial fell behind the others."""


def proceed(folder: Path, *, heart: Heart, say: Callable[[str], None] = print, learn: Learn | None = None) -> Path:
    """Do the trials that are left of the search in `folder`, which `heart` holds; returns the folder.

    Raises `Stopped` when asked to stop; `JobError` if the data changed since it began, or if no trial came to its
    end; and whatever ends one training and would end the next too.
    """
    config, search = configs.read(folder / configs.CONFIG), tuning.read(folder)
    heart.tell(doing="reading photographs", epochs=search.trials)
    trials = _Trials(folder, replace(config, image_size=config.side), search, heart, learn or train.learn)
    log = runlog.RunLog(heart, search.trials, say=say)
    while (number := len(trials.done) + 1) <= search.trials:
        heart.check()
        heart.tell(doing=f"trial {number}", epoch=number - 1, seconds_left=trials.seconds_left())
        log.line(trials.one(number))
        heart.tell(epoch=number)
    if tuning.settle(folder) is None:
        raise JobError(f"{folder}: not one of {search.trials} trials came to its end; "
                       f"`derm tune --show {folder.name}` says why.")
    return folder


class _Trials:
    """The trials of a search: those on disk, and how one more is done."""

    def __init__(self, folder: Path, config: TrainConfig, search: Search, heart: Heart, learn: Learn) -> None:
        self._folder, self._config, self._search = folder, config, search
        self._heart, self._learn = heart, learn
        self._material = {config.side: material.prepare(config)}
        origin.check(folder, self._material[config.side].dataset)
        origin.record(folder, self._material[config.side].dataset)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        url = URL.create("sqlite", database=str(folder.resolve() / _STUDY)).render_as_string()
        self._study = optuna.create_study(
            storage=url, study_name="search", direction="maximize", load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_UNPRUNED, n_warmup_steps=config.head_epochs + 1))
        for trial in self._study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
            self._study.tell(trial.number, state=TrialState.FAIL)  # its process is no more; it is drawn again

    @property
    def done(self) -> list[FrozenTrial]:
        """Those that count, in their order; of those that failed, the ones that failed by themselves."""
        return [trial for trial in self._study.get_trials(deepcopy=False)
                if trial.state in (TrialState.COMPLETE, TrialState.PRUNED) or trial.user_attrs.get("reason")]

    def seconds_left(self) -> float | None:
        """Until the last one is done, at the mean pace so far."""
        seconds = [trial.user_attrs["seconds"] for trial in self.done]
        return sum(seconds) / len(seconds) * (self._search.trials - len(seconds)) if seconds else None

    def one(self, number: int) -> str:
        """Do trial `number`; a line about it. What is not the trial's own fault is raised, and it will be drawn
        again."""
        self._study.sampler = optuna.samplers.TPESampler(seed=self._config.seed + number)
        trial = self._study.ask()
        values = {key: _suggested(trial, key, choices) for key, choices in self._search.space.items()}
        self._write_table(trial)
        began, value, state = time.monotonic(), None, TrialState.FAIL
        facts: dict[str, Any] = {}
        folder = tuning.trial_folder(self._folder, number)
        try:
            found = self._learnt(folder, values, trial)
            value, state, facts = found.value, TrialState.COMPLETE, _facts(found)
        except Pruned:
            state = TrialState.PRUNED
        except Exception as error:
            facts = {"reason": _own_fault(error)}
        facts |= {"seconds": round(time.monotonic() - began, 1), "epochs_done": len(_history(folder))}
        for key, fact in facts.items():
            trial.set_user_attr(key, fact)
        self._study.tell(trial, value, state=state)
        _lighten(folder)
        self._write_table()
        return tuning.line(tuning.trials(self._folder).iloc[number - 1], of=self._search)

    def _learnt(self, folder: Path, values: dict[str, Any], trial: Trial) -> Sample:
        """Macro F1 of the network that these values give, over the validation part."""
        config = configs.override(self._config, values)
        _begin(folder, config)
        data = self._material.get(config.side) or material.prepare(config)
        self._material = {config.side: data}
        keras.backend.clear_session()  # the network of the trial before
        with (heart := _Watch(folder, self._heart, trial)):
            network = self._learn(config, data, heart, _silent)
            heart.report()
        val = data.held_out["val"]
        table = predictions.table(val.rows, classes=data.classes, probabilities=calibrate.probabilities(
            finish.logits(network, val), 1.0))
        return samples(cases(table), measures=("macro_f1",), seed=config.seed)["macro_f1"]

    def _write_table(self, running: Trial | None = None) -> None:
        """trials.csv anew: the trials done, and the one under way."""
        listed = [*self.done, *(trial for trial in self._study.get_trials(deepcopy=False)
                                if running and trial.number == running.number)]
        rows = [{"trial": number, "state": _STATES[trial.state], "macro_f1": trial.value, **trial.user_attrs,
                 **{key: trial.params[key] for key in self._search.space}}
                for number, trial in enumerate(listed, start=1)]
        table = pd.DataFrame(rows, columns=[*tuning.COLUMNS, *self._search.space])
        atomic.write_bytes(self._folder / tuning.TRIALS, table.to_csv(index=False).encode())


class _Watch(Heart):
    """The heart of one trial within a search: it hears a wish to stop the search, and ends what falls behind."""

    def __init__(self, folder: Path, search: Heart, trial: Trial) -> None:
        super().__init__(folder)
        self._search, self._trial, self._reported = search, trial, 0

    @property
    def is_asked(self) -> bool:
        """Whether somebody wants the search to stop."""
        return self._search.is_asked or super().is_asked

    def check(self) -> None:
        """Before each epoch: `Stopped` if the search was asked to stop, `Pruned` if the trial is behind."""
        super().check()
        self.report()
        if self._reported and self._trial.should_prune():
            raise Pruned

    def report(self) -> None:
        """Tell the study of the epochs done since the last report."""
        rows = _history(self.folder)
        for row in rows[self._reported:]:
            self._trial.report(float(row["macro_f1"]), int(row["epoch"]))
        self._reported = len(rows)

    @contextlib.contextmanager
    def gently(self) -> Iterator[None]:
        """A block that a wish to stop does not interrupt."""
        with self._search.gently(), super().gently():
            yield


def _suggested(trial: Trial, key: str, choices: Choices) -> Any:
    if not isinstance(choices, Range):
        return trial.suggest_categorical(key, choices)
    if isinstance(getattr(TrainConfig, key), int):
        return trial.suggest_int(key, int(choices.low), int(choices.high), log=choices.log)
    return trial.suggest_float(key, choices.low, choices.high, log=choices.log)


def _begin(folder: Path, config: TrainConfig) -> None:
    """The trial's folder, with what an earlier attempt of the same trial left there."""
    path, text = folder / configs.CONFIG, config.to_toml().encode()
    if not (path.is_file() and path.read_bytes() == text):
        shutil.rmtree(folder, ignore_errors=True)
        atomic.write_bytes(path, text)


def _lighten(folder: Path) -> None:
    """Take away the weights: they are trained anew from the config."""
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    for weights in folder.glob("*.npz"):
        weights.unlink()


def _own_fault(error: Exception) -> str:
    """Why the trial failed, if the next one may do better: settings that do not go together, or too little memory
    for them. Raises anything else again."""
    cause = causes.of_error(error)
    if isinstance(error, Stopped) or not (isinstance(error, DermError) or "ran out of memory" in cause.reason):
        raise error
    return cause.reason


def _facts(found: Sample) -> dict[str, Any]:
    figure = found.figure()
    return {"n": figure.n} | ({} if figure.low is None else {"low": figure.low, "high": figure.high})


def _history(folder: Path) -> list[dict[str, str]]:
    path = folder / "history.csv"
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _silent(text: str) -> None:
    """What a trial says is in its own log."""
