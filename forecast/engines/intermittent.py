"""Intermittent demand: how large a sale is, over how many periods pass until one.

All three forecast a flat rate, in sales units: on the logarithmic working scale a zero and a sale would not average.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import partial

import numpy as np

from forecast.engines.base import Engine, Path, Problem
from forecast.engines.sktime_path import predicted
from forecast.transform import FloatArray

_GAIN = 0.1  # of size, interval and probability: what the literature recommends for slow movers


class _Rate(Engine):
    uses_signals = False
    follows_season = False
    damps_trend = True
    backtest_origins = 12
    min_periods = 4

    def predict(self, problem: Problem) -> Path:
        """The only term is `level`."""
        rate = self.rate(problem.transform.inverse(problem.z))
        level = problem.transform.forward(np.full(problem.horizon, rate))
        return Path({"level": level})

    @abstractmethod
    def rate(self, y: FloatArray) -> float:
        """Sales a period to expect after `y` (n,), in sales units."""


class CrostonEngine(_Rate):
    """Croston (1972), by sktime."""

    name = "croston"
    summary = "sktime: Croston's method for intermittent demand, the size of a sale over the time between sales"

    def rate(self, y: FloatArray) -> float:
        """Smoothed size over smoothed interval."""
        return _croston(y)


class Sba(_Rate):
    """Croston's method without its bias: Syntetos and Boylan, The accuracy of intermittent demand estimates (2005)."""

    name = "sba"
    summary = "Croston's method corrected for its bias (Syntetos and Boylan 2005)"

    def rate(self, y: FloatArray) -> float:
        """The bias is that of dividing by an uncertain interval: without a gap there is none."""
        gaps = bool((~_sold(y)).any())
        return _croston(y) * (1 - _GAIN / 2 if gaps else 1.0)


class Tsb(_Rate):
    """Teunter, Syntetos and Babai, Intermittent demand: linking forecasting to inventory obsolescence (2011).

    The probability of a sale is smoothed in every period, so the rate of what is no longer bought fades.
    """

    name = "tsb"
    summary = "probability of a sale times its size, for demand that fades (Teunter, Syntetos and Babai 2011)"

    def rate(self, y: FloatArray) -> float:
        """Smoothed probability times smoothed size; both begin at the mean of the first ten periods."""
        sold = _sold(y)
        if not sold.any():
            return 0.0
        probability, size = float(sold[:10].mean()), float(y[sold][:10].mean())
        for value, sale in zip(y.tolist(), sold.tolist(), strict=True):
            probability += _GAIN * (sale - probability)
            size += _GAIN * (value - size) if sale else 0.0
        return probability * size


def _sold(y: FloatArray) -> np.ndarray:
    """Periods with a sale; what the working scale left of a zero is none."""
    return np.asarray(np.abs(y) > 1e-9 * max(float(np.abs(y).max()), 1e-300))


def _croston(y: FloatArray) -> float:
    from sktime.forecasting.croston import Croston

    sold = np.where(_sold(y), y, 0.0)
    return float(predicted(partial(Croston, smoothing=_GAIN), sold, 1)[0]) if sold.any() else 0.0
