"""A web site on the loopback for tests: a real HTTP server whose pages are scripted."""

from __future__ import annotations

import hashlib
import io
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.conftest import blotches


@dataclass(frozen=True)
class Answer:
    """One answer. `tagged`: with an ETag; `ranges`: a Range request gets 206 (or 416); `cut`: the connection
    ends after so many bytes of the body (-1: before the status line); `hold`: after so many bytes the server
    waits for `Web.release`."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    tagged: bool = True
    ranges: bool = True
    cut: int | None = None
    hold: int | None = None


@dataclass
class Asked:
    """A request as it came, and how many bytes of a body were sent for it."""

    path: str
    headers: Mapping[str, str]
    sent: int = 0


def jpeg(seed: int) -> bytes:
    """A small photograph as it may be published."""
    buffer = io.BytesIO()
    blotches(seed, side=48).save(buffer, "JPEG")
    return buffer.getvalue()


Page = Answer | Callable[[Asked], Answer]


class Web:
    """`with Web() as web`: pages are added with `put`; `asked` is what was asked for, in order."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.release = threading.Event()
        self.busy = self.busiest = 0
        self._lock = threading.Condition()
        self._pages: dict[str, list[Page]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"web": self}))
        self._server.handle_error = lambda *error: None  # a client that hangs up is no news here
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def put(self, path: str, *pages: Page | bytes) -> str:
        """The page's address. Its answers are given in turn, the last for ever; bytes are an ordinary one."""
        self._pages[path] = [Answer(page) if isinstance(page, bytes) else page for page in pages]
        return self.url + path

    def sent(self, path: str) -> list[int]:
        """Bytes of a body sent for each request of this path, once no request is under way."""
        with self._lock:
            assert self._lock.wait_for(lambda: not self.busy, timeout=10)
        return [asked.sent for asked in self.asked if asked.path == path]

    def take(self, asked: Asked) -> Answer:
        """The next answer for a request; 404 where there is no page."""
        with self._lock:
            self.asked.append(asked)
            pages = self._pages.get(asked.path, [Answer(b"<html>Not here</html>", 404)])
            page = pages.pop(0) if len(pages) > 1 else pages[0]
        return page if isinstance(page, Answer) else page(asked)

    def count(self, more: int) -> None:
        """Requests under way at once."""
        with self._lock:
            self.busy += more
            self.busiest = max(self.busy, self.busiest)
            self._lock.notify_all()

    def __enter__(self) -> Web:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else 40 ms an answer
    web: Web

    def do_GET(self) -> None:
        asked = Asked(self.path, dict(self.headers))
        self.web.count(+1)
        try:
            self._give(asked, self.web.take(asked))
        finally:
            self.web.count(-1)

    def _give(self, asked: Asked, answer: Answer) -> None:
        if answer.cut == -1:
            self.close_connection = True
            return
        status, body, headers = self._ranged(asked, answer)
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers | dict(answer.headers)).items():
            self.send_header(name, value)
        self.end_headers()
        for piece in self._pieces(body, answer.hold):
            piece = piece[:None if answer.cut is None else max(0, answer.cut - asked.sent)]
            self.wfile.write(piece)
            asked.sent += len(piece)
        self.close_connection |= answer.cut is not None

    def _pieces(self, body: bytes, hold: int | None) -> Any:
        if hold is None:
            yield body
            return
        yield body[:hold]
        self.web.release.wait()
        yield body[hold:]

    def _ranged(self, asked: Asked, answer: Answer) -> tuple[int, bytes, dict[str, str]]:
        body = answer.body
        tag = f'"{hashlib.md5(body).hexdigest()}"'
        headers = {"ETag": tag} if answer.tagged and answer.status == 200 else {}
        wanted = re.fullmatch(r"bytes=(\d+)-", asked.headers.get("Range", ""))
        if answer.status != 200 or not answer.ranges or not wanted or asked.headers.get("If-Range", tag) != tag:
            return answer.status, body, headers
        start = int(wanted[1])
        if start >= len(body):
            return 416, b"", headers | {"Content-Range": f"bytes */{len(body)}"}
        return 206, body[start:], headers | {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}

    def log_message(self, *arguments: object) -> None:
        """Nothing: the tests look at `Web.asked`."""
