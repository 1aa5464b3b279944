"""The predictive distribution around the median, from out-of-sample errors.

The error of step h at origin t is expected to be

    s[h, t] = usual[h, t] * recent[t]^0.6 * season[h, t]^0.5 * doubt[h, t]^0.2

with `usual` the discounted mean absolute error of the step; `recent` recent errors over usual ones, all steps pooled
(volatility comes in clusters, Engle 1982); `season` the errors of the same season a year ago over the usual ones of
their time; and `doubt` how far the experts disagree, over how far they usually do (Zarnowitz and Lambros 1987). Every
mean is drawn to what would be expected without it, so a short history needs no rule of its own. The distribution is
Student's t with 5 degrees of freedom and that mean absolute value: tails are heavier than normal ones, as the scale is
estimated and errors are. All origins are done at once, each with what was known there.

Errors of sales are seldom so many per cent, as on the logarithmic scale, nor so many pieces: `between` lays quantiles
on a scale between the two (Box and Cox 1964).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from forecast.fading import growth
from forecast.frequency import frozen
from forecast.season import IntArray
from forecast.transform import FloatArray

PROBABILITIES = np.arange(1, 200) / 200  # the grid on which a forecast's whole distribution is kept
MIN_ORIGINS = 8  # scored origins below which past errors say too little
_USUAL = 52.0  # half-life, in origins, of the usual error
_RECENT = 6.0  # the same of the recent error
_DOUBT = 10.0  # the same of the usual disagreement
_RECENT_SHARE = 0.6  # powers with which two of the ratios move the scale; the season's is one half
_DOUBT_SHARE = 0.2
_PRIOR = 2.0  # errors that the expectation before any counts for, everywhere
_UNSCORED = 1.3  # ratio of errors to the history's own steps while there is none
_LARGEST_DOUBT = 4.0  # and smallest: its inverse
_NO_DOUBT = 1e-6  # disagreement on the working scale that is only rounding
_LONG_SEASON = 20.0  # seasons longer than it may come a period sooner or later
_STRETCH = 1.03  # an estimated scale is uncertain
_GROWTH = 1 / 3  # power of the step with which unscored errors grow: between noise, 0, and a random walk, 1/2
_BETWEEN = 0.2  # power of sales on whose scale errors are alike: 0 for the logarithm, 1 for sales themselves
_HIGHEST = 1.5  # on the logarithmic scale: further above its usual level, or below, a forecast is treated as no further
_SEASONS = 3  # that the usual level is taken over, as most of the errors that count
_NO_SEASON = 12.0  # periods, where there is none
_SMALLEST = 1e-12
_SAFE = 600  # doublings within floating point


@dataclass(frozen=True)
class Errors:
    """Errors on the working scale, `values` (steps, origins), NaN where not known; `origins` and `steps` increase.

    `step` is the mean absolute one-step change of the history (by each origin), for when nothing has been scored;
    `season` the periods after which a season returns, 0 where there is none; `disagreement` (steps, origins) how far
    the experts lay apart.
    """

    origins: IntArray
    steps: IntArray
    values: FloatArray
    step: float | FloatArray
    season: float = 0.0
    disagreement: FloatArray | None = None

    @property
    def horizon(self) -> int:
        """How many steps ahead the errors go."""
        return int(self.steps[-1])

    @cached_property
    def moments(self) -> IntArray:
        """The first origin, as an index, at which each error was known, (steps, origins): the first from t+h on."""
        return _moments(_key(self.origins), _key(self.steps))

    @cached_property
    def seen(self) -> npt.NDArray[np.bool_]:
        """Where there is an error that was known at one of the origins, (steps, origins)."""
        return np.isfinite(self.values) & (self.moments < self.origins.size)

    @cached_property
    def told(self) -> FloatArray:
        """How many errors came to be known at each origin, (steps, origins)."""
        return np.bincount(self._places, minlength=self.values.size).reshape(self.values.shape).astype(float)

    @cached_property
    def counts(self) -> IntArray:
        """How many origins had been scored, at any step, by each origin, (origins,)."""
        size = self.origins.size
        first = np.where(self.seen, self.moments, size).min(axis=0)
        return np.asarray(np.cumsum(np.bincount(first, minlength=size + 1)[:size]))

    @cached_property
    def scale(self) -> FloatArray:
        """The absolute error to expect at each origin and step from what was known there, (steps, origins)."""
        usual = _usual(self)
        ratios = _ratios(self, usual)
        scale = usual * _recent(self, ratios) ** _RECENT_SHARE
        if self.season:
            scale *= np.sqrt(_season(self, ratios))
        if self.disagreement is not None:
            scale *= _doubt(self.disagreement) ** _DOUBT_SHARE
        return np.maximum(scale, _SMALLEST)

    def when_known(self, values: FloatArray) -> FloatArray:
        """Sums of `values` (steps, origins) at the origin where the error of each was known, (steps, origins)."""
        total = np.bincount(self._places, values[self.seen], values.size)
        return np.asarray(total, dtype=np.float64).reshape(values.shape)

    @cached_property
    def _places(self) -> IntArray:
        size = self.origins.size
        return (self.moments + size * np.arange(self.steps.size)[:, None])[self.seen]

    def ending_at(self, last: int) -> Errors:
        """What was known when period `last` was the last one, with an origin there."""
        if self.origins.size and self.origins[-1] == last:
            return self
        kept = self.origins <= last
        added = int(last not in self.origins)
        origins = np.concatenate([self.origins[kept], np.full(added, last)])
        apart = None if self.disagreement is None else _cut(self.disagreement, kept, added)
        step = self.step
        if isinstance(step, np.ndarray):
            step = np.concatenate([step[kept], np.repeat(step[kept][-1:], added)])
        return Errors(origins, self.steps, _cut(self.values, kept, added), step, self.season, apart)


def now(errors: Errors, horizon: int, last: int) -> FloatArray:
    """Quantiles of the error around its median for steps 1 to `horizon` at period `last`, (horizon, PROBABILITIES).

    They increase along the grid and are 0 in its middle: the median of a forecast is the path that is tested. Between
    scored steps the scale is interpolated, beyond them it grows on.
    """
    steps = np.arange(1, horizon + 1)
    scale = np.interp(steps, errors.steps, errors.ending_at(last).scale[:, -1])
    scale *= np.maximum(steps / errors.steps[-1], 1.0) ** _GROWTH
    return np.asarray(scale[:, None] * _STUDENT)


def past(errors: Errors, probabilities: FloatArray) -> FloatArray:
    """The same at each past origin and scored step, from what was known there, (probabilities, steps, origins).

    NaN where fewer than `MIN_ORIGINS` origins had been scored.
    """
    scale = np.where(errors.counts < MIN_ORIGINS, np.nan, errors.scale)
    return np.asarray(student(probabilities)[:, None, None] * scale)


def scored(errors: Errors, last: int) -> int:
    """How many past origins have at least one known error when period `last` is the last one."""
    return int(errors.ending_at(last).counts[-1])


def at(grid: FloatArray, probabilities: FloatArray) -> FloatArray:
    """Values of a distribution kept on the grid, (..., PROBABILITIES), at other probabilities, (..., probabilities)."""
    place = np.clip(probabilities * (PROBABILITIES.size + 1) - 1, 0, PROBABILITIES.size - 1)
    below = np.minimum(place.astype(int), PROBABILITIES.size - 2)
    low = grid[..., below]  # and not a mean of two products, whose rounding could make quantiles cross
    return np.asarray(low + (grid[..., below + 1] - low) * (place - below))


def between(spread: FloatArray, above: FloatArray) -> FloatArray:
    """Quantiles of errors on the log scale from `spread`, which holds at the usual level, for forecasts `above` it.

    The errors are alike in sales to the power of `_BETWEEN`: in per cent they are smaller where sales are high, and a
    smaller surprise upwards is as likely as a larger one downwards. The shapes of both broadcast; 0 stays 0.
    """
    alike = spread * np.exp(-_BETWEEN * np.clip(above, -_HIGHEST, _HIGHEST))
    return np.asarray(np.log1p(np.maximum(_BETWEEN * alike, _SMALLEST - 1)) / _BETWEEN)


def usual_level(z: FloatArray, season_lengths: tuple[float, ...]) -> FloatArray:
    """The mean of the last three seasons up to each period, or of as much as there is, (n,)."""
    span = _SEASONS * round(max(season_lengths, default=_NO_SEASON))
    total, at = np.cumsum(np.append(0.0, z)), np.arange(1, z.size + 1)
    first = np.maximum(at - span, 0)
    return np.asarray((total[at] - total[first]) / (at - first))


def student(probabilities: FloatArray) -> FloatArray:
    """Quantiles of Student's t with 5 degrees of freedom, scaled to a mean absolute value of 1.03."""
    return _STRETCH * np.interp(probabilities, _CUMULATIVE, _QUANTILES)


