"""A search for settings: what its trials may choose from, and what they came to. Knows files and tables; neither
Keras nor Optuna, which `derm.nn.tune` brings in.

A search is a run (`derm.jobs`) whose folder holds `search.json` (this module's `Search`), `study.db` (Optuna's),
`trials.csv` (one row a trial), at the end `best.toml`, and `trials/0001`, `trials/0002` ..., where each trial
leaves its config, history and log.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from derm import atomic
from derm.errors import ConfigError, JobError
from derm.nn import config as configs
from derm.nn.config import TrainConfig

if TYPE_CHECKING:  # whoever lists runs does not wait for pandas
    import pandas as pd

SEARCH, TRIALS, BEST = "search.json", "trials.csv", "best.toml"
COLUMNS = ("trial", "state", "macro_f1", "low", "high", "n", "epochs_done", "seconds", "reason")
OPTIMISTIC = ("These figures are of the very validation photographs that chose among the trials, so the best "
              "one's is too good, and the more so the more trials there were. Train it anew and measure it on "
              "photographs that had no part in the choice.")
# What is learnt from and where: trials that differ in these could not be compared, or would be no other.
_FIXED = ("data", "split", "split_file", "fold", "exclude", "exclude_flagged", "metadata", "seed", "gpus",
          "precision", "xla")
_LOGARITHMIC = ("rate", "head_rate", "weight_decay", "dro_rate")
_BLOCKS = {"mobilenetv2": ("block_6", "block_13"), "resnet50v2": ("conv4_block1", "conv5_block1")}


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included, drawn evenly, or evenly on a logarithmic scale."""

    low: float
    high: float
    log: bool = False


Choices = Range | tuple[Any, ...]


@dataclass(frozen=True)
class Search:
    """How many trials there are to be, and what each chooses from: setting -> a range, or a few values."""

    trials: int
    space: Mapping[str, Choices]

    def to_json(self) -> str:
        """The text of search.json."""
        return json.dumps(asdict(self), indent=1)


def default_space(config: TrainConfig) -> dict[str, Choices]:
    """What is searched unless told otherwise."""
    return {
        "batch_size": (16, 32, 64),
        "rate": Range(1e-4, 2e-3, log=True),
        "weight_decay": Range(1e-3, 0.2, log=True),
        "label_smoothing": Range(0.0, 0.2),
        "crop_min": Range(0.3, 1.0),
        "mixup": Range(0.0, min(0.8, 1 - config.cutmix)),
        "dropout": Range(0.0, 0.5),
        "train_from": ("all", *_BLOCKS.get(config.backbone, ("head",))),
        "imbalance": ("none", "sqrt-sampling", "inverse-sampling", "skin-type-sampling", "class-weights", "focal"),
    }


def space(config: TrainConfig, texts: Sequence[str]) -> dict[str, Choices]:
    """`default_space` with what `key=low..high` and `key=a,b,c` replace or add.

    Raises `ConfigError` for what cannot be searched, or names a value that `config` could not have.
    """
    chosen = default_space(config)
    for text in texts:
        key, choices = _parsed(text)
        chosen[key] = choices
    for key, choices in chosen.items():
        for value in (choices.low, choices.high) if isinstance(choices, Range) else choices:
            configs.override(config, {key: value})
    return chosen


def _parsed(text: str) -> tuple[str, Choices]:
    key, equals, values = (part.strip() for part in text.partition("="))
    kinds = {key: type(value) for key, value in asdict(TrainConfig()).items() if key not in _FIXED}
    if not equals or not values:
        raise ConfigError(f"--space {text}: expected key=low..high or key=a,b,c, such as --space rate=1e-4..1e-3.")
    if key not in kinds:
        raise ConfigError(f"--space {text}: '{key}' cannot be searched; expected one of {', '.join(kinds)}.", key)
    if ".." not in values:
        return key, tuple(configs.parse_assignments([f"{key}={each}"])[key] for each in values.split(","))
    try:
        low, high = (kinds[key](each) for each in values.split(".."))
        if not low < high or kinds[key] not in (int, float):
            raise ValueError
    except ValueError:
        raise ConfigError(f"--space {text}: expected two numbers, the smaller first, as in rate=1e-4..1e-3.",
                          key) from None
    return key, Range(low, high, log=key in _LOGARITHMIC and low > 0)


