"""Work on a network file in a process of its own, so that a hostile or huge file harms nobody else: no graphics
card, hardly any environment, an end after a while, no more memory than allowed. Knows processes; no Keras."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from derm.errors import ModelError
from derm.settings import PROJECT

MEMORY = 6 * 2**30  # bytes, for the file of somebody else; TensorFlow alone asks for half a gigabyte
PLENTY = 64 * 2**30  # for one of ours
SECONDS = 600.0  # about 20 of processor time for a MobileNetV2, but a training may be going on beside it
_KEPT = ("PATH", "LANG", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "PYTHONPATH", "KERAS_BACKEND")
_TASK, _ANSWER, _LOG = "task.json", "answer.json", "log.txt"


def run(task: Mapping[str, Any], folder: Path, *, subject: str, seconds: float = SECONDS,
        memory: int = MEMORY) -> dict[str, Any]:
    """What `python -m derm.nn.convert` answers to `task` in the empty `folder`, where it may write.

    Raises `ModelError` about `subject` with the reason that it gave, or that it needed too much time or memory.
    """
    (folder / _TASK).write_text(json.dumps({**task, "memory": memory}), encoding="utf-8")
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    environment |= {"HOME": str(folder), "TMPDIR": str(folder), "CUDA_VISIBLE_DEVICES": "-1",
                    "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", "derm.nn.convert", str(folder)]
    with (folder / _LOG).open("wb") as log:
        process = subprocess.Popen(command, cwd=PROJECT, env=environment, stdin=subprocess.DEVNULL, stdout=log,
                                   stderr=log, start_new_session=True)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise ModelError(f"{subject}: not done after {seconds:.0f} seconds, so it was given up. Is the "
                             "network meant for photographs?") from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # with whatever it may have started
                process.wait()
    return _answer(folder, subject, memory)


def _answer(folder: Path, subject: str, memory: int) -> dict[str, Any]:
    try:
        answer = json.loads((folder / _ANSWER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        said = (folder / _LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise ModelError(f"{subject}: the process that tried it ended without an answer; perhaps it needs more "
                         f"than {memory / 2**30:.0f} GB of memory. Its last words: "
                         f"{said[-1][:200] if said else 'none'}") from None
    if not isinstance(answer, dict):
        raise ModelError(f"{subject}: the process that tried it answered nonsense.")
    if "error" in answer:
        raise ModelError(f"{subject}: {answer['error']}")
    return answer
