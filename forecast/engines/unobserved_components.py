"""A structural model: level, drift and seasonal waves as unobserved states, by statsmodels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from forecast.engines.base import Engine, Path, Problem
from forecast.engines.covariates import covariates
from forecast.engines.state_space import constant, kept, quietly, seasons

_SEARCH = 50  # steps of the optimiser


class UnobservedComponents(Engine):
    """Local level with a drift and trigonometric seasons by the Kalman filter (Harvey 1989)."""

    name = "unobserved_components"
    summary = "statsmodels: local level with a drift, trigonometric seasons and admitted signals, by the Kalman filter"
    uses_signals = True
    backtest_origins = 8
    min_periods = 10

    def predict(self, problem: Problem) -> Path:
        """Terms `level`, `trend`, `season` and one for each admitted signal."""
        from statsmodels.tsa.statespace.structural import UnobservedComponents as Model

        found, n, horizon = covariates(problem), kept(problem), problem.horizon
        flat = constant(problem)
        if flat is not None:
            return replace(flat, evidence=found.evidence)
        x = found.last(n + horizon)
        exog = (x[:n], x[n:]) if x.shape[1] else (None, None)
        periods = [{"period": season, "harmonics": count} for season, count in seasons(problem)]
        with quietly():
            model = Model(
                problem.z[-n:],
                level="lldtrend",
                exog=exog[0],
                freq_seasonal=periods or None,
                stochastic_freq_seasonal=[False] * len(periods) or None,
            )
            fitted = model.fit(disp=False, maxiter=_SEARCH, cov_type="none")
            path = np.asarray(fitted.forecast(horizon, exog=exog[1]), dtype=float)
        level, drift = float(fitted.level.filtered[-1]), float(fitted.trend.filtered[-1])
        signals = x[n:] * np.asarray(fitted.params)[fitted.params.size - x.shape[1] :]
        terms = {"level": np.full(horizon, level), "trend": drift * np.arange(1, horizon + 1)}
        season = path - terms["level"] - terms["trend"] - signals.sum(axis=1)
        return Path(terms | {"season": season} | dict(zip(found.names, signals.T, strict=True)), found.evidence)
