"""Exponential smoothing as a state space model, by statsmodels."""

from __future__ import annotations

import warnings

import numpy as np

from forecast.engines.base import Engine, Path, Problem
from forecast.engines.seasonal import split_season


class Ets(Engine):
    """ETS(A,Ad,N) by maximum likelihood on the seasonally adjusted series (STL; Hyndman et al. 2008)."""

    name = "ets"
    summary = "statsmodels: exponential smoothing with a damped trend after STL seasonal adjustment"
    uses_signals = False
    damps_trend = True
    backtest_origins = 12
    min_periods = 8

    def predict(self, problem: Problem) -> Path:
        """Terms `level` and `trend` of the adjusted series, and `season`."""
        from statsmodels.tools.sm_exceptions import ConvergenceWarning
        from statsmodels.tsa.exponential_smoothing.ets import ETSModel

        rest, season = split_season(problem)
        if np.ptp(rest) == 0:
            return Path(
                {"level": np.full(problem.horizon, rest[-1]), "trend": np.zeros(problem.horizon), "season": season}
            )
        model = ETSModel(rest, error="add", trend="add", damped_trend=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # one that stops early is judged by its backtest too
            fitted = model.fit(disp=False)
        level = float(fitted.level[-1])
        return Path(
            {
                "level": np.full(problem.horizon, level),
                "trend": np.asarray(fitted.forecast(problem.horizon), dtype=float) - level,
                "season": season,
            }
        )
