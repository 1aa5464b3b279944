"""Seasons: the analogous period in past years, and the holidays of a country as a future-known signal."""

from __future__ import annotations

import warnings
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast import frequency as freq
from forecast.errors import OptionError
from forecast.series import Series

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def analog_lags(season: float, steps: IntArray, years: int) -> IntArray:
    """How many periods before period t+h the same season position lay, for each h of `steps`; shape (years, steps).

    The first year is the nearest one known at t, so every lag is at least h.
    """
    return _lags(season, tuple(steps.tolist()), years)


@lru_cache(maxsize=256)
def _lags(season: float, ahead: tuple[int, ...], years: int) -> IntArray:
    steps = np.array(ahead)
    nearest = np.ceil(steps / season).astype(int)
    lags = np.rint((np.arange(years)[:, None] + nearest) * season).astype(int)
    return freq.frozen(np.maximum(lags, steps))


def holidays_signal(series: Series, horizon: int, country: str) -> pd.DataFrame:
    """Public holidays on each day as the future-known daily signal `calendar/COUNTRY` (1 on a holiday)."""
    last = freq.spans(series.future(horizon)[-1:], series.frequency)[1][0]
    days = np.arange(series.start, last, dtype="datetime64[D]")
    first, final = (int(day.astype("datetime64[Y]").astype(int)) + 1970 for day in days[[0, -1]])
    known = np.array([day for day, _ in named_holidays(country, first, final)], np.int64) - int(freq.numbered(days)[0])
    value = np.zeros(days.size)
    value[known[(known >= 0) & (known < days.size)]] = 1.0
    return pd.DataFrame(
        {"signal": f"calendar/{country}", "ds": days, "value": value, "future_known": True, "aggregation": "sum"}
    )


@lru_cache(maxsize=1)
def _countries() -> frozenset[str]:
    import holidays  # heavy, and only wanted where a calendar is named

    return frozenset(holidays.list_supported_countries())


def check_country(country: str) -> None:
    """Raise OptionError for a country whose holidays nobody knows."""
    if country not in _countries():
        raise OptionError(
            "calendar", country, "an ISO 3166 country code known to the holidays package, such as US or DE"
        )


@lru_cache(maxsize=256)
def named_holidays(country: str, first: int, final: int) -> tuple[tuple[int, str], ...]:
    """The public holidays of a country from year `first` to `final`: the day since 1970-01-01, and its names."""
    check_country(country)
    import holidays

    languages = getattr(holidays.country_holidays(country), "supported_languages", ())
    english = "en_US" if "en_US" in languages else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of years for which a country's dates are not known: none then
        found = holidays.country_holidays(country, years=range(first, final + 1), language=english)
    return tuple((int(np.datetime64(day).astype(int)), name) for day, name in sorted(found.items()))
