"""What in a history looks like an event: an outlier, a stock-out, a one-off event, a shift of the level.

These are proposals for a person, who alone can know. Nothing here changes a forecast.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd

from forecast import frequency as freq
from forecast.arrays import SignalValues, Values
from forecast.event_words import sentence_of
from forecast.events import LEVEL_SHIFT, ONE_OFF, OUTLIER, STOCK_OUT, day_of
from forecast.options import moment_of
from forecast.problem import Sources
from forecast.regressors import lay, read
from forecast.robust import (
    Departures,
    Reach,
    apart,
    departures,
    deviation,
    jump_at,
    jumps,
    medians,
    other_years,
    reach_of,
    season_of,
    shifted,
    windows,
    without_season,
    without_weekdays,
)
from forecast.season import BoolArray, IntArray, holidays_signal
from forecast.series import Series, versions
from forecast.transform import FloatArray, Transform, choose


@dataclass(frozen=True)
class Limits:
    """How many times as large as the usual noise a bump, a jump of the level and a stock-out are.

    Chosen on half of `python -m bench.events`, confirmed on the rest.
    """

    bump: float = 4.0
    jump: float = 4.0
    empty: float = 3.5


LIMITS = Limits()
_LEAST = 0.15  # of the working scale: what is smaller is no event that matters
_EDGE = 2.0  # noise sizes above which a period belongs to a bump
_NOISE = 0.01  # of the working scale: no series is less noisy
_AFTER = 2  # known periods after an event, back to what is usual
_ZERO = 0.1  # of the usual sale: what is below is as good as no sale
_SOLD = 0.4  # of the usual sale, that is sold before and after a stock-out
_SEASONAL = 0.5  # of a stock-out's periods, that are empty in another year too
_CHANCE = 0.05  # that a series which sells now and then has such a run
_ABRUPT = 0.5  # of a jump, that shows within a few periods
_SHORT = 3  # a few periods
_RARELY = 0.2  # of the periods empty: a series that sells now and then, or in its season alone
_CLOSED = 0.5  # of a weekday's days empty: it is closed
_OF_MEDIANS = np.sqrt(np.pi)  # standard deviation of the difference of two medians of n, times √n, over that of one
_RIDGE = 1.0


@dataclass(frozen=True)
class Proposal:
    """Something that looks like an event, from the period labelled `first` to the one labelled `last`.

    `size` is what was sold more (or less) than expected, in units; of a level shift in units a period. `size_pct` is
    the same in per cent of what was expected, None where that is not positive. `score` is how many times as large it is
    as the usual noise, over all its periods.
    """

    kind: str
    first: dt.date
    last: dt.date
    periods: int
    size: float
    size_pct: float | None
    score: float
    sentence: str


def detect(
    history: pd.DataFrame | pd.Series | Values,
    *,
    signals: pd.DataFrame | Sequence[SignalValues] | None = None,
    frequency: str | None = None,
    as_of: str | pd.Timestamp | None = None,
    calendar: str | None = None,
    season_length: float | None = None,
    unit: str | None = None,
) -> list[Proposal]:
    """What looks like an event in a history, in the order of time; arguments as for `forecast`.

    What planned signals (promotions, prices, the holidays of a `calendar`) explain is no event, and neither is what
    another year shows at the same time. Where the history holds no other year to compare with, nothing but stock-outs
    is found. An event is found once sales are back to what is usual. Raises ForecastError for bad input.
    """
    moment = moment_of(as_of)
    known = versions(history, frequency, season_length, moment)
    series = known.read(moment)
    offered = read(signals, moment) + (read(holidays_signal(series, 1, calendar)) if calendar else [])
    planned = [rows for rows in offered if rows.future_known]
    laid = [lay(rows, series, 1, Sources(known, tuple(offered), 1).moment(moment)).x[: len(series)] for rows in planned]
    return [_proposal(one, series, unit) for one in sorted(found(series, laid), key=lambda one: (one.start, one.stop))]


@dataclass(frozen=True)
class Found:
    """An event in the periods `start` to `stop` (exclusive); `expected` is what would have been sold, per period."""

    kind: str
    start: int
    stop: int
    score: float
    size: float
    expected: float


def _proposal(one: Found, series: Series, unit: str | None) -> Proposal:
    first, last = series.ds[one.start], series.ds[one.stop - 1]
    size_pct = 100 * one.size / one.expected if one.expected > 0 else None
    plain = Proposal(one.kind, day_of(first), day_of(last), one.stop - one.start, one.size, size_pct, one.score, "")
    return replace(plain, sentence=sentence_of(plain, one.expected, series.frequency, unit))


def found(series: Series, planned: Sequence[FloatArray] = (), limits: Limits = LIMITS) -> Iterator[Found]:
    """All events: those that were found are taken out before others are looked for.

    `planned` are the planned signals on the periods of the series, each (n,).
    """
    empty = list(_stock_outs(series, limits.empty))
    y = _without(series.y, empty)
    yield from empty
    if np.isfinite(y).sum() <= 2 * reach_of(series.frequency).half or _sells_rarely(y, series.frequency):
        return
    transform = choose(y)
    view = _View.of(replace(series, y=y), transform, planned)
    bumps = list(view.bumps(limits.bump))
    yield from bumps
    yield from replace(view, z=_without(view.z, bumps)).shifts(limits.jump)


def _sells_rarely(y: FloatArray, frequency: str) -> bool:
    """Whether much of the time next to nothing sells, closed weekdays aside: the usual noise says nothing then."""
    if np.nanmin(y) < 0:
        return False
    empty = np.where(np.isfinite(y), y <= _ZERO * np.nanmean(y), np.nan)
    if freq.family(frequency) != "D":
        return float(np.nanmean(empty)) > _RARELY
    weekdays = [float(np.nanmean(day)) for i in range(7) if np.isfinite(day := empty[i::7]).any()]
    return float(np.mean([share for share in weekdays if share < _CLOSED] or [1.0])) > _RARELY


def _without(values: FloatArray, events: Sequence[Found]) -> FloatArray:
    out = values.copy()
    for event in events:
        out[event.start : event.stop] = np.nan
    return out


def _runs(flagged: BoolArray) -> Iterator[tuple[int, int]]:
    """Where True begins and where it has ended, run by run."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flagged, [False]])))
    return iter(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _stock_outs(series: Series, least: float) -> Iterator[Found]:
    """Runs without sales in a series that sells all the time, and sells again."""
    y, reach = series.y, reach_of(series.frequency)
    if np.nanmin(y) < 0:
        return
    usual = medians(windows(y, reach.wide, reach.wide))
    empty = (y <= _ZERO * usual) & (usual > 0)
    noise = np.maximum(deviation((y - usual)[~empty]), _NOISE * usual)
    runs, known = list(_runs(empty)), int(np.isfinite(y).sum())
    for start, stop in runs:
        k, missed = stop - start, float((usual - y)[start:stop].sum())
        score = missed / float(noise[start:stop].mean()) / np.sqrt(k)
        by_chance = known * ((len(runs) - 1) / known) ** k
        if score < least or by_chance > _CHANCE or k > reach.wide or not _sold_around(y, usual, start, stop):
            continue
        if not _is_seasonal(empty, series, start, stop):
            yield Found(STOCK_OUT, start, stop, score, -missed, float(usual[start:stop].sum()))


def _sold_around(y: FloatArray, usual: FloatArray, start: int, stop: int) -> bool:
    """Whether it sold as usual right before and right after: a season ends slowly."""
    before, after = (side[np.isfinite(side)] for side in (y[max(0, start - 4) : start], y[stop : stop + 4]))
    if min(before.size, after.size) < _AFTER:
        return False
    return bool(np.median(before) >= _SOLD * usual[start] and np.median(after) >= _SOLD * usual[stop - 1])


def _is_seasonal(empty: BoolArray, series: Series, start: int, stop: int) -> bool:
    """Whether another year was empty at that time too."""
    season, near = season_of(series)
    if season is None:
        return False
    others = (shifted(empty.astype(float), by)[start:stop] for by, _ in other_years(season, near))
    return any(np.nan_to_num(other).mean() >= _SEASONAL for other in others)


@dataclass(frozen=True)
class _View:
    """A history on its working scale, planned effects and weekdays taken out: `z` (n,), `y` (n,) in units."""

    z: FloatArray
    y: FloatArray
    transform: Transform
    reach: Reach
    season: float | None
    near: int

    @staticmethod
    def of(series: Series, transform: Transform, planned: Sequence[FloatArray]) -> _View:
        """The view of a series."""
        reach = reach_of(series.frequency)
        z = without_weekdays(transform.forward(series.y), series)
        return _View(z - _explained(z, planned, reach.half), series.y, transform, reach, *season_of(series))

    def bumps(self, least: float) -> Iterator[Found]:
        """Outliers and one-off events."""
        measure = partial(apart, half=self.reach.half)
        departed = departures(self.z, self.season, self.near, measure)
        noise = max(departed.noise, _NOISE)
        if not np.isfinite(departed.noise):
            return
        away = apart(without_season(self.z, self.season), self.reach.half)
        for sign in (-1.0, 1.0):
            for start, stop in _runs(sign * departed.size > _EDGE * noise):
                k, size = stop - start, np.abs(departed.size[start:stop])
                score = float(size.sum() / noise / np.sqrt(k))
                fits = k <= self.reach.longest and self._is_back(departed, noise, start, stop)
                if fits and score >= least and size.mean() >= _LEAST:
                    yield self._bump(start, stop, score, np.where(np.isfinite(away), away, departed.size)[start:stop])

    def _is_back(self, departed: Departures, noise: float, start: int, stop: int) -> bool:
        """Whether what lies around it is known, and as usual."""
        if start < _AFTER:
            return False
        around = np.concatenate([departed.size[start - _AFTER : start], departed.size[stop : stop + _AFTER]])
        return around.size == 2 * _AFTER and bool((np.abs(around) <= _EDGE * noise).all())

    def _bump(self, start: int, stop: int, score: float, away: FloatArray) -> Found:
        y = self.y[start:stop]
        usual = self.transform.inverse(self.transform.forward(y) - away)
        kind = OUTLIER if stop - start == 1 else ONE_OFF
        if self.transform.log and (y <= _ZERO * usual).all():
            kind = STOCK_OUT
        return Found(kind, start, stop, score, float((y - usual).sum()), float(usual.sum()))

    def shifts(self, least: float) -> Iterator[Found]:
        """Level shifts, the clearest first."""
        step = self.reach.step
        jumped = departures(self.z, self.season, 0, partial(jumps, step=step))
        if not np.isfinite(jumped.noise):
            return
        size, flat = np.nan_to_num(jumped.size), without_season(self.z, self.season)
        # Medians of small whole numbers seldom move, so that a move is not as odd as their own spread says.
        chance = deviation(apart(flat, self.reach.half)) * _OF_MEDIANS / np.sqrt(step)
        noise = float(np.nanmax([jumped.noise, chance, _NOISE]))
        while (score := float(np.abs(size).max() / noise)) >= least:
            peak = int(np.abs(size).argmax())
            at = _split(flat, peak, step)
            jump = jump_at(flat, at, step)
            abrupt = jump_at(flat, at, _SHORT)
            if jump and abrupt and abs(jump) >= _LEAST and abrupt / jump >= _ABRUPT:
                yield self._shift(at, jump, score)
            size[max(0, peak - step) : peak + step] = 0.0

    def _shift(self, at: int, jump: float, score: float) -> Found:
        before = self.y[max(0, at - self.reach.step) : at]
        level = float(medians(before))
        moved = self.transform.inverse(self.transform.forward(np.array([level])) + jump)
        return Found(LEVEL_SHIFT, at, at + 1, score, float(moved[0]) - level, level)


def _split(x: FloatArray, near: int, step: int) -> int:
    """Where the mean changes most, within half of `step` periods of the index `near`."""
    low, high = max(0, near - step), min(x.size, near + step)
    z = x[low:high]
    known = np.isfinite(z)
    total, count = np.cumsum(np.where(known, z, 0.0)), np.cumsum(known)
    n, m = count[:-1], count[-1] - count[:-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = np.abs((total[-1] - total[:-1]) / m - total[:-1] / n) * np.sqrt(n * m / count[-1])
    at: IntArray = np.arange(low + 1, high)
    inside = (np.abs(at - near) <= step // 2) & (n > 0) & (m > 0)
    return int(at[np.where(inside, gap, -1.0).argmax()])


def _explained(z: FloatArray, planned: Sequence[FloatArray], half: int) -> FloatArray:
    """What planned signals (each (n,)) make of `z` (n,), by a regression of both less the level around them."""
    x = np.array([np.nan_to_num(apart(one, half)) for one in planned]).reshape(-1, z.size)
    size = np.sqrt((x * x).mean(axis=1, keepdims=True))
    x = (x / np.where(size > 0, size, 1.0))[size[:, 0] > 0]
    target = np.nan_to_num(apart(z, half))
    weight = np.linalg.solve(x @ x.T + _RIDGE * np.eye(len(x)), x @ target)
    return np.asarray(weight @ x)
