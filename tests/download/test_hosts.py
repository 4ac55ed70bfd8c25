"""What hosts say of pauses, and the names of hosts."""

from datetime import UTC, datetime

import pytest

from derm.download.hosts import Manners, name_of, retry_after

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(("headers", "seconds"), [
    ({}, None),
    ({"Retry-After": "120"}, 120),
    ({"Retry-After": " 0 "}, 0),
    ({"Retry-After": "-5"}, None),
    ({"Retry-After": "soon"}, None),
    ({"Retry-After": "Thu, 01 Jan 2026 12:01:30 GMT"}, 90),
    ({"Retry-After": "Thu, 01 Jan 2026 11:00:00 GMT"}, 0),
    # A host whose clock is an hour slow means its own time.
    ({"Retry-After": "Thu, 01 Jan 2026 11:00:20 GMT", "Date": "Thu, 01 Jan 2026 11:00:00 GMT"}, 20),
])
def test_retry_after_is_seconds_or_a_date(headers, seconds):
    assert retry_after(headers, now=NOW) == seconds


@pytest.mark.parametrize(("url", "name"), [
    ("https://Example.org/x", "example.org"), ("http://example.org:8080/", "example.org:8080"),
    ("ftp://example.org/", ""), ("http:///x", ""), ("example.org", ""), ("http://[broken", "")])
def test_names_of_hosts(url, name):
    assert name_of(url) == name


def test_pauses_double_up_to_the_longest():
    calm = Manners(backoff=2, longest_wait=10, jitter=lambda: 0.0)
    assert [calm.pause(attempt) for attempt in range(4)] == [2, 4, 8, 10]
    assert Manners(backoff=2, jitter=lambda: 1.0).pause(0) == 3
