from datetime import date, datetime
from typing import Any

import pytest

from signals.connector import Drift, Payload, Request
from signals.portal import PortalEntry, Window, answered, host, number, windows

NOW = datetime(2026, 11, 23, 9)  # a Monday


def entry(**more: Any) -> PortalEntry:
    needed = {"name": "trips", "domain": "example.org", "dataset": "trips", "date_column": "day"}
    return PortalEntry.model_validate({**needed, "value_column": "trips", **more})


def test_days_are_read_up_to_those_that_the_lag_covers() -> None:
    (window,) = windows(entry(lag_days=2), datetime(2026, 11, 16, 7), NOW)
    assert window == Window(date(2026, 11, 15), date(2026, 11, 21), last=True)


@pytest.mark.parametrize(
    ("cadence", "begin", "end"),
    [
        ("W-SUN", date(2026, 11, 2), date(2026, 11, 16)),
        ("W-SAT", date(2026, 11, 1), date(2026, 11, 15)),
        ("MS", date(2026, 10, 1), date(2026, 11, 1)),
        ("QS", date(2026, 7, 1), date(2026, 10, 1)),
    ],
)
def test_only_whole_periods_are_read(cadence: str, begin: date, end: date) -> None:
    (window,) = windows(entry(cadence=cadence, lag_days=2), datetime(2026, 11, 10), NOW)
    assert (window.start, window.end) == (begin, end)


def test_a_long_history_comes_in_windows_that_join() -> None:
    parts = list(windows(entry(), datetime(2021, 11, 24), NOW))
    assert [part.start for part in parts[1:]] == [part.end for part in parts[:-1]]
    assert [part.last for part in parts] == [False] * (len(parts) - 1) + [True]


def test_nothing_is_read_that_is_not_over() -> None:
    assert list(windows(entry(lag_days=60), datetime(2026, 11, 1), NOW)) == []


def test_the_host_may_be_that_of_the_entry() -> None:
    assert host("https://{domain}/", "data.ny.gov") == "https://data.ny.gov"
    assert host("http://127.0.0.1:80", "data.ny.gov") == "http://127.0.0.1:80"


@pytest.mark.parametrize("body", [b'{"message": "gone"}', b'{"error": true, "message": "gone"}'])
@pytest.mark.parametrize("status", [200, 400, 404])
def test_the_words_of_the_portal_are_told(body: bytes, status: int) -> None:
    with pytest.raises(Drift, match=f"trips was refused with status {status}: found 'gone'"):
        answered(Payload(Request("http://example.org"), body, NOW, status), "trips")


@pytest.mark.parametrize("found", [None, "", "many", "1e999", True, [1], 10**400])
def test_what_is_no_number_is_drift(found: Any) -> None:
    with pytest.raises(Drift, match="count: it must be a number"):
        number({"count": found}, "count")
