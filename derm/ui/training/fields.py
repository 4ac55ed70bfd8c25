"""Every setting of a run as the Train page asks for it: its name, what it does and why its default is what it is.

Wording only; what is allowed is said by `derm.nn.config`, and how a field is drawn by `form`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Field:
    """A setting `key` of TrainConfig as people call it; `why` says what it does and what is usual.

    `names` are what its choices are called. `step` is how far one press of a number's buttons goes. `only` is the
    other setting, with those of its values, that this one needs to have any effect.
    """

    key: str
    label: str
    why: str
    names: Mapping[Any, str] = field(default_factory=dict)
    step: float = 1
    only: tuple[str, tuple[Any, ...]] | None = None


PRESETS = {"quick": "Quick check", "default": "Good", "best": "Best"}
PRESET_WHY = {
    "quick": "Minutes: small images and few epochs, to see that data and machine work. Not a model to use.",
    "default": "What has served well in our own tests; start here.",
    "best": "Sharper images, more epochs, averaged weights, and answers from more views: a few times as long.",
}
BACKBONES = {
    "mobilenetv2": "MobileNetV2: small and fast", "mobilenetv3large": "MobileNetV3 Large: small and fast",
    "efficientnetb0": "EfficientNet B0: small", "efficientnetb3": "EfficientNet B3: medium",
    "efficientnetb4": "EfficientNet B4: large, for a GPU", "efficientnetv2b0": "EfficientNetV2 B0: small",
    "efficientnetv2s": "EfficientNetV2 S: large, for a GPU", "densenet121": "DenseNet 121: medium",
    "resnet50": "ResNet 50: medium", "resnet50v2": "ResNet 50 V2: medium",
    "resnet50v2-conv4": "ResNet 50 V2 without its last block", "inceptionv3": "Inception V3: medium",
    "nasnetmobile": "NASNet Mobile: small", "convnexttiny": "ConvNeXt Tiny: large, for a GPU",
    "baseline": "Two plain layers: only to compare with",
}
IMBALANCE = {
    "none": "Nothing", "sqrt-sampling": "Show rare ones more often", "inverse-sampling": "Show all equally often",
    "skin-type-sampling": "Show rare conditions and rare skin types more often",
    "class-weights": "Let rare ones weigh more", "weighted-loss": "Let rare ones weigh more, with a limit",
    "focal": "Focal loss: mind what is still got wrong",
}
BASIC: tuple[Field, ...] = (
    Field("backbone", "Network", "MobileNetV2 learns in reasonable time even without a GPU.", BACKBONES),
    Field("image_size", "Image size (pixels)", "0: what suits the network. Larger shows more and takes longer.",
          step=32),
    Field("imbalance", "Rare conditions", "Usual: rare ones are shown more often, but not as often as common "
          "ones.", IMBALANCE),
    Field("batch_size", "Photographs a step", "32 suits most. Halve it if memory runs out, and the learning rate "
          "with it.", step=16),
    Field("epochs", "Epochs", "How many times it sees all photographs while the whole network learns."),
    Field("schedule", "Learning rate over time", "Usual: falls smoothly to almost nothing.",
          {"cosine": "Falls smoothly", "plateau": "Falls when nothing improves"}),
    Field("label_smoothing", "Loss: doubt kept", "0.1 keeps the model from being too sure of itself.", step=0.05),
    Field("focal_gamma", "Loss: how little it minds what it knows", "2 is usual; 0 is the plain loss.", step=0.5,
          only=("imbalance", ("focal",))),
)
_DRO = ("group_weighting", ("dro",))
_PLATEAU = ("schedule", ("plateau",))
MORE: Mapping[str, tuple[Field, ...]] = {
    "Skin types and rare conditions": (
        Field("group_weighting", "Skin types in the loss", "Usual: all photographs count alike. The other choice "
              "makes the skin types that do worst count more (group DRO).",
              {"none": "All alike", "dro": "The worst served count more"}),
        Field("dro_rate", "How fast those weights follow", "0.01 is slow and steady.", step=0.005, only=_DRO),
        Field("rare", "New pictures of rare conditions", "Usual: none are made up. They may help where a "
              "condition has very few photographs.", {"none": "None", "mixup": "Blend two of the same condition",
                                            "paste": "Paste a lesion of one into another"}),
        Field("rare_below", "A condition is rare below", "Photographs to train on.", step=10,
              only=("rare", ("mixup", "paste"))),
        Field("skin_tone", "Skin tone changed in", "Share of the photographs whose skin is made lighter or "
              "darker; usual: none.", step=0.1),
        Field("skin_tone_shift", "By up to (degrees of ITA)", "20 is about one step of the Fitzpatrick scale.",
              step=5),
        Field("colour_limit", "Limit to other colour changes (degrees of ITA)", "0: no limit. Keeps brightness "
              "and hue changes from turning one skin type into another.", step=5),
    ),
    "Network": (
        Field("weights", "Starts from", "Usual: what a network learnt from millions of everyday photographs.",
              {"imagenet": "ImageNet", "none": "Nothing"}),
        Field("head", "How features are summed up", "Usual: their mean.", {
            "pool": "Mean", "se": "Mean, channels weighted", "cbam": "Mean, channels and places weighted",
            "attention": "A mean whose weights are learnt"}),
        Field("metadata", "Read beside the photograph", "Facts of the data set such as age or body site; a "
              "missing one is no obstacle. Usual: the photograph alone."),
        Field("dropout", "Features dropped in training", "0.2 keeps it from learning photographs by heart.",
              step=0.1),
        Field("train_from", "Learns from which layer on", "“all”, “head”, or a block such as block_13."),
        Field("layer_decay", "Rate of a block over that of the next", "1: all learn alike; 0.9 "
              "leaves early layers closer to what they were.", step=0.05),
        Field("batch_norm", "Statistics of normalisation", "Usual: kept as they were, better for small batches.",
              {"frozen": "Kept", "live": "Learnt anew"}),
    ),
    "Learning": (
        Field("head_epochs", "Epochs for the new layers alone", "A few, before the whole network learns."),
        Field("head_rate", "Learning rate then", "0.003 is usual.", step=0.001),
        Field("rate", "Learning rate of the whole network", "0.0004 at its highest, for batches of 32.",
              step=0.0001),
        Field("warmup_epochs", "Epochs until it is reached", "One keeps the first steps from undoing what is "
              "known.", step=0.5, only=("schedule", ("cosine",))),
        Field("plateau_patience", "Epochs without gain before it falls", "3 is usual.", only=_PLATEAU),
        Field("plateau_factor", "It is then multiplied by", "0.3 is usual.", step=0.1, only=_PLATEAU),
        Field("optimizer", "Optimiser", "AdamW also keeps weights small.", {"adamw": "AdamW", "adam": "Adam"}),
        Field("weight_decay", "Weight decay", "How much smaller; 0.05 is usual.", step=0.01,
              only=("optimizer", ("adamw",))),
        Field("ema", "Average of the weights over time", "0: none. 0.998 evens out the last few hundred steps.",
              step=0.001),
        Field("swa_epochs", "Average of the last epochs", "0: none. An even mean of so many epochs' weights."),
        Field("early_stopping", "Stop after epochs without gain", "0: never; the last epoch is kept."),
        Field("early_metric", "Gain in", "Macro F1 of all, or of the skin types that do worst.",
              {"macro-f1": "Macro F1", "worst-group": "Macro F1 of the worst served"}),
        Field("steps_per_epoch", "Steps an epoch", "0: as many as there are photographs.", step=10),
    ),
    "Changes to the photographs, one by one": (
        Field("crop_min", "Least share shown", "1: the whole photograph, always.", step=0.1),
        Field("flips", "Mirror half of them", "Skin has no left and right."),
        Field("right_angles", "Turn by quarter turns", "Nor up and down."),
        Field("rotation", "Turn further by up to (degrees)", "10 is usual.", step=5),
        Field("brightness", "Brightness, up to ±", "0.2 is a fifth.", step=0.05),
        Field("contrast", "Contrast, up to ±", "0.2 is a fifth.", step=0.05),
        Field("hue", "Hue, up to ±", "Small: colour is a sign of disease.", step=0.01),
        Field("mixup", "Share blended with another", "Keeps the model from being too sure of itself.", step=0.1),
        Field("mixup_alpha", "How evenly they are blended", "0.4: mostly one of the two.", step=0.1),
        Field("cutmix", "Share with a part of another pasted in", "Usual: none.", step=0.1),
        Field("randaugment", "Further random changes a photograph", "0: none.", step=1),
        Field("randaugment_strength", "How strong these are", "0 to 1.", step=0.1),
    ),
    "Answering": (
        Field("mirror", "Also look at the mirror image", "Twice the work, in validation about one point of F1."),
        Field("turns", "Also look at its quarter turns", "Four times the work again."),
        Field("known_cases", "Say of known cases", "The share of the answer that the most similar photographs for "
              "training and validation have. 0.5 brought 2.2 points of accuracy [1.2–3.2], n = 2,856.", step=0.1),
        Field("answer_size", "Image size when answering (pixels)", "0: as in training.", step=32),
    ),
    "Data and machine, in detail": (
        Field("exclude_flagged", "Leave out what the publisher marked as wrong", "Usual: yes."),
        Field("exclude", "List of photographs to leave out", "A list saved on the Explore page."),
        Field("split_file", "Split saved by derm data split", "A file; empty: divided as chosen above."),
        Field("fold", "Fold that validates", "Of a split file with folds; 0: it has none."),
        Field("seed", "Seed", "Another number gives another split and another order."),
        Field("gpus", "GPUs", "How many this run takes; 0: all there are."),
        Field("precision", "Number format", "Usual: what suits the device.", {
            "auto": "What suits the device", "float32": "float32", "mixed_bfloat16": "mixed bfloat16",
            "mixed_float16": "mixed float16"}),
        Field("xla", "Compile with XLA", "Usual: where it is faster.", {"auto": "Where it is faster", "on": "Yes",
                                                                       "off": "No"}),
    ),
}
SPLIT = Field("split", "Validated on", "Photographs that it never learns from show how good it is. "
              "Near-duplicates stay together.",
              {"80/20": "A fifth", "80/10/10": "A tenth, and tested on another tenth"})
# How much photographs are changed from one time they are seen to the next.
STRENGTHS: Mapping[str, Mapping[str, Any]] = {
    "None": {"crop_min": 1.0, "flips": False, "right_angles": False, "rotation": 0.0, "brightness": 0.0,
             "contrast": 0.0, "hue": 0.0, "mixup": 0.0, "cutmix": 0.0, "randaugment": 0},
    "Gentle": {"crop_min": 0.8, "flips": True, "right_angles": True, "rotation": 5.0, "brightness": 0.1,
               "contrast": 0.1, "hue": 0.01, "mixup": 0.0, "cutmix": 0.0, "randaugment": 0},
    "Usual": {"crop_min": 0.6, "flips": True, "right_angles": True, "rotation": 10.0, "brightness": 0.2,
              "contrast": 0.2, "hue": 0.02, "mixup": 0.5, "cutmix": 0.0, "randaugment": 0},
    "Strong": {"crop_min": 0.4, "flips": True, "right_angles": True, "rotation": 20.0, "brightness": 0.3,
               "contrast": 0.3, "hue": 0.02, "mixup": 0.5, "cutmix": 0.3, "randaugment": 2},
}
OWN_STRENGTH = "As set below"


def strength(values: Mapping[str, Any]) -> str:
    """What the settings of augmentation are called together; OWN_STRENGTH where they are none of STRENGTHS."""
    return next((name for name, level in STRENGTHS.items()
                 if all(values.get(key) == value for key, value in level.items())), OWN_STRENGTH)


def every() -> dict[str, Field]:
    """All fields but that of the data set, by key."""
    return {each.key: each for each in (SPLIT, *BASIC, *(one for part in MORE.values() for one in part))}
