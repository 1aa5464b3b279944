"""Moments as people and programs write them."""

from __future__ import annotations

import datetime as dt
import re

CLOCKS_DIFFER = dt.timedelta(minutes=5)  # the clock of whoever asks may run ahead of ours by so much

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_MOMENT = re.compile(_DATE.pattern + r"([T ].+)?")


def is_date(text: str) -> bool:
    """Whether a text looks like 2026-11-29: a bare number is no date, though some parsers read it as seconds."""
    return _DATE.fullmatch(text) is not None


def is_moment(text: str) -> bool:
    """Whether a text looks like 2026-11-29 or 2026-11-29T06:00:00Z."""
    return _MOMENT.fullmatch(text) is not None


def parse(text: str) -> dt.datetime:
    """A moment in ISO 8601, in UTC; without an offset it is UTC, and a day alone is its midnight.

    Raises:
        ValueError: the text is no such moment.
        OverflowError: the moment lies outside the years 1 to 9999 in UTC.
    """
    if not is_moment(text):
        raise ValueError(f"{text!r} is no moment in ISO 8601")
    moment = dt.datetime.fromisoformat(text)
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)


def told(moment: dt.datetime) -> str:
    """A moment in UTC as a person reads it."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"
