"""Rolling origins, embargoed and prequential: each past forecast rests on what was known at its origin.

x x x x x o . . .        x known then, o origin, . forecast and scored on what is known today
x x x x x x o . .
x x x x x x x o .
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from forecast import intervals, metrics
from forecast.engines import seasonal_naive
from forecast.engines.base import MIN_HISTORY, Engine, Path, Problem
from forecast.errors import HistoryError
from forecast.frequency import Days
from forecast.intervals import Errors
from forecast.problem import Sources, past_moments
from forecast.scale import SPREAD, Scale
from forecast.season import IntArray
from forecast.series import Series
from forecast.transform import FloatArray, Transform

_REVISED_ORIGINS = 26  # each is a history of its own
_WIDEST = 3.0
_NARROWEST = 0.85  # errors of a stack over those of the record that its intervals are drawn from
_EXPECTED = 0.95  # the same before its few origins are seen
_UNSEEN = 2.0  # how much that expectation counts beside them


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
    """Past forecasts of one engine, in sales units.

    `ds` (origins,) labels the origins, `steps` (steps,) says how many periods ahead was forecast. All other arrays have
    the shape (origins, steps), NaN where not known yet; `periods` are the labels forecast.
    """

    engine: str
    ds: Days
    steps: IntArray
    actual: FloatArray
    mean: FloatArray
    median: FloatArray
    seasonal_naive: FloatArray
    low: dict[float, FloatArray]
    high: dict[float, FloatArray]
    scale: float
    periods: Days

    @cached_property
    def quality(self) -> Quality:
        """Over all origins and lead times."""
        return self._quality(slice(None))

    def by_lead_time(self) -> pd.DataFrame:
        """One row a lead time: h, n, wape, mase, bias_pct, vs_seasonal_naive_pct and the coverage of each level."""
        rows = []
        for column, h in enumerate(self.steps.tolist()):
            q = self._quality((slice(None), slice(column, column + 1)))
            scored = int(np.isfinite(self.actual[:, column]).sum())
            measures = {
                "wape": q.wape,
                "mase": q.mase,
                "bias_pct": q.bias_pct,
                "vs_seasonal_naive_pct": q.vs_seasonal_naive_pct,
            }
            rows.append({"h": h, "n": scored} | measures | {f"coverage-{k}": v for k, v in q.coverage.items()})
        return pd.DataFrame(rows)

    def to_frame(self) -> pd.DataFrame:
        """One row an origin and period scored: origin, ds, h, actual, the forecasts, lo-/hi- of each level."""
        k, columns = self.actual.shape
        frame = pd.DataFrame(
            {
                "origin": np.repeat(self.ds, columns),
                "ds": self.periods.ravel(),
                "h": np.tile(self.steps, k),
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
class Vintages:
    """Past origins (v,) forecast from what had been printed by then: medians and seasonal naive's (s, v).

    Or those of a stack, whose few origins are `drawn` to what is expected of one.
    """

    origins: IntArray
    median: FloatArray
    naive: FloatArray
    drawn: bool = False


@dataclass(frozen=True)
class Past:
    """Origins (k,) as indices into today's series, steps (s,), and what was forecast there, (s, k), working scale.

    The last origin may be the last period; the last `reported` of those before it are told, or the `vintages` instead.
    """

    origins: IntArray
    steps: IntArray
    median: FloatArray
    reported: int
    disagreement: FloatArray | None = None
    vintages: Vintages | None = None

    def ahead(self, values: FloatArray, origins: IntArray) -> FloatArray:
        """`values` (n,) of today at each step ahead of each of `origins`, (s, origins); NaN past the end."""
        padded = np.concatenate([values, np.full(int(self.steps[-1]), np.nan)])
        return np.asarray(padded[origins + self.steps[:, None]])

    def told(self, problem: Problem) -> Vintages:
        """The origins that say how good the engine is, with its medians and seasonal naive's."""
        if self.vintages:
            return self.vintages
        before = int(np.searchsorted(self.origins, len(problem) - 1))
        part = slice(before - self.reported, before)
        origins = self.origins[part]
        return Vintages(origins, self.median[:, part], seasonal_naive.medians(problem, origins, self.steps))


def rolling(
    engine: Engine,
    sources: Sources,
    problem: Problem,
    transform: Transform,
    moment: pd.Timestamp | None,
    count: int | None,
    *,
    every_step: bool,
) -> tuple[Past, Path]:
    """Forecast from up to `count` past origins (what the engine can afford where None) and from the last period."""
    rolled = engine.roll(problem, count or engine.backtest_origins, every_step=every_step)
    own = None
    if rolled.denser:
        naive = seasonal_naive.medians(problem, rolled.origins, rolled.steps)
        own = Vintages(rolled.origins, rolled.median, naive, drawn=True)
    record = rolled.denser or rolled
    past = Past(record.origins, record.steps, record.median, record.reported, record.disagreement, own)
    if sources.revised and moment is not None:
        most = min(count or _REVISED_ORIGINS, engine.backtest_origins)
        past = replace(past, vintages=_rebuilt(engine, sources, transform, moment, most, rolled.steps))
    return past, rolled.now


