"""Folders of training runs, as their process leaves them; nothing is trained."""

from __future__ import annotations

import os
import time
from pathlib import Path

from derm.jobs import status
from derm.jobs.status import Status


def run(folder: Path, *, state: str = "running", history: bool = True) -> Path:
    """A run's folder as its process, which is this one, would leave it."""
    folder.mkdir(parents=True)
    (folder / "config.toml").touch()
    status.write(folder, Status(state, created=1.0, epoch=2, epochs=9, seconds_left=90.0, updated=time.time(),
                                beat=time.monotonic()).by(os.getpid(), own=True))
    if history:
        (folder / "history.csv").write_text(
            "epoch,macro_f1,f1_I-II,f1_III-IV,f1_V-VI,n_I-II,n_III-IV,n_V-VI\n"
            "1,0.2,0.2,0.3,,40,30,0\n2,0.3,0.3,0.4,,40,30,0\n", encoding="utf-8")
    return folder
