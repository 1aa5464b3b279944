"""The calendar that Business Central does not send, and how its buckets lie on the regular series that are forecast.

The work date is taken to be today. Buckets are rolling periods counted from the day after it: of N buckets, bucket k
begins k - N - 1 periods from there. Days and weeks are regular series as they are: weeks are those that end on the
weekday of the work date.

Months and quarters begin on any day. Time is moved as a whole by so many days that they begin on the first: signals,
and when they became known, move with sales, so that nothing is known earlier than it was. Months fit to
the day (those from the 29th or 30th are off by one now and then), the edges of quarters, which are of different length,
are off by up to three days. Years are laid on a series without a season, and without signals: a handful of years cannot
tell whether one helps.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.season import named_holidays

Days = npt.NDArray[np.datetime64]
Ints = npt.NDArray[np.int64]

_WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_MONTHS = {12: 1, 4: 3, 1: 12}  # in a period, by seasonality
_DAYS = {365: 1, 52: 7}
_LATE = 30  # the day of the month from which the next first is nearer
_NAMES = {365: "days", 52: "weeks", 12: "months", 4: "quarters", 1: "years"}


@dataclass(frozen=True)
class Buckets:
    """Rolling buckets before and after `start`, the first day to forecast. A bucket's number counts from there, < 0
    for the history.
    """

    seasonality: int  # 365, 52, 12, 4 or 1
    start: dt.date

    @property
    def frequency(self) -> str:
        """What the answer calls the periods; YS for years."""
        return "YS" if self.seasonality == 1 else self.regular

    @property
    def regular(self) -> str:
        """The frequency of the series that is forecast; years are laid on weeks, which are all alike."""
        ends = _WEEKDAYS[(self.start - dt.timedelta(days=1)).weekday()]
        return {365: "D", 12: "MS", 4: "QS"}.get(self.seasonality, f"W-{ends}")

    @property
    def season_length(self) -> float | None:
        """The season for the forecast; None: the usual ones of its frequency."""
        return 1.0 if self.seasonality == 1 else None

    @property
    def takes_signals(self) -> bool:
        """Whether outside signals can be laid on the buckets."""
        return self.seasonality != 1

    @property
    def is_moved(self) -> bool:
        """Whether the days of the regular series are not those of the buckets."""
        return self.seasonality == 1 or self.shift != 0

    @cached_property
    def shift(self) -> int:
        """Days by which time is moved, so that buckets of months or quarters are those of the calendar."""
        if self.seasonality not in (12, 4):
            return 0
        return int((self._label_month - np.datetime64(self.start, "D")).astype(int))

    @cached_property
    def _label_month(self) -> np.datetime64:
        month = 12 * self.start.year + self.start.month - 1 + int(self.start.day >= _LATE)
        year, month = divmod(month - month % _MONTHS[self.seasonality], 12)
        return np.datetime64(dt.date(year, month + 1, 1), "D")

    @property
    def moment(self) -> pd.Timestamp:
        """The moment of forecasting on the regular series: the history is over, the first bucket begins."""
        return pd.Timestamp(self.start) + pd.Timedelta(days=self.shift)

    def first_days(self, numbers: Ints) -> Days:
        """The first day of each bucket."""
        start = np.datetime64(self.start, "D")
        if self.seasonality in _DAYS:
            return np.asarray(start + _DAYS[self.seasonality] * numbers)
        months = start.astype("datetime64[M]") + _MONTHS[self.seasonality] * numbers
        last = ((months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")).astype(np.int64)
        return np.asarray(months.astype("datetime64[D]") + np.minimum(last, self.start.day) - 1)

    def labels(self, numbers: Ints) -> Days:
        """What each bucket is called in an answer: a week by its last day, others by their first."""
        return self.first_days(numbers) + (6 if self.seasonality == 52 else 0)

    def regular_labels(self, numbers: Ints) -> Days:
        """The label of each bucket on the regular series."""
        if self.seasonality in (12, 4):
            months = self._label_month.astype("datetime64[M]") + _MONTHS[self.seasonality] * numbers
            return np.asarray(months.astype("datetime64[D]"))
        if self.seasonality == 1:
            return np.asarray(np.datetime64(self.start, "D") + 7 * numbers + 6)
        return self.labels(numbers)

    def moved(self, signals: pd.DataFrame) -> pd.DataFrame:
        """Signals (start, end, known_at, …) on the time of the regular series."""
        if not self.shift:
            return signals
        by = pd.Timedelta(days=self.shift)
        return signals.assign(**{name: signals[name] + by for name in ("start", "end", "known_at")})

    def holidays(self, country: str, numbers: Ints) -> pd.DataFrame:
        """The holidays of a country over the buckets as a signal, before it is moved."""
        first, last = self.first_days(numbers[[0, -1]] + np.array([0, 1]))
        days = np.arange(first, last)
        years = days[[0, -1]].astype("datetime64[Y]").astype(int) + 1970
        found = [day for day, _ in named_holidays(country, int(years[0]), int(years[1]))]
        return pd.DataFrame(
            {
                "signal": f"calendar/{country}",
                "start": days.astype("datetime64[us]"),
                "end": (days + 1).astype("datetime64[us]"),
                "value": np.isin(days.astype(np.int64), found).astype(float),
                "known_at": days[0].astype("datetime64[us]"),
                "future_known": True,
                "aggregation": "sum",
            }
        )

    def note(self) -> str | None:
        """What to tell of buckets that are not those of the calendar."""
        if not self.is_moved:
            return None
        told = f"rolling {_NAMES[self.seasonality]}, counted from {self.start}"
        return told if self.takes_signals else f"{told}; no signals are used for years"
