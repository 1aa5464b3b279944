"""Signals laid on the periods of the series, each to its own edge.

Finer values are averaged (or summed, as the signal declares), coarser ones are held from the day they are known on,
and a value that straddles two periods is split by days.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from forecast import frequency as freq
from forecast.errors import SignalsError
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
        ahead = horizon if self.future_known else self.edge - last
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
        """The last version of each span known at `moment`; withdrawn values are left out."""
        start, end, value, known = self.start, self.end, self.value, self.known_at
        if known is not None and moment is not None:
            seen = known <= np.datetime64(moment, "us")
            start, end, value, known = start[seen], end[seen], value[seen], known[seen]
        if start.size:
            keep = np.append(start[1:] != start[:-1], True) & np.isfinite(value)
            start, end, value = start[keep], end[keep], value[keep]
            known = None if known is None else known[keep]
        return SignalRows(self.name, start, end, value, known, self.future_known, self.total)


def read(signals: pd.DataFrame | None, as_of: pd.Timestamp | None = None) -> list[SignalRows]:
    """Validate a long frame `signal, ds, value` (or `start, end` for `ds`); raises SignalsError.

    Rows known after `as_of` are gone from here on.
    """
    if signals is None or (isinstance(signals, pd.DataFrame) and signals.empty):
        return []
    _check_columns(signals)
    if as_of is not None and "known_at" in signals.columns:
        known = _Columns.dates(signals["known_at"], "known_at", "us")
        signals = signals[known <= np.datetime64(as_of, "us")]
    names = signals["signal"].astype(str).to_numpy()
    columns = _Columns(signals)
    return [columns.rows(str(name), np.flatnonzero(names == name)) for name in pd.unique(names)]


def _check_columns(signals: pd.DataFrame) -> None:
    if not isinstance(signals, pd.DataFrame):
        raise SignalsError("signals", type(signals).__name__, "a long DataFrame with columns signal, ds, value")
    spans = {"start", "end"} <= set(signals.columns)
    missing = [c for c in ("signal", "value", *(() if spans else ("ds",))) if c not in signals.columns]
    if missing:
        raise SignalsError(
            "signals", f"columns {list(signals.columns)}", "columns signal, ds, value (or start, end for ds)"
        )


class _Columns:
    """The columns of a long frame as arrays, parsed once for all signals."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.value = self.values(frame["value"])
        self.known = self.dates(frame["known_at"], "known_at", "us") if "known_at" in frame.columns else None
        self.spans = {"start", "end"} <= set(frame.columns)
        self.start = self.dates(frame["start" if self.spans else "ds"], "start" if self.spans else "ds", "D")
        self.end = self.dates(frame["end"], "end", "D") if self.spans else None
        self.future = (
            frame["future_known"].to_numpy(dtype=bool, na_value=False) if "future_known" in frame.columns else None
        )
        self.aggregation = frame["aggregation"].to_numpy() if "aggregation" in frame.columns else None

    @staticmethod
    def values(column: pd.Series) -> FloatArray:
        try:
            value = column.to_numpy(dtype=float, na_value=np.nan)
        except (ValueError, TypeError) as error:
            raise SignalsError("signals.value", str(error), "numbers, NaN where unknown") from error
        if np.isinf(value).any():
            raise SignalsError("signals.value", f"infinity in row {int(np.isinf(value).argmax())}", "finite numbers")
        return value

    @staticmethod
    def dates(column: pd.Series, name: str, unit: str) -> np.ndarray:
        try:
            parsed = pd.to_datetime(column)
        except (ValueError, TypeError, OverflowError) as error:
            raise SignalsError(f"signals.{name}", str(error).split("\n")[0], "dates") from error
        if parsed.isna().any():
            raise SignalsError(
                f"signals.{name}", f"no date in row {int(parsed.isna().to_numpy().argmax())}", "a date in every row"
            )
        if parsed.dt.tz is not None:
            parsed = parsed.dt.tz_convert("UTC").dt.tz_localize(None)
        return parsed.to_numpy().astype(f"datetime64[{unit}]")

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
    except ValueError as error:
        raise SignalsError(
            f"signals[{name}].ds", str(error), "daily, weekly, monthly or quarterly dates, or start and end"
        ) from error
    return freq.spans(freq.label(labels, cadence), cadence)


def lay(rows: SignalRows, series: Series, horizon: int, as_of: pd.Timestamp | None) -> Regressor:
    """The signal as known at `as_of` on the periods of `series` and `horizon` more."""
    labels = np.concatenate([series.ds, series.future(horizon)])
    starts, ends = freq.spans(labels, series.frequency)
    known = rows.as_of(as_of)
    if known.start.size == 0:
        return Regressor(rows.name, np.full(labels.size, np.nan), -1, rows.future_known)
    wide = np.median((known.end - known.start).astype(int)) > _COARSER * np.median((ends - starts).astype(int))
    x = _hold(known, ends) if wide else _spread(known, starts, ends)
    return Regressor(rows.name, x, _edge(x), rows.future_known)


def _edge(x: FloatArray) -> int:
    known = np.flatnonzero(np.isfinite(x))
    return int(known[-1]) if known.size else -1


def _hold(rows: SignalRows, ends: Days) -> FloatArray:
    """Coarser than the series: each period has the newest value known by its end; a future-known one its own."""
    if rows.future_known:
        since = rows.start
    else:
        since = rows.end if rows.known_at is None else np.maximum(rows.end, rows.known_at.astype("datetime64[D]"))
    since = np.maximum.accumulate(since)
    at = np.searchsorted(since, ends if not rows.future_known else ends - _DAY, side="right") - 1
    x = np.where(at >= 0, rows.value[np.maximum(at, 0)], np.nan)
    x[ends > np.maximum(rows.end[-1], since[-1]) + (rows.end[-1] - rows.start[-1])] = (
        np.nan
    )  # stopped: not held for ever
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
