"""Seasons: the analogous period in past years, and the holidays of a country as a future-known signal."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast import frequency as freq
from forecast.errors import OptionError
from forecast.series import Series

IntArray = npt.NDArray[np.int64]


def analog_lags(season: float, steps: IntArray, years: int) -> IntArray:
    """How many periods before period t+h the same season position lay, for each h of `steps`; shape (years, steps).

    The first year is the nearest one known at t, so every lag is at least h.
    """
    nearest = np.ceil(steps / season).astype(int)
    lags = np.rint((np.arange(years)[:, None] + nearest) * season).astype(int)
    return np.asarray(np.maximum(lags, steps))


def holidays_signal(series: Series, horizon: int, country: str) -> pd.DataFrame:
    """Public holidays on each day as the future-known daily signal `calendar/COUNTRY` (1 on a holiday)."""
    import holidays  # heavy, and only wanted where a calendar is named

    if country not in holidays.list_supported_countries():
        raise OptionError(
            "calendar", country, "an ISO 3166 country code known to the holidays package, such as US or DE"
        )
    last = freq.spans(series.future(horizon)[-1:], series.frequency)[1][0]
    days = np.arange(series.start, last, dtype="datetime64[D]")
    years = range(pd.Timestamp(days[0]).year, pd.Timestamp(days[-1]).year + 1)
    known = np.array(list(holidays.country_holidays(country, years=years)), dtype="datetime64[D]")
    value = np.isin(days, known).astype(float)
    return pd.DataFrame(
        {"signal": f"calendar/{country}", "ds": days, "value": value, "future_known": True, "aggregation": "sum"}
    )
