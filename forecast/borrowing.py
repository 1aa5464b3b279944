"""What a short history borrows from its relatives: how they will move, as far as moves are shared.

On the working scale, with n known periods, the new category's level is their mean, newer ones weighing more, and

    forecast[h] = level + share * mean over relatives of (their forecast[h] - their level over the same n periods)

How much newer periods weigh, the share and the error to expect are learnt from the relatives: at past origins each of
them plays the new category, n periods old, and borrows from the others. With no known period the level is the mean of
theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import product

import numpy as np

from forecast import intervals
from forecast.frequency import Days
from forecast.relatives import Relative, to_working
from forecast.scale import SPREAD
from forecast.season import IntArray
from forecast.transform import FloatArray

LONGEST = 52  # periods that a level rests on at most
CANDIDATES = tuple(product((0.0, 0.3, 0.7), (1.0, 0.75, 0.5, 0.25, 0.0)))  # gain of the level, share; first if equal
_POWER = 8  # with which a candidate weighs less that erred more
_SMALLEST = 1e-9
_PRIOR = 2.0  # pairs of relatives for which the excess error counts that is expected without any played
_UNKNOWN = 1.0  # that excess on the working scale where nothing is known of the level
_APART, _KNOWN = 2.0, 1.0  # and where n periods are known, in usual errors of the relatives: this + that / sqrt(n)
_NOISE = 3.0  # periods for which the relatives' own steps count, beside those of the new category
_NOISE_SHARE = 0.5  # power with which larger or smaller steps than theirs move the error


@dataclass(frozen=True)
class Borrowed:
    """Terms on the working scale: `level`, and a move a relative, each (horizon,); they add up to the median.

    `share` is how much of the relatives' moves is in them, `scale` (horizon,) the absolute error to expect. `missed` is
    that of the relatives when they played the new category, at `played` past origins; None where there is no other to
    borrow from.
    """

    share: float
    level: FloatArray
    moves: dict[str, FloatArray]
    scale: FloatArray
    missed: float | None
    played: int


def borrowed(relatives: Sequence[Relative], z: FloatArray, last: np.datetime64, horizon: int) -> Borrowed:
    """What a category with the known periods `z` (n,) up to the label `last`, NaN in gaps, borrows."""
    z = z[-LONGEST:]
    play = _played(relatives, z.size)
    paths = np.stack([one.after(last, horizon) for one in relatives])
    if z.size:
        weights = np.stack([_weights(np.isfinite(z), gain) for gain, _ in CANDIDATES])
        since = np.stack([one.window(np.array([last]), z.size)[:, 0] for one in relatives]) @ weights.T
        share = play.weights * [share for _, share in CANDIDATES]
        level = np.full(horizon, float(play.weights @ weights @ np.nan_to_num(z)))
        moves = share.sum() * paths - (since @ share)[:, None]
    else:
        share, since = np.ones(1), paths.mean(axis=1)
        level = np.full(horizon, float(since.mean()))
        moves = paths - since[:, None]
    error = play.mixed
    return Borrowed(
        float(share.sum()),
        level,
        {one.name: move / len(relatives) for one, move in zip(relatives, moves, strict=True)},
        _noisy(_usual(relatives, horizon), relatives, z) + _excess(play, relatives, z.size, horizon),
        float(np.nanmean(np.abs(error))) if np.isfinite(error).any() else None,
        int(np.isfinite(error).any(axis=(0, 1)).sum()),
    )


@dataclass(frozen=True)
class _Play:
    """Errors (candidates, relatives, steps, origins) of the relatives as the new category; NaN where not known.

    `own` (relatives, steps, origins) are those of their own forecasts.
    """

    steps: IntArray
    errors: FloatArray
    own: FloatArray

    @cached_property
    def weights(self) -> FloatArray:
        """What each candidate weighs, (candidates,), by its mean absolute error; the first all where none is scored."""
        told = np.isfinite(self.errors)
        if not told.any():
            return np.asarray(np.eye(len(self.errors))[0])
        mean = np.where(told, np.abs(self.errors), 0.0).sum(axis=(1, 2, 3)) / told.sum(axis=(1, 2, 3))
        weight = (np.maximum(mean, _SMALLEST) / max(mean.min(), _SMALLEST)) ** -_POWER
        return np.asarray(weight / weight.sum())

    @cached_property
    def mixed(self) -> FloatArray:
        """The errors of all candidates by their weights, (relatives, steps, origins)."""
        return np.asarray(np.einsum("c,crso->rso", self.weights, self.errors))


def _played(relatives: Sequence[Relative], n: int) -> _Play:
    tests = [one.made.backtest for one in relatives]
    ds: Days = reduce(np.intersect1d, [test.ds for test in tests])
    steps: IntArray = reduce(np.intersect1d, [test.steps for test in tests])
    at = [np.ix_(np.isin(test.ds, ds), np.isin(test.steps, steps)) for test in tests]
    pairs = list(zip(relatives, tests, at, strict=True))
    path = np.stack([to_working(one.scale, test.median[where]).T for one, test, where in pairs])
    actual = np.stack([to_working(one.scale, test.actual[where]).T for one, test, where in pairs])
    if not n:
        sizes = np.log([one.scale.unit for one in relatives])[:, None, None]
        errors = [actual + sizes - _others(path + sizes)]
        return _Play(steps, np.stack(errors), actual - path)
    windows = np.stack([one.window(ds, n) for one in relatives])
    errors = []
    for gain, share in CANDIDATES:
        level = np.einsum("rno,n->ro", windows, _weights(np.ones(n, dtype=bool), gain))[:, None]
        errors.append(actual - level - share * _others(path - level))
    return _Play(steps, np.stack(errors), actual - path)


def _others(values: FloatArray) -> FloatArray:
    """The mean of all relatives but the one itself, for each; NaN where it is the only one."""
    if len(values) == 1:
        return np.full_like(values, np.nan)
    return np.asarray((values.sum(axis=0) - values) / (len(values) - 1))


def _weights(known: np.ndarray, gain: float) -> FloatArray:
    """What each of n periods weighs in the level, (n,), adding up to 1."""
    weight = (1 - gain) ** np.arange(known.size)[::-1] * known
    return np.asarray(weight / weight.sum()) if known.size else weight


def _usual(relatives: Sequence[Relative], horizon: int) -> FloatArray:
    """The absolute error that the relatives' own forecasts expect, on the working scale, (horizon,)."""
    wide = float(np.diff(intervals.student(np.array(SPREAD)))[0])
    found = []
    for one in relatives:
        low, high = (to_working(one.scale, one.made.quantile(p))[-horizon:] for p in SPREAD)
        found.append((high - low) / wide)
    return np.asarray(np.mean(found, axis=0))


