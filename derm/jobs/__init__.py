"""Training runs that survive: start, watch, stop, resume, remove. All state is on disk; no Keras in here."""

from derm.jobs.control import (
    Run,
    create,
    find,
    list_runs,
    log_tail,
    remove,
    resume,
    start,
    stop,
    take_up,
    wait_stopped,
)
from derm.jobs.status import LIVE, STATES

__all__ = ["LIVE", "STATES", "Run", "create", "find", "list_runs", "log_tail", "remove", "resume", "start", "stop",
           "take_up", "wait_stopped"]
