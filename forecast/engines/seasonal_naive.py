"""The reference: the value of the same period a season ago."""

from __future__ import annotations

import numpy as np

from forecast.engines.base import Engine, Path, Problem
from forecast.season import analog_lags


class SeasonalNaive(Engine):
    """Repeats the last full season; the last value where there is less than one season."""

    name = "seasonal_naive"
    summary = "repeats last season's values; the reference that others are measured against"
    uses_signals = False
    backtest_origins = 104

    def predict(self, problem: Problem) -> Path:
        """Terms `level` (the mean of the season repeated) and `season` (each period's distance from it)."""
        n, horizon = len(problem), problem.horizon
        usable = [s for s in problem.season_lengths if round(s) <= n]
        if not usable:
            return Path({"level": np.full(horizon, problem.z[-1])})
        steps = np.arange(1, horizon + 1)
        lags = analog_lags(usable[-1], steps, 1)[0]
        median = problem.z[np.maximum(n - 1 + steps - lags, 0)]
        level = float(problem.z[-round(usable[-1]) :].mean())
        return Path({"level": np.full(horizon, level), "season": median - level})
