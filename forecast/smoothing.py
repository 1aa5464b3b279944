"""Exponential smoothing with fixed gains, over many gains at once."""

from __future__ import annotations

import numpy as np

from forecast.transform import FloatArray


def levels(z: FloatArray, gains: FloatArray) -> FloatArray:
    """Simple exponential smoothing, `l[t] = l[t-1] + a (z[t] - l[t-1])`, shape (gains, n).

    The gain starts as 1/(t+1), so the first levels are running means and no start value is guessed.
    """
    out = np.empty((gains.size, z.size))
    level = np.zeros(gains.size)
    for t, value in enumerate(z):
        level = level + np.maximum(gains, 1 / (t + 1)) * (value - level)
        out[:, t] = level
    return out


def damped_trend(z: FloatArray, gains: FloatArray, damping: float, slope_share: float) -> tuple[FloatArray, FloatArray]:
    """Level and slope of Gardner's damped trend (1985), each (gains, n); slope gain = slope_share x level gain."""
    level_out, slope_out = np.empty((gains.size, z.size)), np.empty((gains.size, z.size))
    level, slope = np.full(gains.size, z[0]), np.zeros(gains.size)
    for t, value in enumerate(z):
        gain = np.maximum(gains, 1 / (t + 1))
        error = value - level - damping * slope
        level = level + damping * slope + gain * error
        slope = damping * slope + gain * slope_share * error
        level_out[:, t], slope_out[:, t] = level, slope
    return level_out, slope_out
