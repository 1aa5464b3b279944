"""ARIMA errors around Fourier seasons and admitted signals, by statsmodels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from forecast.engines.base import Engine, Path, Problem
from forecast.engines.covariates import covariates
from forecast.engines.state_space import constant, kept, quietly, waves

_ORDER = (0, 1, 1)  # exponential smoothing of what the regressors leave
_SEARCH = 30  # steps of the optimiser


class Sarimax(Engine):
    """Regression on Fourier terms and signals with ARIMA(0,1,1) errors (Hyndman and Athanasopoulos 2021, ch. 10)."""

    name = "sarimax"
    summary = "statsmodels: regression on Fourier terms and admitted signals with ARIMA(0,1,1) errors"
    uses_signals = True
    backtest_origins = 8
    min_periods = 10

    def predict(self, problem: Problem) -> Path:
        """Terms `level`, `season` and one for each admitted signal."""
        from statsmodels.tsa.statespace.sarimax import SARIMAX

        found, n, horizon = covariates(problem), kept(problem), problem.horizon
        flat = constant(problem)
        if flat is not None:
            return replace(flat, evidence=found.evidence)
        season = waves(problem)
        x = np.column_stack([season, found.last(n + horizon)])
        exog = (x[:n], x[n:]) if x.shape[1] else (None, None)
        with quietly():
            model = SARIMAX(problem.z[-n:], exog[0], order=_ORDER, mle_regression=False, concentrate_scale=True)
            fitted = model.fit(disp=False, maxiter=_SEARCH, cov_type="none")
            path = np.asarray(fitted.forecast(horizon, exog=exog[1]), dtype=float)
        effects = fitted.states.filtered[-1, -x.shape[1] :] if x.shape[1] else np.zeros(0)  # the filter's last states
        parts = x[n:] * effects
        terms = {"level": path - parts.sum(axis=1), "season": parts[:, : season.shape[1]].sum(axis=1)}
        signals = zip(found.names, parts.T[season.shape[1] :], strict=True)
        return Path(terms | dict(signals), found.evidence)
