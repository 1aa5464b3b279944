"""The reference: the value of the same period a season ago."""

from __future__ import annotations

import numpy as np

from forecast.engines.base import Engine, Path, Problem, Rolled, first_origin
from forecast.season import IntArray, analog_lags
from forecast.transform import FloatArray


class SeasonalNaive(Engine):
    """Repeats the last full season; the last value where there is less than one season."""

    name = "seasonal_naive"
    summary = "repeats last season's values; the reference that others are measured against"
    uses_signals = False
    damps_trend = True
    backtest_origins = 104

    def predict(self, problem: Problem) -> Path:
        """Terms `level` (the mean of the season repeated) and `season` (each period's distance from it)."""
        steps = np.arange(1, problem.horizon + 1)
        median = medians(problem, np.array([len(problem) - 1]), steps)[:, 0]
        usable = [s for s in problem.season_lengths if round(s) <= len(problem)]
        level = float(problem.z[-round(usable[-1]) if usable else -1 :].mean())
        return Path({"level": np.full(problem.horizon, level), "season": median - level})

    def roll(self, problem: Problem, count: int, *, every_step: bool) -> Rolled:  # noqa: ARG002 - all are judged
        """All past origins at once."""
        first, last = first_origin(problem, self.min_periods), len(problem) - 2
        origins = np.arange(max(first, last + 1 - count), last + 1)
        steps = np.arange(1, problem.horizon + 1)
        return Rolled(origins, steps, medians(problem, origins, steps), self.predict(problem), origins.size)


def medians(problem: Problem, origins: IntArray, steps: IntArray) -> FloatArray:
    """The value a season before each of `steps` (s,) after each of `origins` (k,), on the working scale; (s, k).

    The longest season that an origin has seen once, else its last value.
    """
    out = np.repeat(problem.z[None, origins], steps.size, axis=0)
    for season in problem.season_lengths:
        seen = origins + 1 >= round(season)
        at = origins + (steps - analog_lags(season, steps, 1)[0])[:, None]
        out = np.where(seen, problem.z[np.maximum(at, 0)], out)
    return out
