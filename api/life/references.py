"""What nobody needs a model for: the last value, and that of a season ago. What each step beyond them gains is told."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from forecast import HistoryError, metrics
from forecast import frequency as freq
from forecast.frequency import Days
from forecast.season import analog_lags
from forecast.series import Series, versions
from forecast.transform import FloatArray


@dataclass(frozen=True)
class References:
    """Naive forecasts of some periods, each (periods,), NaN where there is none.

    `scale` is the mean absolute error of seasonal naive within the history (Hyndman and Koehler 2006), None where
    that is zero or unknown.
    """

    naive: FloatArray
    seasonal: FloatArray
    scale: float | None


def references(history: pd.DataFrame, frequency: str, as_of: pd.Timestamp, labels: Days) -> References:
    """The naive and the seasonal naive forecast of the periods `labels` (n,) from what was known at `as_of`.

    `history`: `ds, y, known_at`, one row a vintage. Seasonal naive repeats the longest season that was seen once, and
    is the naive one where no season was, or its period has no value. A period that was known by then has neither.
    """
    try:
        series = versions(history, frequency, None, as_of).read(as_of)
    except HistoryError:  # a category that begins: too little was known for either
        unknown = np.full(labels.size, np.nan)
        return References(unknown, unknown, None)
    steps = _ahead(series, labels)
    naive = np.where(steps > 0, series.y[-1], np.nan)
    usable = [season for season in series.season_lengths if round(season) <= len(series)]
    seasonal = naive
    if usable:
        at = len(series) - 1 + steps - analog_lags(usable[-1], np.maximum(steps, 1), 1)[0]
        before = series.y[np.clip(at, 0, len(series) - 1)]
        seasonal = np.where((steps > 0) & np.isfinite(before), before, naive)
    scale = metrics.seasonal_scale(series.y, round(usable[-1]) if usable else 1)
    return References(naive, seasonal, scale if scale > 0 else None)


def _ahead(series: Series, labels: Days) -> freq.IntArray:
    """How many periods after the last known one each label lies, 0 or less: not at all."""
    whole = freq.between(min(series.ds[-1], labels[0]), max(series.ds[-1], labels[-1]), series.frequency)
    return np.searchsorted(whole, labels) - int(np.searchsorted(whole, series.ds[-1]))
