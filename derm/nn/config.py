"""What a training run is told: one flat, validated table. Knows TOML, files and ranges; no Keras, no pictures."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from derm.bundle_rules import NETWORK
from derm.errors import ConfigError, ModelError
from derm.settings import settings

CONFIG = "config.toml"
# Settings that name a file, and what it is called in a run and in a bundle.
LISTS = {"exclude": "exclude.csv", "split_file": "split.csv"}
IMBALANCE = ("none", "class-weights", "weighted-loss", "focal", "sqrt-sampling", "inverse-sampling",
             "skin-type-sampling")
HEADS = ("pool", "se", "cbam", "attention")
# The trunks that `derm.nn.backbones` builds: the natural and the least side of the input in pixels.
BACKBONES: Mapping[str, tuple[int, int]] = {
    "resnet50": (224, 32), "resnet50v2": (224, 32), "resnet50v2-conv4": (224, 32), "mobilenetv2": (224, 32),
    "mobilenetv3large": (224, 32), "efficientnetb0": (224, 32), "efficientnetb3": (300, 32),
    "efficientnetb4": (380, 32), "efficientnetv2b0": (224, 32), "efficientnetv2s": (384, 32),
    "densenet121": (224, 32), "inceptionv3": (299, 75), "nasnetmobile": (224, 32), "convnexttiny": (224, 32),
    "baseline": (96, 32),
}


def _number(default: float, low: float, high: float, *, above: bool = False) -> Any:
    """A number in low..high (`above`: low itself is not allowed)."""
    return field(default=default, metadata={"low": low, "high": high, "above": above})


def _choice(default: str, *choices: str) -> Any:
    return field(default=default, metadata={"choices": choices})


@dataclass(frozen=True)
class TrainConfig:
    """Every key of a config file, with its default. Rates are per step, angles in degrees,
    probabilities and shares in 0..1; colour ranges are relative (0.2 = plus or minus 20 %)."""

    # data
    data: str = ""
    split: str = _choice("80/20", "80/20", "80/10/10")
    split_file: str = ""  # a split saved by `derm data split`; then `split` and `seed` do not decide it
    fold: int = _number(0, 0, 99)  # of a split file with folds, the one that validates; the others train
    exclude_flagged: bool = True
    exclude: str = ""  # a list of images to leave out: CSV with a column image_id
    seed: int = _number(0, 0, 2**31 - 1)
    # network
    backbone: str = "mobilenetv2"
    weights: str = "imagenet"
    image_size: int = _number(0, 0, 1024)  # 0: the backbone's natural size
    dropout: float = _number(0.2, 0, 0.9)
    head: str = _choice("pool", *HEADS)
    metadata: str = ""  # x_ columns that are read beside the photograph, "x_age, x_sex"
    # imbalance, groups and loss
    imbalance: str = _choice("sqrt-sampling", *IMBALANCE)
    rare: str = _choice("none", "none", "mixup", "paste")  # what becomes of drawn images of rare conditions
    rare_below: int = _number(80, 2, 10**6)  # training photographs under which a condition is rare
    group_weighting: str = _choice("none", "none", "dro")
    dro_rate: float = _number(0.01, 0, 1, above=True)
    focal_gamma: float = _number(2.0, 0, 10)
    label_smoothing: float = _number(0.1, 0, 0.5)
    # schedule
    optimizer: str = _choice("adamw", "adamw", "adam")
    weight_decay: float = _number(0.05, 0, 1)
    batch_size: int = _number(32, 1, 4096)
    head_epochs: int = _number(3, 0, 1000)
    head_rate: float = _number(3e-3, 0, 1, above=True)
    epochs: int = _number(26, 0, 10000)
    rate: float = _number(4e-4, 0, 1, above=True)
    schedule: str = _choice("cosine", "cosine", "plateau")
    warmup_epochs: float = _number(1.0, 0, 1000)
    plateau_patience: int = _number(3, 1, 1000)
    plateau_factor: float = _number(0.3, 0, 1, above=True)
    train_from: str = "all"
    layer_decay: float = _number(1.0, 0, 1, above=True)  # the rate of each block over that of the next one
    batch_norm: str = _choice("frozen", "frozen", "live")
    ema: float = _number(0.0, 0, 0.9999)  # decay a step of an average of the weights; 0: none
    swa_epochs: int = _number(0, 0, 1000)  # last epochs whose weights are averaged; 0: none
    early_stopping: int = _number(0, 0, 1000)
    early_metric: str = _choice("macro-f1", "macro-f1", "worst-group")
    steps_per_epoch: int = _number(0, 0, 10**6)
    # answering
    mirror: bool = True  # the mean over the photograph and its mirror image
    turns: bool = False  # ... and over its quarter turns
    known_cases: float = _number(0.0, 0, 0.9)  # the share of the answer that known cases like it have
    answer_size: int = _number(0, 0, 1024)  # the finished network's input; 0: image_size
    # device
    gpus: int = _number(1, 0, 64)  # 0: all there are
    precision: str = _choice("auto", "auto", "float32", "mixed_bfloat16", "mixed_float16")
    xla: str = _choice("auto", "auto", "on", "off")
    # augmentation
    crop_min: float = _number(0.6, 0.05, 1)
    flips: bool = True
    right_angles: bool = True
    rotation: float = _number(10.0, 0, 180)
    brightness: float = _number(0.2, 0, 1)
    contrast: float = _number(0.2, 0, 1)
    hue: float = _number(0.02, 0, 0.5)
    mixup: float = _number(0.5, 0, 1)
    mixup_alpha: float = _number(0.4, 0, 10, above=True)
    cutmix: float = _number(0.0, 0, 1)
    randaugment: int = _number(0, 0, 10)  # operations an image; 0: none
    randaugment_strength: float = _number(0.5, 0, 1)
    skin_tone: float = _number(0.0, 0, 1)  # share of the images whose skin is made lighter or darker
    skin_tone_shift: float = _number(20.0, 0, 90)  # by up to so many degrees of individual typology angle
    colour_limit: float = _number(0.0, 0, 90)  # degrees of that angle that colour jitter may move; 0: any

    def __post_init__(self) -> None:
        for spec in fields(self):
            _check(spec.name, getattr(self, spec.name), spec.default, spec.metadata)
        if self.epochs + self.head_epochs == 0:
            raise ConfigError("epochs = 0 and head_epochs = 0: nothing to train; set one of them to 1 or more.",
                              "epochs")
        least = self._least_side()
        for key in ("image_size", "answer_size"):
            if 0 < (side := getattr(self, key)) < least:
                raise ConfigError(f"{key} = {side}; {self.backbone} needs at least {least} pixels. Expected a "
                                  f"whole number from {least} to 1024, or 0.", key)
        if self.mixup + self.cutmix > 1:
            raise ConfigError(f"mixup + cutmix = {self.mixup + self.cutmix:g}; these are shares of the "
                              "images, together at most 1.", "mixup")

    @property
    def side(self) -> int:
        """The network's input in pixels while it trains: `image_size`, or what is natural for the backbone."""
        return self.image_size or BACKBONES[self.backbone][0]

    @property
    def answer_side(self) -> int:
        """The finished network's input in pixels: `answer_size`, or that of the training."""
        return self.answer_size or self.side

    def _least_side(self) -> int:
        if self.backbone not in BACKBONES:
            raise ConfigError(f"backbone = '{self.backbone}'; expected one of {', '.join(BACKBONES)}.", "backbone")
        return BACKBONES[self.backbone][1]

    def to_toml(self) -> str:
        """The file that reproduces this run."""
        return "".join(f"{key} = {_toml(value)}\n" for key, value in asdict(self).items())