def _rebuilt(
    engine: Engine, sources: Sources, transform: Transform, moment: pd.Timestamp, count: int, steps: IntArray
) -> Vintages:
    """Each past origin from its own vintage: the numbers as they were printed then."""
    today = sources.series(moment)
    kept: dict[int, tuple[Problem, FloatArray]] = {}
    for then in past_moments(sources.history, today, moment, count):
        try:
            series = sources.series(then)
        except HistoryError:
            continue  # nothing had been published yet
        origin = int(np.searchsorted(today.ds, series.ds[-1]))
        if len(series) < max(MIN_HISTORY, engine.min_periods) or origin in kept or series.ds[-1] >= today.ds[-1]:
            continue  # too short, nothing new since the origin before, or its last periods were withdrawn later
        problem = sources.problem(series, transform, then)
        naive = seasonal_naive.medians(problem, np.array([len(problem) - 1]), steps)
        kept[origin] = (problem, naive[:, 0])
    told = [median[steps - 1] for median in engine.medians([problem for problem, _ in kept.values()])]
    medians, naives = (np.reshape(each, (-1, steps.size)).T for each in (told, [naive for _, naive in kept.values()]))
    return Vintages(np.array(list(kept), dtype=int), medians, naives)


def errors_of(past: Past, problem: Problem) -> Errors:
    """Errors of the past forecasts on the working scale, against what is known today.

    Where past vintages were forecast as well, errors are as much larger as those had larger ones.
    """
    z = np.where(problem.observed, problem.z, np.nan)
    season = max((s for s in problem.season_lengths if s < len(problem)), default=0.0)
    values = past.ahead(z, past.origins) - past.median
    if past.vintages:
        values *= _wider(values, past, past.vintages, z)
    steps = _mean_steps(problem.z)
    step = steps[past.origins] if past.origins.size else float(steps[-1])
    return Errors(past.origins, past.steps, values, step, season, past.disagreement)


def _mean_steps(z: FloatArray) -> FloatArray:
    """The mean absolute one-step change of the history up to each period, (n,)."""
    change = np.abs(np.diff(z, prepend=z[:1]))
    return np.asarray(np.cumsum(change) / np.maximum(np.arange(z.size), 1))


def _wider(values: FloatArray, past: Past, told: Vintages, z: FloatArray) -> float:
    """Errors of what is `told` over `values` at the same origins and steps; no smaller unless of a stack."""
    both = np.isin(told.origins, past.origins)
    theirs = np.abs(past.ahead(z, told.origins[both]) - told.median[:, both])
    ours = np.abs(values[:, np.searchsorted(past.origins, told.origins[both])])
    if both.sum() < intervals.MIN_ORIGINS or not np.nansum(ours) > 0:
        return 1.0
    ratio = np.nansum(theirs) / np.nansum(ours)
    if told.drawn:
        return float(np.clip((ratio + _UNSEEN * _EXPECTED) / (1 + _UNSEEN), _NARROWEST, _WIDEST))
    return float(np.clip(ratio, 1.0, _WIDEST))


def scored(
    past: Past, errors: Errors, problem: Problem, series: Series, scale: Scale, levels: tuple[float, ...], engine: str
) -> Backtest:
    """The past forecasts in sales units with the mean and the intervals that each would have carried."""
    told = past.told(problem)
    tails = [p for level in levels for p in (0.5 - level / 200, 0.5 + level / 200)]
    spread = _at(intervals.past(errors, np.array([*SPREAD, *tails])), past.origins, told.origins)
    median = scale.units(told.median)
    mean = scale.mean(told.median, spread[0], spread[1])
    tail = spread[len(SPREAD) :]
    if problem.transform.log:
        usual = intervals.usual_level(problem.z, problem.season_lengths)[told.origins]
        tail = intervals.between(tail, told.median - usual)
    bounds = scale.units(told.median + tail)
    season = round(series.season_lengths[-1]) if series.season_lengths else 1
    labels = series.grid(problem.horizon).labels
    return Backtest(
        engine=engine,
        ds=series.ds[told.origins],
        steps=past.steps,
        actual=past.ahead(series.y, told.origins).T,
        mean=np.where(np.isfinite(spread[0]), mean, median).T,
        median=median.T,
        seasonal_naive=scale.units(told.naive).T,
        low={level: bounds[2 * i].T for i, level in enumerate(levels)},
        high={level: bounds[2 * i + 1].T for i, level in enumerate(levels)},
        scale=metrics.seasonal_scale(series.y, season),
        periods=labels[told.origins[:, None] + past.steps],
    )


def _at(values: FloatArray, origins: IntArray, wanted: IntArray) -> FloatArray:
    """`values` (…, origins) at the origins wanted, or at the last one before; NaN before the first."""
    column = np.searchsorted(origins, wanted, side="right")
    return np.concatenate([np.full((*values.shape[:-1], 1), np.nan), values], axis=-1)[..., column]


def untested(engine: str, horizon: int, levels: Sequence[float]) -> Backtest:
    """The record of what cannot be tested on its own past."""
    none = np.empty((0, horizon))
    days = np.empty(0, "datetime64[D]")
    bounds = dict.fromkeys(levels, none)
    steps = np.arange(1, horizon + 1)
    return Backtest(engine, days, steps, none, none, none, none, bounds, bounds, 0.0, none.astype("datetime64[D]"))
