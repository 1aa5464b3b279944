"""Non-negative weights of a stack's members, prequential: those at an origin rest on errors that were known there.

x x x x x o . . .        the first origin: the leaders alone
x x x x x x x o . .      from here on each weighs by the errors that had come true
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forecast.engines.base import Problem
from forecast.transform import FloatArray

LARGEST = 3.0  # times the usual error of its step: more of one error does not count, so no shock decides alone
DRAWN = 20.0  # how strongly the best mix is drawn to the leaders: as by so many errors of the usual size
POWER = 2.0  # of a member's record, to which it is drawn where no leader has a forecast
APART = 1.5  # times the usual distance between members, or its inverse: more, from so few origins, is chance
_COMPARED = 3  # earlier origins below which nothing is known of the usual one
_ALIKE = 1e-6  # a distance on the working scale that is only rounding
_SUM = 1e4  # how exactly weights add up to one before they are divided by their sum


def weights(forecasts: FloatArray, problems: list[Problem], leaders: Sequence[int] = ()) -> FloatArray:
    """Weights (members, problems), each column adding up to 1, for `forecasts` (members, problems, horizon).

    The problems rise in time and the last one is now; a forecast is NaN where a member has none. The `leaders` are the
    members that others have to improve on; among themselves they start equal.
    """
    ends = np.array([p.ds[len(p) - 1] for p in problems])
    out = np.zeros(forecasts.shape[:2])
    for i, problem in enumerate(problems):
        there = np.asarray(np.isfinite(forecasts[:, i]).all(axis=1))
        places = np.searchsorted(problem.ds[: len(problem)], ends[:i])
        errors = _errors(forecasts[there, :i], problem, places)
        led = np.isin(np.flatnonzero(there), leaders).astype(float)
        prior = led / led.sum() if led.any() else _by_record(errors)
        out[there, i] = _mixed(errors, prior)
    return out


def apart(forecasts: FloatArray) -> FloatArray:
    """How far members lie apart at each problem over how far they lay at earlier ones on average, (problems,).

    The standard deviation over members, all steps pooled, of `forecasts` (members, problems, horizon) by those that
    have one of every problem; 1 where there are too few earlier ones or no second member.
    """
    whole = forecasts[np.isfinite(forecasts).all(axis=(1, 2))]
    out = np.ones(forecasts.shape[1])
    if len(whole) < 2:
        return out
    distance = whole.std(axis=0).mean(axis=1) + _ALIKE
    usual = np.cumsum(distance)[_COMPARED - 1 : -1] / np.arange(_COMPARED, distance.size)
    out[_COMPARED:] = np.clip(distance[_COMPARED:] / usual, 1 / APART, APART)
    return out


def _errors(forecasts: FloatArray, problem: Problem, places: np.ndarray) -> FloatArray:
    """Errors in usual sizes of their step (members, pairs) of earlier origins, at `places`, that are known by now.

    Where a member had no forecast it is given the largest error that counts.
    """
    n, horizon = len(problem), problem.horizon
    at = places[:, None] + np.arange(1, horizon + 1)
    known = at < n
    known &= problem.observed[np.minimum(at, n - 1)]
    target = problem.z[np.minimum(at, n - 1)]
    errors = np.where(known, forecasts - target, np.nan)
    usual = _mean(np.abs(errors), known & np.isfinite(forecasts))
    scaled = np.clip(errors / np.maximum(usual, 1e-9), -LARGEST, LARGEST)
    scaled = np.where(known & ~np.isfinite(scaled), LARGEST, scaled)
    return np.asarray(scaled[:, known])


def _mean(size: FloatArray, told: np.ndarray) -> FloatArray:
    """The mean size of errors by step over members and origins, (horizon,)."""
    total = np.where(told, size, 0.0).sum(axis=(0, 1))
    return np.asarray(total / np.maximum(told.sum(axis=(0, 1)), 1))


def _by_record(errors: FloatArray) -> FloatArray:
    """Weights (members,) by mean absolute errors; all the same where nothing is known."""
    record = np.abs(errors).sum(axis=1)
    weight = np.maximum(record, 1e-6 * record.max(initial=0.0) + 1e-12) ** -POWER
    return np.asarray(weight / weight.sum())


def _mixed(errors: FloatArray, prior: FloatArray) -> FloatArray:
    """Weights (members,) of the least squared error of the mix, drawn to `prior` (members,).

    Non-negative least squares (Lawson and Hanson 1974; for stacking Breiman 1996).
    """
    if not errors.any():
        return prior
    from scipy.optimize import nnls  # heavy, and only wanted by a stack

    count, pairs = errors.shape
    ridge = np.sqrt(DRAWN * np.square(errors).mean())
    one = _SUM * ridge
    left = np.vstack([errors.T, ridge * np.eye(count), np.full((1, count), one)])
    right = np.concatenate([np.zeros(pairs), ridge * prior, [one]])
    weight, _ = nnls(left, right)
    return np.asarray(weight / weight.sum())
