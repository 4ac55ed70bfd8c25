"""Data for the tests: the real photographs where they are, drawn ones everywhere."""

from __future__ import annotations

import functools
import gc
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from streamlit.components.v2 import manifest_scanner

from derm.settings import PROJECT


@pytest.fixture(scope="session", autouse=True)
def _components_are_looked_for_once() -> Iterator[None]:
    """Whenever a test opens the app, Streamlit reads the metadata of every installed package, which takes longer
    than most of those tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests",
                      functools.cache(manifest_scanner.scan_component_manifests))
        yield


@pytest.fixture(scope="module", autouse=True)
def _what_is_loaded_is_not_searched_for_garbage() -> None:
    """Streamlit collects garbage after each run of a page; beside TensorFlow that takes longer than the page."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def ajl_root() -> Path:
    """The AJL 2025 folder; a test that asks for it skips where it is not."""
    root = Path(os.environ.get("DERM_DATA") or PROJECT.parent / "shared" / "data" / "ajl")
    if not (root / "train.csv").is_file():
        pytest.skip(f"no AJL photographs in {root}; name their folder with DERM_DATA")
    return root


@pytest.fixture(scope="session")
def ajl_groups(ajl_root: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """The real data's canonical table and the near-duplicate group of each row (seconds: once a session)."""
    from derm import datasets, duplicates

    table = datasets.load(ajl_root).table
    return table, duplicates.groups([ajl_root / path for path in table["path"]])


@pytest.fixture(scope="session")
def drawn_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An AJL-shaped folder of drawn pictures. Shared by the session: read it, do not change it."""
    from derm import samples

    return samples.write_dataset(tmp_path_factory.mktemp("drawn") / "ajl")


def blotches(seed: int, *, side: int = 160) -> Image.Image:
    """A picture of random soft blotches: every seed looks different, like photographs of different skin."""
    coarse = np.random.default_rng(seed).integers(0, 256, (11, 11, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)


@pytest.fixture
def tiny_ajl(tmp_path: Path) -> Path:
    """The smallest AJL folder with everything in it: four training rows, one test row. Yours to break."""
    (tmp_path / "train.csv").write_text(
        "md5hash,fitzpatrick_scale,fitzpatrick_centaur,label,nine_partition_label,three_partition_label,qc,ddi_scale\n"
        "a0,1,2,melanoma,malignant-melanoma,malignant,,12\n"
        "00123,-1,-1,acne,inflammatory,non-neoplastic,1 Diagnostic,-1\n"
        "NA,6,,acne,inflammatory,Non Neoplastic,3 Wrongly labelled,56\n"
        "b1,4,5,keloid,benign-dermal,benign,,34\n", encoding="utf-8")
    (tmp_path / "test.csv").write_text(
        "md5hash,fitzpatrick_scale,fitzpatrick_centaur,qc,ddi_scale\nc2,3,-1,,34\n", encoding="utf-8")
    for seed, path in enumerate(("train/train/melanoma/a0.jpg", "train/train/acne/00123.jpg",
                                 "train/train/acne/NA.jpg", "train/train/keloid/b1.jpg", "test/test/c2.jpg")):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        blotches(seed, side=32).save(tmp_path / path)
    return tmp_path
