"""The one door: a frame in, a validated regular series out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from numbers import Real

import numpy as np
import pandas as pd

from forecast import columns
from forecast import frequency as freq
from forecast.arrays import Values, read_values
from forecast.errors import HistoryError, OptionError
from forecast.frequency import Days
from forecast.grid import Grid, grid
from forecast.transform import FloatArray

MIN_PERIODS = 2


@dataclass(frozen=True)
class Series:
    """Consecutive periods, oldest first; `y` is NaN where a period inside the history is missing."""

    ds: Days
    y: FloatArray
    frequency: str
    season_lengths: tuple[float, ...]
    notes: tuple[str, ...] = ()
    _grids: dict[int, Grid] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.ds)

    @cached_property
    def start(self) -> np.datetime64:
        """First day of the first period."""
        return np.datetime64(freq.spans(self.ds[:1], self.frequency)[0][0])

    @cached_property
    def end(self) -> np.datetime64:
        """The day after the last period."""
        return np.datetime64(freq.spans(self.ds[-1:], self.frequency)[1][0])

    def future(self, horizon: int) -> Days:
        """Labels of the `horizon` periods after the last one."""
        return self.grid(horizon).labels[len(self) :]

    def grid(self, horizon: int) -> Grid:
        """The periods and `horizon` more; made once, as every signal is laid on the same, and many series have it."""
        if horizon not in self._grids:
            self._grids[horizon] = _grid(self.ds.tobytes(), horizon, self.frequency)
        return self._grids[horizon]


@lru_cache(maxsize=32)
def _grid(days: bytes, horizon: int, frequency: str) -> Grid:
    ds = np.frombuffer(days, "datetime64[D]")
    return grid(freq.frozen(np.concatenate([ds, freq.following(ds[-1], horizon, frequency)])), frequency)


@dataclass(frozen=True)
class Versions:
    """Every known version of every period, as it came in: what `read` picks from at a moment."""

    ds: Days
    y: FloatArray
    known_at: np.ndarray | None
    frequency: str
    season_lengths: tuple[float, ...]

    @cached_property
    def revised(self) -> bool:
        """True where some period has more than one version."""
        return bool((self.ds[1:] == self.ds[:-1]).any())

    def newest(self, count: int | None) -> Versions:
        """No more than the newest `count` periods; None for all."""
        if count is None or not self.ds.size:
            return self
        first = int(np.searchsorted(self.ds, freq.before(self.ds[-1], count - 1, self.frequency)))
        known = None if self.known_at is None else self.known_at[first:]
        return replace(self, ds=self.ds[first:], y=self.y[first:], known_at=known) if first else self

    def read(self, as_of: pd.Timestamp | None) -> Series:
        """The series as known at `as_of`: the last version of each period, complete periods only."""
        return _regular(*self.complete(as_of), self)

    def complete(self, as_of: pd.Timestamp | None) -> tuple[Days, FloatArray, list[str]]:
        """Labels and values of the periods that were over and known at `as_of`, and what was left out."""
        ds, y, notes = self.ds, self.y, []
        if as_of is not None:
            seen = _known(self, as_of)
            ds, y = ds[seen], y[seen]
        ds, y = _latest(ds, y)
        if as_of is not None and ds.size:
            over = freq.spans(ds, self.frequency)[1] <= np.datetime64(as_of, "us")
            if not over.all():
                notes.append(
                    f"{(~over).sum()} period(s) not over by {as_of:%Y-%m-%d} left out, the first is {ds[~over][0]}"
                )
            ds, y = ds[over], y[over]
        return ds, y, notes


def _known(versions: Versions, as_of: pd.Timestamp) -> np.ndarray:
    if versions.known_at is None:
        return np.ones(versions.ds.size, dtype=bool)
    return np.asarray(versions.known_at <= np.datetime64(as_of, "us"))


def _latest(ds: Days, y: FloatArray) -> tuple[Days, FloatArray]:
    """Rows are sorted by (ds, known_at): keep the last of each ds."""
    again = ds[1:] == ds[:-1]
    if not again.any():
        return ds, y
    last = np.append(~again, True)
    return ds[last], y[last]


def _regular(ds: Days, y: FloatArray, notes: list[str], versions: Versions) -> Series:
    seen = np.flatnonzero(np.isfinite(y))
    if seen.size < MIN_PERIODS:
        raise HistoryError("history", f"{seen.size} known period(s)", f"at least {MIN_PERIODS} known periods")
    ds, y = ds[seen[0] : seen[-1] + 1], y[seen[0] : seen[-1] + 1]
    whole = freq.between(ds[0], ds[-1], versions.frequency)
    values = np.full(whole.size, np.nan)
    values[slice(None) if whole.size == ds.size else np.searchsorted(whole, ds)] = y
    missing = values.size - seen.size
    if missing:
        notes.append(
            f"{missing} of {values.size} periods have no value; they are bridged, and no error is scored on them"
        )
    return Series(whole, values, versions.frequency, versions.season_lengths, tuple(notes))


def versions(
    history: pd.DataFrame | pd.Series | Values,
    frequency: str | None,
    season_length: float | None,
    as_of: pd.Timestamp | None = None,
) -> Versions:
    """Validate a history: columns `ds`, `y` and, if given, `known_at`; a Series on dates; or Values.

    Raises HistoryError.

    Rows known after `as_of` are gone from here on: not even the frequency is read off them.
    """
    if isinstance(history, Values):
        return _consecutive(history, frequency, season_length)
    frame = _frame(history)
    ds = columns.days(frame["ds"], "history.ds", HistoryError)
    y = columns.numbers(frame["y"], "history.y", HistoryError)
    known = (
        columns.moments(frame["known_at"], "history.known_at", HistoryError) if "known_at" in frame.columns else None
    )
    if known is not None and as_of is not None:
        seen = known <= np.datetime64(as_of, "us")
        if not seen.any():
            raise HistoryError("history.known_at", f"nothing before {known.min()}", f"sales known by {as_of}")
        ds, y, known = ds[seen], y[seen], known[seen]
    name = freq.check(frequency) if frequency else freq.infer(freq.distinct(ds), "history.ds")
    ds = _labels(ds, name)
    order = columns.order(freq.numbered(ds), known)
    ds, y, known = ds[order], y[order], None if known is None else known[order]
    _refuse_repeats(ds, known, name)
    return Versions(ds, y, known, name, _seasons(name, season_length))


def _consecutive(history: Values, frequency: str | None, season_length: float | None) -> Versions:
    name = freq.check(history.frequency)
    if frequency and freq.check(frequency) != name:
        raise OptionError("frequency", frequency, f"that of the history, {name}, or none")
    ds, y = read_values(history, "history", HistoryError)
    return Versions(ds, y, None, name, _seasons(name, season_length))


def _frame(history: pd.DataFrame | pd.Series) -> pd.DataFrame:
    if isinstance(history, pd.Series):
        history = pd.DataFrame({"ds": history.index, "y": history.to_numpy()})
    if not isinstance(history, pd.DataFrame):
        raise HistoryError("history", type(history).__name__, "a DataFrame with columns ds and y, or a Series on dates")
    columns.require(history, ("ds", "y"), "history", HistoryError)
    if history.empty:
        raise HistoryError("history", "no rows", f"at least {MIN_PERIODS} periods")
    return history


def _refuse_repeats(ds: Days, known: np.ndarray | None, frequency: str) -> None:
    twice = columns.repeated(freq.numbered(ds), known)
    if twice.any():
        raise HistoryError(
            "history.ds",
            f"{ds[1:][twice][0]} twice",
            f"one row a period of {frequency} of one category (or a column known_at that tells versions apart)",
        )


def _labels(ds: Days, frequency: str) -> Days:
    """Any day of a month or quarter may label it; a day or a week has one label."""
    labels = freq.label(ds, frequency)
    if freq.family(frequency) == "W" and (labels != ds).any():
        odd = ds[labels != ds][0]
        raise HistoryError("history.ds", str(odd), f"dates that label periods of {frequency}")
    return labels


def _seasons(frequency: str, season_length: float | None) -> tuple[float, ...]:
    if season_length is None:
        return freq.season_lengths(frequency)
    if isinstance(season_length, bool) or not isinstance(season_length, Real) or not 1 <= season_length <= 1000:
        raise OptionError("season_length", season_length, "a number of periods from 1 (no season) to 1000")
    if season_length == 1:
        return ()
    yearly = freq.season_lengths(frequency)[-1]
    return (yearly,) if round(yearly) == season_length else (float(season_length),)
