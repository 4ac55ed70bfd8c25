"""How long one waits at the start.

    python -m benchmarks.startup [--json]

`import derm` in a fresh process, with neither Keras nor TensorFlow loaded (else this fails), beside
`import tensorflow`; a fresh process until the model is warm; and `streamlit run` until the first page is
painted in a browser, where playwright and Chromium are there. Then how long everybody waits for the search for
garbage that Streamlit makes after each run of a page, with the model loaded: as it would be, and as it is.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from typing import Any

from benchmarks import timing
from derm.settings import PROJECT

IMPORT = """
import sys, time
began = time.perf_counter()
import {module}
seconds = time.perf_counter() - began
if "{module}" == "derm":
    loaded = {{"keras", "tensorflow", "jax"}} & set(sys.modules)
    assert not loaded, f"import derm loads {{loaded}}"
print(seconds)
"""
# Goes by way of the benchmark's own predictor, so that it works without a bundle too.
WARM = "from benchmarks.diagnose import default_predictor; p, which = default_predictor(); p.warm(); print(which)"
SEARCH = """
import gc, time
import streamlit
from benchmarks.diagnose import default_predictor
from derm.ui import resources
predictor, _ = default_predictor()
predictor.warm()
def search():
    began = time.perf_counter()
    gc.collect()
    return time.perf_counter() - began
gc.collect()
before = search()
resources.settle()
print(before, search())
"""
OURS, PEER = "import derm", "import tensorflow"
MODEL, PAGE = "process start to warm model", "server start to painted page"
FULL, SETTLED = "search for garbage after a click, as it would be", "search for garbage after a click"


def python(code: str) -> str:
    """What a fresh process prints last."""
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True,
                          env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"})
    return done.stdout.strip().splitlines()[-1]


def first_page(browser: Any) -> float:
    """Seconds from starting the server until the uploader can be seen (or, without a model, the notice)."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    began = time.perf_counter()
    server = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", "--server.headless", "true",
         "--server.address", "127.0.0.1", "--server.port", str(port)],
        cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        page = browser.new_page()
        while True:
            try:
                page.goto(f"http://127.0.0.1:{port}")
                break
            except Exception:  # refused until the server listens
                if server.poll() is not None or time.perf_counter() - began > 120:
                    raise
                time.sleep(0.05)
        page.locator("[data-testid=stFileUploader], [data-testid=stAlert]").first.wait_for(timeout=120_000)
        return time.perf_counter() - began
    finally:
        server.terminate()
        server.wait(30)


def pages(rounds: int) -> list[float]:
    """`first_page` a few times; none where there is no browser."""
    chromium = shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return []
    if chromium is None:
        return []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--headless", "--no-sandbox"])
        return [first_page(browser) for _ in range(rounds)]


def run(*, rounds: int) -> dict[str, Any]:
    seconds: dict[str, list[float]] = {name: [] for name in (OURS, PEER, MODEL, FULL, SETTLED)}
    which = ""
    for _ in range(rounds):
        seconds[OURS].append(float(python(IMPORT.format(module="derm"))))
        seconds[PEER].append(float(python(IMPORT.format(module="tensorflow"))))
        began = time.perf_counter()
        which = python(WARM)
        seconds[MODEL].append(time.perf_counter() - began)
        for name, taken in zip((FULL, SETTLED), python(SEARCH).split(), strict=True):
            seconds[name].append(float(taken))
    compared = {name: seconds[name] for name in (OURS, PEER)}
    if painted := pages(rounds):
        seconds[PAGE] = painted
    notes = {} if painted else {"page": "not measured; needs playwright and Chromium"}
    return {"ratios": timing.ratios(compared, OURS), "milliseconds": timing.medians(seconds), "network": which,
            "rounds": rounds, **notes, **timing.machine()}


def main() -> None:
    arguments = timing.parser(__doc__, rounds=3).parse_args()
    timing.show(run(rounds=arguments.rounds), title="The start", as_json=arguments.json)


if __name__ == "__main__":
    main()
