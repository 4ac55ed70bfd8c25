"""Stands for the app's server: sees to it that the run "one" exists, tells what it sees, until it is killed."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from derm import jobs
from derm.errors import JobError
from derm.jobs import control
from derm.nn import config as configs

control.WORKER = ("-m", "tests.jobs.standin")
runs, told = Path(sys.argv[1]), Path(sys.argv[2])
try:
    jobs.start(configs.read(Path(sys.argv[3])), name="one", runs=runs)
    started = True
except JobError:
    started = False
while True:
    run = jobs.find("one", runs=runs)
    told.write_text(json.dumps({"started": started, "state": run.state, "pid": run.pid, "epoch": run.epoch}))
    time.sleep(0.05)
