"""The fast engine: closed form, numpy only, every retrain in milliseconds.

Experts (level, damped trend, seasonal analogues, Holt-Winters) are blended by their prequential record; what the blend
got wrong is explained by trading days and the surprises of admitted signals. Everything is computed for all origins in
one pass, and what is chosen at an origin rests on errors that were known by then, so past origins are honest tests of
the whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property, lru_cache

import numpy as np

from forecast.admission import Admitted, admit
from forecast.blend import weights
from forecast.engines.base import Engine, Evidence, Path, Problem, Rolled, first_origin
from forecast.experts import GAINS, SHORT, Experts, experts, smoothed
from forecast.origins import Origins, ending_at, last_only
from forecast.season import IntArray, analog_lags
from forecast.surprise import filter_of, surprises
from forecast.trading_days import DRIVER, TradingDays, trading_days, weekday_contrasts
from forecast.transform import FloatArray

KEPT = 520  # periods, ten years of weeks: older values say little and cost time
DAYS_KEPT = 1100  # three years
_MIN_MEMORY = 12.0
_DAILY_STRIDE = 3  # every third day is an origin; three days and a week have no common factor
_RECENTRING_YEARS = 3
_ORIGINS = 260  # judged at most; older ones would weigh next to nothing
_LATELY = 26  # past origins that say how much the importance of a driver varies
_STEPS = (1, 3, 9, 26)
_SPARSER = 3

np.empty(4_000_000)  # glibc then keeps freed arrays of this size: fresh pages for each would cost as much as the sums


class Fast(Engine):
    """Prequential blend of smoothing experts with admitted signals."""

    name = "fast"
    summary = "blend of smoothed levels, damped trends and seasonal experts, with signals that earned their place"
    uses_signals = True
    damps_trend = True
    leads = True
    backtest_origins = 104

    def predict(self, problem: Problem) -> Path:
        """The path from the last period on."""
        return Fit(recent(problem)).path()

    def roll(self, problem: Problem, count: int, *, every_step: bool) -> Rolled:
        """All origins in one pass."""
        kept = recent(problem)
        cut = len(problem) - len(kept)
        fit = Fit(kept, every_step=every_step)
        rows = fit.grid.rows
        first = max(first_origin(kept, self.min_periods), len(kept) - 1 - count * fit.grid.stride)
        reported = int(np.count_nonzero(rows >= first)) - 1  # the last row is today
        steps = np.array(fit.grid.steps)
        return Rolled(rows + cut, steps, fit.median, fit.path(), max(reported, 0), fit.disagreement)


def recent(problem: Problem) -> Problem:
    """The problem with no more of its history than is used."""
    first = max(0, len(problem) - (DAYS_KEPT if max(problem.season_lengths, default=1.0) > KEPT / 2 else KEPT))
    if first == 0:
        return problem
    regressors = tuple(replace(r, x=r.x[first:], edge=max(r.edge - first, -1)) for r in problem.regressors)
    return replace(
        problem,
        ds=problem.ds[first:],
        z=problem.z[first:],
        observed=problem.observed[first:],
        regressors=regressors,
    )


@lru_cache(maxsize=512)
def judged_steps(horizon: int) -> tuple[int, ...]:
    """The steps ahead at which everything is judged, ever sparser; the steps between them are interpolated."""
    steps = list(_STEPS)
    while steps[-1] < horizon:
        steps.append(steps[-1] * _SPARSER)
    return (*(step for step in steps if step < horizon), horizon)


@lru_cache(maxsize=512)
def _between(steps: tuple[int, ...], horizon: int) -> FloatArray:
    """How much of each judged step belongs to each step of the horizon, linear in its logarithm; (horizon, steps)."""
    at = np.log(np.arange(1, horizon + 1))
    return np.stack([np.interp(at, np.log(steps), row) for row in np.eye(len(steps))], axis=-1)


def _warm_up(n: int, seasons: tuple[float, ...]) -> int:
    """The first quarter of a season says nothing, once there are two; the rest of it teaches the weights a start.

    Weights that begin after a whole season leave a part of it in the errors, and any seasonal signal goes with that.
    """
    return max((round(season / 4) for season in seasons if n > 2 * season + 2), default=0)


def _apart(weight: FloatArray, forecasts: FloatArray, mean: FloatArray) -> FloatArray:
    """The weighted standard deviation of the experts' forecasts, (steps, origins)."""
    square = np.einsum("smr,smr->sr", weight * forecasts, forecasts)
    return np.asarray(np.sqrt(np.maximum(square - mean * mean, 0.0)))


