"""The process apart, played by a shell script: its answer, its silence, its end."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from derm import sandbox
from derm.errors import ModelError


def script(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What runs in the place of Python; its third argument is the folder. Returns that folder."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(path))
    work = folder / "work"
    work.mkdir()
    return work


def run(work: Path, **limits: float) -> dict[str, object]:
    return sandbox.run({"do": "adopt"}, work, subject="theirs.keras", **limits)


def test_it_gets_the_task_its_limit_and_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", "secret")
    work = script(tmp_path, 'env > "$3/env.txt"; echo "{\\"weights\\": 7}" > "$3/answer.json"', monkeypatch)
    assert run(work, memory=5) == {"weights": 7}
    assert json.loads((work / "task.json").read_text()) == {"do": "adopt", "memory": 5}
    environment = (work / "env.txt").read_text()
    assert "secret" not in environment
    assert f"HOME={work}" in environment
    assert "CUDA_VISIBLE_DEVICES=-1" in environment


@pytest.mark.parametrize(("text", "said"), [
    ('echo "{\\"error\\": \\"has no pool.\\"}" > "$3/answer.json"', "theirs.keras: has no pool."),
    ("echo killed by the system; exit 137", "killed by the system"),
    ('echo "[1]" > "$3/answer.json"', "nonsense")])
def test_what_goes_wrong_there_is_a_sentence_here(text: str, said: str, tmp_path: Path,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match=said):
        run(script(tmp_path, text, monkeypatch))


def test_it_is_ended_with_all_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = script(tmp_path, 'sleep 600 & echo $! > "$3/child.txt"; wait', monkeypatch)
    with pytest.raises(ModelError, match="not done after 2 seconds"):
        run(work, seconds=2)
    child = Path(f"/proc/{(work / 'child.txt').read_text().strip()}/stat")
    for _ in range(300):  # a killed process ends when the system gets to it
        if not child.exists() or child.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.1)
    pytest.fail("what it started goes on")