_ANGLES = np.linspace(-np.pi / 2, np.pi / 2, 8003)[1:-1]
_COSINE, _SINE = np.cos(_ANGLES), np.sin(_ANGLES)
_CUMULATIVE = 0.5 + (_ANGLES + _SINE * _COSINE * (1 + 2 / 3 * _COSINE**2)) / np.pi  # at sqrt(5) tan(angle), exactly
_QUANTILES = np.tan(_ANGLES) * 3 * np.pi / 4  # sqrt(5) tan(angle) over the mean absolute value, 4 sqrt(5) / (3 pi)
_STUDENT = student(PROBABILITIES)


def _cut(values: FloatArray, kept: npt.NDArray[np.bool_], added: int) -> FloatArray:
    """The kept origins, and behind them so many of which nothing is known."""
    return np.pad(values[:, kept], ((0, 0), (0, added)), constant_values=np.nan)


def _usual(errors: Errors) -> FloatArray:
    """Discounted mean absolute error by step, never smaller at a longer step, (steps, origins).

    Each step is drawn to the history's own steps, growing by the step ahead, times the ratio of all errors to that.
    """
    expected = np.maximum(errors.step, _SMALLEST) * (errors.steps**_GROWTH)[:, None]
    total = _faded(errors.when_known(np.abs(errors.values)), _USUAL)
    count = _faded(errors.told, _USUAL)
    ratio = _drawn((total / expected).mean(axis=0), count.mean(axis=0), _UNSCORED)
    return np.maximum.accumulate(_drawn(total, count, ratio * expected), axis=0)


