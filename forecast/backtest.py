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
from forecast.scale import Scale
from forecast.series import Series
from forecast.transform import FloatArray, Transform

_REVISED_ORIGINS = 26  # each is a history of its own
_MIN_HISTORY = 4
_SEASON_SHARE = 1 / 3


@dataclass(frozen=True)
class Quality:
    """How good past forecasts were: all numbers from past origins, None where there were too few.

    Of the median: `wape` (share of sales), `mase` (against the in-sample seasonal naive) and `vs_seasonal_naive_pct`
    (below zero where better). Of the mean, which is the value shown: `bias_pct`, above zero for forecasts too high.
    `coverage` is the share of actuals inside each interval, by level.
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
    mean: FloatArray
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
        """One row an origin and period scored: origin, ds, h, actual, the forecasts, lo-/hi- of each level."""
        k, horizon = self.actual.shape
        frame = pd.DataFrame(
            {
                "origin": np.repeat(self.ds, horizon),
                "ds": self.periods.ravel(),
                "h": np.tile(np.arange(1, horizon + 1), k),
                "actual": self.actual.ravel(),
                "mean": self.mean.ravel(),
                "median": self.median.ravel(),
                "seasonal_naive": self.seasonal_naive.ravel(),
            }
        )
        for level in self.low:
            frame[f"lo-{level:g}"], frame[f"hi-{level:g}"] = self.low[level].ravel(), self.high[level].ravel()
        return frame.dropna(subset="actual").reset_index(drop=True)

    def _quality(self, part: slice | tuple[slice, slice]) -> Quality:
        actual, median = self.actual[part], self.median[part]
        inside = {f"{k:g}": self._coverage(k, part) for k in self.low}
        return Quality(
            origins=int(np.isfinite(self.actual).any(axis=1).sum()),
            wape=metrics.wape(actual, median),
            mase=metrics.mase(actual, median, self.scale),
            bias_pct=metrics.bias_pct(actual, self.mean[part]),
            vs_seasonal_naive_pct=metrics.change_pct(actual, median, self.seasonal_naive[part]),
            coverage=inside,
        )

    def _coverage(self, level: float, part: slice | tuple[slice, slice]) -> float | None:
        """None where fewer than `intervals.MIN_ORIGINS` past origins carried an interval that can be scored."""
        actual, low, high = self.actual[part], self.low[level][part], self.high[level][part]
        told = (np.isfinite(actual) & np.isfinite(low)).any(axis=1).sum()
        return metrics.coverage(actual, low, high) if told >= intervals.MIN_ORIGINS else None


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
    return Past(
        np.array(origins, dtype=int),
        _matrix([p.median for p in paths], problem.horizon),
        _matrix([p.median for p in naive], problem.horizon),
    ), now


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
    for then in past_moments(sources.history, today, moment, count):
        try:
            series = sources.series(then)
        except HistoryError:
            continue  # nothing had been published yet
        origin = int(np.searchsorted(today.ds, series.ds[-1]))
        if len(series) < max(_MIN_HISTORY, engine.min_periods) or origin in kept or series.ds[-1] >= today.ds[-1]:
            continue  # too short, nothing new since the origin before, or its last periods were withdrawn later
        problem = sources.problem(series, transform, then)
        kept[origin] = (engine.predict(problem).median, SeasonalNaive().predict(problem).median)
    medians, naive = ([pair[k] for pair in kept.values()] for k in (0, 1))
    return Past(np.array(list(kept), dtype=int), _matrix(medians, sources.horizon), _matrix(naive, sources.horizon))


def _matrix(rows: list[FloatArray], horizon: int) -> FloatArray:
    return np.array(rows, dtype=float).reshape(-1, horizon)


def _ahead(past: Past, values: FloatArray, horizon: int) -> FloatArray:
    """`values` (n,) of today at each step ahead of each past origin, (origins, horizon); NaN past the end."""
    padded = np.concatenate([values, np.full(horizon, np.nan)])
    return np.asarray(padded[past.origins[:, None] + np.arange(1, horizon + 1)])


def errors_of(past: Past, problem: Problem) -> Errors:
    """Errors of the past forecasts on the working scale, against what is known today."""
    z = np.where(problem.observed, problem.z, np.nan)
    step = float(np.abs(np.diff(problem.z)).mean()) if len(problem) > 1 else 0.0
    return Errors(past.origins, _ahead(past, z, problem.horizon) - past.median, step)


def scored(
    past: Past, errors: Errors, series: Series, scale: Scale, levels: tuple[float, ...], engine: str
) -> Backtest:
    """The past forecasts in sales units with the mean and the intervals that each would have carried."""
    tails = np.array([p for level in levels for p in (0.5 - level / 200, 0.5 + level / 200)])
    bounds = np.full((*past.median.shape, tails.size), np.nan)
    median = scale.units(past.median)
    mean = median.copy()
    for i, origin in enumerate(past.origins):
        if intervals.scored(errors, int(origin)) >= intervals.MIN_ORIGINS:
            spread = intervals.quantiles(errors, int(origin))
            mean[i] = scale.mean(past.median[i], spread)
            bounds[i] = intervals.at(scale.units(past.median[i, :, None] + spread), tails)
    season = round(series.season_lengths[-1]) if series.season_lengths else 1
    labels = np.concatenate([series.ds, series.future(errors.horizon)])
    return Backtest(
        engine=engine,
        ds=series.ds[past.origins],
        actual=_ahead(past, series.y, errors.horizon),
        mean=mean,
        median=median,
        seasonal_naive=scale.units(past.naive),
        low={level: bounds[:, :, 2 * i] for i, level in enumerate(levels)},
        high={level: bounds[:, :, 2 * i + 1] for i, level in enumerate(levels)},
        scale=metrics.seasonal_scale(series.y, season),
        periods=labels[past.origins[:, None] + np.arange(1, errors.horizon + 1)],
    )