# quick: smaller and shorter, for a first look: minutes on two processor cores. best: sharper, longer and steadier,
# and its answers look at more views of a photograph.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "quick": {"image_size": 128, "head_epochs": 2, "epochs": 3, "mixup": 0.0, "early_stopping": 0},
    "default": {"known_cases": 0.5},
    "best": {"image_size": 256, "epochs": 50, "ema": 0.998, "turns": True, "known_cases": 0.5},
}


def preset(name: str) -> TrainConfig:
    """The preset called `name`; raises `ConfigError` naming those there are."""
    if name not in PRESETS:
        raise ConfigError(f"preset = '{name}'; expected one of {', '.join(PRESETS)}.", "preset")
    return TrainConfig(**PRESETS[name])


def read(path: Path) -> TrainConfig:
    """The config in a TOML file; the lists it names are relative to it. Raises `ConfigError` (missing file,
    broken TOML, bad key or value)."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); expected a TOML file.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML ({error}). Mend that line.") from error
    config = override(TrainConfig(), table)
    return override(config, {key: str(path.parent / Path(name).expanduser())
                             for key in LISTS if (name := getattr(config, key))})


def save(config: TrainConfig, folder: Path) -> TrainConfig:
    """Write the config and copies of the lists it names into `folder`, so that changing a list later changes no
    run; the config with those copies. Raises `ConfigError` for a list that cannot be read."""
    kept = {}
    for key, name in LISTS.items():
        if source := getattr(config, key):
            kept[key] = name
            try:
                content = Path(source).expanduser().read_bytes()
            except OSError as error:
                raise ConfigError(f"{key} = '{source}': cannot be read ({error.strerror}).", key) from error
            (folder / name).write_bytes(content)
    (folder / CONFIG).write_text(override(config, kept).to_toml(), encoding="utf-8")
    return override(config, {key: str(folder / name) for key, name in kept.items()})


def override(config: TrainConfig, values: Mapping[str, Any]) -> TrainConfig:
    """`config` with some keys replaced. Raises `ConfigError` naming an unknown key or a bad value."""
    known = {spec.name: spec for spec in fields(TrainConfig)}
    for key in values:
        if key not in known:
            raise ConfigError(f"unknown key '{key}'; expected one of {', '.join(known)}.", key)
    return replace(config, **values)


def data_folder(config: TrainConfig) -> Path:
    """Where the config or the settings say the data is. Raises `ConfigError` if that is nowhere."""
    folder = Path(config.data).expanduser() if config.data else settings().data
    if folder is None:
        raise ConfigError("data = '': no data folder; name one with --data PATH, data in the config file, "
                          "DERM_DATA or derm.toml.", "data")
    if not folder.is_dir():
        raise ConfigError(f"data = '{folder}': no such folder; expected that of a data set (`derm data list`).",
                          "data")
    return folder


def find_weights(weights: str) -> Path:
    """The weights file a user means: a path, a name in the weights folder, or a model's name or folder.
    `ModelError` if none of these."""
    folder, path = settings().weights, Path(weights).expanduser()
    candidates = [path, *([folder / weights] if folder else []), path / NETWORK,
                  settings().models / weights / NETWORK]
    for path in candidates:
        if path.is_file():
            return path
    where = folder or "the folder that DERM_WEIGHTS names (it is not set)"
    raise ModelError(f"weights = '{weights}': no such file, nor in {where}, nor a model with one network. "
                     "Expected 'imagenet', 'none', a model's name, or a .weights.h5, .h5 or .keras file.")


def parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """`key=value` texts of the command line as values of the right type (TOML, or bare text)."""
    values: dict[str, Any] = {}
    for text in assignments:
        key, equals, raw = text.partition("=")
        if not equals:
            raise ConfigError(f"--set {text}: expected key=value, such as --set epochs=5.")
        try:
            values[key.strip()] = tomllib.loads(f"v = {raw.strip()}")["v"]
        except tomllib.TOMLDecodeError:
            values[key.strip()] = raw.strip()
    return values


def _check(key: str, value: Any, default: Any, metadata: Mapping[str, Any]) -> None:
    if choices := metadata.get("choices"):
        if value not in choices:
            raise ConfigError(f"{key} = {value!r}; expected one of {', '.join(choices)}.", key)
        return
    if isinstance(default, bool | str):
        if type(value) is not type(default):
            wanted = "true or false" if isinstance(default, bool) else "text in quotes"
            raise ConfigError(f"{key} = {value!r}; expected {wanted}.", key)
        return
    _check_number(key, value, metadata, whole=isinstance(default, int))


def _check_number(key: str, value: Any, metadata: Mapping[str, Any], *, whole: bool) -> None:
    low, high, above = metadata["low"], metadata["high"], metadata["above"]
    kind = "a whole number" if whole else "a number"
    allowed = f"{kind} {'above' if above else 'from'} {low:.10g} {'up ' if above else ''}to {high:.10g}"
    right_type = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    # Not a number fails every comparison, so it is refused here too.
    if not right_type or not low <= value <= high or (above and value == low):
        raise ConfigError(f"{key} = {value!r}; expected {allowed}.", key)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)  # a TOML basic string escapes as JSON does, but for emoji
    return repr(value)
