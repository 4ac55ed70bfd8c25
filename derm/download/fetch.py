"""The download engine: files from the web into a folder, in parallel, resumable, checked.

Knows files and threads; no data set. A file gets its name only once it is whole and as expected. Whatever ends
the work, a kill too, the next call goes on from there.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import queue
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import requests
from filelock import FileLock, Timeout

from derm import images
from derm.download.hosts import FAILED, GONE, POLITE, WRONG, Final, Host, Manners, Passing, Stopped, name_of
from derm.download.parts import Part
from derm.errors import DatasetError, ImageError

ARRIVED, THERE = "arrived", "there"
_CHUNK = 2**14  # at most this much is lost when a connection is cut
_WORTHWHILE = 2**20  # a try that brought this many bytes does not count as in vain

_NAME = re.compile(r'[^.\\:*?"<>|][^\\:*?"<>|]*')  # not hidden: such names are ours, and '..' leads out

Tick = Callable[[int, int], None]


@dataclass(frozen=True)
class Wanted:
    """A file to fetch: its address (may be '': none was published), and its place, relative to the folder.

    `size` in bytes and `digest` ("md5:..." or "sha256:...") are what the publisher says, if anything.
    A `picture` without a digest must be one that can be read.
    """

    url: str
    path: str
    size: int | None = None
    digest: str | None = None
    picture: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of one file. `state`: ARRIVED, THERE (already), GONE, WRONG or FAILED; `reason`: why not."""

    wanted: Wanted
    state: str
    reason: str = ""

    @property
    def on_disk(self) -> bool:
        """Whether the file is there now."""
        return self.state in (ARRIVED, THERE)


def fetch(wanted: Iterable[Wanted], folder: Path, *, manners: Manners = POLITE,
          tick: Tick | None = None) -> list[Outcome]:
    """Fetch the files that are not there yet; one outcome each, in order, two of one path being one.

    `tick` is called now and then with the files done with and the bytes there so far. Raises `DatasetError`
    if the folder cannot be written or is full, or another call writes to it; an interrupt stops all threads.
    """
    files = {item.path: item for item in wanted}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".fetch.lock", timeout=0):
            return _Run(folder, manners, tick or (lambda files, size: None)).outcomes(files)
    except Timeout as error:
        raise DatasetError(f"{folder}: another fetch is writing there. Wait for it, or choose another "
                           "folder.") from error
    except OSError as error:
        raise trouble(folder, error) from error


def read(url: str, *, manners: Manners = POLITE) -> bytes:
    """The body of a short answer, such as a listing. Raises `DatasetError` if there is none."""
    with TemporaryDirectory() as folder:
        outcome = fetch([Wanted(url, "answer")], Path(folder), manners=manners)[0]
        if not outcome.on_disk:
            raise DatasetError(f"{url}: {outcome.reason}. Try again later.")
        return (Path(folder) / "answer").read_bytes()


def trouble(folder: Path, error: OSError) -> DatasetError:
    """What to say of a file that could not be written."""
    if error.errno == errno.ENOSPC:
        return DatasetError(f"{folder}: the disk is full. What has arrived is kept: make room and run the same "
                            "command again.")
    return DatasetError(f"{folder}: cannot be written ({error.strerror or error}). Choose another folder or mend "
                        "its permissions.")


def is_safe(path: str) -> bool:
    """Whether a published name stays within the folder it is put in, on any system."""
    return path.isprintable() and all(_NAME.fullmatch(part) for part in path.split("/"))


def digest_of(path: Path, algorithm: str) -> str:
    """Such as "md5:5e82a4...": the digest of a file, in the form of `Wanted.digest`."""
    with path.open("rb") as file:
        return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"


