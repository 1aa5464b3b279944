"""A scenario in words that a person uses, made into the paths that scenario.py takes.

Days are inclusive, and a period is changed when any day of it is meant: `2026-11-30`, the month `2026-11`, the ISO week
`2026-W48`, the quarter `2026-Q4` and the year `2026` are all days, the first and the last of them.
"""

from __future__ import annotations

import calendar
import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
import pandas as pd

from forecast import frequency as freq
from forecast.errors import SignalsError
from forecast.frequency import Days
from forecast.regressors import Regressor
from forecast.scenario import Conditional
from forecast.series import Series
from forecast.transform import FloatArray

MOST_CHANGES = 50
LARGEST_FACTOR = 1000.0
LARGEST_VALUE = 1e15
SPAN = r"\d{4}(-\d{2}(-\d{2})?|-W\d{2}|-Q[1-4])?"
DAYS_ALLOWED = "a day, week, month, quarter or year, such as 2026-11-30, 2026-W48, 2026-11, 2026-Q4 or 2026"
LEVEL_ALLOWED = f"{DAYS_ALLOWED}; or two of them, as in 2020-03..2020-05"
_SPAN = re.compile(SPAN, re.ASCII)
_WORDS = re.compile(
    r"(?P<signal>.+?)\s+"
    r"(like\s+(?P<level_of>\S+)|=\s?(?P<values>\S+)|(?P<percent>[+-]\d+(\.\d+)?)\s?%|x\s?(?P<factor>\d+(\.\d+)?))\s+"
    rf"(?P<first>{SPAN})(\.\.(?P<last>{SPAN}))?",
    re.ASCII,
)
WORDS_ALLOWED = (
    "a signal, then +20%, -20%, x1.2, =1 or =1,2,3 (one value a period), or like 2020-04, then the periods, such as "
    "2026-11-30..2026-12-27, 2026-W48 or 2026-12"
)
_WAYS = ("values", "factor", "level_of")


@dataclass(frozen=True)
class Change:
    """One signal in the periods from `first` to `last` (the same where None), changed in one of three ways.

    `values`: these, one for all of the periods or one a period; `factor`: so many times what is expected, 1.2 for
    +20 %; `level_of`: its mean over a past period, such as `2020-04` or `2020-03-16..2020-05-10`.
    """

    signal: str
    first: str
    last: str | None = None
    values: Sequence[float] | None = None
    factor: float | None = None
    level_of: str | None = None


def change_of(text: str, field: str = "change") -> Change:
    """A change written as `search/boots +20% 2026-W48..2026-W51`, see WORDS_ALLOWED; raises SignalsError."""
    found = _WORDS.fullmatch(text.strip())
    if found is None:
        raise SignalsError(field, text, WORDS_ALLOWED)
    factor, values = found["factor"], None
    try:
        if found["percent"]:
            factor = str(round(1 + float(found["percent"]) / 100, 12))
        if found["values"]:
            values = [float(value) for value in found["values"].split(",")]
    except ValueError:
        raise SignalsError(field, text, WORDS_ALLOWED) from None
    first, last, level_of = found["first"], found["last"], found["level_of"]
    return Change(found["signal"], first, last, values, float(factor) if factor else None, level_of)


@dataclass(frozen=True)
class Paths:
    """The path of each changed signal on the labels of the horizon, and what a person should know of them."""

    values: dict[str, pd.Series]
    notes: tuple[str, ...]


def days_of(text: object, field: str, allowed: str = DAYS_ALLOWED) -> tuple[np.datetime64, np.datetime64]:
    """The first and the last day that a text such as `2026-W48` means; raises SignalsError."""
    if isinstance(text, str) and _SPAN.fullmatch(text):
        try:
            first, last = _ends(text)
            return np.datetime64(first, "D"), np.datetime64(last, "D")
        except (ValueError, OverflowError):
            pass  # there is no such month, week or day
    raise SignalsError(field, text, allowed)


def _ends(text: str) -> tuple[dt.date, dt.date]:
    if "W" in text:
        monday = dt.date.fromisocalendar(int(text[:4]), int(text[6:]), 1)
        return monday, monday + dt.timedelta(days=6)
    if "Q" in text:
        year, end = int(text[:4]), 3 * int(text[6:])
        return dt.date(year, end - 2, 1), dt.date(year, end, calendar.monthrange(year, end)[1])
    year, *rest = (int(part) for part in text.split("-"))
    if not rest:
        return dt.date(year, 1, 1), dt.date(year, 12, 31)
    if len(rest) == 1:
        return dt.date(year, rest[0], 1), dt.date(year, rest[0], calendar.monthrange(year, rest[0])[1])
    return (dt.date(year, *rest),) * 2


def paths(changes: Sequence[Change], conditional: Conditional, series: Series, field: str = "changes") -> Paths:
    """The paths of all changes; raises SignalsError, which names the change as `changes.0.first`."""
    if not 1 <= len(changes) <= MOST_CHANGES:
        raise SignalsError(field, f"{len(changes)} changes", f"1 to {MOST_CHANGES} changes")
    ahead = series.future(conditional.horizon)
    values: dict[str, FloatArray] = {}
    notes = []
    for number, change in enumerate(changes):
        path, outside = _Compiled(change, f"{field}.{number}", conditional, series).path(ahead)
        before = values.setdefault(change.signal, np.full(ahead.size, np.nan))
        twice = np.isfinite(before) & np.isfinite(path)
        if twice.any():
            raise SignalsError(f"{field}.{number}.first", f"{ahead[twice][0]} twice", "each period of a signal once")
        values[change.signal] = np.where(np.isfinite(path), path, before)
        if outside:
            notes.append(outside)
    whole = {name: pd.Series(path, index=pd.DatetimeIndex(ahead)).dropna() for name, path in values.items()}
    return Paths(whole, tuple(notes))


