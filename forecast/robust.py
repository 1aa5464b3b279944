"""Medians that a few wild periods cannot move, and what one period shows that its neighbours and other years do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from forecast import frequency as freq
from forecast.series import Series
from forecast.transform import FloatArray, median

TO_DEVIATION = 1.4826  # from a median absolute deviation to a standard one
YEARS = (-1, 1, -2, 2)  # that a period is compared with
_LEAST = 3  # periods on a side of a jump
_WEEK, _WEEKS = 7, 6  # days, and how many weeks before and after tell what a weekday is
Measure = Callable[[FloatArray], FloatArray]  # of each period, (n,)


@dataclass(frozen=True)
class Reach:
    """How far one looks, in periods: `half` of the window of a level, `longest` run that is still an event, `near`
    within which other years may show the same (holidays move), `step` on each side of a level shift, `wide` half of the
    window that says what usually sells."""

    half: int
    longest: int
    near: int
    step: int
    wide: int


REACH = {
    "D": Reach(half=21, longest=14, near=5, step=42, wide=90),
    "W": Reach(half=8, longest=7, near=2, step=13, wide=26),
    "MS": Reach(half=4, longest=3, near=1, step=6, wide=12),
    "QS": Reach(half=2, longest=1, near=0, step=4, wide=6),
}


def reach_of(frequency: str) -> Reach:
    """The reach that suits a frequency."""
    return REACH[freq.family(frequency)]


def medians(values: FloatArray) -> FloatArray:
    """The median over the last axis of what is known, NaN where nothing is: np.nanmedian without its warnings."""
    ranked = np.sort(values, axis=-1)  # NaN come last
    count = np.isfinite(values).sum(axis=-1, keepdims=True)
    low = np.take_along_axis(ranked, np.maximum((count - 1) // 2, 0), axis=-1)
    high = np.take_along_axis(ranked, np.minimum(count // 2, values.shape[-1] - 1), axis=-1)
    return np.asarray(np.where(count > 0, (low + high) / 2, np.nan)[..., 0])


def windows(x: FloatArray, before: int, after: int) -> FloatArray:
    """For each period of `x` (n,) those from `before` periods earlier to `after` later, (n, before + after + 1)."""
    padded = np.concatenate([np.full(before, np.nan), x, np.full(after, np.nan)])
    return np.lib.stride_tricks.sliding_window_view(padded, before + after + 1)


def apart(x: FloatArray, half: int) -> FloatArray:
    """How far each period lies from the median around it, (n,)."""
    return np.asarray(x - medians(windows(x, half, half)))


def shifted(x: FloatArray, by: int) -> FloatArray:
    """`x[t + by]` at each period t, NaN beyond both ends."""
    out = np.full(x.size, np.nan)
    if abs(by) < x.size:
        out[max(0, -by) : x.size - max(0, by)] = x[max(0, by) : x.size - max(0, -by)]
    return out


def other_years(season: float, near: int = 0) -> Iterator[tuple[int, int]]:
    """By how many periods another year lies away, and how far off its season that is."""
    for year in YEARS:
        for off in range(-near, near + 1):
            yield round(year * season) + off, off


@dataclass(frozen=True)
class Departures:
    """What is found in no other year, (n,): zero where another year shows as much, NaN where there is none to tell.

    `noise` is the usual size of the measure, as a standard deviation.
    """

    size: FloatArray
    noise: float


def departures(x: FloatArray, season: float | None, near: int, measure: Measure) -> Departures:
    """What `measure` says of each period and what it says of no other year at that time.

    A year is compared by the differences to it: so no season has to be estimated, which a few years would not allow,
    and the smallest departure of all counts. What shows in another year within `near` periods is no departure. Of two
    years alone one cannot tell which is odd: there the measure of the period itself counts as well.
    """
    own = measure(x)
    if season is None:
        return Departures(own, deviation(own))
    low, high = np.full(x.size, np.inf), np.full(x.size, -np.inf)
    years, spread = np.zeros(x.size, dtype=int), []
    for by, off in other_years(season, near):
        difference = measure(x - shifted(x, by))
        low, high = np.fmin(low, difference), np.fmax(high, difference)
        if off == 0:
            years += np.isfinite(difference)
            spread.append(difference)
    low, high = (np.where(years > 1, end, pick(end, own)) for end, pick in ((low, np.fmin), (high, np.fmax)))
    size = np.where(low > 0, low, np.where(high < 0, high, 0.0))
    return Departures(np.where(years > 0, size, np.nan), deviation(np.concatenate(spread)) / np.sqrt(2))


def deviation(x: FloatArray) -> float:
    """The standard deviation by the median absolute one; NaN where nothing is known."""
    return float(TO_DEVIATION * medians(np.abs(x)))


def jumps(x: FloatArray, step: int) -> FloatArray:
    """The median of `step` periods from each one on, less that of those before it, (n,); NaN where too few are known
    on a side."""
    before, after = windows(shifted(x, -1), step - 1, 0), windows(x, 0, step - 1)
    enough = (np.isfinite(before).sum(axis=1) >= -(-step // 2)) & (np.isfinite(after).sum(axis=1) >= -(-2 * step // 3))
    return np.asarray(np.where(enough, medians(after) - medians(before), np.nan))


def jump_at(x: FloatArray, at: int, step: int) -> float | None:
    """The median of up to `step` periods from the index `at` on, less that of those before it; None where too few are
    known."""
    sides = [side[np.isfinite(side)] for side in (x[max(0, at - step) : at], x[at : at + step])]
    if min(side.size for side in sides) < _LEAST:
        return None
    return median(sides[1]) - median(sides[0])


def without_season(x: FloatArray, season: float | None) -> FloatArray:
    """`x` less what other years were at that time, up to a constant; `x` itself where there is no other year."""
    if season is None:
        return x
    others = medians(np.stack([shifted(x, by) for by, _ in other_years(season)], axis=-1))
    return np.asarray(x - others)


def season_of(series: Series) -> tuple[float | None, int]:
    """The longest season of a series, None without one, and within how many periods another year may show the same."""
    season = max(series.season_lengths, default=0.0)
    return (season, min(reach_of(series.frequency).near, int(season // 8))) if season >= 2 else (None, 0)


def without_weekdays(z: FloatArray, series: Series) -> FloatArray:
    """`z` (n,) of a daily series less what its weekday usually is around it; others as they are."""
    if freq.family(series.frequency) != "D":
        return z
    beside = apart(z, _WEEK // 2)
    same = np.stack([shifted(beside, _WEEK * by) for by in range(-_WEEKS, _WEEKS + 1)], axis=-1)
    return np.asarray(z - medians(same))
