"""Blending experts prequentially: the weights at an origin rest on errors that were known by then."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from forecast.frequency import frozen
from forecast.origins import Origins
from forecast.transform import FloatArray

POOLED = 0.5  # how much of an expert's record is taken over all steps, the rest from the step itself
LARGEST = 3.0  # times the usual error of its step: more of one error does not count, so no shock decides alone
REFRESHED = 4  # weights are computed anew after so many origins, the last of them always
_TINY = 1e-9


def known(values: FloatArray, delays: tuple[int, ...], before: float = np.nan) -> FloatArray:
    """From [step, ..., origin] to [step, ..., moment when it is known]: an h-step error is known h periods later."""
    out = np.full(values.shape, before)
    size = values.shape[-1]
    for column, delay in enumerate(delays):
        out[column, ..., delay:] = values[column, ..., : max(0, size - delay)]
    return out


def weights(forecasts: FloatArray, target: FloatArray, grid: Origins, half_life: float) -> FloatArray:
    """Weights of the experts at each origin, (steps, experts, origins), adding up to 1 over experts.

    `w ~ R^-8` where R is an expert's discounted mean absolute error, `half_life` in periods, over the best one's, half
    of it pooled over steps; before anything is known all share equally. Every error is capped, and weights stay the
    same for `REFRESHED` origins.
    """
    size = target.shape[-1]
    first = (size - 1) % REFRESHED  # the first origin with weights of its own, so that the last one has them
    groups = (size - first - 1) // REFRESHED + 1
    loss = np.zeros((*forecasts.shape[:-1], groups * REFRESHED))
    _losses(forecasts, target, grid, loss[..., REFRESHED - 1 - first :])
    fade = _fade(loss.shape[-1], grid.stride / half_life)
    total = (loss.reshape(-1, REFRESHED) @ fade[:REFRESHED]).reshape(*forecasts.shape[:-1], groups) * fade[::REFRESHED]
    told = known((np.cumsum(np.isfinite(target), axis=-1) > 0).astype(float), grid.delays, 0.0)[
        :, None, first::REFRESHED
    ]
    weight = _from_record(np.cumsum(total, axis=-1), told)
    out = np.empty(forecasts.shape)
    out[..., :first] = 1 / forecasts.shape[1]
    out[..., first:] = np.repeat(weight, REFRESHED, axis=-1)[..., : size - first]
    return out


@lru_cache(maxsize=64)
def _fade(size: int, rate: float) -> FloatArray:
    return frozen(np.asarray(2.0 ** (np.arange(size) * rate), dtype=float))


def _losses(forecasts: FloatArray, target: FloatArray, grid: Origins, out: FloatArray) -> None:
    """Capped absolute errors into `out`, at the origin where each is known; zero where there is none."""
    seen = np.isfinite(target)
    actual = np.where(seen, target, 0.0)
    share = np.full(forecasts.shape[1], 1 / forecasts.shape[1])
    for step, delay in enumerate(grid.delays):
        if delay < target.shape[-1]:
            origins = slice(0, target.shape[-1] - delay)
            loss = out[step, :, delay:]
            np.subtract(forecasts[step, :, origins], actual[step, origins], out=loss)
            np.abs(loss, out=loss)
            if not seen[step, origins].all():
                loss *= seen[step, origins]
            np.minimum(loss, _caps(share @ loss, seen[step, origins]), out=loss)


def _caps(mean: FloatArray, seen: npt.NDArray[np.bool_]) -> FloatArray:
    """The largest error that counts at each origin, from the experts' mean errors at those before it."""
    total, count = np.cumsum(mean) - mean, np.cumsum(seen.astype(float)) - seen
    return np.where(count > 0, LARGEST * total / np.maximum(count, 1), np.inf)


def _from_record(total: FloatArray, told: FloatArray) -> FloatArray:
    """Weights from discounted sums of errors (steps, experts, origins) and where any error is in them."""
    total += _TINY * total.max(axis=(0, 1)) + np.finfo(float).tiny
    record = total / total.min(axis=1, keepdims=True)
    pooled = (record * told).sum(axis=0) / np.maximum(told.sum(axis=0), 1)
    record = np.where(told > 0, (1 - POOLED) * record + POOLED * pooled, np.where(pooled > 0, pooled, 1.0))
    record /= record.min(axis=1, keepdims=True)
    weight = np.reciprocal(record, out=record)
    for _ in range(3):
        weight *= weight
    weight /= weight.sum(axis=1, keepdims=True)
    return weight
