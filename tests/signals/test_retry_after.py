from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import formatdate

import pytest

from signals.retry_after import asked_wait


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "1" + "0" * 400}, 7 * 86_400),
        ({"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"}, 7 * 86_400),
        ({"X-RateLimit-Reset": "2000-01-01T00:00:00"}, 0),
    ],
)
def test_what_a_server_asks(headers: dict[str, str], seconds: float) -> None:
    assert asked_wait(headers) == seconds


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Retry-After", lambda moment: formatdate(moment, usegmt=True)),
        ("X-RateLimit-Reset", str),
        ("X-RateLimit-Reset", lambda moment: datetime.fromtimestamp(moment, UTC).isoformat()),
    ],
    ids=["date", "epoch", "iso"],
)
@pytest.mark.parametrize("ahead", [-60.0, 3600.0])
def test_a_moment_counts_from_now(name: str, written: Callable[[float], str], ahead: float) -> None:
    assert asked_wait({name: written(time.time() + ahead)}) == pytest.approx(max(0.0, ahead), abs=60)


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "soon"}, {"Retry-After": "-1", "X-RateLimit-Reset": "later"}])
def test_what_says_nothing(headers: dict[str, str]) -> None:
    assert asked_wait(headers) is None
