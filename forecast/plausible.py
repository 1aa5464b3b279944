"""What the history itself says of single days and values: weekdays that are never open, values hard to believe."""

from __future__ import annotations

import numpy as np

from forecast.frequency import Days, IntArray, family, numbered
from forecast.series import Series
from forecast.transform import FloatArray, median

_WEEKDAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
_WEEKS = 4  # of history before a weekday without any sale counts as closed
_TIMES = 20.0  # the usual sale


def closed_weekdays(series: Series) -> list[int]:
    """Weekdays (0 is Monday) of a daily series on which no sale was ever known, while all others have theirs."""
    if family(series.frequency) != "D" or len(series) < 7 * _WEEKS:
        return []
    weekday = _weekday(series.ds)
    share = np.bincount(weekday, np.isfinite(series.y)) / np.bincount(weekday)
    never = np.flatnonzero(share == 0)
    return [int(day) for day in never] if (share[share > 0] > 0.5).all() else []


def is_closed(ds: Days, weekdays: list[int]) -> np.ndarray:
    """Which of the days fall on one of the weekdays, (days,)."""
    shut = np.zeros(7, dtype=bool)
    shut[weekdays] = True
    return np.asarray(shut[_weekday(ds)])


def closed_note(weekdays: list[int]) -> str:
    """What to say of closed weekdays."""
    return f"no sale was ever known on {' and '.join(_WEEKDAYS[day] for day in weekdays)}: forecast as closed"


def implausible(series: Series) -> str | None:
    """A sentence on the largest value where it is far beyond the usual one, else None."""
    size = np.abs(series.y)
    seen = size[size > 0]
    if seen.size < 12:
        return None
    times = float(seen.max() / median(seen))
    if times <= _TIMES:
        return None
    return f"the sale of {series.ds[np.nanargmax(size)]} is {times:,.0f} times the usual one: is it right?"


def _weekday(ds: Days) -> IntArray:
    return (numbered(ds) + 3) % 7  # 1970-01-01 was a Thursday


def close(parts: dict[str, FloatArray], mean: FloatArray, shut: np.ndarray) -> dict[str, FloatArray]:
    """Contributions (horizon,) with the driver `closed`, which takes the forecast of closed days to zero."""
    return {**parts, "closed": np.where(shut, -mean, 0.0)} if shut.any() else parts
