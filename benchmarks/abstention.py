"""How often a model declines what is not a photograph of skin, and what is.

    python -m benchmarks.abstention [--model NAME] [--pictures FOLDER] [--json]

Drawn pictures of `derm.nonskin` by kind, and those in each folder within FOLDER, which you know not to be of skin,
against the photographs held out from training, as the bundle's predictions table has them.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from derm import nonskin, predictions, registry
from derm.fairness.figure import Figure, proportion
from derm.fairness.groups import SKIN_TYPE_GROUPS, skin_type_group
from derm.nn import scoring
from derm.nn.predict import Predictor

DRAWN = 100


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.abstention")
    parser.add_argument("--model")
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    predictor = Predictor.load(registry.find(options.model))
    found = held_out(predictor) | drawn(predictor)
    if options.pictures:
        found |= from_folder(predictor, options.pictures)
    if options.json:
        print(json.dumps({name: asdict(figure) for name, figure in found.items()}))
    else:
        print("Declined, with Wilson's 95 % interval; of photographs of skin out of fold, for either reason")
        print(*(f"{name:40} {figure}" for name, figure in found.items()), sep="\n")


def held_out(predictor: Predictor) -> dict[str, Figure]:
    table = predictions.read(predictor.bundle.path("predictions.parquet"))
    groups = skin_type_group(table["fst"])
    parts = {"photographs of skin, held out": table} | {
        f"- skin types {name}": table[groups == name] for name in SKIN_TYPE_GROUPS}
    return {name: proportion(int(part["abstained"].sum()), len(part)) for name, part in parts.items()}


def drawn(predictor: Predictor) -> dict[str, Figure]:
    found = {}
    for kind in nonskin.KINDS:
        pictures = [nonskin.draw(kind, seed=1000 + seed) for seed in range(DRAWN)]  # none that the card tells of
        found[f"drawn: {kind}"] = rate([one.unlike for one in predictor.diagnose_many(pictures)])
    return found


def from_folder(predictor: Predictor, folder: Path) -> dict[str, Figure]:
    found = {}
    for part in sorted(path for path in folder.iterdir() if path.is_dir()) or [folder]:
        scored = scoring.score(predictor, scoring.find_images([part]))
        found[f"real: {part.name}"] = rate([one.diagnosis.unlike for one in scored if one.diagnosis])
    return found


def rate(unlike: list[bool]) -> Figure:
    return proportion(sum(unlike), len(unlike))


if __name__ == "__main__":
    main()