class _Run:
    """One call of `fetch`: what its threads share."""

    def __init__(self, folder: Path, manners: Manners, tick: Tick) -> None:
        self._folder, self._manners, self._tick = folder, manners, tick
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._done: dict[str, Outcome] = {}
        self._bytes = 0
        self._ended: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._error: BaseException | None = None

    def outcomes(self, files: Mapping[str, Wanted]) -> list[Outcome]:
        """Hosts beside each other, of each a few files at a time."""
        waiting: dict[str, deque[Wanted]] = {}
        for item in files.values():
            waiting.setdefault(name_of(item.url), deque()).append(item)
        hosts = [(Host(name, self._manners, self._stop), items) for name, items in waiting.items()]
        lanes: queue.SimpleQueue[tuple[Host, deque[Wanted]]] = queue.SimpleQueue()
        for lane in range(self._manners.per_host):
            for host, items in hosts:
                if lane < len(items):
                    lanes.put((host, items))
        # Daemons: one that waits for a silent host must not hold up the end of the programme.
        threads = [threading.Thread(target=self._work, args=(lanes,), daemon=True)
                   for _ in range(min(self._manners.threads, lanes.qsize()))]
        try:
            for thread in threads:
                thread.start()
            for _ in threads:
                self._ended.get()
                if self._error:
                    raise self._error
        finally:
            self._stop.set()
            deadline = time.monotonic() + 1
            for thread in threads:
                if thread.is_alive():  # an interrupt may come before all have begun
                    thread.join(max(0.0, deadline - time.monotonic()))
        return [self._done[path] for path in files]

    def _work(self, lanes: queue.SimpleQueue[tuple[Host, deque[Wanted]]]) -> None:
        """One thread: a lane to a host until nothing is left there, then another."""
        try:
            while True:
                host, items = lanes.get_nowait()
                with requests.Session() as session:
                    session.max_redirects = self._manners.redirects
                    for item in _taken(items):
                        self._note(self._outcome(item, host, session))
        except (queue.Empty, Stopped):
            pass
        except BaseException as error:
            self._error = error
        finally:
            self._ended.put(None)

    def _note(self, outcome: Outcome) -> None:
        with self._lock:
            self._done[outcome.wanted.path] = outcome
        self._count(0)

    def _count(self, more: int) -> None:
        with self._lock:
            self._bytes += more
            self._tick(len(self._done), self._bytes)

    def _outcome(self, item: Wanted, host: Host, session: requests.Session) -> Outcome:
        if not is_safe(item.path):
            return Outcome(item, FAILED, f"{item.path!r} is no name for a file in this folder")
        if not host.name:
            return Outcome(item, *((FAILED, "not an address on the web") if item.url else
                                   (GONE, "no address was published")))
        part = Part(self._folder / item.path)
        if _is_there(part.target, item):
            self._count(part.target.stat().st_size)
            return Outcome(item, THERE)
        self._count(part.size)
        attempt = 0
        while True:
            before = part.size
            try:
                self._attempt(item, part, host, session, attempt)
                return Outcome(item, ARRIVED)
            except Final as end:
                if end.state != FAILED:  # what had come of it is of no use
                    self._drop(part)
                return Outcome(item, end.state, end.reason)
            except Passing as fault:
                attempt = 0 if part.size - before >= _WORTHWHILE else attempt + 1
                if attempt >= self._manners.tries:
                    return Outcome(item, fault.state, f"{fault.reason}, {attempt} times")
                host.rest(self._manners.pause(attempt) if fault.wait is None else fault.wait)

    def _attempt(self, item: Wanted, part: Part, host: Host, session: requests.Session, attempt: int) -> None:
        """Ask once for what is missing, and finish the file if that made it whole and it is as expected."""
        headers = part.headers(checked=item.digest is not None)
        with host.ask(session, item.url, headers=headers, attempt=attempt) as answer:
            before = part.size
            try:
                whole = part.place(answer)
            finally:
                self._count(part.size - before)
            self._receive(item, part, answer)
        if whole is not None and part.size < whole:
            raise Passing("the connection was cut")
        if reason := _wrong(item, part):
            if answer.status_code == 200:
                raise Final(WRONG, reason)
            self._drop(part)  # its beginning, from an earlier call, may be at fault
            raise Passing(reason, wait=0)
        part.finish()

    def _receive(self, item: Wanted, part: Part, answer: requests.Response) -> None:
        if answer.status_code == 416:  # everything had arrived before
            return
        limit = item.size or (images.MAX_BYTES if item.picture else None)
        with part.path.open("ab") as file:
            try:
                for chunk in answer.iter_content(_CHUNK):
                    if self._stop.is_set():
                        raise Stopped
                    file.write(chunk)
                    self._count(len(chunk))
                    if limit is not None and file.tell() > limit:
                        raise Final(WRONG, f"longer than {limit:,} bytes")
            except requests.RequestException as error:
                raise Passing("the connection was cut") from error

    def _drop(self, part: Part) -> None:
        self._count(-part.size)
        part.drop()


def _taken(items: deque[Wanted]) -> Iterator[Wanted]:
    """Shared by threads: each item goes to one of them."""
    with contextlib.suppress(IndexError):
        while True:
            yield items.popleft()


def _is_there(target: Path, item: Wanted) -> bool:
    """Whether the file arrived earlier: it has its name, so it was whole, and is still as published."""
    if not target.is_file() or item.size not in (None, target.stat().st_size):
        return False
    return not item.digest or digest_of(target, item.digest.partition(":")[0]) == item.digest


def _wrong(item: Wanted, part: Part) -> str:
    """What is wrong with a file that has arrived whole; '' if nothing is."""
    if item.size is not None and part.size != item.size:
        return f"{part.size:,} bytes instead of the published {item.size:,}"
    if item.digest and digest_of(part.path, item.digest.partition(":")[0]) == item.digest:
        return ""
    if item.picture:
        try:
            images.decode(part.path.read_bytes(), name="the file")
        except ImageError as error:
            return str(error)
    return "differs from the published hash" if item.digest else ""
