"""Near-duplicates: of photographs on disk, nothing known yet; and among hashes, each compared with each.

    python -m benchmarks.duplicates [--data FOLDER] [--hashes N] [--json]

Ours is what `derm data dedup` does: two hashes and a thumbnail of each picture, everything compared both ways
round, candidates confirmed by their thumbnails. The peers hash with imagehash, one picture after the other, and
compare pair by pair: imagehash's objects, or whole numbers as imagededup's plain search does. They do as much as
they can in seconds, and that is scaled: pictures by their number, comparisons by the number of pairs. They confirm
nothing.

The hashes are made up, some pairs planted, and compared in a process of their own, whose memory is read at the
end; with --hashes that is all that is done.
"""

from __future__ import annotations

import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
from PIL import Image, ImageOps

from benchmarks import timing
from derm import duplicates, samples, signatures

HASHES, PLANTED = 100_000, 200
SOME_PICTURES, SOME_HASHES, SOME_NUMBERS = 200, 600, 2_000  # what a peer can do in seconds
OURS, PEER = "derm, {} pictures", "imagehash, {} pictures (scaled)"
OURS_HASHES, OBJECTS, NUMBERS = "derm, {} hashes", "imagehash objects, {} (scaled)", "whole numbers, {} (scaled)"


def draw(folder: Path, *, count: int) -> None:
    """Drawn JPEGs of about the size of those in the AJL set."""
    kinds = list(samples.KINDS)
    for number in range(count):
        pixels = samples.draw(kinds[number % len(kinds)], skin=1 + number % 6, seed=number, size=320)
        Image.fromarray(pixels).save(folder / f"{number:04}.jpg", quality=90)


def made_up(count: int, *, seed: int = 0) -> np.ndarray:
    """Signatures at random, of which PLANTED pairs are nearly alike, every other one a mirror image."""
    rng = np.random.default_rng(seed)
    made = np.zeros(count, signatures.SIGNATURE)
    made["hash"], made["mirrored"] = rng.integers(0, 2**64, (2, count), dtype=np.uint64)
    for start in range(0, count, 1000):
        made["thumbnail"][start:start + 1000] = rng.integers(
            0, 256, made["thumbnail"][start:start + 1000].shape, dtype=np.uint8)
    for number in range(PLANTED):
        first, second = made[number], made[count - PLANTED + number]
        turned = number % 2 == 1
        second["mirrored" if turned else "hash"] = first["hash"] ^ np.uint64(0b10110)
        second["thumbnail"] = first["thumbnail"][:, ::-1] if turned else first["thumbnail"]
    return made


def hashes(count: int) -> dict[str, float]:
    """Seconds to find the planted pairs, and the most memory that the process ever had, in MB."""
    made = made_up(count)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    found = duplicates.compare(made)
    seconds = time.perf_counter() - began
    if set(zip(found["a"], found["b"], strict=True)) != {(n, count - PLANTED + n) for n in range(PLANTED)}:
        raise AssertionError(f"found {len(found)} pairs; planted {PLANTED}")
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": round(seconds, 2), "peak memory, MB": after // 1024, "before comparing, MB": before // 1024}


def hashes_apart(count: int) -> dict[str, float]:
    """`hashes` in a process of its own."""
    done = subprocess.run([sys.executable, "-m", "benchmarks.duplicates", "--hashes", str(count), "--json"],
                          capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def ours(paths: Sequence[Path]) -> float:
    """Seconds to group the pictures with nothing in the cache."""
    with tempfile.TemporaryDirectory() as cache:
        return seconds_of(lambda: duplicates.groups(paths, cache=Path(cache)))


def hashing(paths: Sequence[Path]) -> float:
    """Seconds to hash the pictures and their mirror images by imagehash."""
    def hash_all() -> None:
        for path in paths:
            with Image.open(path) as picture:
                imagehash.phash(picture), imagehash.phash(ImageOps.mirror(picture))
    return seconds_of(hash_all)


def objects(count: int) -> float:
    """Seconds to compare `count` imagehash objects pair by pair."""
    bits = np.random.default_rng(0).random((count, 8, 8)) < 0.5
    made = [imagehash.ImageHash(each) for each in bits]
    return seconds_of(lambda: sum(a - b <= duplicates.HASH_DISTANCE for a, b in itertools.combinations(made, 2)))


def numbers(count: int) -> float:
    """Seconds to compare `count` hashes as whole numbers pair by pair."""
    made = np.random.default_rng(0).integers(0, 2**64, count, dtype=np.uint64).tolist()
    return seconds_of(lambda: sum((a ^ b).bit_count() <= duplicates.HASH_DISTANCE
                                  for a, b in itertools.combinations(made, 2)))


def seconds_of(function: Callable[[], Any]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def scaled(seconds: float, *, done: int, count: int) -> float:
    """What comparing `count` with each other, both ways round, takes where `done` one way round took `seconds`."""
    return seconds * 2 * count * (count - 1) / (done * (done - 1))


def run(paths: Sequence[Path], *, rounds: int) -> dict[str, Any]:
    """Ours and the peers in turn, so that whatever else the machine does slows all alike."""
    some = paths[::max(1, len(paths) // SOME_PICTURES)]
    names = [name.format(f"{count:,}") for name, count in (
        (OURS, len(paths)), (PEER, len(paths)), (OURS_HASHES, HASHES), (OBJECTS, HASHES), (NUMBERS, HASHES))]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        one, many = objects(SOME_HASHES), hashes_apart(HASHES)
        each = (ours(paths),
                hashing(some) * len(paths) / len(some) + scaled(one, done=SOME_HASHES, count=len(paths)),
                many["seconds"], scaled(one, done=SOME_HASHES, count=HASHES),
                scaled(numbers(SOME_NUMBERS), done=SOME_NUMBERS, count=HASHES))
        for name, value in zip(names, each, strict=True):
            seconds[name].append(value)
    on_disk, in_memory = ({name: seconds[name] for name in some} for some in (names[:2], names[2:]))
    return {"ratios": timing.ratios(on_disk, names[0]) | timing.ratios(in_memory, names[2]),
            "milliseconds": timing.medians(seconds), "pictures": len(paths), "rounds": rounds,
            **{f"hashes: {name}": value for name, value in many.items()}, **timing.machine()}


def main() -> None:
    parser = timing.parser(__doc__, rounds=1)
    parser.add_argument("--data", type=Path, help="a folder of JPEGs, instead of drawn pictures")
    parser.add_argument("--hashes", type=int, help=f"only compare so many hashes (at least {2 * PLANTED})")
    arguments = parser.parse_args()
    if arguments.hashes:
        print(json.dumps(hashes(arguments.hashes)))
        return
    with tempfile.TemporaryDirectory() as drawn:
        if not arguments.data:
            draw(Path(drawn), count=512)
        paths = sorted((arguments.data or Path(drawn)).rglob("*.jpg"))
        if not paths:
            parser.error(f"{arguments.data}: no JPEG in it.")
        found = run(paths, rounds=arguments.rounds)
    timing.show(found, title="Near-duplicates", as_json=arguments.json)


if __name__ == "__main__":
    main()
