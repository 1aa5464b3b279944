"""Rolling origins, embargoed and prequential: each past forecast rests on what was known at its origin.

x x x x x o . . .        x known then, o origin, . forecast and scored on what is known today
x x x x x x o . .
x x x x x x x o .
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from forecast import intervals, metrics
from forecast.engines.base import Engine, Path, Problem
from forecast.engines.seasonal_naive import SeasonalNaive
from forecast.errors import HistoryError
from forecast.frequency import Days
from forecast.intervals import Errors
from forecast.problem import Sources, past_moments
from forecast.series import Series
from forecast.transform import FloatArray, Transform

_REVISED_ORIGINS = 26  # each is a history of its own
_MIN_HISTORY = 4
_SEASON_SHARE = 1 / 3


@dataclass(frozen=True)
class Quality:
    """How good past forecasts were: all numbers from past origins, None where there were too few.

    `wape` share of sales; `mase` against the in-sample seasonal naive; `bias_pct` above zero for forecasts too high;
    `vs_seasonal_naive_pct` below zero where better; `coverage` share of actuals inside each interval, by level.
    """

    origins: int
    wape: float | None
    mase: float | None
    bias_pct: float | None
    vs_seasonal_naive_pct: float | None
    coverage: dict[str, float | None]


@dataclass(frozen=True)
class Backtest:
    """Past forecasts of one engine. Arrays have shape (origins, horizon), in sales units, NaN where not known yet."""

    engine: str
    ds: Days  # labels of the origins
    actual: FloatArray
    median: FloatArray
    seasonal_naive: FloatArray
    low: dict[float, FloatArray]
    high: dict[float, FloatArray]
    scale: float
    periods: np.ndarray  # labels forecast, (origins, horizon)

    @property
    def quality(self) -> Quality:
        """Over all origins and lead times."""
        return self._quality(slice(None))

    def by_lead_time(self) -> pd.DataFrame:
        """One row a lead time: h, n, wape, mase, bias_pct, vs_seasonal_naive_pct and the coverage of each level."""
        rows = []
        for h in range(self.actual.shape[1]):
            q = self._quality((slice(None), slice(h, h + 1)))
            scored = int(np.isfinite(self.actual[:, h]).sum())
            measures = {
                "wape": q.wape,
                "mase": q.mase,
                "bias_pct": q.bias_pct,
                "vs_seasonal_naive_pct": q.vs_seasonal_naive_pct,
            }
            rows.append({"h": h + 1, "n": scored} | measures | {f"coverage-{k}": v for k, v in q.coverage.items()})
        return pd.DataFrame(rows)

    def to_frame(self) -> pd.DataFrame:
        """One row an origin and period scored: origin, ds, h, actual, median, seasonal_naive, lo-/hi- of each level."""
        k, horizon = self.actual.shape
        frame = pd.DataFrame(
            {
                "origin": np.repeat(self.ds, horizon),
                "ds": self.periods.ravel(),
                "h": np.tile(np.arange(1, horizon + 1), k),
                "actual": self.actual.ravel(),
                "median": self.median.ravel(),
                "seasonal_naive": self.seasonal_naive.ravel(),
            }
        )
        for level in self.low:
            frame[f"lo-{level:g}"], frame[f"hi-{level:g}"] = self.low[level].ravel(), self.high[level].ravel()
        return frame.dropna(subset="actual").reset_index(drop=True)

    def _quality(self, part: slice | tuple[slice, slice]) -> Quality:
        actual, median = self.actual[part], self.median[part]
        inside = {f"{k:g}": metrics.coverage(actual, self.low[k][part], self.high[k][part]) for k in self.low}
        return Quality(
            origins=int(np.isfinite(self.actual).any(axis=1).sum()),
            wape=metrics.wape(actual, median),
            mase=metrics.mase(actual, median, self.scale),
            bias_pct=metrics.bias_pct(actual, median),
            vs_seasonal_naive_pct=metrics.change_pct(actual, median, self.seasonal_naive[part]),
            coverage=inside,
        )


@dataclass(frozen=True)
class Past:
    """Past origins as indices into today's series, and what was forecast there on the working scale."""

    origins: np.ndarray
    median: FloatArray
    naive: FloatArray


