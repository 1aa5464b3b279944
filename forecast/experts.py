"""The experts of the fast engine: a smoothed level plus an expected move, at many origins of the history at once.

  level    a level smoothed with one of a few gains;
  trend    the same with a damped trend (Gardner 1985);
  season   a level plus the mean move that the same season position made in past years, `mean_k (z[t+h-L_k] -
           level[t-L_k])`, whole or shrunk (analogues), or Holt-Winters smoothing with a seasonal state.
Where a calendar is given, all of them are moved around holidays towards an *aligned* forecast, `level + mean_k
(z[a_k] - level[a_k-h])` with a_k the period in the k-th past year that is the same in the calendar (`calendar.py`), by
the share that the record of such forecasts has earned (`aligned.py`).

All are linear in the history, so a blend of them adds up over the same drivers. Before its first season is over a
seasonal expert is the level alone, so that every expert has a record from the start.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from forecast.aligned import Calendar, followed
from forecast.calendar import Alignment
from forecast.frequency import frozen
from forecast.holt_winters import KERNEL, REACH, States, holt_winters
from forecast.origins import Origins
from forecast.season import BoolArray, IntArray, analog_lags
from forecast.smoothing import Filters, smooth
from forecast.transform import FloatArray

GAINS = (0.05, 0.2, 0.4, 1.0)
TRENDS = ((0.9, 0.4), (0.98, 0.1))  # damping, slope share
SEASONAL_TRENDS = ((1.0, 0.0), (0.9, 0.1))
SEASONAL_GAINS = (0.1, 0.3)
SHRINKAGES = (0.6, 1.0)
_YEARS = (1, 3, 8)  # how many past years an analogue averages
_CYCLES = (1, 4, 8)  # the same for short seasons such as the week
SHORT = 12  # seasons below it are short: the week of days, the year of quarters
_WEEKLY = range(40, 60)  # season lengths whose shape is averaged over neighbours
_WEEK = 7


def _filters(trends: tuple[tuple[float, float], ...]) -> Filters:
    """One filter a gain and trend, the gains running fastest."""
    gains = tuple(gain for _ in trends for gain in GAINS)
    return Filters(gains, tuple(d for d, _ in trends for _ in GAINS), tuple(s for _, s in trends for _ in GAINS))


_PLAIN = _filters(((0.0, 0.0), *TRENDS))
_SEASONAL = _filters(SEASONAL_TRENDS)


@dataclass(frozen=True)
class Experts:
    """`level` and `slope` (experts, origins), `reach` (steps, experts) and `season` (steps, seasonal experts, origins).

    The seasonal experts are the last ones. A forecast is `level + slope reach + season + calendar`; expert k has the
    gain `k % gains`. `calendar` (steps, experts, origins) is the move towards the aligned forecast, zero away from
    holidays; None without a calendar. `pull` (seasonal experts,) says how much of an analogue's whole move each one
    makes; a seasonal state is no such move.
    """

    level: FloatArray
    slope: FloatArray
    reach: FloatArray
    season: FloatArray
    pull: FloatArray
    calendar: FloatArray | None = None

    @property
    def seasonal(self) -> slice:
        """The seasonal experts among all."""
        return slice(self.level.shape[0] - self.season.shape[1], None)

    def at(self, origins: slice) -> Experts:
        """The same at some of the origins."""
        return replace(
            self,
            level=self.level[:, origins],
            slope=self.slope[:, origins],
            season=self.season[:, :, origins],
            calendar=None if self.calendar is None else self.calendar[:, :, origins],
        )

    def forecasts(self) -> FloatArray:
        """Every expert's forecast, (steps, experts, origins)."""
        out = self.slope * self.reach[:, :, None]
        out += self.level
        out[:, self.seasonal] += self.season
        if self.calendar is not None:
            out += self.calendar
        return np.asarray(out)


@dataclass(frozen=True)
class Smoothed:
    """What the experts need of a history `z` (n,) whatever the origin and the step.

    `level` and `slope` (plain filters, n) begin with the plain levels; `states` are those of the longest season;
    `calendar` says where holidays make periods of past years the same, and how far the record follows them.
    """

    z: FloatArray
    seasons: tuple[float, ...]
    level: FloatArray
    slope: FloatArray
    states: States | None
    calendar: Calendar | None = None

    @property
    def plain(self) -> FloatArray:
        """The levels without trend, (gains, n)."""
        return self.level[: len(GAINS)]


def smoothed(z: FloatArray, seasons: tuple[float, ...], alignment: Alignment | None = None) -> Smoothed:
    """Smooth a gapless history; seasons that it does not hold once are left out.

    `alignment` is of the periods of `z` and those ahead, and asks for forecasts that follow moving holidays.
    """
    usable = tuple(season for season in seasons if z.size >= season + 2)
    level, slope = smooth(z, _PLAIN)
    if not usable:
        return Smoothed(z, usable, level, slope, None)
    length = round(usable[-1])
    states = holt_winters(z, length, _SEASONAL, SEASONAL_GAINS, rounding=length in _WEEKLY)
    calendar = followed(z, level[: len(GAINS)], alignment) if alignment and usable[-1] == seasons[-1] else None
    return Smoothed(z, usable, level, slope, states, calendar)


