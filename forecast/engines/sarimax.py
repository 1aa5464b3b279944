"""ARIMA errors around Fourier seasons and admitted signals, by statsmodels."""

from __future__ import annotations

import numpy as np

from forecast.engines.base import Problem
from forecast.engines.covariates import Covariates
from forecast.engines.state_space import StateSpace, fitted, kept, waves
from forecast.transform import FloatArray

_ORDER = (0, 1, 1)  # exponential smoothing of what the regressors leave
_SEARCH = 30  # steps of the optimiser


class Sarimax(StateSpace):
    """Regression on Fourier terms and signals with ARIMA(0,1,1) errors (Hyndman and Athanasopoulos 2021, ch. 10)."""

    name = "sarimax"
    summary = "statsmodels: regression on Fourier terms and admitted signals with ARIMA(0,1,1) errors"

    def _terms(self, problem: Problem, signals: Covariates) -> dict[str, FloatArray]:
        """Terms `level`, `season` and one for each admitted signal."""
        from statsmodels.tsa.statespace.sarimax import SARIMAX

        season = waves(problem)
        x = np.column_stack([season, signals.last(kept(problem) + problem.horizon)])
        results, path = fitted(
            lambda z, past: SARIMAX(z, past, order=_ORDER, mle_regression=False, concentrate_scale=True),
            problem,
            x,
            _SEARCH,
        )
        effects = results.states.filtered[-1, -x.shape[1] :] if x.shape[1] else np.zeros(0)  # the filter's last states
        parts = x[kept(problem) :] * effects
        terms = {"level": path - parts.sum(axis=1), "season": parts[:, : season.shape[1]].sum(axis=1)}
        return terms | dict(zip(signals.names, parts.T[season.shape[1] :], strict=True))
