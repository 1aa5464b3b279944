"""The Theta method, by sktime."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from forecast.engines.base import Engine, Path, Problem
from forecast.engines.seasonal import split_season


class Theta(Engine):
    """Assimakopoulos and Nikolopoulos (2000), on the seasonally adjusted series (STL)."""

    name = "theta"
    summary = "sktime: the Theta method after STL seasonal adjustment"
    uses_signals = False
    backtest_origins = 12
    min_periods = 4

    def predict(self, problem: Problem) -> Path:
        """Terms `level` (the first step without its drift), `trend` and `season`."""
        from sktime.forecasting.theta import ThetaForecaster

        rest, season = split_season(problem)
        steps = np.arange(1, problem.horizon + 2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of a default that changes nothing here
            forecaster = ThetaForecaster(deseasonalize=False)
            path = forecaster.fit(pd.Series(rest)).predict(fh=steps).to_numpy(dtype=float).ravel()
        level = float(2 * path[0] - path[1])
        return Path({"level": np.full(problem.horizon, level), "trend": path[:-1] - level, "season": season})
