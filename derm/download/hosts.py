"""How hosts are asked for files: under our own name, a few connections each, with the pauses they want.

Knows HTTP; writes no files and knows no data set.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import responses
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import NameResolutionError

from derm import __version__

GONE, FAILED, WRONG = "gone", "failed", "wrong content"
OURS = f"derm/{__version__} (downloads dermatology data sets for research)"
# Some hosts answer 403 to every name they do not know. They are asked once more under this one.
BROWSER = f"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0 derm/{__version__}"


@dataclass(frozen=True)
class Manners:
    """How patient and how polite to be. Times are in seconds.

    `timeout`: until a connection stands, and between two pieces of an answer. `tries`: how often one file
    is asked for in vain. `backoff`: about the first pause after a fault; each further one is twice as long.
    A host that asks for more than `longest_wait` is left alone for the rest of the call. `clock`, `sleep`
    (None: one that ends when the work is stopped) and `jitter` (0 to 1) are there for tests.
    """

    threads: int = 16
    per_host: int = 4
    tries: int = 5
    redirects: int = 5
    timeout: tuple[float, float] = (15.0, 60.0)
    backoff: float = 1.0
    longest_wait: float = 300.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] | None = None
    jitter: Callable[[], float] = random.random

    def pause(self, attempt: int) -> float:
        """Seconds before the next try; by chance up to half longer, so that threads do not come back at once."""
        return min(self.backoff * 2**attempt, self.longest_wait) * (1 + self.jitter() / 2)


POLITE = Manners()


class Final(Exception):
    """No use asking again: `state` is GONE, FAILED or WRONG."""

    def __init__(self, state: str, reason: str) -> None:
        super().__init__(reason)
        self.state, self.reason = state, reason


class Passing(Exception):
    """A fault that may pass. `wait`: seconds this thread is to rest first; None: as its manners say. `state`: of
    the file if it does not pass."""

    def __init__(self, reason: str, *, wait: float | None = None, state: str = FAILED) -> None:
        super().__init__(reason)
        self.reason, self.wait, self.state = reason, wait, state


class Stopped(Exception):
    """The work was stopped meanwhile."""


class Host:
    """What all threads that ask one host know of it together."""

    def __init__(self, name: str, manners: Manners, stop: threading.Event) -> None:
        self.name, self.manners = name, manners
        self._stop = stop
        self._agent = OURS
        self._free_at = manners.clock()
        self._silent = 0  # connections that failed, in a row
        self._closed: tuple[str, str] | None = None

    def ask(self, session: requests.Session, url: str, *, headers: Mapping[str, str],
            attempt: int) -> requests.Response:
        """An open answer 200, 206 or 416, its body not yet read. Raises `Final`, `Passing` or `Stopped`."""
        while (left := self._free_at - self.manners.clock()) > 0:
            self.rest(left)
        if self._closed:
            raise Final(*self._closed)
        agent = self._agent
        named = {"User-Agent": agent, "Accept-Encoding": "identity", **headers}
        try:
            response = session.get(url, headers=named, stream=True, timeout=self.manners.timeout)
        except requests.TooManyRedirects as error:
            raise Final(FAILED, f"redirected more than {self.manners.redirects} times") from error
        except (requests.ConnectionError, requests.Timeout) as error:
            raise self._unreachable(error) from error
        except (requests.RequestException, ValueError) as error:
            raise Final(FAILED, "redirected to something that is no web address") from error
        self._silent = 0
        if response.status_code in (200, 206, 416):
            return response
        response.close()
        raise self._trouble(response, agent, attempt)

    def rest(self, seconds: float) -> None:
        """Wait. Raises `Stopped` as soon as the work is."""
        if seconds > 0:
            (self.manners.sleep or self._stop.wait)(seconds)
        if self._stop.is_set():
            raise Stopped

    def _unreachable(self, error: requests.RequestException) -> Passing:
        """No answer. When all threads have tried in vain as often as they may, the host is left alone: it would
        cost minutes a file."""
        cause = getattr(error.args[0] if error.args else None, "reason", None)
        if isinstance(cause, NameResolutionError):
            state, reason = GONE, f"{self.name} is not found (or this computer is offline)"
        elif isinstance(error, requests.exceptions.SSLError):
            state, reason = FAILED, f"{self.name} has no certificate that can be trusted"
        else:
            state, reason = FAILED, f"{self.name} does not answer"
        self._silent += 1
        if self._silent >= self.manners.tries * self.manners.per_host:
            self._closed = state, reason
        return Passing(reason, state=state)

    def _trouble(self, response: requests.Response, agent: str, attempt: int) -> Final | Passing:
        status = response.status_code
        reason = f"{status} {responses.get(status, '')}".strip()
        if status in (429, 503):
            return self._pause(response.headers, attempt, reason)
        if status >= 500 or status == 408:
            return Passing(reason)
        if status == 403 and agent == OURS:
            self._agent = BROWSER
            return Passing(reason, wait=0)
        return Final(GONE if status in (404, 410) else FAILED, reason)

    def _pause(self, headers: Mapping[str, str], attempt: int, reason: str) -> Final | Passing:
        """All threads leave the host alone for as long as it asks, or for the usual pause."""
        wanted = retry_after(headers, now=datetime.now(UTC))
        if wanted is not None and wanted > self.manners.longest_wait:
            self._closed = FAILED, f"{self.name} asks to be left alone for {wanted:.0f} seconds"
            return Final(*self._closed)
        seconds = self.manners.pause(attempt) if wanted is None else wanted
        self._free_at = max(self._free_at, self.manners.clock() + seconds)
        return Passing(reason, wait=0)


def retry_after(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """The seconds in Retry-After, given as such or as a date (by the host's own clock where it tells);
    None where it is absent or unreadable (RFC 9110, 10.2.3)."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    until = _date(value)
    if until is None:
        return None
    return max(0.0, (until - (_date(headers.get("Date", "")) or now)).total_seconds())


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def name_of(url: str) -> str:
    """The host's name, lower case; '' if the address has none or is not http or https."""
    try:
        parts = urlsplit(url)
        return parts.netloc.lower() if parts.scheme in ("http", "https") and parts.hostname else ""
    except ValueError:
        return ""