def experts(history: Smoothed, grid: Origins) -> Experts:
    """All experts at the origins and steps of the grid, moved around holidays where the history has a calendar."""
    moves = [share * move for move in _analogues(history, grid) for share in SHRINKAGES]
    pull = np.tile(np.repeat(SHRINKAGES, len(GAINS)), len(moves) // len(SHRINKAGES))
    plain = grid.shifted(history.plain, 0)
    level = [grid.shifted(history.level, 0), *[plain] * len(moves)]
    slope = [grid.shifted(history.slope, 0), np.zeros((len(moves) * len(GAINS), plain.shape[-1]))]
    damping = _PLAIN.dampings + (0.0,) * (len(moves) * len(GAINS))
    if history.states:
        level.append(grid.shifted(history.states.level, 0))
        slope.append(grid.shifted(history.states.slope, 0))
        damping += _SEASONAL.dampings * len(SEASONAL_GAINS)
        moves.append(history.states.ahead(grid))
        pull = np.append(pull, np.zeros(moves[-1].shape[1]))
    season = np.concatenate(moves, axis=1) if moves else np.empty((len(grid.steps), 0, plain.shape[-1]))
    found = Experts(np.concatenate(level), np.concatenate(slope), _reach(damping, grid.steps), season, pull)
    if history.calendar is None:
        return found
    return replace(found, calendar=_calendar(history, grid, history.calendar, found.forecasts()))


def _calendar(history: Smoothed, grid: Origins, calendar: Calendar, forecasts: FloatArray) -> FloatArray:
    """What moves `forecasts` (steps, experts, origins) towards the aligned forecasts of the same gain."""
    step, origin, share = calendar.pairs(grid)
    aligned, known = calendar.forecasts(history.z, history.plain, grid.rows[origin], np.array(grid.steps)[step])
    repeated = np.tile(aligned, forecasts.shape[1] // len(GAINS))
    out = np.zeros(forecasts.shape)
    out[step, :, origin] = (share * known)[:, None] * (repeated - forecasts[step, :, origin])
    return out


@lru_cache(maxsize=64)
def _reach(dampings: tuple[float, ...], steps: tuple[int, ...]) -> FloatArray:
    """`sum_{j<=h} damping^j`, the way that a slope of 1 goes in h steps, (steps, dampings)."""
    powers = np.array(dampings) ** np.arange(1, steps[-1] + 1)[:, None]
    return np.asarray(np.cumsum(powers, axis=0)[np.array(steps) - 1])


def _analogues(history: Smoothed, grid: Origins) -> Iterator[FloatArray]:
    """Moves (steps, gains, origins) by the mean of a few past years or cycles, season by season."""
    longest = history.seasons[-1] if history.seasons else 0.0
    for season in history.seasons:
        counts = _CYCLES if season < SHORT else _YEARS
        usable = [k for k in counts if k == 1 or history.z.size >= (k // 2 + 1) * season + 2]
        for years, move in zip(usable, _moves(history, season, usable, grid), strict=True):
            yield move
            if season < SHORT <= longest and years == _CYCLES[1]:
                yield move + _yearly(history.z, longest, grid)


def _moves(history: Smoothed, season: float, years: list[int], grid: Origins) -> list[FloatArray]:
    """`mean_k (shape[t+h-L_k] - level[t-L_k])` over the last `years` seasons, for each of them; zero before the first.

    One year is taken as it was; in a mean over more of them the shape is averaged over neighbours, but where that
    would look beyond t.
    """
    z, plain = history.z, history.plain
    then, known, at, near = _places(season, years[-1], grid, z.size)
    level = plain[:, then].transpose(1, 2, 0, 3) * known
    raw = z[at][:, :, None]
    shape = raw
    if round(season) in _WEEKLY:
        shape = np.where(near, raw, _rounded(z)[at][:, :, None])
    moves = [raw[0] * known[0] - level[0]]
    for k in years[1:]:
        count = np.maximum(known[:k].sum(axis=0), 1)
        moves.append(((shape[:k] * known[:k]).sum(axis=0) - level[:k].sum(axis=0)) / count)
    return moves


@lru_cache(maxsize=64)
def _places(season: float, years: int, grid: Origins, n: int) -> tuple[IntArray, BoolArray, IntArray, BoolArray]:
    """For each year, step and origin: where the level lies and whether that is known, where the shape lies, and whether
    its neighbours would lie beyond the origin. The same for all histories of `n` periods."""
    steps = np.array(grid.steps)
    lags = analog_lags(season, steps, years)
    lags = lags[: max(1, int(np.count_nonzero(lags[:, 0] < n)))]
    distinct = lags[:, :1] if (lags == lags[:, :1]).all() else lags  # a level is the same for all steps of one lag
    then = grid.rows - distinct[:, :, None]
    at = np.maximum(grid.rows + (steps - lags)[:, :, None], 0)
    known, near = (then >= 0)[:, :, None], (steps - lags > -REACH)[:, :, None, None]
    return frozen(np.maximum(then, 0)), frozen(known), frozen(at), frozen(near)


def _rounded(z: FloatArray) -> FloatArray:
    """Averaged over two neighbours on either side, so that a peak which shifts by a week is not missed."""
    out = z.copy()
    if z.size > KERNEL.size:
        out[REACH:-REACH] = np.convolve(z, KERNEL, mode="valid")
    return out


def _yearly(z: FloatArray, season: float, grid: Origins) -> FloatArray:
    """Mean move of the week's level over the same days of past years, (steps, 1, origins); zero before the first."""
    week, half = np.convolve(z, np.full(_WEEK, 1 / _WEEK))[_WEEK // 2 : z.size + _WEEK // 2], _WEEK // 2
    steps = np.array(grid.steps)
    lags = analog_lags(season, steps, _YEARS[1])[:, :, None]
    then = grid.rows - lags
    known = (then >= half) & (steps[:, None] - lags + half <= 0)
    moves = week[np.maximum(then + steps[:, None], 0)] - week[np.maximum(then, 0)]
    return np.asarray((moves * known).sum(axis=0) / np.maximum(known.sum(axis=0), 1))[:, None]
