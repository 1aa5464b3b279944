"""Categories that a new one is like: what is known of each, and its forecast on a working scale that they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from forecast import frequency as freq
from forecast.core import forecast
from forecast.errors import OptionError
from forecast.frequency import Days
from forecast.options import MAX_HORIZON
from forecast.result import Forecast
from forecast.series import Versions, versions
from forecast.transform import FloatArray, Transform, choose

STALE_DAYS = 92  # a quarter without sales: what is no longer sold tells nothing of what begins
_LEAST = 12  # periods, where a season is shorter
_SMALLEST = 1e-3  # of the usual sale, where zero has no logarithm


@dataclass(frozen=True)
class Sold:
    """Consecutive periods of one category from its first sale to its last known period; `y` is NaN in gaps."""

    ds: Days
    y: FloatArray
    frequency: str


@dataclass(frozen=True)
class Relative:
    """One category with its forecast, on its own working scale.

    `labels` (n + horizon,) are consecutive; `z` holds the known values, gaps held, and then the forecast's median.
    """

    name: str
    labels: Days
    z: FloatArray
    scale: Transform
    made: Forecast

    @property
    def known(self) -> FloatArray:
        """`z` of the history, (n,)."""
        return self.z[: -self.made.ds.size]

    def window(self, last: Days, periods: int) -> FloatArray:
        """`z` of the `periods` up to each of the labels `last` (k,), (periods, k), NaN before the first."""
        at = np.searchsorted(self.labels, last) - np.arange(periods)[::-1, None]
        return np.asarray(np.where(at >= 0, self.z[np.maximum(at, 0)], np.nan))

    def after(self, last: np.datetime64, horizon: int) -> FloatArray:
        """`z` of the `horizon` periods after the label `last`."""
        start = int(np.searchsorted(self.labels, last)) + 1
        return self.z[start : start + horizon]


def season(frequency: str) -> int:
    """The periods of a season, 12 at least: a category that is not older knows less of itself than others do of it."""
    return max(_LEAST, *(round(length) for length in freq.season_lengths(frequency)))


def sold(history: pd.DataFrame | pd.Series, frequency: str | None, as_of: pd.Timestamp | None) -> Sold:
    """What of a history was over and known at `as_of`; raises HistoryError."""
    found = versions(history, frequency, None)
    ds, y, _ = found.complete(as_of)
    sales, known = np.flatnonzero(np.nan_to_num(y)), np.flatnonzero(np.isfinite(y))
    if not sales.size:
        return Sold(ds[:0], y[:0], found.frequency)
    return _consecutive(ds[sales[0] : known[-1] + 1], y[sales[0] : known[-1] + 1], found)


def _consecutive(ds: Days, y: FloatArray, found: Versions) -> Sold:
    whole = freq.between(ds[0], ds[-1], found.frequency)
    values = np.full(whole.size, np.nan)
    values[np.searchsorted(whole, ds)] = y
    return Sold(whole, values, found.frequency)


def usable(found: Mapping[str, Sold], first: np.datetime64, last: np.datetime64) -> tuple[dict[str, Sold], list[str]]:
    """Those of which a category with sales from `first` to `last` can borrow; and why not of the others."""
    good, notes = {}, []
    for name, one in found.items():
        if one.ds.size <= season(one.frequency):
            reason = f"{one.ds.size} periods of it are known, and more than {season(one.frequency)} are needed"
        elif np.nanmin(one.y) < 0:
            reason = "it has sales below zero"
        elif (last - one.ds[-1]).astype(int) > STALE_DAYS:
            reason = f"its sales end with {one.ds[-1]}"
        elif one.ds[0] > first:
            reason = f"its sales begin with {one.ds[0]}, later than those of the category itself"
        else:
            good[name] = one
            continue
        notes.append(f"nothing is borrowed from {name}: {reason}")
    return good, notes


def forecast_each(
    like: Mapping[str, pd.DataFrame],
    found: Mapping[str, Sold],
    last: np.datetime64,
    horizon: int,
    *,
    offset: float,
    signals: Mapping[str, pd.DataFrame | None],
    levels: Sequence[float],
    as_of: pd.Timestamp | None,
    calendar: str | None,
) -> list[Relative]:
    """The relatives `found`, each forecast to `horizon` periods after `last`; raises what `forecast` raises.

    `offset` is that of the new category's working scale, which all share; larger where one of them needs it.
    """
    late = max(_periods(one, last) for one in found.values())
    if horizon + late > MAX_HORIZON:
        raise OptionError(
            "horizon", horizon, f"at most {MAX_HORIZON - late}, as one to borrow from ends {late} earlier"
        )
    offset = max(offset, *(choose(one.y).offset for one in found.values()))
    made = []
    for name, one in found.items():
        answer = forecast(
            like[name],
            horizon + late,
            signals=signals.get(name),
            levels=levels,
            frequency=one.frequency,
            as_of=as_of,
            calendar=calendar,
        )
        made.append(_relative(name, answer, Transform(log=True, offset=offset, unit=choose(one.y).unit)))
    return made


def _relative(name: str, answer: Forecast, scale: Transform) -> Relative:
    y = answer.history["y"].to_numpy(dtype=float)
    y = y[np.maximum.accumulate(np.where(np.isfinite(y), np.arange(y.size), 0))]
    labels = np.concatenate([answer.history["ds"].to_numpy().astype("datetime64[D]"), answer.ds])
    return Relative(name, labels, to_working(scale, np.concatenate([y, answer.median])), scale, answer)


def to_working(scale: Transform, y: FloatArray) -> FloatArray:
    """Sales on a logarithmic working scale, zeros too."""
    return scale.forward(np.maximum(y, 0.0 if scale.offset else _SMALLEST * scale.unit))


def _periods(one: Sold, last: np.datetime64) -> int:
    """How many periods lie between the last one of a relative and the label `last`; 0 where it goes further."""
    return freq.between(one.ds[-1], last, one.frequency).size - 1 if one.ds[-1] < last else 0
