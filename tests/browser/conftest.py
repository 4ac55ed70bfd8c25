"""A real server and a real Chromium for the browser tests; both end with the session."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from derm import samples
from derm.settings import PROJECT
from tests.bundles import make_bundle

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]
ARTEFACTS = PROJECT / "test-artifacts"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the app, with a tiny bundle as its only model and no data."""
    folder = tmp_path_factory.mktemp("server")
    make_bundle(folder / "models" / "tiny", size=96)
    with serve(folder, DERM_MODELS=str(folder / "models"), DERM_DATA=str(folder / "none")) as address:
        yield address


@contextmanager
def serve(folder: Path, **environment: str) -> Iterator[str]:
    """The address of an app of its own; its log is in `folder`. It ends with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", "--server.headless", "true",
               "--server.address", "127.0.0.1", "--server.port", str(port)]
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(command, cwd=PROJECT, env=os.environ | environment, stdout=log,
                                   stderr=subprocess.STDOUT)
        try:
            _wait(f"http://127.0.0.1:{port}", process, folder / "log.txt")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.2)
        if process.poll() is not None:
            break
    pytest.fail(f"the server did not start:\n{log.read_text()}")


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """Debian's Chromium, driven by playwright, with an empty profile."""
    api = pytest.importorskip("playwright.sync_api", reason="no playwright; see requirements-dev.txt")
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no Chromium here; install it with `apt-get install chromium`")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def window(browser: object) -> object:
    """One profile for all pages, so that the app's scripts are fetched and compiled once."""
    return browser.new_context()


@pytest.fixture
def visit(server: str, window: object) -> Iterator[Callable[..., object]]:
    """Opens the app in a tab of its own: visit("explore", width=390, scheme="dark") -> page."""
    pages = []

    def visit(path: str = "", *, width: int = 1440, scheme: str = "light", at: str = server) -> object:
        page = window.new_page()
        pages.append(page)
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        page.set_default_timeout(60_000)
        page.goto(f"{at}/{path}")
        return page

    yield visit
    for page in pages:
        page.close()


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two drawn photographs, a text and half a JPEG, each as .jpg."""
    folder = tmp_path_factory.mktemp("photographs")
    drawn = {"dark.jpg": ("melanoma", "VI"), "light.jpg": ("acne", "II")}
    for name, (kind, skin) in drawn.items():
        Image.fromarray(samples.draw(kind, skin=skin)).save(folder / name)
    (folder / "half.jpg").write_bytes((folder / "dark.jpg").read_bytes()[:3000])
    (folder / "letter.jpg").write_text("Dear doctor, please find attached", encoding="utf-8")
    return {path.stem: path for path in folder.iterdir()}


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """Where the screenshots go for a person to look at."""
    ARTEFACTS.mkdir(exist_ok=True)
    return ARTEFACTS
