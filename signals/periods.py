"""Frequencies and the periods they cut time into: half-open spans of local days, and their labels.

A period is handled as a whole number, its place in the endless row of periods of a frequency, so that neighbours
differ by one whatever the length of a month.
"""

import re
from typing import Any

import numpy as np
import numpy.typing as npt

from signals.refused import ImportRefused

Days = npt.NDArray[np.datetime64]
Places = npt.NDArray[np.int64]

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_ANCHORS = tuple(day[:3].upper() for day in WEEKDAYS)
_WORDS = {"daily": "D", "day": "D", "weekly": "W", "week": "W", "monthly": "MS", "month": "MS", "m": "MS", "me": "MS"}
_WORDS |= {"quarterly": "QS", "quarter": "QS", "q": "QS", "qe": "QS", "qs-jan": "QS", "qs-oct": "QS"}
ALLOWED = "D (days), W or W-MON to W-SUN (weeks that end on that day), MS (months), QS (quarters)"


def parse_frequency(text: str) -> str:
    """The frequency meant by `text`: D, W (weeks whose end the dates show), W-MON to W-SUN, MS or QS."""
    word = text.strip()
    frequency = _WORDS.get(word.lower(), word.upper())
    if re.fullmatch(rf"D|MS|QS|W(?:-(?:{'|'.join(_ANCHORS)}))?", frequency):
        return frequency
    raise ImportRefused(f"frequency {text!r} is not known", value=text, remedy=f"Allowed: {ALLOWED}")


def weekly(last_day: int) -> str:
    """The frequency of weeks that end on a weekday (0 = Monday)."""
    return f"W-{_ANCHORS[last_day % 7]}"


def last_weekday(frequency: str) -> int:
    """The weekday (0 = Monday) on which weeks of a frequency W-XXX end."""
    return _ANCHORS.index(frequency[2:])


def weekday(days: Days) -> Places:
    """0 for Monday to 6 for Sunday."""
    weekdays: Places = (days.astype("datetime64[D]").astype(np.int64) + 3) % 7
    return weekdays


def place(days: Days, frequency: str) -> Places:
    """The place of the period that contains each day."""
    if frequency == "D":
        return days.astype("datetime64[D]").astype(np.int64)
    if frequency in ("MS", "QS"):
        months = days.astype("datetime64[M]").astype(np.int64)
        return months if frequency == "MS" else months // 3
    return (days.astype("datetime64[D]").astype(np.int64) - _first_monday_shift(frequency)) // 7


def start(places: Places | Any, frequency: str) -> Days:
    """The first day of each period, datetime64[D]."""
    places = np.asarray(places, dtype=np.int64)
    if frequency == "D":
        return places.astype("datetime64[D]")
    if frequency in ("MS", "QS"):
        months = places if frequency == "MS" else places * 3
        return months.astype("datetime64[M]").astype("datetime64[D]")
    return (places * 7 + _first_monday_shift(frequency)).astype("datetime64[D]")


def _first_monday_shift(frequency: str) -> int:
    # Day 0, 1 January 1970, was a Thursday; a week begins on the day after the one on which it ends.
    return (last_weekday(frequency) + 1 - 3) % 7


def spans(days: Days, frequency: str) -> tuple[Days, Days]:
    """The half-open spans [start, end) of the periods that contain the days."""
    places = place(days, frequency)
    return start(places, frequency), start(places + 1, frequency)


def labels(starts: Days, ends: Days, frequency: str) -> Days:
    """pandas' label of each period: its last day for weeks, else its first."""
    return ends - np.timedelta64(1, "D") if frequency.startswith("W") else starts
