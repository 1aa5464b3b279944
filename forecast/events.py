"""Events that a person has accepted, and what a history looks like without them.

outlier, one_off, stock_out   their periods are taken as missing: they are bridged, and no error is scored on them;
level_shift                   what lies before it is moved by the step, so that it is neither season nor noise.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from forecast import frequency as freq
from forecast.errors import HistoryError, OptionError
from forecast.frequency import Days
from forecast.robust import jump_at, reach_of, season_of, without_season, without_weekdays
from forecast.season import BoolArray
from forecast.series import MIN_PERIODS, Series, Versions
from forecast.transform import FloatArray, Transform, choose
from forecast.words import number, span_label

OUTLIER, STOCK_OUT, ONE_OFF, LEVEL_SHIFT = KINDS = ("outlier", "stock_out", "one_off", "level_shift")
NAMES = {OUTLIER: "outlier", STOCK_OUT: "stock-out", ONE_OFF: "one-off event", LEVEL_SHIFT: "level shift"}
MOST_EVENTS = 200


@dataclass(frozen=True)
class Event:
    """Something that happened in the periods from `first` to `last`, any day of them.

    A level shift has happened at `first`: the first period of the new level.
    """

    kind: str
    first: dt.date
    last: dt.date


@dataclass(frozen=True)
class Applied:
    """An accepted event that was taken out of what the forecaster saw: the labels of its first and last period.

    `change_pct`: by how much the sales before a level shift were moved, in per cent; None for other kinds, and where
    too few periods lie beside the shift to measure it, which then changes nothing.
    """

    kind: str
    first: dt.date
    last: dt.date
    change_pct: float | None
    sentence: str


def cleaned(versions: Versions, series: Series, events: Sequence[Event]) -> tuple[Versions, tuple[Applied, ...]]:
    """All versions of a history without events, and which these were, in the order of time.

    `series` is what is known of the history. An event that does not lie in it changes nothing and is not told.
    Raises OptionError, and HistoryError where events leave no sales.
    """
    if len(events) > MOST_EVENTS:
        raise OptionError("events", f"{len(events)} events", f"up to {MOST_EVENTS} events")
    spans = [(event.kind, *labels_of(event, series.frequency)) for event in events]
    spans = [span for span in spans if span[1] <= series.ds[-1] and span[2] >= series.ds[0]]
    if not spans:
        return versions, ()
    gone = [span for span in spans if span[0] != LEVEL_SHIFT]
    told = [_taken_out(*span, series.frequency) for span in gone]
    known, y = (np.where(_within(one.ds, gone), np.nan, one.y) for one in (series, versions))
    left = int(np.isfinite(known).sum())
    if left < MIN_PERIODS:
        was = f"{left} of {np.isfinite(series.y).sum()} known periods, its events ({len(gone)}) taken out"
        allowed = f"at least {MIN_PERIODS} known periods; refuse an event, or forecast without events"
        raise HistoryError("history", was, allowed)
    for _, first, _ in sorted((s for s in spans if s[0] == LEVEL_SHIFT), key=lambda span: span[1], reverse=True):
        shift = _shift(replace(series, y=known), first)
        known, y = shift.taken_from(series.ds, known), shift.taken_from(versions.ds, y)
        told.append(shift.told(series.frequency))
    return replace(versions, y=y), tuple(sorted(told, key=lambda one: (one.first, one.kind)))


def taken_out(ds: Days, events: Sequence[Event], frequency: str) -> BoolArray:
    """Which of the periods `ds` events take out, (n,): a level shift takes none."""
    return _within(ds, [(e.kind, *labels_of(e, frequency)) for e in events if e.kind != LEVEL_SHIFT])


def labels_of(event: Event, frequency: str) -> tuple[np.datetime64, np.datetime64]:
    """The labels of the first and the last period of an event; raises OptionError."""
    if event.kind not in KINDS:
        raise OptionError("events.kind", event.kind, f"one of {', '.join(KINDS)}")
    if event.last < event.first:
        raise OptionError("events.last", event.last, f"a day that is not before {event.first}")
    first, last = freq.label(np.array([event.first, event.last], "datetime64[D]"), frequency)
    return first, first if event.kind == LEVEL_SHIFT else last


def _within(ds: Days, spans: Sequence[tuple[str, np.datetime64, np.datetime64]]) -> BoolArray:
    found = np.zeros(ds.size, dtype=bool)
    for _, first, last in spans:
        found |= (ds >= first) & (ds <= last)
    return found


def _taken_out(kind: str, first: np.datetime64, last: np.datetime64, frequency: str) -> Applied:
    span = periods_named(first, last, frequency)
    return Applied(kind, day_of(first), day_of(last), None, f"{NAMES[kind]} of {span}: taken as missing")


def day_of(label: np.datetime64) -> dt.date:
    """A label as a date."""
    return pd.Timestamp(label).date()


def periods_named(first: np.datetime64, last: np.datetime64, frequency: str) -> str:
    """What a run of periods is called: `the 4 weeks to 29 Mar 2026`."""
    return span_label(pd.Series(pd.DatetimeIndex(freq.between(first, last, frequency))), frequency)


@dataclass(frozen=True)
class _Shift:
    """A level shift, with its height on the working scale; None where it cannot be measured."""

    first: np.datetime64
    transform: Transform
    step: float | None

    def taken_from(self, ds: Days, y: FloatArray) -> FloatArray:
        """Sales `y` of the periods `ds` as if the level had always been the new one."""
        if self.step is None:
            return y
        moved = self.transform.inverse(self.transform.forward(y) + self.step)
        if self.transform.log:
            moved = np.maximum(moved, 0.0)
        return np.where(ds < self.first, moved, y)

    def told(self, frequency: str) -> Applied:
        day, name = (
            day_of(self.first),
            f"{NAMES[LEVEL_SHIFT]} from {periods_named(self.first, self.first, frequency)} on",
        )
        if self.step is None:
            sentence = f"{name}: too few periods lie beside it to measure it, so nothing was changed"
            return Applied(LEVEL_SHIFT, day, day, None, sentence)
        change = 100 * float(np.expm1(self.step)) if self.transform.log else None
        by = "" if change is None else f" by {number(change, sign=True)} %"
        return Applied(LEVEL_SHIFT, day, day, change, f"{name}: sales before it are moved{by} to the new level")


def _shift(series: Series, first: np.datetime64) -> _Shift:
    """The shift by what lies beside it, seasons taken out where another year tells them."""
    transform, reach = choose(series.y), reach_of(series.frequency)
    z, at = without_weekdays(transform.forward(series.y), series), int(np.searchsorted(series.ds, first))
    for x in (without_season(z, season_of(series)[0]), z):
        step = jump_at(x, at, reach.step)
        if step is not None:
            break
    return _Shift(first, transform, step)
