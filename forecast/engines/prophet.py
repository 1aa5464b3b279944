"""Prophet's decomposable model."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import numpy as np
import pandas as pd

from forecast.engines.base import Engine, Path, Problem

_CHATTER = ("cmdstanpy", "prophet", "prophet.models", "prophet.plot")


class ProphetEngine(Engine):
    """Piecewise linear trend and Fourier seasons (Taylor and Letham 2018), with Prophet's defaults."""

    name = "prophet"
    summary = "Prophet: piecewise linear trend with Fourier seasons, at its defaults"
    uses_signals = False
    backtest_origins = 8
    min_periods = 4

    def predict(self, problem: Problem) -> Path:
        """Terms `level` (the trend at the last period), `trend` and `season`."""
        with _quiet():
            from prophet import Prophet

            n = len(problem)
            whole = [season for season in problem.season_lengths if 2 * season <= n]  # fitted where it is there twice
            model = Prophet(
                uncertainty_samples=0,
                yearly_seasonality=any(season > 7 or len(problem.season_lengths) == 1 for season in whole),
                weekly_seasonality=7.0 in whole,
                daily_seasonality=False,
            )
            model.fit(pd.DataFrame({"ds": problem.ds[:n].astype("datetime64[ns]"), "y": problem.z}))
            ahead = model.predict(pd.DataFrame({"ds": problem.ds[n - 1 :].astype("datetime64[ns]")}))
        trend = ahead["trend"].to_numpy(dtype=float)
        season = ahead["additive_terms"].to_numpy(dtype=float)[1:]
        return Path({"level": np.full(problem.horizon, trend[0]), "trend": trend[1:] - trend[0], "season": season})


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Prophet and cmdstanpy log every fit; what a caller configured is put back."""
    loggers = [logging.getLogger(name) for name in _CHATTER]
    before = [logger.disabled for logger in loggers]
    try:
        for logger in loggers:
            logger.disabled = True
        yield
    finally:
        for logger, disabled in zip(loggers, before, strict=True):
            logger.disabled = disabled
