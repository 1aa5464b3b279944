"""Direct regression: for each step ahead a ridge of its own on recent moves, on those of past years and on waves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from forecast.engines.base import Engine, Path, Problem
from forecast.season import IntArray, analog_lags
from forecast.transform import FloatArray

KEPT = 520  # periods
_OWN = 13  # recent moves at most
_SHARE = 6  # of the history is as long as the recent moves at most: its inverse
_SPANS = (13, 26, 52)  # periods over which a mean is taken that sales may return to
_YEARS = 3  # past years whose moves are shown at most
_LEAST_PERIODS = 24  # to learn from, before a past year is shown
_WAVES = 6  # a season at most: one for each season of history
_WAVED = 1.5  # seasons of history before there are any
_SHORT = 13.0  # seasons up to it have no more waves than half of their length
_REACH = 2  # neighbours on either side over which the shape of a year is averaged
_LONG = 40.0  # seasons longer than it are averaged so
_LEAST = 8  # rows to learn from
_HALF_LIFE = 104.0  # of a row, in periods
_DRIFT = 0.5  # of the size of other columns: a drift is drawn to zero four times as strongly
_PENALTIES = np.array([1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0, 10.0, 1e6])  # times the rows; the last: no move
_BLOCKS = 8  # of past origins that judge the penalties
_JUDGED = 0.35  # share of the history in them, or two seasons
_SHARPNESS = 10.0  # power of a penalty's record in its weight
_LARGEST = 4.0  # standard deviations: of a larger move no more is learnt
_LARGEST_LOSS = 3.0  # mean losses: more of one does not count
_EVERY = 52  # steps up to it are all judged; beyond, each that is a tenth further than the one before
_TINY = 1e-9


class Direct(Engine):
    """Moves from the last value by ridge regression, one for each step, shrunk by their record at past origins.

    Full shrinkage is the last value itself. No forecast is fed back (direct forecasts: Marcellino, Stock and Watson
    2006). The penalty is chosen on origins that the coefficients had not seen: overlapping targets make in-sample
    criteria optimistic.
    """

    name = "direct"
    summary = "ridge regression for each step ahead on moves of late and of past years, shrunk by its own record"
    uses_signals = False
    damps_trend = True
    backtest_origins = 12
    min_periods = 12

    def predict(self, problem: Problem) -> Path:
        """Terms `level`, `trend` (the drift) and `season`."""
        history, horizon = History(problem), problem.horizon
        judged = _judged(horizon)
        fitted = [_fitted(history, step, step in judged) for step in range(1, horizon + 1)]
        weight = _weight(np.array([fit.loss for fit in fitted]))
        terms = {name: np.zeros(horizon) for name in ("level", "trend", "season")}
        terms["level"] += history.z[-1]
        for i, fit in enumerate(fitted):
            now = history.columns(history.now, i + 1) if fit.coefficients.size else ()
            for (driver, column), coefficient in zip(now, weight @ fit.coefficients, strict=True):
                terms[driver][i] += coefficient * column[0]
        return Path(terms)


@dataclass(frozen=True)
class History:
    """The periods learnt from, and what of them is shown to the regressions."""

    problem: Problem

    @cached_property
    def z(self) -> FloatArray:
        """Their values (n,)."""
        return self.problem.z[-KEPT:]

    @cached_property
    def now(self) -> IntArray:
        """The last origin, (1,)."""
        return np.array([self.z.size - 1])

    @cached_property
    def own(self) -> int:
        """How many recent moves are shown."""
        return max(1, min(_OWN, self.z.size // _SHARE))

    @cached_property
    def years(self) -> dict[float, int]:
        """How many past years of each season are shown, so that rows to learn from are left."""
        n, least = self.z.size, max(_LEAST_PERIODS, self.problem.horizon + 12)
        return {
            season: min(_YEARS, max(int((n - least) / season) - 1, int(n >= season + least + self.own)))
            for season in self.problem.season_lengths
        }

    @property
    def judged(self) -> float:
        """The length of the past whose origins judge the penalties, in periods."""
        n = self.z.size
        return max(_JUDGED * n, min(2 * max(self.years, default=1.0), n / 2))

    def first(self, step: int) -> int:
        """The first origin at which all columns are known."""
        return max([self.own, *(round(season * count) + step + 1 for season, count in self.years.items() if count)])

    def columns(self, origins: IntArray, step: int) -> Iterator[tuple[str, FloatArray]]:
        """The driver and the values (origins,) of each column; all are moves, so that no level is learnt."""
        z = self.z
        for lag in range(1, self.own + 1):
            yield "level", z[origins] - z[origins - lag]
        for span in _SPANS:
            if span <= self.first(1):
                yield "level", z[origins] - (self._total[origins + 1] - self._total[origins + 1 - span]) / span
        for season, count in self.years.items():
            yield from self._past_years(origins, step, season, count)
            if z.size > _WAVED * season:
                yield from _waves(origins, step, season, z.size)
        yield "trend", np.full(origins.size, _DRIFT)

    def _past_years(self, origins: IntArray, step: int, season: float, count: int) -> Iterator[tuple[str, FloatArray]]:
        """The move that the same season position made, and how far the level has come since."""
        lags = analog_lags(season, np.array([step]), count)[:, 0].tolist() if count else []
        for lag in lags:
            yield "season", self.z[origins + step - lag] - self.z[origins - lag]
            yield "season", self.z[origins - lag] - self.z[origins]
        if lags and season > _LONG:  # between means over neighbours, none of them later than the origin
            at = np.minimum(origins + step - lags[0], origins - _REACH)
            yield "season", self._rounded[at] - self._rounded[origins - lags[0] - _REACH]

    @cached_property
    def _total(self) -> FloatArray:
        return np.cumsum(np.append(0.0, self.z))

    @cached_property
    def _rounded(self) -> FloatArray:
        width = 2 * _REACH + 1
        return np.convolve(self.z, np.full(width, 1 / width), mode="same")


@dataclass(frozen=True)
class Fitted:
    """Coefficients (penalties, columns) for one step ahead, none where there is too little to learn from.

    `loss` (penalties,) is the mean absolute error at past origins over that of all penalties; NaN where not judged.
    """

    coefficients: FloatArray
    loss: FloatArray


def _judged(horizon: int) -> list[int]:
    """The steps whose regressions judge the penalties."""
    steps = list(range(1, min(horizon, _EVERY) + 1))
    while steps[-1] < horizon:
        steps.append(min(horizon, steps[-1] + max(1, steps[-1] // 10)))
    return steps


def _waves(origins: IntArray, step: int, season: float, n: int) -> Iterator[tuple[str, FloatArray]]:
    count = max(1, min(int(n / season), _WAVES))
    for wave in range(1, min(count, int(season // 2) if season <= _SHORT else count) + 1):
        turn = 2 * np.pi * wave / season
        yield "season", np.sin(turn * (origins + step)) - np.sin(turn * origins)
        yield "season", np.cos(turn * (origins + step)) - np.cos(turn * origins)


def _fitted(history: History, step: int, judged: bool) -> Fitted:
    """The ridge for `step` periods ahead; where `judged`, also at past origins by fits to what was known there."""
    z, first = history.z, history.first(step)
    origins = np.arange(first, z.size - step)
    if origins.size < _LEAST:
        return Fitted(np.zeros((_PENALTIES.size, 0)), np.full(_PENALTIES.size, np.nan))
    x = np.column_stack([column for _, column in history.columns(origins, step)])
    size = np.sqrt(np.square(x).mean(axis=0)) + _TINY
    size[-1] = 1.0  # the drift's size is its own
    moves = z[origins + step] - z[origins]
    ends = _ends(z.size, first + step + _LEAST, history.judged) if judged else history.now
    known = np.searchsorted(origins, ends - step, side="right")
    coefficients = _coefficients(x / size, moves, known)
    return Fitted(coefficients[-1] / size, _loss(x / size, moves, coefficients, np.searchsorted(origins, ends)))


def _ends(n: int, first: int, judged: float) -> IntArray:
    """The last period known when each block of past origins begins, and the last of all."""
    start = max(first, int(n - 1 - judged))
    if start >= n - 2:
        return np.array([n - 1])
    last = n - 1 - max(1, (n - 1 - start) // _BLOCKS)
    return np.append(np.unique(np.linspace(start, last, _BLOCKS).round().astype(int)), n - 1)


def _coefficients(x: FloatArray, moves: FloatArray, known: IntArray) -> FloatArray:
    """Coefficients (ends, penalties, columns) from the first `known` (ends,) rows; one decomposition an end."""
    spread = 1.4826 * np.median(np.abs(moves)) + _TINY
    held = np.clip(moves, -_LARGEST * spread, _LARGEST * spread)
    weight = 0.5 ** (np.arange(moves.size)[::-1] / _HALF_LIFE)
    weighted = x * weight[:, None]
    gram = np.array([weighted[:rows].T @ x[:rows] for rows in known])
    cross = np.array([weighted[:rows].T @ held[:rows] for rows in known])
    size, axes = np.linalg.eigh(gram)
    along = np.einsum("epk,ep->ek", axes, cross)
    rows = np.cumsum(weight)[known - 1]
    penalised = np.maximum(size, 0.0)[:, None] + _PENALTIES[:, None] * rows[:, None, None]
    return np.asarray(np.einsum("epk,efk->efp", axes, along[:, None] / penalised))


def _loss(x: FloatArray, moves: FloatArray, coefficients: FloatArray, starts: IntArray) -> FloatArray:
    """Mean absolute errors (penalties,) in each block of rows, by what was known when it began."""
    found = [
        np.abs(x[low:high] @ fitted.T - moves[low:high, None])
        for low, high, fitted in zip(starts[:-1], starts[1:], coefficients[:-1], strict=True)
    ]
    errors = np.concatenate([np.empty((0, _PENALTIES.size)), *found])
    if not errors.any():
        return np.full(_PENALTIES.size, np.nan)
    errors = np.minimum(errors, _LARGEST_LOSS * errors.mean())
    return np.asarray(errors.mean(axis=0) / errors.mean())


def _weight(loss: FloatArray) -> FloatArray:
    """Weights (penalties,) by the record (steps, penalties) over all steps; without one, no move at all."""
    told = loss[np.isfinite(loss).all(axis=1)]
    if not told.size:
        return np.asarray(np.eye(_PENALTIES.size)[-1])
    record = np.maximum(told.mean(axis=0), _TINY)
    weight = (record / record.min()) ** -_SHARPNESS
    return np.asarray(weight / weight.sum())
