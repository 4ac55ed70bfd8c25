"""The process of a run: wait for a device, train, and leave the state behind that says how it went.

    python -m derm.jobs.worker RUN_FOLDER        (started by `derm.jobs.start` and `resume`, never by hand)

Knows the order of things; Keras comes in only when it is the run's turn, and with the GPUs that are its own.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

from derm import tuning
from derm.errors import DermError
from derm.jobs import control, turns
from derm.jobs.heart import Heart, Held, Stopped
from derm.jobs.status import LOG
from derm.nn import config as configs
from derm.settings import settings

Train = Callable[..., Path]


def work(folder: Path, *, say: Callable[[str], None] = print, train: Train | None = None) -> Path:
    """Train the run in `folder`, created or queued anew, in this process; returns the folder, a bundle (or, of a
    search, its trials).

    Raises `Stopped` when it was asked to stop, and whatever ends the training; status.json and the log tell of it.
    """
    heart = Heart(folder, state="queued", own_process=True)
    with _stopped_by_signals(heart), heart:
        try:
            with turns.taken(heart, locks=settings().cache / "locks", say=say,
                             gpus=configs.read(folder / configs.CONFIG).gpus):
                return (train or _train)(folder, heart=heart, say=say)
        except (Stopped, KeyboardInterrupt):
            raise
        except BaseException as error:
            _log(folder, error)
            raise


def main(arguments: Sequence[str], *, train: Train | None = None) -> int:
    """The exit status of a run's process: 0 if it finished or stopped, else 1."""
    folder = Path(arguments[0])
    control.await_changes(folder.parent)
    try:
        work(folder, say=_silent, train=train)
    except (Stopped, KeyboardInterrupt):
        return 0
    except Held as error:
        print(f"derm: {error}", file=sys.stderr)
        return 1
    except BaseException:
        return 1  # the log says it
    return 0


def _log(folder: Path, error: BaseException) -> None:
    """The error at the end of the log: a sentence for the user's, where it happened for ours."""
    known = isinstance(error, DermError)
    text = f"derm: {error}\n" if known else "".join(traceback.format_exception(error))
    with contextlib.suppress(OSError), (folder / LOG).open("a", encoding="utf-8") as log:
        log.write(text)


def _train(folder: Path, *, heart: Heart, say: Callable[[str], None]) -> Path:
    if tuning.is_search(folder):
        from derm.nn import tune

        return tune.proceed(folder, heart=heart, say=say)
    from derm.nn import train as training  # imports Keras, as `tune` does

    return training.proceed(folder, heart=heart, say=say)


def _silent(text: str) -> None:
    """What is said goes to the log anyway, and so does all that this process prints."""


@contextlib.contextmanager
def _stopped_by_signals(heart: Heart) -> Iterator[None]:
    """Ctrl-C or a shutdown of the machine asks the run to stop; what comes after that interrupts it."""
    def heard(number: int, frame: FrameType | None) -> None:
        if heart.is_asked and not heart.is_over:
            raise KeyboardInterrupt
        heart.ask()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, heard) for number in (signal.SIGTERM, signal.SIGINT)
              if signal.getsignal(number) is not signal.SIG_IGN}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
