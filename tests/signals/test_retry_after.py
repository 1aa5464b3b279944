from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import formatdate

import pytest

from signals.retry_after import asked_wait


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": formatdate(time.time() + 3600, usegmt=True)}, 3600),
        ({"Retry-After": formatdate(time.time() - 60, usegmt=True)}, 0),
        ({"X-RateLimit-Reset": str(time.time() + 3600)}, 3600),
        ({"X-RateLimit-Reset": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}, 3600),
        ({"Retry-After": "1" + "0" * 400}, 7 * 86_400),
        ({"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"}, 7 * 86_400),
        ({"X-RateLimit-Reset": "2000-01-01T00:00:00"}, 0),
    ],
)
def test_what_a_server_asks(headers: dict[str, str], seconds: float) -> None:
    assert asked_wait(headers) == pytest.approx(seconds, abs=120)


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "soon"}, {"Retry-After": "-1", "X-RateLimit-Reset": "later"}])
def test_what_says_nothing(headers: dict[str, str]) -> None:
    assert asked_wait(headers) is None
