"""Frequencies: the label of a period and the half-open span of days `[start, end)` that it stands for."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.errors import HistoryError, OptionError
from forecast.transform import median

Scalar = TypeVar("Scalar", bound=np.generic)
Days = npt.NDArray[np.datetime64]  # datetime64[D] throughout
IntArray = npt.NDArray[np.int64]

WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
KNOWN = ("D", *(f"W-{day}" for day in WEEKDAYS), "MS", "QS")
_SPACING = {"D": (1, 1), "W": (7, 7), "MS": (28, 31), "QS": (90, 92)}
_STEPS = {"D": ("D", 1), "W": ("D", 7), "MS": ("M", 1), "QS": ("M", 3)}
# Seasons in periods. 364 is the year of whole weeks that keeps the weekday; 52.1775 weeks make a year of 365.2425 days.
_SEASONS: dict[str, tuple[float, ...]] = {"D": (7.0, 364.0), "W": (52.1775,), "MS": (12.0,), "QS": (4.0,)}


def check(frequency: str) -> str:
    """The canonical name of a frequency; raises OptionError for one that is not supported."""
    name = {"W": "W-SUN", "M": "MS", "ME": "MS", "Q": "QS", "QE": "QS", "QS-JAN": "QS", "QS-OCT": "QS"}.get(
        frequency, frequency
    )
    if name not in KNOWN:
        raise OptionError("frequency", frequency, "one of " + ", ".join(KNOWN))
    return name


def family(frequency: str) -> str:
    """`D`, `W`, `MS` or `QS`: the frequency without its anchor."""
    return frequency.split("-")[0]


def season_lengths(frequency: str) -> tuple[float, ...]:
    """The seasons that a series of this frequency may have, in periods, shortest first."""
    return _SEASONS[family(frequency)]


def numbered(days: Days) -> IntArray:
    """Days since 1970-01-01 of each day, without a copy: arithmetic on integers costs less than on dates."""
    return days.view(np.int64)


def distinct(days: Days) -> Days:
    """The different days, sorted."""
    number = numbered(days)
    return days if (number[1:] > number[:-1]).all() else np.unique(number).view("datetime64[D]")


def infer(days: Days, field: str) -> str:
    """The frequency that sorted unique labels follow, gaps allowed; raises HistoryError where there is none."""
    number = numbered(days)
    if number.size < 2:
        raise HistoryError(field, f"{number.size} period", "at least 2 periods, or the option frequency")
    usual = int(median(number[1:] - number[:-1]))
    for name, (low, high) in _SPACING.items():
        if low <= usual <= high:
            return f"W-{_weekday(days, field)}" if name == "W" else name
    raise HistoryError(field, f"steps of {usual} days", "daily, weekly, monthly or quarterly dates")


def _weekday(days: Days, field: str) -> str:
    weekdays = (numbered(days) + 3) % 7  # 1970-01-01 was a Thursday
    if (weekdays != weekdays[0]).any():
        odd = int(np.argmax(weekdays != np.bincount(weekdays).argmax()))
        raise HistoryError(field, str(days[odd]), "weekly dates that all fall on one day of the week")
    return WEEKDAYS[weekdays[0]]


def label(days: Days, frequency: str) -> Days:
    """The label of the period that contains each day."""
    kind = family(frequency)
    if kind == "D":
        return days
    if kind == "W":
        number = numbered(days)
        return np.asarray((number + (WEEKDAYS.index(frequency[2:]) - 3 - number) % 7).view("datetime64[D]"))
    months = days.astype("datetime64[M]")
    if kind == "QS":
        months = months - (months.astype(int) % 3).astype("timedelta64[M]")
    return months.astype("datetime64[D]")


def spans(labels: Days, frequency: str) -> tuple[Days, Days]:
    """First day, and the day after the last, of each labelled period."""
    kind = family(frequency)
    if kind in ("D", "W"):
        after = numbered(labels) + 1
        return (labels if kind == "D" else (after - 7).view("datetime64[D]")), after.view("datetime64[D]")
    months = labels.astype("datetime64[M]") + np.timedelta64(3 if kind == "QS" else 1, "M")
    return labels, months.astype("datetime64[D]")


def kinds(labels: Days, frequency: str, moment: pd.Timestamp | None) -> tuple[str, ...]:
    """`nowcast` for each labelled period that was over at `moment`, else `forecast`."""
    if moment is None:
        return ("forecast",) * labels.size
    return tuple("nowcast" if end <= np.datetime64(moment, "us") else "forecast" for end in spans(labels, frequency)[1])


def following(last: np.datetime64, periods: int, frequency: str) -> Days:
    """The labels of the `periods` periods after `last`."""
    return _steps(last, np.arange(1, periods + 1), frequency)


def before(last: np.datetime64, periods: int, frequency: str) -> np.datetime64:
    """The label of the period so many `periods` before `last`."""
    return np.datetime64(_steps(last, np.array([-periods]), frequency)[0])


def consecutive(first: np.datetime64, periods: int, frequency: str) -> Days:
    """The labels of `periods` periods, of which `first` is the first."""
    if family(frequency) in ("MS", "QS") and label(np.array([first], "datetime64[D]"), frequency)[0] != first:
        return np.concatenate([np.array([first], "datetime64[D]"), following(first, periods - 1, frequency)])
    return _steps(first, np.arange(periods), frequency)


def frozen(values: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """What many share and so none may change."""
    found = values.view()
    found.flags.writeable = False
    return found


def between(first: np.datetime64, last: np.datetime64, frequency: str) -> Days:
    """All labels from `first` to `last`."""
    unit, size = _STEPS[family(frequency)]
    count = (last.astype(f"datetime64[{unit}]") - first.astype(f"datetime64[{unit}]")).astype(int) // size
    return _steps(first, np.arange(count + 1), frequency)


def _steps(first: np.datetime64, steps: IntArray, frequency: str) -> Days:
    unit, size = _STEPS[family(frequency)]
    start = int(first.astype(f"datetime64[{unit}]").astype(int))
    return (start + size * steps).view(f"datetime64[{unit}]").astype("datetime64[D]", copy=False)
