"""Seasonal adjustment by STL for engines that model no season of their own."""

from __future__ import annotations

import numpy as np

from forecast.engines.base import Problem
from forecast.season import analog_lags
from forecast.transform import FloatArray


def split_season(problem: Problem) -> tuple[FloatArray, FloatArray]:
    """The seasonally adjusted history (n,) and the season of the horizon (horizon,), which repeats the last year's.

    STL (Cleveland et al. 1990) by statsmodels, with the longest season that the history holds twice; without one the
    history is returned as it is, and a season of zeros.
    """
    z, horizon = problem.z, problem.horizon
    usable = [season for season in problem.season_lengths if 2 * round(season) <= z.size]
    if not usable:
        return z, np.zeros(horizon)
    from statsmodels.tsa.seasonal import STL

    season = STL(z, period=round(usable[-1])).fit().seasonal
    steps = np.arange(1, horizon + 1)
    lags = analog_lags(usable[-1], steps, 1)[0]
    return np.asarray(z - season), np.asarray(season[z.size - 1 + steps - lags])
