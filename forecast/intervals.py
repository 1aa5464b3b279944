"""Prediction intervals from out-of-sample errors (split conformal, pooled over horizons).

Errors of past origins are scaled by horizon and by how volatile the series was at their time, pooled, and their
quantiles are scaled back; so a shock widens the intervals at once and one large error does not widen them for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from forecast.transform import FloatArray

PROBABILITIES = np.arange(1, 200) / 200  # the grid on which a forecast's whole distribution is kept
MIN_ORIGINS = 8  # scored origins below which past errors say too little
_RECENT = 6.0  # half-life, in origins, of the local volatility
_MEMORY = 104.0  # half-life, in origins, of the pooled errors
_LOCAL_SHARE = 0.5  # how far the local volatility moves the intervals
_STRETCH = 0.3  # how far tails are stretched for how few independent errors there are
_UNSCORED = 1.3  # safety factor on the random-walk width
_MEAN_ABSOLUTE = float(np.sqrt(2 / np.pi))  # of a standard normal


@dataclass(frozen=True)
class Errors:
    """Errors on the working scale: `values` (origins, horizon), NaN where not known; `origins` increasing."""

    origins: np.ndarray
    values: FloatArray
    step: float  # mean absolute one-step change of the history, for when nothing has been scored

    @property
    def horizon(self) -> int:
        """How many steps ahead the errors go."""
        return int(self.values.shape[1])

    def known_at(self, origin: int) -> FloatArray:
        """The errors that had been seen when period `origin` was the last one known."""
        when = self.origins[:, None] + np.arange(1, self.horizon + 1)
        return np.where(when <= origin, self.values, np.nan)


def quantiles(errors: Errors, origin: int) -> FloatArray:
    """Quantiles of the error around its median at `origin`, from errors known then, (horizon, PROBABILITIES).

    They increase along the grid and are 0 in its middle: the median of a forecast is the path that is tested.
    """
    known = errors.known_at(origin)
    if scored(errors, origin) < MIN_ORIGINS:
        return _random_walk(errors)
    scale = _by_horizon(known, errors.origins, origin)
    local, now = _local(np.abs(known) / scale, errors.origins, origin)
    pooled = _pooled_quantiles(known / scale / local[:, None], errors.origins, origin)
    return np.asarray(scale[:, None] * now * pooled)


def at(grid: FloatArray, probabilities: FloatArray) -> FloatArray:
    """Values of a distribution kept on the grid, (..., PROBABILITIES), at other probabilities, (..., probabilities)."""
    place = np.clip(probabilities * (PROBABILITIES.size + 1) - 1, 0, PROBABILITIES.size - 1)
    below = np.minimum(place.astype(int), PROBABILITIES.size - 2)
    share = place - below
    return np.asarray(grid[..., below] * (1 - share) + grid[..., below + 1] * share)


def scored(errors: Errors, origin: int) -> int:
    """How many past origins have at least one known error at `origin`."""
    return int(np.isfinite(errors.known_at(origin)).any(axis=1).sum())


def _random_walk(errors: Errors) -> FloatArray:
    """Nothing scored yet: the width of a random walk with the history's steps, times a safety factor."""
    normal = np.array([NormalDist().inv_cdf(p) for p in PROBABILITIES])
    deviation = _UNSCORED * errors.step / _MEAN_ABSOLUTE
    return np.asarray(deviation * np.sqrt(np.arange(1, errors.horizon + 1))[:, None] * normal)


def _by_horizon(known: FloatArray, origins: np.ndarray, origin: int) -> FloatArray:
    """Mean absolute error by horizon, made non-decreasing; horizons never scored grow with the square root."""
    weight = np.where(np.isfinite(known), _fade(origins, origin, _MEMORY)[:, None], 0.0)
    total = weight.sum(axis=0)
    reached = np.flatnonzero(total > 0)
    mean = np.nansum(weight * np.abs(np.nan_to_num(known)), axis=0)[reached] / total[reached]
    monotone = _isotonic(mean, total[reached])
    steps = np.arange(1, known.shape[1] + 1)
    out = np.interp(steps, reached + 1, monotone)
    beyond = steps > reached[-1] + 1
    out[beyond] = monotone[-1] * np.sqrt(steps[beyond] / (reached[-1] + 1))
    return np.asarray(np.maximum(out, 1e-12))


def _isotonic(values: FloatArray, weight: FloatArray) -> FloatArray:
    """The non-decreasing sequence nearest to `values` (pool adjacent violators)."""
    blocks: list[list[float]] = []
    for value, w in zip(values, weight, strict=True):
        blocks.append([float(value), float(w), 1.0])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (a, v, k), (b, u, j) = blocks.pop(-2), blocks.pop(-1)
            blocks.append([(a * v + b * u) / (v + u), v + u, k + j])
    return np.repeat([b[0] for b in blocks], [int(b[2]) for b in blocks])


def _fade(origins: np.ndarray, origin: int, half_life: float) -> FloatArray:
    return np.asarray(0.5 ** (np.maximum(origin - origins, 0) / half_life))


def _local(ratio: FloatArray, origins: np.ndarray, origin: int) -> tuple[FloatArray, float]:
    """Recent errors over usual ones, drawn towards 1: as known at each past origin, and at `origin`."""
    seen = np.isfinite(ratio)
    when = (origins[:, None] + np.arange(1, ratio.shape[1] + 1))[seen] - origins[0]
    size = int(origin - origins[0]) + 1
    total, count = np.bincount(when, ratio[seen], size), np.bincount(when, minlength=size).astype(float)
    grow = 2.0 ** (np.arange(size) / _RECENT)
    recent = (np.cumsum(total * grow) / grow + 1.0) / (np.cumsum(count * grow) / grow + 1.0)
    local = recent**_LOCAL_SHARE
    return local[np.minimum(origins - origins[0], size - 1)], float(local[-1])


def _pooled_quantiles(scores: FloatArray, origins: np.ndarray, origin: int) -> FloatArray:
    seen = np.isfinite(scores)
    weight = np.broadcast_to(_fade(origins, origin, _MEMORY)[:, None], scores.shape)[seen]
    value = scores[seen]
    independent = max(2.0, float(seen.any(axis=1).sum()) / max(1.0, np.sqrt(scores.shape[1])))
    mean, spread = float(np.average(value, weights=weight)), float(value.std())
    if abs(mean) < 2 * spread / np.sqrt(independent):  # no clear bias: both tails tell of either side
        value, weight = np.concatenate([value, -value]), np.concatenate([weight, weight])
    stretched = 0.5 + (PROBABILITIES - 0.5) * (1 + _STRETCH / independent)
    return _weighted_quantiles(value, weight, stretched)


def _weighted_quantiles(value: FloatArray, weight: FloatArray, probabilities: FloatArray) -> FloatArray:
    """Quantiles of a weighted sample around its median; beyond its ends the tails go on like those of a normal."""
    order = np.argsort(value, kind="stable")
    value, weight = value[order], weight[order]
    position = (np.cumsum(weight) - weight / 2) / weight.sum()
    value = value - np.interp(0.5, position, value)
    inside = np.interp(probabilities, position, value)
    normal = NormalDist()
    for end, beyond in ((0, probabilities < position[0]), (-1, probabilities > position[-1])):
        for i in np.flatnonzero(beyond):
            p = min(max(float(probabilities[i]), 1e-4), 1 - 1e-4)
            edge = normal.inv_cdf(min(max(float(position[end]), 1e-4), 1 - 1e-4))
            inside[i] = value[end] * max(1.0, normal.inv_cdf(p) / edge) if edge else value[end]
    return inside
