"""How long a server asks its clients to wait."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

LONGEST = timedelta(days=7).total_seconds()  # no server that means to be asked again names more


def asked_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds that Retry-After names (RFC 9110: seconds or a date), else X-RateLimit-Reset; None where neither does.

    At most a week. X-RateLimit-Reset is no standard: seconds since the epoch or a moment in ISO 8601.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return min(float(text), LONGEST)
    moment = _date(text) or _reset(headers.get("X-RateLimit-Reset", "").strip())
    if moment is None:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max(0.0, (moment - datetime.now(UTC)).total_seconds()), LONGEST)


def _date(text: str) -> datetime | None:
    with suppress(ValueError, TypeError):
        return parsedate_to_datetime(text)
    return None


def _reset(text: str) -> datetime | None:
    with suppress(ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(float(text), UTC)
    with suppress(ValueError):
        return datetime.fromisoformat(text)
    return None
