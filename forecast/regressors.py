"""Signals laid on the periods of the series, each to its own edge.

Finer values are averaged (or summed, as the signal declares), coarser ones are held from the day they are known on,
and a value that straddles two periods is split by days.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from forecast import columns
from forecast import frequency as freq
from forecast.errors import HistoryError, SignalsError
from forecast.frequency import Days
from forecast.series import Series
from forecast.transform import FloatArray

_DAY = np.timedelta64(1, "D")
_MIN_COVER = 0.5  # of a period's days, where a finer signal has holes
_COARSER = 1.5  # a value that spans more than this many periods is held, not spread


@dataclass(frozen=True)
class Regressor:
    """One signal on the periods of a series of n periods.

    `x` has shape (n + horizon,), NaN where unknown; `edge` is the index of the last known period, so that the signal
    runs `edge - (n - 1)` periods ahead of sales.
    """

    name: str
    x: FloatArray
    edge: int
    future_known: bool

    def at(self, origin: int, last: int, horizon: int) -> Regressor:
        """The same signal as seen at a past origin, with the ragged edge that it has at `last`."""
        ahead = self.edge - last
        x = self.x[: origin + 1 + horizon].copy()
        x[max(0, origin + 1 + ahead) :] = np.nan
        return Regressor(self.name, x, _edge(x), self.future_known)


@dataclass(frozen=True)
class SignalRows:
    """All versions of all values of one signal: half-open spans of days, sorted by (start, known_at)."""

    name: str
    start: Days
    end: Days
    value: FloatArray
    known_at: np.ndarray | None
    future_known: bool
    total: bool

    @property
    def revised(self) -> bool:
        """True where some span has more than one version."""
        return np.unique(self.start).size < self.start.size

    def as_of(self, moment: pd.Timestamp | None) -> SignalRows:
        """The last version of each span known at `moment`; withdrawn values are left out.

        Without `known_at` a value counts as known when its span ends, a planned one always.
        """
        start, end, value, known = self.start, self.end, self.value, self.known_at
        if moment is not None and (known is not None or not self.future_known):
            seen = (end if known is None else known) <= np.datetime64(moment, "us")
            start, end, value = start[seen], end[seen], value[seen]
            known = None if known is None else known[seen]
        if start.size:
            keep = np.append(start[1:] != start[:-1], True) & np.isfinite(value)
            start, end, value = start[keep], end[keep], value[keep]
            known = None if known is None else known[keep]
        return SignalRows(self.name, start, end, value, known, self.future_known, self.total)


def read(signals: pd.DataFrame | None, as_of: pd.Timestamp | None = None) -> list[SignalRows]:
    """Validate a long frame `signal, ds, value` (or `start, end` for `ds`); raises SignalsError.

    Rows known after `as_of` are gone from here on. Signals come in the order of their names.
    """
    if signals is None:
        return []
    if not isinstance(signals, pd.DataFrame):
        raise SignalsError("signals", type(signals).__name__, "a long DataFrame with columns signal, ds, value")
    spans = ("start", "end") if "ds" not in signals.columns else ("ds",)
    columns.require(signals, ("signal", *spans, "value"), "signals", SignalsError)
    if as_of is not None and "known_at" in signals.columns and len(signals):
        known = columns.moments(signals["known_at"], "signals.known_at", SignalsError)
        signals = signals[known <= np.datetime64(as_of, "us")]
    if signals.empty:
        return []
    names = signals["signal"].astype(str).to_numpy()
    parsed = _Columns(signals)
    return [parsed.rows(str(name), np.flatnonzero(names == name)) for name in sorted(set(names))]


class _Columns:
    """The columns of a long frame as arrays, parsed once for all signals."""

    def __init__(self, frame: pd.DataFrame) -> None:
        def parsed(read: Callable[[pd.Series, str, type[SignalsError]], np.ndarray], name: str) -> np.ndarray | None:
            return read(frame[name], f"signals.{name}", SignalsError) if name in frame.columns else None

        self.value = columns.numbers(frame["value"], "signals.value", SignalsError)
        self.known = parsed(columns.moments, "known_at")
        label = "ds" if "ds" in frame.columns else "start"
        self.start = columns.days(frame[label], f"signals.{label}", SignalsError)
        self.end = parsed(columns.days, "end") if label == "start" else None
        self.future = parsed(columns.flags, "future_known")
        self.aggregation = frame["aggregation"].to_numpy() if "aggregation" in frame.columns else None
        if self.end is not None and (self.end <= self.start).any():
            row = int((self.end <= self.start).argmax())
            raise SignalsError(
                "signals.end", f"{self.end[row]} in row {row}", f"a day after its start, {self.start[row]}"
            )

    def rows(self, name: str, index: np.ndarray) -> SignalRows:
        start, value = self.start[index], self.value[index]
        known = None if self.known is None else self.known[index]
        order = np.lexsort((known, start)) if known is not None else np.argsort(start, kind="stable")
        start, value = start[order], value[order]
        known = None if known is None else known[order]
        twice = start[1:] == start[:-1] if known is None else (start[1:] == start[:-1]) & (known[1:] == known[:-1])
        if twice.any():
            raise SignalsError(
                f"signals[{name}].ds",
                f"{start[1:][twice][0]} twice",
                "one row a date (or a column known_at that tells versions apart)",
            )
        start, end = (start, self.end[index][order]) if self.end is not None else _spans(start, name)
        future = bool(self.future[index].any()) if self.future is not None else False
        return SignalRows(name, start, end, value, known, future, self._total(name, index))

    def _total(self, name: str, index: np.ndarray) -> bool:
        if self.aggregation is None:
            return False
        kinds = {str(kind) for kind in self.aggregation[index]}
        if not kinds <= {"mean", "sum"}:
            raise SignalsError(f"signals[{name}].aggregation", ", ".join(sorted(kinds)), "mean or sum")
        return "sum" in kinds


def _spans(labels: Days, name: str) -> tuple[Days, Days]:
    unique = pd.DatetimeIndex(np.unique(labels))
    if unique.size == 1:
        return labels, labels + _DAY
    try:
        cadence = freq.infer(unique, f"signals[{name}].ds")
    except HistoryError as error:
        raise SignalsError(error.field, error.value, f"{error.allowed}; or start and end for ds") from error
    return freq.spans(freq.label(labels, cadence), cadence)


def lay(rows: SignalRows, series: Series, horizon: int, as_of: pd.Timestamp | None) -> Regressor:
    """The signal as known at `as_of` on the periods of `series` and `horizon` more."""
    labels = np.concatenate([series.ds, series.future(horizon)])
    starts, ends = freq.spans(labels, series.frequency)
    known = rows.as_of(as_of)
    if known.start.size == 0:
        return Regressor(rows.name, np.full(labels.size, np.nan), -1, rows.future_known)
    wide = np.median((known.end - known.start).astype(int)) > _COARSER * np.median((ends - starts).astype(int))
    now = series.end if as_of is None else np.datetime64(as_of, "D")
    x = _hold(known, ends, now) if wide else _spread(known, starts, ends)
    return Regressor(rows.name, x, _edge(x), rows.future_known)


def _edge(x: FloatArray) -> int:
    known = np.flatnonzero(np.isfinite(x))
    return int(known[-1]) if known.size else -1


def _hold(rows: SignalRows, ends: Days, now: np.datetime64) -> FloatArray:
    """Coarser than the series: each period has the newest value known by its end; a future-known one its own."""
    since = rows.end
    if rows.future_known:
        since = rows.start + _DAY
    elif rows.known_at is not None:
        since = np.maximum(rows.end, rows.known_at.astype("datetime64[D]"))
    since = np.maximum.accumulate(since)
    at = np.searchsorted(since, ends, side="right") - 1
    x = np.where(at >= 0, rows.value[np.maximum(at, 0)], np.nan)
    last = np.maximum(rows.end[-1], since[-1])
    x[ends > last + (rows.end[-1] - rows.start[-1])] = np.nan  # stopped: not held for ever
    if not rows.future_known:
        x[ends > max(now, since[-1])] = np.nan  # what will be published by then is not known yet
    return x


def _spread(rows: SignalRows, starts: Days, ends: Days) -> FloatArray:
    """As fine as the series or finer: the mean (or sum) over the days of each period."""
    first = min(starts[0], rows.start[0])
    daily = np.full(int((max(ends[-1], rows.end[-1]) - first).astype(int)), np.nan)
    length = (rows.end - rows.start).astype(int)
    offset = np.repeat((rows.start - first).astype(int) - np.concatenate([[0], np.cumsum(length)[:-1]]), length)
    day = np.arange(length.sum()) + offset
    daily[day] = np.repeat(rows.value / length if rows.total else rows.value, length)
    total = np.concatenate([[0.0], np.cumsum(np.nan_to_num(daily))])
    count = np.concatenate([[0.0], np.cumsum(np.isfinite(daily))])
    a, b = (starts - first).astype(int), (ends - first).astype(int)
    seen, sums, days = count[b] - count[a], total[b] - total[a], (b - a).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        x = np.where(seen >= _MIN_COVER * days, sums / seen * (days if rows.total else 1.0), np.nan)
    x[ends > rows.end[-1]] = np.nan  # the period at the edge is not over for this signal
    return x