class Fit:
    """One pass over a history: experts, weights, errors and the admission of signals at every origin."""

    def __init__(self, problem: Problem, *, every_step: bool = False) -> None:
        n, horizon, seasons = len(problem), problem.horizon, problem.season_lengths
        self.problem = problem
        steps = tuple(range(1, horizon + 1)) if every_step else judged_steps(horizon)
        daily = bool(seasons) and seasons[0] < SHORT < seasons[-1]
        stride = _DAILY_STRIDE if daily else 1
        self.grid: Origins = ending_at(n, stride, steps, max(_warm_up(n, seasons), n - _ORIGINS * stride))
        self.history = smoothed(problem.z, seasons, problem.alignment)
        self.half_life = problem.memory * max(_MIN_MEMORY, max(seasons, default=1.0))
        target = self.grid.targets(problem.z, problem.observed)
        self.experts = experts(self.history, self.grid)
        forecasts = self.experts.forecasts()
        self.weights = weights(forecasts, target, self.grid, self.half_life)
        self.base = np.einsum("smr,smr->sr", self.weights, forecasts)
        self.disagreement = _apart(self.weights, forecasts, self.base)
        self.filter = filter_of(self.weights, self.experts.pull, self.history, self.grid)
        self.errors = target - self.base
        self.calendar = self._calendar()
        if self.calendar:
            self.base += self.calendar.adjustment
            self.errors -= self.calendar.adjustment

    def _calendar(self) -> TradingDays | None:
        """What the weekdays of months and quarters tell, where there are seasons enough to tell them apart."""
        contrasts = weekday_contrasts(self.problem.ds) if self.grid.first else None
        if contrasts is None:
            return None
        season = round(max(self.problem.season_lengths, default=0.0))
        errors = np.where(self.grid.rows < season, np.nan, self.errors)  # that season nobody could foresee
        return trading_days(contrasts, errors, self.grid, self.filter, self.problem.horizon)

    @cached_property
    def admitted(self) -> Admitted:
        """The signals that earned their place, at each origin."""
        found = surprises(self.problem.regressors, self.filter, self.grid, self.problem.horizon)
        return admit(self.errors, self.grid, found, self.problem.horizon, self.half_life)

    @property
    def median(self) -> FloatArray:
        """The forecast at each step and origin, signals included, (steps, origins)."""
        return np.asarray(self.base + self.admitted.adjustment) if self.problem.regressors else self.base

    def path(self) -> Path:
        """The forecast at the last origin, as terms on the working scale, and how large each has been lately."""
        horizon = self.problem.horizon
        weight = _between(self.grid.steps, horizon) @ self.weights[:, :, -1]
        now = last_only(len(self.problem), horizon)
        terms = {name: term[:, 0] for name, term in self._terms(weight[:, :, None], experts(self.history, now), now)}
        past, grid = slice(-_LATELY - 1, -1), self.grid.before_last(_LATELY)
        lately = dict(self._terms(self.weights[:, :, past], self.experts.at(past), grid))
        if self.calendar and self.calendar.now.any():
            terms[DRIVER], lately[DRIVER] = self.calendar.now, self.calendar.adjustment[:, past]
        evidence: tuple[Evidence, ...] = ()
        if self.problem.regressors:
            terms |= self.admitted.now
            lately |= {name: part[:, past] for name, part in self.admitted.past.items()}
            evidence = self.admitted.evidence
        return Path(terms, evidence, lately)

    def _terms(self, weight: FloatArray, built: Experts, grid: Origins) -> Iterator[tuple[str, FloatArray]]:
        """The blend by driver, each (steps, origins), for weights (steps, experts, origins) on the grid.

        Analogues move from one season position to another; their moves are split into growth, the way to the year's
        mean (level) and the season proper. Only the attribution depends on it, never the forecast.
        """
        level = np.einsum("smr,mr->sr", weight, built.level)
        trend = np.einsum("smr,smr->sr", weight, built.reach[:, :, None] * built.slope)
        if built.pull.size:
            seasonal = weight[:, built.seasonal]
            season = np.einsum("smr,smr->sr", seasonal, built.season)
            share = np.einsum("smr,m->sr", seasonal, built.pull)
            growth, to_mean = self._recentre(weight, grid.rows)
            grown = share * growth * np.array(grid.steps)[:, None]
            level, trend = level + share * to_mean, trend + grown
            yield "season", season - share * to_mean - grown
        if built.calendar is not None and self.history.calendar and self.history.calendar.share[:, -1].any():
            yield DRIVER, np.einsum("smr,smr->sr", weight, built.calendar)
        yield "level", level
        yield "trend", trend

    def _recentre(self, weight: FloatArray, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        """Growth a period, and how far each origin's season position lies below the year's mean, both (origins,)."""
        season = self.history.seasons[-1]
        lags = [lag for lag in analog_lags(season, np.array([1]), _RECENTRING_YEARS)[:, 0].tolist() if lag <= rows[0]]
        if not lags:
            return np.zeros(rows.size), np.zeros(rows.size)
        shares = weight.mean(axis=0).reshape(-1, len(GAINS), rows.size).sum(axis=0)
        now, *then = ((shares * self.history.plain[:, rows - lag]).sum(axis=0) for lag in (0, *lags))
        growth, year = (now - then[-1]) / lags[-1], round(season)
        total = np.cumsum(np.append(0.0, self.problem.z))
        moves = [
            (total[rows - lag + 1 + year] - total[rows - lag + 1]) / year - at
            for lag, at in zip(lags, then, strict=True)
        ]
        return growth, np.mean(moves, axis=0) - growth * (year + 1) / 2
