"""The download engine against a real HTTP server on the loopback."""

from __future__ import annotations

import gzip
import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from derm.download import fetch as engine
from derm.download.fetch import ARRIVED, THERE, Wanted, fetch
from derm.download.hosts import FAILED, GONE, WRONG, Manners
from derm.download.parts import Part
from derm.errors import DatasetError
from derm.settings import PROJECT
from tests.web import Answer, Web, jpeg

QUICK = Manners(tries=3, backoff=0, timeout=(2, 5))
BODY = bytes(range(256)) * 800  # 204,800 bytes: several pieces
CUT = 6 * 2**14                 # at the end of a piece: what came of the next would be lost


def md5(data: bytes) -> str:
    return f"md5:{hashlib.md5(data).hexdigest()}"


@pytest.fixture
def web():
    with Web() as site:
        yield site


def names(folder: Path) -> list[str]:
    """Every file in the folder but the lock."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*")
                  if p.is_file() and p.name != ".fetch.lock")


def one(item: Wanted, folder: Path, manners: Manners = QUICK) -> engine.Outcome:
    [outcome] = fetch([item], folder, manners=manners)
    return outcome


def test_files_arrive_whole_in_order_and_are_not_asked_for_again(web, tmp_path):
    picture = jpeg(1)
    wanted = [Wanted(web.put("/b", BODY), "deep/b.bin", size=len(BODY)),
              Wanted(web.put("/p", picture), "images/p.jpg", digest=md5(picture), picture=True),
              Wanted(web.put("/s", BODY), "s", digest=f"sha256:{hashlib.sha256(BODY).hexdigest()}"),
              Wanted(web.put("/q", picture), "q.jpg", picture=True)]
    ticks = []
    first = fetch([*wanted, wanted[0]], tmp_path, manners=QUICK, tick=lambda *now: ticks.append(now))
    assert [(o.wanted, o.state) for o in first] == [(item, ARRIVED) for item in wanted]
    assert (tmp_path / "deep/b.bin").read_bytes() == BODY
    assert names(tmp_path) == ["deep/b.bin", "images/p.jpg", "q.jpg", "s"]
    assert ticks[-1] == (4, 2 * len(BODY) + 2 * len(picture))
    asked = len(web.asked)
    assert {o.state for o in fetch(wanted, tmp_path, manners=QUICK)} == {THERE}
    assert len(web.asked) == asked == 4
    (tmp_path / "images/p.jpg").write_bytes(b"tampered with")
    assert [o.state for o in fetch(wanted, tmp_path, manners=QUICK)] == [THERE, ARRIVED, THERE, THERE]
    assert (tmp_path / "images/p.jpg").read_bytes() == picture


@pytest.mark.parametrize(("answers", "state", "reason", "times"), [
    ([Answer(status=404)], GONE, "404 Not Found", 1),
    ([Answer(status=410)], GONE, "410 Gone", 1),
    ([Answer(status=400)], FAILED, "400 Bad Request", 1),
    ([Answer(status=500), Answer(BODY)], ARRIVED, "", 2),
    ([Answer(status=500)], FAILED, "500 Internal Server Error, 3 times", 3),
    ([Answer(status=503), Answer(status=429), Answer(BODY)], ARRIVED, "", 3),
    ([Answer(cut=-1), Answer(BODY)], ARRIVED, "", 2),
    ([Answer(BODY, 206)], FAILED, "the host does not go on where it was asked to, 3 times", 3),
    ([Answer(b"short")], WRONG, "5 bytes instead of the published 204,800", 1),
    ([Answer(BODY + b"more")], WRONG, "longer than 204,800 bytes", 1),
    ([Answer(bytes(len(BODY)))], WRONG, "differs from the published hash", 1),
    ([Answer(BODY, cut=100)] * 2, FAILED, "the connection was cut, 3 times", 3),
    ([Answer(gzip.compress(BODY), headers={"Content-Encoding": "gzip"})], ARRIVED, "", 1),
])
def test_each_answer_has_its_outcome(web, tmp_path, answers, state, reason, times):
    outcome = one(Wanted(web.put("/file", *answers), "file", size=len(BODY), digest=md5(BODY)), tmp_path)
    assert (outcome.state, outcome.reason) == (state, reason)
    assert len(web.asked) == times
    kept = {ARRIVED: ["file"], FAILED: [name for name in names(tmp_path) if name.startswith(".")]}
    assert names(tmp_path) == kept.get(state, [])
    if state == ARRIVED:
        assert (tmp_path / "file").read_bytes() == BODY


@pytest.mark.parametrize(("body", "digest", "reason"), [
    (b"<!DOCTYPE html><html>Image removed</html>", None, "web page"),
    (b"<!DOCTYPE html><html>Image removed</html>", md5(jpeg(1)), "web page"),
    (jpeg(1)[:400], None, "damaged or incomplete"),
    (b"", None, "empty"),
    (jpeg(2), md5(jpeg(1)), "differs from the published hash"),
])
def test_what_is_no_picture_or_another_one_is_not_kept(web, tmp_path, body, digest, reason):
    outcome = one(Wanted(web.put("/x.jpg", body), "x.jpg", digest=digest, picture=True), tmp_path)
    assert outcome.state == WRONG
    assert reason in outcome.reason
    assert names(tmp_path) == []


def test_a_cut_connection_goes_on_where_it_stopped(web, tmp_path):
    url = web.put("/file", Answer(BODY, cut=CUT), Answer(BODY))
    assert one(Wanted(url, "file"), tmp_path).state == ARRIVED
    assert (tmp_path / "file").read_bytes() == BODY
    assert web.sent("/file") == [CUT, len(BODY) - CUT]
    assert web.asked[1].headers["Range"] == "bytes=98304-"
    assert "If-Range" in web.asked[1].headers


@pytest.mark.parametrize(("second", "digest"), [
    (Answer(BODY[::-1]), None),                 # another version by now
    (Answer(BODY[::-1], ranges=False), None),   # a host without ranges
    (Answer(BODY[::-1], tagged=False, ranges=False), md5(BODY[::-1])),
])
def test_a_file_that_changed_meanwhile_starts_over(web, tmp_path, second, digest):
    url = web.put("/file", Answer(BODY, cut=CUT), second)
    assert one(Wanted(url, "file", digest=digest), tmp_path).state == ARRIVED
    assert (tmp_path / "file").read_bytes() == BODY[::-1]
    assert web.sent("/file") == [CUT, len(BODY)]


def test_versions_that_cannot_be_told_apart_are_not_mixed(web, tmp_path):
    url = web.put("/file", Answer(BODY, tagged=False, cut=CUT), Answer(BODY[::-1], tagged=False))
    assert one(Wanted(url, "file"), tmp_path).state == ARRIVED
    assert (tmp_path / "file").read_bytes() == BODY[::-1]
    assert "Range" not in web.asked[1].headers


def test_a_mixture_that_the_digest_finds_out_starts_over(web, tmp_path):
    url = web.put("/file", Answer(BODY, tagged=False, cut=CUT), Answer(BODY[::-1], tagged=False))
    assert one(Wanted(url, "file", digest=md5(BODY[::-1])), tmp_path).state == ARRIVED
    assert web.sent("/file") == [CUT, len(BODY) - CUT, len(BODY)]


@pytest.mark.parametrize(("begun", "sent"), [(BODY, [0]), (BODY + b"x", [0, len(BODY)]), (b"", [len(BODY)])])
def test_what_an_earlier_call_left_is_used_if_it_is_of_use(web, tmp_path, begun, sent):
    """All of it (killed just before the end): 416 and nothing sent. Too much: anew."""
    url = web.put("/file", BODY)
    (tmp_path / ".file.part").write_bytes(begun)
    (tmp_path / ".file.version").write_text(f'"{hashlib.md5(BODY).hexdigest()}"')
    assert one(Wanted(url, "file"), tmp_path).state == ARRIVED
    assert web.sent("/file") == sent
    assert names(tmp_path) == ["file"]


def test_a_killed_process_leaves_what_the_next_call_goes_on_from(web, tmp_path):
    url = web.put("/file", Answer(BODY, hold=2**17), Answer(BODY))
    script = ("from pathlib import Path\nfrom derm.download.fetch import *\n"
              f"fetch([Wanted({url!r}, 'file')], Path('got'))")
    child = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path,
                             env=os.environ | {"PYTHONPATH": str(PROJECT)})
    part = Part(tmp_path / "got" / "file")
    until = time.monotonic() + 60
    while part.size < 2**17 and time.monotonic() < until:
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    web.release.set()
    assert names(tmp_path / "got") == [".file.part", ".file.version"]
    assert one(Wanted(url, "file"), tmp_path / "got").state == ARRIVED
    assert (tmp_path / "got" / "file").read_bytes() == BODY
    assert web.sent("/file")[1] == len(BODY) - 2**17
    assert names(tmp_path / "got") == ["file"]


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def manners(self, **more: object) -> Manners:
        return Manners(per_host=1, tries=3, clock=lambda: self.now, sleep=self.sleep, jitter=lambda: 0.0, **more)


def test_a_host_that_asks_for_a_pause_gets_it_and_faults_wait_longer_each_time(web, tmp_path):
    clock = Clock()
    items = [Wanted(web.put("/a", Answer(status=429, headers={"Retry-After": "7"}), Answer(b"a")), "a"),
             Wanted(web.put("/b", Answer(status=500), Answer(status=500), Answer(b"b")), "b"),
             Wanted(web.put("/c", Answer(status=503), Answer(b"c")), "c")]
    assert {o.state for o in fetch(items, tmp_path, manners=clock.manners(backoff=3))} == {ARRIVED}
    assert clock.slept == [7.0, 6.0, 12.0, 3.0]


def test_a_pause_that_a_host_asks_for_holds_for_all_its_files(web, tmp_path):
    clock = Clock()
    items = [Wanted(web.put("/a", Answer(status=429, headers={"Retry-After": "7"})), "a"),
             Wanted(web.put("/b", b"b"), "b")]
    manners = replace(clock.manners(), tries=1)
    assert [o.state for o in fetch(items, tmp_path, manners=manners)] == [FAILED, ARRIVED]
    assert clock.slept == [7.0]


def test_a_host_that_asks_for_too_long_a_pause_is_left_alone(web, tmp_path):
    clock = Clock()
    tomorrow = Answer(status=429, headers={"Retry-After": "86400"})
    items = [Wanted(web.put(f"/{i}", tomorrow), str(i)) for i in range(3)]
    outcomes = fetch(items, tmp_path, manners=clock.manners())
    assert {o.state for o in outcomes} == {FAILED}
    assert "86400 seconds" in outcomes[2].reason
    assert (len(web.asked), clock.slept) == (1, [])


def test_few_connections_a_host_but_side_by_side(web, tmp_path):
    together = threading.Barrier(4)

    def page(asked):
        together.wait(timeout=5)
        return Answer(b"x")

    items = [Wanted(web.put(f"/{i}", page), str(i)) for i in range(12)]
    assert {o.state for o in fetch(items, tmp_path, manners=QUICK)} == {ARRIVED}
    assert web.busiest == 4


def test_a_host_that_refuses_our_name_is_asked_as_a_browser_would(web, tmp_path):
    def page(asked):
        return Answer(b"x", 200 if asked.headers["User-Agent"].startswith("Mozilla/5.0") else 403)

    items = [Wanted(web.put(f"/{i}", page), str(i)) for i in range(2)]
    items.append(Wanted(web.put("/never", Answer(status=403)), "never"))
    outcomes = fetch(items, tmp_path, manners=QUICK)
    assert [o.state for o in outcomes] == [ARRIVED, ARRIVED, FAILED]
    assert outcomes[2].reason == "403 Forbidden"
    agents = [asked.headers["User-Agent"] for asked in web.asked]
    assert agents[0].startswith("derm/")
    assert all("derm/" in agent for agent in agents)


@pytest.mark.parametrize(("target", "state", "reason"), [
    ("/end", ARRIVED, ""),
    ("/loop", FAILED, "redirected more than 5 times"),
    ("file:///etc/passwd", FAILED, "redirected to something that is no web address"),
    ("http://[broken/", FAILED, "redirected to something that is no web address"),
])
def test_redirects_are_followed_on_the_web_and_not_for_ever(web, tmp_path, target, state, reason):
    web.put("/end", BODY)
    web.put("/loop", Answer(status=302, headers={"Location": "/loop"}))
    url = web.put("/start", Answer(status=301, headers={"Location": target}))
    outcome = one(Wanted(url, "file"), tmp_path)
    assert (outcome.state, outcome.reason) == (state, reason)
    assert names(tmp_path) == (["file"] if state == ARRIVED else [])


@pytest.mark.parametrize("path", [
    "../up", "/etc/passwd", "a/../../up", "", "a//b", "C:\\up", "..\\up", "a/..", ".fetch.lock", "line\nbreak",
    "nul\0"])
def test_names_that_lead_elsewhere_are_refused_unasked(web, tmp_path, path):
    outcome = one(Wanted(web.put("/file", BODY), path), tmp_path / "in")
    assert outcome.state == FAILED
    assert "no name for a file" in outcome.reason
    assert web.asked == []
    assert names(tmp_path) == []


@pytest.mark.parametrize(("url", "state", "reason"), [
    ("", GONE, "no address was published"), ("ftp://127.0.0.1/x", FAILED, "not an address on the web"),
    ("file:///etc/passwd", FAILED, "not an address on the web"), ("http://", FAILED, "not an address on the web")])
def test_addresses_that_are_none(tmp_path, url, state, reason):
    outcome = one(Wanted(url, "file"), tmp_path)
    assert (outcome.state, outcome.reason) == (state, reason)


def test_a_host_that_is_not_found_or_silent_is_soon_given_up(tmp_path, monkeypatch):
    looked_up = []

    def nobody(host, *rest, **more):
        looked_up.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        silent = f"http://127.0.0.1:{taken.getsockname()[1]}"
        refused = fetch([Wanted(f"{silent}/{i}", str(i)) for i in range(3)], tmp_path, manners=QUICK)
    assert {o.state for o in refused} == {FAILED}
    assert all("does not answer" in o.reason for o in refused)
    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    gone = fetch([Wanted(f"http://atlas.invalid/{i}", str(i)) for i in range(50)], tmp_path, manners=QUICK)
    assert {o.state for o in gone} == {GONE}
    assert gone[-1].reason == "atlas.invalid is not found (or this computer is offline)"
    assert len(looked_up) < 3 * 4 + 4


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_is_one_sentence(web, tmp_path, monkeypatch):
    begin = Part._begin

    def begin_on_a_full_disk(part, headers):
        begin(part, headers)
        part.path.symlink_to("/dev/full")

    monkeypatch.setattr(Part, "_begin", begin_on_a_full_disk)
    with pytest.raises(DatasetError, match=r"the disk is full\. What has arrived is kept"):
        fetch([Wanted(web.put(f"/{i}", BODY), str(i)) for i in range(9)], tmp_path, manners=QUICK)


def test_a_folder_that_cannot_be_written_or_is_in_use_is_one_sentence(web, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError, match="cannot be written"):
        fetch([Wanted(web.put("/x", BODY), "x")], tmp_path / "file")
    with FileLock(tmp_path / ".fetch.lock"), pytest.raises(DatasetError, match="another fetch is writing there"):
        fetch([Wanted(web.put("/x", BODY), "x")], tmp_path)
    assert web.asked == []


def test_an_error_in_a_thread_ends_the_call(web, tmp_path):
    def stop(files, size):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fetch([Wanted(web.put("/x", BODY), "x")], tmp_path, manners=QUICK, tick=stop)


def test_a_short_answer_is_read(web):
    assert engine.read(web.put("/list", b"[]"), manners=QUICK) == b"[]"
    with pytest.raises(DatasetError, match="404 Not Found"):
        engine.read(f"{web.url}/none", manners=QUICK)


def test_an_interrupt_while_the_threads_begin_is_an_interrupt(tmp_path, monkeypatch):
    begun = []

    def start(thread):
        begun.append(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(KeyboardInterrupt):
        fetch([Wanted("http://127.0.0.1:9/a", "a"), Wanted("http://127.0.0.1:9/b", "b")], tmp_path)
    assert begun