def _ratios(errors: Errors, usual: FloatArray) -> FloatArray:
    """Each absolute error over the usual one of the moment at which it was known, zero where there is none."""
    moments = np.minimum(errors.moments, errors.origins.size - 1)
    then = np.maximum(np.take_along_axis(usual, moments, axis=1), _SMALLEST)
    return np.where(errors.seen, np.abs(errors.values) / then, 0.0)


def _recent(errors: Errors, ratios: FloatArray) -> FloatArray:
    """Recent errors over usual ones, all steps pooled, (origins,)."""
    total = _faded(errors.when_known(ratios).mean(axis=0), _RECENT)
    count = _faded(errors.told.mean(axis=0), _RECENT)
    return _drawn(total, count, 1.0)


def _season(errors: Errors, ratios: FloatArray) -> FloatArray:
    """Errors of the same step a season ago over the usual ones of that time, (steps, origins)."""
    first, stop = _season_ago(_key(errors.origins), _key(errors.steps), errors.season)
    total, count = (
        np.take_along_axis(sums, stop, axis=1) - sums[:, first]
        for sums in (_sums(ratios), _sums(errors.seen.astype(float)))
    )
    return _drawn(total, count, 1.0)


def _key(values: IntArray) -> bytes:
    return values.astype(np.int64, copy=False).tobytes()


@lru_cache(maxsize=64)
def _moments(origins: bytes, steps: bytes) -> IntArray:
    at, ahead = np.frombuffer(origins, np.int64), np.frombuffer(steps, np.int64)
    return frozen(np.searchsorted(at, at + ahead[:, None]))


@lru_cache(maxsize=64)
def _season_ago(origins: bytes, steps: bytes, season: float) -> tuple[IntArray, IntArray]:
    """From which origin (origins,), and up to which (steps, origins), the same season lay and its error was known."""
    at, ahead = np.frombuffer(origins, np.int64), np.frombuffer(steps, np.int64)
    reach = 1.5 if season > _LONG_SEASON else 0.5
    first = np.searchsorted(at, at - season - reach)
    stop = np.searchsorted(at, at - season + reach)
    known = np.searchsorted(at, at - ahead[:, None], side="right")
    return frozen(first), frozen(np.maximum(np.minimum(stop, known), first))


def _sums(values: FloatArray) -> FloatArray:
    """Sums of all before each origin, (steps, origins + 1)."""
    out = np.zeros((values.shape[0], values.shape[1] + 1))
    np.cumsum(values, axis=1, out=out[:, 1:])
    return out


def _doubt(disagreement: FloatArray) -> FloatArray:
    """Disagreement of the experts over the usual one, (steps, origins); 1 where it is not known."""
    known = np.isfinite(disagreement)
    held = np.where(known, disagreement + _NO_DOUBT, 0.0)
    usual = _faded(held, _DOUBT) / np.maximum(_faded(known.astype(float), _DOUBT), _SMALLEST)
    ratio = np.clip(held / np.maximum(usual, _NO_DOUBT), 1 / _LARGEST_DOUBT, _LARGEST_DOUBT)
    return np.where(known, ratio, 1.0)


def _faded(values: FloatArray, half_life: float) -> FloatArray:
    """Discounted sums up to each origin, along the last axis."""
    size = values.shape[-1]
    grow = growth(size, max(half_life, size / _SAFE))
    return np.asarray(np.cumsum(values * grow, axis=-1) / grow)


def _drawn(total: FloatArray, count: FloatArray, prior: FloatArray | float) -> FloatArray:
    """A mean from a sum and a count, drawn to what was expected before."""
    return np.asarray((total + _PRIOR * prior) / (count + _PRIOR))
