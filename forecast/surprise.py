"""What a signal did that could not be expected from its own level and season: the only part of it that is news.

Sales enter the engine through a filter (smoothed level, seasonal analogues). A signal is sent through the same filter,
so that regressing the error of sales on the surprise of the signal is a regression with exponential-smoothing errors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecast.experts import GAINS, Experts, analog_move
from forecast.regressors import Regressor
from forecast.season import analog_lags
from forecast.smoothing import levels
from forecast.transform import FloatArray, choose

_YEARS = 3


@dataclass(frozen=True)
class Filter:
    """The sales' own filter: weight of each gain (n, gains), share of the seasonal experts (n,), the season or None."""

    gains: FloatArray
    seasonal: FloatArray
    season: float | None


def filter_of(experts: Experts, weights: FloatArray, season: float | None) -> Filter:
    """The filter that the blend of experts amounts to at each origin, averaged over horizons."""
    mean = weights.mean(-1)
    gains = np.stack([mean[experts.gain == g].sum(0) for g in range(GAINS.size)], axis=-1)
    return Filter(gains, mean[experts.seasonal].sum(0), season)


@dataclass(frozen=True)
class Surprise:
    """`u[t, q]`: how far the signal at t+q is from what the filter expected at t, (n, horizon + 1); NaN where unknown.

    `ahead` is how many periods past the last sale the signal is known.
    """

    name: str
    u: FloatArray
    ahead: int

    def feature(self, lag: int, horizon: int) -> FloatArray:
        """`u[t-lag, min(h, ahead+lag)]` for h = 1..horizon: sales at t+h follow the signal at t+h-lag.

        Where that value is not known yet, the newest surprise is held. Shape (n, horizon).
        """
        n = self.u.shape[0]
        columns = np.minimum(np.arange(1, horizon + 1), self.ahead + lag)
        out = np.full((n, horizon), np.nan)
        if self.ahead + lag >= 0 and lag < n:
            out[lag:] = self.u[: n - lag, columns]
        return out


def surprise(regressor: Regressor, filter_: Filter, horizon: int) -> Surprise:
    """The surprises of one signal at every origin; positive signals are taken in logs, so effects are elasticities.

    Signals with zeros, such as flags, shares and rare mentions, keep their own scale.
    """
    n = filter_.gains.shape[0]
    ahead = min(horizon, regressor.edge - (n - 1))
    x, known = _gapless(regressor.x[: n + horizon])
    smooth = np.einsum("tg,gt->t", filter_.gains, levels(x[:n], GAINS))
    values = np.where(known, x, np.nan)
    u = np.lib.stride_tricks.sliding_window_view(values, horizon + 1)[:n] - smooth[:, None]
    if filter_.season is not None:
        steps = np.arange(1, horizon + 1)
        lags = analog_lags(filter_.season, steps, _YEARS)
        move = analog_move(x[:n], x[:n], smooth[None], lags, steps, np.arange(n))[0]
        u[:, 1:] -= filter_.seasonal[:, None] * np.nan_to_num(move)
    return Surprise(regressor.name, u, ahead)


def _gapless(x: FloatArray) -> tuple[FloatArray, np.ndarray]:
    """The signal on its working scale, holes filled from before, and where it is known (first to last value)."""
    seen = np.isfinite(x)
    transform = choose(x[seen])
    z = x / transform.unit if transform.offset else transform.forward(x)
    at = np.flatnonzero(seen)
    newest = np.maximum.accumulate(np.where(seen, np.arange(x.size), at[0]))
    known = np.zeros(x.size, dtype=bool)
    known[at[0] : at[-1] + 1] = True
    return z[newest], known
