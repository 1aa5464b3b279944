"""How long a server asks its clients to wait."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def asked_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds that Retry-After names (RFC 9110: seconds or a date), else X-RateLimit-Reset; None where neither does.

    X-RateLimit-Reset is no standard: seconds since the epoch or a moment in ISO 8601.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    moment = _date(text) or _reset(headers.get("X-RateLimit-Reset", "").strip())
    if moment is None:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


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
