"""Prophet's decomposable model."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from forecast.engines.base import Engine, Path, Problem
from forecast.engines.covariates import covariates
from forecast.frequency import family

if TYPE_CHECKING:
    from prophet import Prophet

_CHATTER = ("cmdstanpy", "prophet", "prophet.models", "prophet.plot")


class ProphetEngine(Engine):
    """Piecewise linear trend and Fourier seasons (Taylor and Letham 2018), with Prophet's defaults.

    Daily series follow the public holidays of a calendar; of weeks and months the calendar is a signal like others.
    """

    name = "prophet"
    summary = "Prophet: piecewise linear trend with Fourier seasons, holidays and admitted signals, at its defaults"
    uses_signals = True
    backtest_origins = 8
    min_periods = 4

    def predict(self, problem: Problem) -> Path:
        """Terms `level` (the trend at the last period), `trend`, `season`, `calendar` and one an admitted signal."""
        found, n = covariates(problem), len(problem)
        ds = {"ds": problem.ds.astype("datetime64[ns]")}
        frame = pd.DataFrame(ds | {f"x{i}": column for i, column in enumerate(found.x.T)})
        with _quiet():
            model = _model(problem, len(found.names))
            model.fit(frame[:n].assign(y=problem.z))
            ahead = model.predict(frame[n - 1 :])
        told = {name: ahead[f"x{i}"].to_numpy(dtype=float)[1:] for i, name in enumerate(found.names)}
        if "holidays" in ahead:
            told["calendar"] = ahead["holidays"].to_numpy(dtype=float)[1:]
        trend = ahead["trend"].to_numpy(dtype=float)
        season = ahead["additive_terms"].to_numpy(dtype=float)[1:] - sum(told.values())
        level = np.full(problem.horizon, trend[0])
        return Path({"level": level, "trend": trend[1:] - trend[0], "season": season, **told}, found.evidence)


def _model(problem: Problem, signals: int) -> Prophet:
    from prophet import Prophet

    whole = [season for season in problem.season_lengths if 2 * season <= len(problem)]  # is there twice
    model = Prophet(
        uncertainty_samples=0,
        yearly_seasonality=any(season > 7 or len(problem.season_lengths) == 1 for season in whole),
        weekly_seasonality=7.0 in whole,
        daily_seasonality=False,
    )
    if problem.calendar and family(problem.frequency) == "D":
        model.add_country_holidays(problem.calendar)
    for i in range(signals):
        model.add_regressor(f"x{i}", standardize=False)
    return model


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
