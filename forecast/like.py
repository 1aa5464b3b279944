"""Forecasts of what is new: a category with few or no known periods, by those that it is like."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from forecast import explain, intervals
from forecast import frequency as freq
from forecast.backtest import untested
from forecast.borrowing import Borrowed, borrowed
from forecast.configuration import Configuration
from forecast.errors import HistoryError, OptionError
from forecast.options import check_horizon, checked_levels, moment_of
from forecast.relatives import Relative, Sold, forecast_each, season, sold, to_working, usable
from forecast.result import EngineUsed, Forecast
from forecast.scale import SPREAD, guarded
from forecast.transform import FloatArray, Transform, choose

NAME = "like"
BORROWING = ("fast", "detailed", "auto")  # engines in whose place a short history borrows; others were meant
DRIVER = "like/"  # and the name of a relative
_SKEWED = 10.0  # per cent
_TINY = 1e-300
_FAR = 2.0  # a factor that is told as one, and not as 100 %
_DAY = np.timedelta64(1, "D")


def is_short(known: int, frequency: str) -> bool:
    """Whether so many known periods are too few: a category borrows until its first season is over."""
    return known <= season(frequency)


def known_periods(history: pd.DataFrame, frequency: str, as_of: pd.Timestamp | None = None) -> int:
    """How many periods from the first sale on were over and known at `as_of` (UTC); raises HistoryError."""
    return 0 if history.empty else int(np.isfinite(sold(history, frequency, as_of).y).sum())


def forecast_like(
    history: pd.DataFrame | pd.Series | None,
    horizon: int,
    like: Mapping[str, pd.DataFrame],
    *,
    signals: Mapping[str, pd.DataFrame | None] | None = None,
    levels: Sequence[float] = (80, 95),
    frequency: str | None = None,
    as_of: str | pd.Timestamp | None = None,
    calendar: str | None = None,
    category: str | None = None,
    unit: str | None = None,
) -> Forecast:
    """Forecast a category with a short history, or none, by others that it is `like`.

    `history` as for `forecast`; None: nothing was sold yet, and the horizon counts from the last period that is known
    of the others. `like` has their histories by name, `signals` theirs. The level is that of the category's own sales
    (without any, the mean of the others'), and how it moves is borrowed: the drivers are `level`, and `like/` with each
    name. How much is borrowed, and the interval, come from the others, each as new in the past (see `borrowing`).
    Raises ForecastError: for bad input, and where none of the others can be borrowed from.
    """
    started = time.perf_counter()
    check_horizon(horizon)
    checked, moment = checked_levels(levels), moment_of(as_of)
    own, found = _read(history, like, frequency, moment)
    last = own.ds[-1] if own.ds.size else max(one.ds[-1] for one in found.values() if one.ds.size)
    good, notes = usable(found, own.ds[0] if own.ds.size else last, last)
    if not good or (own.y < 0).any():
        reason = "; ".join(notes) if not good else "nothing is borrowed: it has sales below zero itself"
        raise HistoryError("like", reason, "one category at least that can be borrowed from")
    relatives = forecast_each(
        like,
        good,
        last,
        horizon,
        offset=choose(own.y).offset if own.y.size else 0.0,
        signals=signals or {},
        levels=checked,
        as_of=moment,
        calendar=calendar,
    )
    transform = _transform(own, relatives)
    terms = borrowed(relatives, to_working(transform, own.y), last, horizon)
    made = _made(own, terms, transform, checked)
    start, end = _extent(own, last)
    ds = freq.following(last, horizon, own.frequency)
    return Forecast(
        category=category,
        unit=unit,
        frequency=own.frequency,
        as_of=moment,
        history=pd.DataFrame({"ds": pd.DatetimeIndex(own.ds), "y": own.y}),
        history_start=start,
        history_end=end,
        engine=EngineUsed(NAME, Configuration(NAME).name, "champion", _reason(own, terms)),
        ds=ds,
        kinds=freq.kinds(ds, own.frequency, moment),
        mean=made.mean,
        median=made.median,
        grid=made.grid,
        parts=made.parts,
        levels=checked,
        signals=[],
        importance=explain.importance(made.parts, {}),
        backtest=untested(NAME, horizon, checked),
        warnings=[*notes, *_remarks(own, terms), *made.notes],
        fit_ms=1000 * (time.perf_counter() - started),
    )


def _read(
    history: pd.DataFrame | pd.Series | None,
    like: Mapping[str, pd.DataFrame],
    frequency: str | None,
    moment: pd.Timestamp | None,
) -> tuple[Sold, dict[str, Sold]]:
    """What is known of the category and of its relatives; raises where there are none, or of another frequency."""
    found = {name: sold(one, frequency, moment) for name, one in like.items()}
    if not any(one.ds.size for one in found.values()):
        raise OptionError("like", ", ".join(found) or "nobody", "one category at least that was sold")
    name = frequency or next(iter(found.values())).frequency
    for relative, one in found.items():
        if one.frequency != name:
            raise OptionError("like", f"{relative}, of {one.frequency}", f"categories of the frequency {name}")
    none = Sold(np.empty(0, "datetime64[D]"), np.empty(0), name)
    return (none if history is None or history.empty else sold(history, name, moment)), found


def _transform(own: Sold, relatives: Sequence[Relative]) -> Transform:
    """The working scale of the category: that of its relatives, in units of its own size (without sales, of theirs)."""
    sizes = np.array([one.scale.unit for one in relatives])
    unit = choose(own.y).unit if own.y.size else float(np.exp(np.log(sizes).mean()))
    return Transform(log=True, offset=relatives[0].scale.offset, unit=unit)


def _extent(own: Sold, last: np.datetime64) -> tuple[np.datetime64, np.datetime64]:
    """First and last day of the history; without one the day before the forecast, and the day after that."""
    end = freq.spans(np.array([last]), own.frequency)[1][0] - _DAY
    return (freq.spans(own.ds[:1], own.frequency)[0][0] if own.ds.size else end + _DAY), end


@dataclass(frozen=True)
class _Made:
    """What `Forecast` calls so, in sales units."""

    mean: FloatArray
    median: FloatArray
    grid: FloatArray
    parts: dict[str, FloatArray]
    notes: list[str]


def _made(own: Sold, terms: Borrowed, transform: Transform, levels: tuple[float, ...]) -> _Made:
    added = {"level": terms.level} | {DRIVER + name: move for name, move in terms.moves.items()}
    path = np.sum(list(added.values()), axis=0)
    scale = guarded(transform, np.append(own.y, transform.inverse(path)))  # a season may lie far above what was sold
    spread = terms.scale[:, None] * intervals.student(intervals.PROBABILITIES)
    mean = scale.mean(path, *intervals.at(spread, np.array(SPREAD)).T)
    grid, median = scale.units(path[:, None] + spread), scale.units(path)
    highest = path + intervals.at(spread, np.array([0.5 + max(levels) / 200]))[:, 0]
    notes = [*_skewed(mean, median), *scale.note(highest)]
    return _Made(mean, median, grid, explain.contributions(added, mean, transform), notes)


def _skewed(mean: FloatArray, median: FloatArray) -> list[str]:
    """That the value lies above what the model says, where it does so by much."""
    above = 100 * (float(mean.sum()) / max(float(median.sum()), _TINY) - 1)
    if above < _SKEWED:
        return []
    return [
        f"so little is known that the value, the mean of all that may come, lies {above:.0f} % above the median, "
        "which is as likely to be missed above as below"
    ]


def _reason(own: Sold, terms: Borrowed) -> str:
    """What is its own, and what is borrowed from whom."""
    names = list(terms.moves)
    known = int(np.isfinite(own.y).sum())
    whose = f"the level is that of its {known} known period{'s' if known > 1 else ''}" if known else "no sale is known"
    from_whom = f"the {'mean ' if len(names) > 1 else ''}moves of {_listed(names)}"
    level = "" if known else ", and the level,"
    return f"{whose}; {100 * terms.share:.0f} % of {from_whom}{level} are borrowed"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _remarks(own: Sold, terms: Borrowed) -> list[str]:
    found = []
    if not own.y.size:
        found.append("no sale is known yet: the level is that of the categories it is like, and may be far off")
    if terms.missed is None:
        found.append("it is like one category only: how far two of them differ is assumed, not measured")
    else:
        times = float(np.exp(terms.missed))
        off = f"{100 * (times - 1):.0f} %" if times < _FAR else f"a factor of {times:.1f}"
        found.append(
            f"each of the others, as short and forecast like this at {terms.played} past origins, was missed by {off} "
            "on average"
        )
    return found