def read(folder: Path) -> Search:
    """The search in a run's folder. Raises `JobError` where there is none, or one that cannot be read."""
    try:
        table = json.loads((folder / SEARCH).read_text(encoding="utf-8"))
        return Search(int(table["trials"]), {
            key: Range(**each) if isinstance(each, dict) else tuple(each) for key, each in table["space"].items()})
    except FileNotFoundError:
        raise JobError(f"{folder}: not a search; expected the folder of an earlier `derm tune`.") from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise JobError(f"{folder / SEARCH}: cannot be read ({error}); start the search anew under another "
                       "name.") from error


def is_search(folder: Path) -> bool:
    """Whether the run in `folder` is a search."""
    return (folder / SEARCH).is_file()


def left(folder: Path) -> int:
    """How many of its trials are still to be done."""
    return read(folder).trials - int((trials(folder)["state"] != "running").sum())


def go_on(folder: Path, config: TrainConfig, search: Search) -> None:
    """Let the search in `folder` have as many trials as `search`; raises `JobError` if it was begun otherwise."""
    begun = configs.read(folder / configs.CONFIG)
    ours = replace(config, data=str(configs.data_folder(config).resolve()),
                   **{key: getattr(begun, key) for key in configs.LISTS if getattr(config, key)})
    differs = [key for key, value in asdict(begun).items() if value != getattr(ours, key)]
    differs += [f"--space {key}" for key in {*search.space, *read(folder).space}
                if search.space.get(key) != read(folder).space.get(key)]
    if differs:
        raise JobError(f"{folder}: a search begun with other settings ({', '.join(sorted(differs))}); give the "
                       "same, or name another folder with --run.")
    atomic.write_bytes(folder / SEARCH, search.to_json().encode())


def trials(folder: Path) -> pd.DataFrame:
    """One row a trial, in their order: COLUMNS, then the settings tried. Empty before the first.

    `state` is "running", "finished", "pruned" (it fell behind the others) or "failed" (see `reason`). `macro_f1`
    is over all `n` validation photographs, with its 95 % interval; missing unless the trial finished.
    Raises `JobError` for a folder that is no search.
    """
    import pandas as pd

    settings = list(read(folder).space)
    if not (folder / TRIALS).is_file():
        return pd.DataFrame(columns=[*COLUMNS, *settings])
    return pd.read_csv(folder / TRIALS, keep_default_na=False, na_values={
        key: [""] for key in COLUMNS if key not in ("state", "reason")})


def line(row: pd.Series, *, of: Search) -> str:
    """A trial in a line: what it came to, and its settings."""
    settings = ", ".join(f"{key} {_short(row[key])}" for key in of.space)
    return f"trial {row['trial']}/{of.trials}: {told(row)} ({settings})"


def told(row: pd.Series) -> str:
    """What a trial came to: 'macro F1 0.61 [0.57-0.65], n = 572', or how it ended."""
    from derm.fairness.figure import Figure

    if row["state"] == "pruned":
        return f"ended early, after {row['epochs_done']:.0f} epochs: it fell behind"
    if row["state"] != "finished":
        return f"{row['state']}: {row['reason']}" if row["reason"] else str(row["state"])
    few = row["low"] != row["low"]  # missing: too few photographs for an interval
    return f"macro F1 {Figure(None if few else row['macro_f1'], row['low'], row['high'], int(row['n']))}"


def best(folder: Path) -> int | None:
    """The number of the best trial that finished; None where none has."""
    found = trials(folder)
    finished = found["macro_f1"].where(found["state"] == "finished")
    return None if finished.isna().all() else 1 + int(finished.argmax())


def settle(folder: Path) -> Path | None:
    """Write `best.toml`, the config of the best trial; its path, or None where no trial has finished."""
    number = best(folder)
    if number is None:
        return None
    done = trials(folder)
    # The lists it names lie beside it.
    config = configs.override(configs.read(trial_folder(folder, number) / configs.CONFIG), {
        key: name for key, name in configs.LISTS.items() if (folder / name).is_file()})
    text = (f"# Trial {number} of {len(done)}, the best on validation: {told(done.iloc[number - 1])}.\n"
            f"# {OPTIMISTIC}\n{config.to_toml()}")
    atomic.write_bytes(folder / BEST, text.encode())
    return folder / BEST


def trial_folder(folder: Path, number: int) -> Path:
    """Where trial `number` (from 1) leaves its files."""
    return folder / "trials" / f"{number:04}"


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
