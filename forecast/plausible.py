"""What the history itself says of single days and values: weekdays that are never open, values hard to believe."""

from __future__ import annotations

import numpy as np

from forecast.frequency import Days, family
from forecast.series import Series
from forecast.transform import FloatArray

_WEEKDAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
_WEEKS = 4  # of history before a weekday without any sale counts as closed
_TIMES = 20.0  # the usual sale


def closed_weekdays(series: Series) -> list[int]:
    """Weekdays (0 is Monday) of a daily series on which no sale was ever known, while all others have theirs."""
    if family(series.frequency) != "D" or len(series) < 7 * _WEEKS:
        return []
    weekday = _weekday(series.ds)
    share = np.array([np.isfinite(series.y[weekday == day]).mean() for day in range(7)])
    never = np.flatnonzero(share == 0)
    return [int(day) for day in never] if (share[share > 0] > 0.5).all() else []


def is_closed(ds: Days, weekdays: list[int]) -> np.ndarray:
    """Which of the days fall on one of the weekdays, (days,)."""
    return np.isin(_weekday(ds), weekdays)


def closed_note(weekdays: list[int]) -> str:
    """What to say of closed weekdays."""
    return f"no sale was ever known on {' and '.join(_WEEKDAYS[day] for day in weekdays)}: forecast as closed"


def implausible(series: Series) -> str | None:
    """A sentence on the largest value where it is far beyond the usual one, else None."""
    seen = np.abs(series.y[np.isfinite(series.y) & (series.y != 0)])
    if seen.size < 12:
        return None
    largest = int(np.nanargmax(np.abs(series.y)))
    times = float(np.abs(series.y[largest]) / np.median(seen))
    if times <= _TIMES:
        return None
    return f"the sale of {series.ds[largest]} is {times:,.0f} times the usual one: is it right?"


def _weekday(ds: Days) -> np.ndarray:
    return (ds.astype(int) + 3) % 7


def close(parts: dict[str, FloatArray], mean: FloatArray, shut: np.ndarray) -> dict[str, FloatArray]:
    """Contributions (horizon,) with the driver `closed`, which takes the forecast of closed days to zero."""
    return {**parts, "closed": np.where(shut, -mean, 0.0)} if shut.any() else parts
