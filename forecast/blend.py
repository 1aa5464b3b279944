"""Blending experts prequentially: the weights at an origin rest on errors that were known by then."""

from __future__ import annotations

import numpy as np

from forecast.season import IntArray
from forecast.transform import FloatArray

POOLED = 0.5  # how much of an expert's record is taken over all horizons, the rest from the horizon itself
TINY = 1e-300


def targets(z: FloatArray, observed: np.ndarray, horizon: int) -> FloatArray:
    """`z[t+h]` at [t, h-1], shape (n, horizon); NaN where it lies ahead of the history or was not observed."""
    padded = np.concatenate([np.where(observed, z, np.nan), np.full(horizon, np.nan)])
    return np.lib.stride_tricks.sliding_window_view(padded[1:], horizon)[: z.size]


def realised(values: FloatArray) -> FloatArray:
    """From [..., origin, h-1] to [..., time at which it is known, h-1]: an h-step error is known h periods later."""
    steps = np.arange(1, values.shape[-1] + 1)
    return realised_at(values, steps)


def realised_at(values: FloatArray, steps: IntArray) -> FloatArray:
    """The same where the last axis holds only the steps ahead `steps`."""
    out = np.full(values.shape, np.nan)
    for column, h in enumerate(steps):
        out[..., h:, column] = values[..., :-h, column]
    return out


def discounted_mean(values: FloatArray, half_life: float) -> tuple[FloatArray, FloatArray]:
    """Discounted mean of all finite values up to each time along axis -2, and how many they weigh; NaN where none."""
    age = np.arange(values.shape[-2])[:, None]
    grow = 2.0 ** (age / half_life)
    seen = np.isfinite(values)
    total = np.cumsum(np.where(seen, values, 0.0) * grow, axis=-2)
    weight = np.cumsum(seen * grow, axis=-2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return total / weight, weight / grow


def weights(forecasts: FloatArray, target: FloatArray, steps: IntArray, half_life: float) -> FloatArray:
    """Weights of the experts at each origin for each of `steps`, (experts, n, steps), adding up to 1 over experts.

    `w ~ R^-8` where R is an expert's discounted mean absolute error over the best one's, half of it pooled over
    horizons. An expert without a record yet has no weight; before anyone has one, all that can speak share equally.
    """
    record = np.empty_like(forecasts)
    for column, h in enumerate(steps):  # one step at a time: all at once would need many times the memory
        error = np.abs(target[:, column] - forecasts[:, :, column])[..., None]
        record[..., column] = discounted_mean(realised_at(error, np.array([h])), half_life)[0][..., 0]
    record += 1e-9 * np.nanmax(record, initial=0.0) + TINY
    with np.errstate(invalid="ignore"):
        record /= np.fmin.reduce(record, axis=0)
    known = np.isfinite(record)
    pooled = np.sum(record, axis=-1, where=known, keepdims=True) / np.maximum(known.sum(-1, keepdims=True), 1)
    record *= 1 - POOLED
    record += POOLED * pooled
    np.copyto(record, pooled, where=~known)
    speaks = np.isfinite(forecasts)
    raw = _power8(1.0 / np.maximum(record, 1.0)) * (speaks & (record > 0))
    raw = np.where(raw.sum(0) > 0, raw, speaks)
    raw /= raw.sum(0)
    return raw


def _power8(x: FloatArray) -> FloatArray:
    x = x * x
    x = x * x
    return x * x
