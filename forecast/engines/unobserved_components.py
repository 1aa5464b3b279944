"""A structural model: level, drift and seasonal waves as unobserved states, by statsmodels."""

from __future__ import annotations

from typing import Any

import numpy as np

from forecast.engines.base import Problem
from forecast.engines.covariates import Covariates
from forecast.engines.state_space import StateSpace, fitted, kept, seasons
from forecast.transform import FloatArray

_SEARCH = 50  # steps of the optimiser


class UnobservedComponents(StateSpace):
    """Local level with a drift and trigonometric seasons by the Kalman filter (Harvey 1989)."""

    name = "unobserved_components"
    summary = "statsmodels: local level with a drift, trigonometric seasons and admitted signals, by the Kalman filter"

    def _terms(self, problem: Problem, signals: Covariates) -> dict[str, FloatArray]:
        """Terms `level`, `trend`, `season` and one for each admitted signal."""
        horizon = problem.horizon
        x = signals.last(kept(problem) + horizon)
        periods = [{"period": season, "harmonics": count} for season, count in seasons(problem)]
        results, path = fitted(lambda z, past: _model(z, past, periods), problem, x, _SEARCH)
        level, drift = float(results.level.filtered[-1]), float(results.trend.filtered[-1])
        parts = x[kept(problem) :] * np.asarray(results.params)[results.params.size - x.shape[1] :]
        terms = {"level": np.full(horizon, level), "trend": drift * np.arange(1, horizon + 1)}
        season = path - terms["level"] - terms["trend"] - parts.sum(axis=1)
        return terms | {"season": season} | dict(zip(signals.names, parts.T, strict=True))


def _model(z: FloatArray, past: FloatArray | None, periods: list[dict[str, float]]) -> Any:
    from statsmodels.tsa.statespace.structural import UnobservedComponents as Model

    return Model(
        z,
        level="lldtrend",
        exog=past,
        freq_seasonal=periods or None,
        stochastic_freq_seasonal=[False] * len(periods) or None,
    )
