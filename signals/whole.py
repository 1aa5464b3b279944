"""Which periods are whole when finer rows are added up to them: those that lack none of their days (or months)."""

from dataclasses import dataclass

import numpy as np

from signals.cadence import shape_of
from signals.periods import WEEKDAYS, Days, Places, place, spans, weekday
from signals.rows import Ints, Mask, Rows

_RARELY = 10  # a weekday with less than a tenth of the rows of the busiest one is one on which the shop is closed


@dataclass(frozen=True)
class Whole:
    """One entry a period of a series, in order."""

    expected: Ints  # how many finer periods it has
    absent: Ints  # how many of them have no row
    monthly: Mask  # whether these are months, else days
    closed: tuple[str, ...]  # weekdays that do not count for a series, in words, of the series that have such


def find_whole(rows: Rows, frequency: str) -> Whole:
    """What the periods of `frequency` lack, for rows in order with at most one row a series and day.

    A series whose rows are months, or that has one row a period, consists of these. Of any other the parts are days,
    without the weekdays on which it has (next to) no rows: there the shop is closed.
    """
    used, series = np.unique(rows.series, return_inverse=True)
    places = place(rows.days, frequency)
    leads = rows.begins | np.append(True, places[1:] != places[:-1])
    period = np.cumsum(leads) - 1
    unit = _units(series, rows.days, len(used), frequency)
    counts = np.zeros((len(used), 7), dtype=np.int64)
    np.add.at(counts, (series, weekday(rows.days)), 1)
    trades = traded(counts)
    open_days = _days_in(spans(rows.days[leads], frequency), trades[series[leads]])
    present = np.bincount(period, weights=trades[series, weekday(rows.days)]).astype(np.int64)
    months = np.bincount(period)  # rows of the period: one a month
    of = unit[series[leads]]
    expected = np.select([of == "D", of != frequency], [open_days, np.full_like(open_days, 3)], months)
    absent = expected - np.where(of == "D", present, months)
    return Whole(expected, absent, of != "D", _closed(rows, used, trades, unit == "D"))


def traded(rows: Ints) -> Mask:
    """Of the numbers of rows on each weekday, (..., 7): on which it is traded, as a rule."""
    return np.asarray(rows * _RARELY >= rows.max(axis=-1, keepdims=True)) & (rows > 0)


def _units(series: Ints, days: Days, size: int, frequency: str) -> "np.typing.NDArray[np.str_]":
    """What the rows of each series are: D, MS, or the frequency itself."""
    shape = shape_of(series, days, size)
    if frequency == "MS":
        return np.where(shape.month_like, "MS", "D")
    if frequency == "QS":
        monthly = np.where(shape.quarter_like & (shape.month_step >= 3), "QS", "MS")
        return np.where(shape.month_like, monthly, "D")
    return np.full(size, "D")


def _days_in(periods: tuple[Days, Days], traded: Mask) -> Places:
    """How many days of each period fall on weekdays that count for it."""
    starts, ends = periods
    found = np.zeros(len(starts), dtype=np.int64)
    at = np.arange(len(starts))
    for offset in range(int((ends - starts).astype(np.int64).max())):
        days = starts + np.timedelta64(offset, "D")
        found += (days < ends) & traded[at, weekday(days)]
    return found


def _closed(rows: Rows, used: Ints, traded: Mask, daily: Mask) -> tuple[str, ...]:
    found = []
    for index in np.flatnonzero(daily & ~traded.all(axis=1)):
        days = " and ".join(WEEKDAYS[day] + "s" for day in np.flatnonzero(~traded[index]))
        found.append(f"{rows.names[used[index]]!r} on {days}")
    return tuple(found)
