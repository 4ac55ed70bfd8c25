"""A folder of images: ours against one Keras `predict` per image.

    python -m benchmarks.scoring [--data FOLDER] [--json]

Ours is what `derm predict FOLDER` does: decoding in threads while the network looks at the batch before, and
five heat maps a picture, which the peer does not make.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from PIL import Image

from benchmarks import timing
from benchmarks.diagnose import Peers, default_predictor
from derm import samples
from derm.nn import scoring

OURS, PEER = "derm", "one predict per image"
KINDS = ("acne", "eczema", "melanoma")


def draw(folder: Path, *, count: int = 128) -> None:
    """Drawn JPEGs of 320 x 256 pixels, about the size of a clinical photograph in the AJL set."""
    for index in range(count):
        pixels = samples.draw(KINDS[index % 3], skin=1 + index % 6, seed=index, size=320)[32:288]
        Image.fromarray(pixels).save(folder / f"{index:04}.jpg", quality=90)


def one_by_one(peers: Peers, paths: Sequence[Path]) -> list[int]:
    """The most probable class of each picture, with one call of `predict` a picture."""
    return [int(peers.leading(peers.read(path.read_bytes()), 1)[0]) for path in paths]


def run(folder: Path, *, rounds: int) -> dict[str, Any]:
    predictor, which = default_predictor()
    peers = Peers(predictor)
    paths = scoring.find_images([folder])
    seconds = timing.take_turns({OURS: lambda: list(scoring.score(predictor, paths)),
                                 PEER: lambda: one_by_one(peers, paths)}, rounds=rounds)
    milliseconds = timing.medians(seconds)
    speeds = {name: round(1000 * len(paths) / each, 1) for name, each in milliseconds.items()}
    return {"ratios": timing.ratios(seconds, OURS), "milliseconds": milliseconds, "images a second": speeds,
            "images": len(paths), "network": which, "rounds": rounds, **timing.machine()}


def main() -> None:
    parser = timing.parser(__doc__, rounds=3)
    parser.add_argument("--data", type=Path, help="a folder of photographs, instead of drawn pictures")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as drawn:
        if not arguments.data:
            draw(Path(drawn))
        found = run(arguments.data or Path(drawn), rounds=arguments.rounds)
    timing.show(found, title="A folder of images", as_json=arguments.json)


if __name__ == "__main__":
    main()