class _Compiled:
    """One change on the periods of a series."""

    def __init__(self, change: Change, field: str, conditional: Conditional, series: Series) -> None:
        self.change, self.field, self.series = change, field, series
        self.signal: Regressor = conditional.expected(change.signal, f"{field}.signal")
        self.known = conditional.known[change.signal]

    def path(self, ahead: Days) -> tuple[FloatArray, str | None]:
        """Values on the labels `ahead`, NaN where nothing is changed, and a remark where periods lie outside."""
        labels = self._labels(ahead)
        values = self._values(labels.size, self.signal.x[-ahead.size :][np.isin(ahead, labels)])
        inside = np.isin(labels, ahead)
        path = np.full(ahead.size, np.nan)
        path[np.isin(ahead, labels)] = values[inside] if values.size == labels.size else values
        if inside.all():
            return path, None
        return path, (
            f"{(~inside).sum()} of the {labels.size} periods in which {self.change.signal} is changed lie outside the "
            "horizon, where they change nothing"
        )

    def _labels(self, ahead: Days) -> Days:
        """The labels of all periods that are meant, those outside the horizon too."""
        change = self.change
        first = days_of(change.first, f"{self.field}.first")
        last = first if change.last is None else days_of(change.last, f"{self.field}.last")
        if last[1] < first[0]:
            raise SignalsError(f"{self.field}.last", change.last, f"a period that is not before {change.first}")
        ends = freq.label(np.array([first[0], last[1]], "datetime64[D]"), self.series.frequency)
        if ends[1] < ahead[0] or ends[0] > ahead[-1]:
            said = change.first if change.last is None else f"{change.first} to {change.last}"
            raise SignalsError(f"{self.field}.first", said, f"periods of the horizon, {ahead[0]} to {ahead[-1]}")
        return freq.between(ends[0], ends[1], self.series.frequency)

    def _values(self, periods: int, expected: FloatArray) -> FloatArray:
        """What the signal becomes: one value a period meant, or one a period `expected`."""
        change = self.change
        given = [way for way in _WAYS if getattr(change, way) is not None]
        if len(given) != 1:
            raise SignalsError(self.field, ", ".join(given) or "none of them", f"one of {', '.join(_WAYS)}")
        if change.values is not None:
            return self._absolute(change.values, periods)
        if change.factor is not None:
            return self._factor(change.factor) * expected
        return np.full(expected.size, self._level(change.level_of))

    def _absolute(self, given: Sequence[float], periods: int) -> FloatArray:
        field = f"{self.field}.values"
        if isinstance(given, (str, Mapping)) or not isinstance(given, Sequence) or len(given) not in (1, periods):
            size = f"{len(given)} values" if isinstance(given, Sequence) else type(given).__name__
            raise SignalsError(field, size, "a list of one value" + (f", or of {periods}" if periods > 1 else ""))
        for value in given:
            if not _is_number(value) or abs(value) > LARGEST_VALUE:
                raise SignalsError(field, value, f"finite numbers up to {LARGEST_VALUE:g}")
        values = np.array(given, dtype=float)
        return np.repeat(values, periods) if values.size == 1 else values

    def _factor(self, factor: float) -> float:
        if not _is_number(factor) or not 0 <= factor <= LARGEST_FACTOR:
            raise SignalsError(f"{self.field}.factor", factor, f"a number from 0 to {LARGEST_FACTOR:g}, 1.2 for +20 %")
        least = float(np.nanmin(self.known.x))
        if least < 0:
            name = self.change.signal
            allowed = (
                f"values or level_of: {name} was as low as {least:g}, and a per cent of such a signal says nothing"
            )
            raise SignalsError(f"{self.field}.factor", factor, allowed)
        return float(factor)

    def _level(self, text: str | None) -> float:
        """The mean over the periods of the history that are meant."""
        field = f"{self.field}.level_of"
        parts = text.split("..") if isinstance(text, str) else []
        if len(parts) not in (1, 2):
            raise SignalsError(field, text, LEVEL_ALLOWED)
        first, last = days_of(parts[0], field, LEVEL_ALLOWED)[0], days_of(parts[-1], field, LEVEL_ALLOWED)[1]
        labels = freq.label(np.array([first, last], "datetime64[D]"), self.series.frequency)
        past, x = self.series.ds, self.known.x[: len(self.series)]
        meant = (past >= labels[0]) & (past <= labels[1]) & np.isfinite(x)
        if not meant.any():
            known = past[np.isfinite(x)]
            span = f", {known[0]} to {known[-1]}" if known.size else ""
            raise SignalsError(field, text, f"past periods with known values of {self.change.signal}{span}")
        return float(x[meant].mean())


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and bool(np.isfinite(float(value)))