def _excess(play: _Play, relatives: Sequence[Relative], n: int, horizon: int) -> FloatArray:
    """By how much more a new category is missed than its relatives are, (horizon,), drawn to what is usual."""
    usual = _usual(relatives, horizon)
    prior = np.full(horizon, _UNKNOWN) if not n else usual * (_APART + _KNOWN / np.sqrt(n))
    told = np.isfinite(play.mixed) & np.isfinite(play.own)
    count = told.sum(axis=(0, 2))
    scored = count > 0
    if not scored.any():
        return prior
    mine, theirs = (
        np.where(told, np.abs(each), 0.0).sum(axis=(0, 2))[scored] / count[scored] for each in (play.mixed, play.own)
    )
    seen = np.interp(np.arange(1, horizon + 1), play.steps[scored], np.maximum(mine - theirs, 0.0))
    pairs = len(relatives) * (len(relatives) - 1)
    return np.asarray((pairs * seen + _PRIOR * prior) / (pairs + _PRIOR))


def _noisy(usual: FloatArray, relatives: Sequence[Relative], z: FloatArray) -> FloatArray:
    """The usual error, larger as the new category's steps are larger than its relatives', drawn to as large.

    Where those never move, its own steps are all that is known of errors.
    """
    steps = np.abs(np.diff(z))
    steps = steps[np.isfinite(steps)]
    theirs = float(np.mean([np.abs(np.diff(one.known[-LONGEST:])).mean() for one in relatives]))
    if not theirs > 0:
        return usual + (steps.mean() if steps.size else 0.0)
    ratio = (steps.sum() + _NOISE * theirs) / ((steps.size + _NOISE) * theirs)
    return np.asarray(usual * ratio**_NOISE_SHARE)