def rolling(
    engine: Engine,
    sources: Sources,
    problem: Problem,
    transform: Transform,
    moment: pd.Timestamp | None,
    count: int | None,
) -> tuple[Past, Path]:
    """Forecast from up to `count` past origins (what the engine can afford where None) and from the last period."""
    if sources.revised and moment is not None:
        past = _rebuilt(engine, sources, transform, moment, min(count or _REVISED_ORIGINS, engine.backtest_origins))
        return past, engine.predict(problem)
    origins = _origins(problem, engine, count or engine.backtest_origins)
    *paths, now = engine.predict_many(problem, [*origins, len(problem) - 1])
    naive = SeasonalNaive().predict_many(problem, origins)
    return Past(np.array(origins, dtype=int), _stack(paths, problem.horizon), _stack(naive, problem.horizon)), now


def _origins(problem: Problem, engine: Engine, count: int) -> list[int]:
    """The last `count` origins with history enough; spread out for engines that can afford only a few."""
    last = len(problem) - 2
    usable = [round(s) for s in problem.season_lengths if round(s) + _MIN_HISTORY < len(problem) / 2]
    first = max(_MIN_HISTORY, engine.min_periods, round(_SEASON_SHARE * len(problem)), *(s + 1 for s in usable)) - 1
    if last < first:
        return []
    if engine.backtest_origins < _REVISED_ORIGINS:
        return sorted({round(o) for o in np.linspace(first, last, count)})
    return list(range(max(first, last - count + 1), last + 1))


def _rebuilt(engine: Engine, sources: Sources, transform: Transform, moment: pd.Timestamp, count: int) -> Past:
    """Each past origin from its own vintage: the numbers as they were printed then."""
    today = sources.series(moment)
    kept: dict[int, tuple[FloatArray, FloatArray]] = {}
    for then in past_moments(today, moment, count):
        try:
            series = sources.series(then)
        except HistoryError:
            continue  # nothing had been published yet
        origin = int(np.searchsorted(today.ds, series.ds[-1]))
        if len(series) < max(_MIN_HISTORY, engine.min_periods) or origin in kept or series.ds[-1] > today.ds[-1]:
            continue  # too short, nothing new since the origin before, or its last periods were withdrawn later
        problem = sources.problem(series, transform, then)
        kept[origin] = (engine.predict(problem).median, SeasonalNaive().predict(problem).median)
    shape = (0, sources.horizon)
    medians = np.array([m for m, _ in kept.values()]).reshape(-1, *shape[1:])
    return Past(
        np.array(list(kept), dtype=int), medians, np.array([s for _, s in kept.values()]).reshape(-1, *shape[1:])
    )


def _stack(paths: list[Path], horizon: int) -> FloatArray:
    return np.array([path.median for path in paths], dtype=float).reshape(-1, horizon)


def errors_of(past: Past, problem: Problem) -> Errors:
    """Errors of the past forecasts on the working scale, against what is known today."""
    z = np.concatenate([np.where(problem.observed, problem.z, np.nan), np.full(problem.horizon, np.nan)])
    ahead = past.origins[:, None] + np.arange(1, problem.horizon + 1)
    step = float(np.abs(np.diff(problem.z)).mean()) if len(problem) > 1 else 0.0
    return Errors(past.origins, z[ahead] - past.median, step)


def scored(
    past: Past, errors: Errors, series: Series, transform: Transform, levels: tuple[float, ...], engine: str
) -> Backtest:
    """The past forecasts in sales units with the intervals that each would have carried."""
    ahead = past.origins[:, None] + np.arange(1, errors.horizon + 1)
    y = np.concatenate([series.y, np.full(errors.horizon, np.nan)])
    labels = np.concatenate([series.ds, series.future(errors.horizon)])
    tails = np.array([p for level in levels for p in (0.5 - level / 200, 0.5 + level / 200)])
    spread = np.full((*past.median.shape, tails.size), np.nan)
    for i, origin in enumerate(past.origins):
        if intervals.scored(errors, int(origin)) >= intervals.MIN_ORIGINS:
            spread[i] = intervals.quantiles(errors, int(origin), tails)
    bounds = transform.inverse(past.median[:, :, None] + spread)
    season = round(series.season_lengths[-1]) if series.season_lengths else 1
    return Backtest(
        engine=engine,
        ds=series.ds[past.origins],
        actual=y[ahead],
        median=transform.inverse(past.median),
        seasonal_naive=transform.inverse(past.naive),
        low={level: bounds[:, :, 2 * i] for i, level in enumerate(levels)},
        high={level: bounds[:, :, 2 * i + 1] for i, level in enumerate(levels)},
        scale=metrics.seasonal_scale(series.y, season),
        periods=labels[ahead],
    )
