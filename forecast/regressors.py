"""Signals laid on the periods of the series, each to its own edge.

Finer values are averaged (or summed, as the signal declares), coarser ones are held from the day they are known on,
and a value that straddles two periods is split by days.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from forecast import columns
from forecast import frequency as freq
from forecast.arrays import SignalValues, read_signal_values
from forecast.errors import HistoryError, SignalsError
from forecast.frequency import Days, IntArray
from forecast.grid import Grid
from forecast.series import Series
from forecast.transform import FloatArray, median

_DAY = np.timedelta64(1, "D")
_COARSER = 1.5  # a value that spans more than this many periods is held, not spread


@dataclass(frozen=True)
class Regressor:
    """One signal on the periods of a series of n periods.

    `x` has shape (n + horizon,), NaN where unknown; `edge` is the index of the last known period, so that the signal
    runs `edge - (n - 1)` periods ahead of sales. `total` tells sums over a period from means. Where values after `told`
    are not known but assumed, that is the index of the last known one.
    """

    name: str
    x: FloatArray
    edge: int
    future_known: bool
    total: bool = False
    told: int | None = None

    @property
    def known_to(self) -> int:
        """The index of the last period of which the value is known, and not assumed."""
        return self.edge if self.told is None else self.told

    def completed(self, usual: int) -> Regressor:
        """A plan that ends early with what is usual after its end: nothing where zeros are in it, else its median.

        The median is that of its last `usual` known values. Others stay as they are.
        """
        if not self.future_known or not 0 <= self.edge < self.x.size - 1:
            return self
        known = self.x[: self.edge + 1]
        known = known[np.isfinite(known)]
        x = self.x.copy()
        x[self.edge + 1 :] = 0.0 if (known == 0).any() else median(known[-usual:])
        return replace(self, x=x, edge=x.size - 1, told=self.edge)

    def at(self, origin: int, last: int, horizon: int) -> Regressor:
        """The same signal as seen at a past origin, with the ragged edge that it has at `last`."""
        ahead = self.edge - last
        x = self.x[: origin + 1 + horizon].copy()
        x[max(0, origin + 1 + ahead) :] = np.nan
        return Regressor(self.name, x, _edge(x), self.future_known, self.total)


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
    first: np.ndarray | None = None  # when the first version of each span became known, where that is not `known_at`

    @cached_property
    def revised(self) -> bool:
        """True where some span has more than one version."""
        return bool((self.start[1:] == self.start[:-1]).any())

    def as_of(self, moment: pd.Timestamp | None) -> SignalRows:
        """The last version of each span known at `moment`; withdrawn values are left out.

        Without `known_at` a value counts as known when its span ends, a planned one always.
        """
        rows = self
        if moment is not None and (self.known_at is not None or not self.future_known):
            rows = rows._where((self.end if self.known_at is None else self.known_at) <= np.datetime64(moment, "us"))
        if rows.revised:
            other = rows.start[1:] != rows.start[:-1]
            first = None if rows.known_at is None else rows.known_at[np.append(True, other)]
            rows = replace(rows._where(np.append(other, True)), first=first)
        return rows._where(np.isfinite(rows.value))

    def _where(self, keep: np.ndarray) -> SignalRows:
        if keep.all():
            return self
        known, first = (None if moments is None else moments[keep] for moments in (self.known_at, self.first))
        cut = {"start": self.start[keep], "end": self.end[keep], "value": self.value[keep]}
        return replace(self, **cut, known_at=known, first=first)


def read(signals: pd.DataFrame | Sequence[SignalValues] | None, as_of: pd.Timestamp | None = None) -> list[SignalRows]:
    """Validate a long frame `signal, ds, value` (or `start, end` for `ds`), or SignalValues; raises SignalsError.

    Rows known after `as_of` are gone from here on. Signals come in the order of their names.
    """
    if signals is None:
        return []
    if isinstance(signals, Sequence) and not isinstance(signals, str):
        return _consecutive(signals, as_of)
    if not isinstance(signals, pd.DataFrame):
        raise SignalsError("signals", type(signals).__name__, "a long DataFrame with columns signal, ds, value")
    spans = ("start", "end") if "ds" not in signals.columns else ("ds",)
    columns.require(signals, ("signal", *spans, "value"), "signals", SignalsError)
    if signals.empty:
        return []
    known = _optional(signals, "known_at", columns.moments)
    if as_of is not None:
        seen = _seen(signals, spans[0], known, np.datetime64(as_of, "us"))
        if not seen.all():
            signals, known = signals[seen], None if known is None else known[seen]
    return _Table(signals, known).signals() if len(signals) else []


def _consecutive(signals: Sequence[SignalValues], as_of: pd.Timestamp | None) -> list[SignalRows]:
    moment = None if as_of is None else np.datetime64(as_of, "us")
    return [
        SignalRows(one.signal, start, end, value, None, one.future_known, one.aggregation == "sum")
        for one, start, end, value in read_signal_values(signals, moment)
    ]


def _seen(signals: pd.DataFrame, label: str, known: np.ndarray | None, moment: np.datetime64) -> np.ndarray:
    """Rows known by a moment, (rows,): without `known_at` those that begin by then, and all planned ones."""
    if known is not None:
        return np.asarray(known <= moment)
    begun = columns.days(signals[label], f"signals.{label}", SignalsError) <= moment
    planned = _optional(signals, "future_known", columns.flags)
    return np.asarray(begun if planned is None else begun | planned)


_Read = Callable[[pd.Series, str, type[SignalsError]], np.ndarray]


def _optional(frame: pd.DataFrame, name: str, read: _Read) -> np.ndarray | None:
    return read(frame[name], f"signals.{name}", SignalsError) if name in frame.columns else None


class _Table:
    """The columns of a long frame as arrays, sorted by signal (`names[code]`), day and moment known."""

    def __init__(self, frame: pd.DataFrame, known: np.ndarray | None) -> None:
        value = columns.numbers(frame["value"], "signals.value", SignalsError)
        start, end = _days(frame)
        future = _optional(frame, "future_known", columns.flags)
        self.names, code = _texts(frame["signal"])
        if (code < 0).any():
            raise SignalsError("signals.signal", f"no name in row {int(code.argmin())}", "a name in every row")
        key = code * _MANY + freq.numbered(start)
        order = columns.order(key, known)
        self.start, self.value = start[order], value[order]
        self.end = None if end is None else end[order]
        self.known = None if known is None else known[order]
        self.future = None if future is None else future[order]
        self.twice = columns.repeated(key[order], self.known)
        self.kinds, kind = _texts(frame["aggregation"]) if "aggregation" in frame.columns else ([], None)
        self.kind = None if kind is None else kind[order]
        self.spans: dict[bytes, tuple[Days, Days]] = {}
        self.edges = np.searchsorted(code[order], np.arange(len(self.names) + 1))

    def signals(self) -> list[SignalRows]:
        """Each signal's rows, in the order of names."""
        return [self._rows(i) for i in sorted(range(len(self.names)), key=self.names.__getitem__)]

    def _rows(self, i: int) -> SignalRows:
        name, part = self.names[i], slice(self.edges[i], self.edges[i + 1])
        start = self.start[part]
        twice = self.twice[part.start : part.stop - 1]
        if twice.any():
            raise SignalsError(
                f"signals[{name}].ds",
                f"{start[1:][twice][0]} twice",
                "one row a date (or a column known_at that tells versions apart)",
            )
        start, end = self._spans(start, None if self.end is None else self.end[part], name)
        known = None if self.known is None else self.known[part]
        future = self.future is not None and bool(self.future[part].any())
        return SignalRows(name, start, end, self.value[part], known, future, self._total(name, part))

    def _spans(self, start: Days, end: Days | None, name: str) -> tuple[Days, Days]:
        """Spans from labels or from both their ends; signals that share them share the arrays, worked out once."""
        same = start.tobytes() + (b"" if end is None else end.tobytes())
        if same not in self.spans:
            self.spans[same] = _spans(start, name) if end is None else (start, end)
        return self.spans[same]

    def _total(self, name: str, part: slice) -> bool:
        if self.kind is None:
            return False
        kinds = {(*self.kinds, "nan")[kind] for kind in set(self.kind[part].tolist())}
        if not kinds <= {"mean", "sum"}:
            raise SignalsError(f"signals[{name}].aggregation", ", ".join(sorted(kinds)), "mean or sum")
        return "sum" in kinds


_MANY = 10**9  # more days than datetime64[us] spans on either side of 1970


def _days(frame: pd.DataFrame) -> tuple[Days, Days | None]:
    """First days, and the days after the last where the frame says them."""
    if "ds" in frame.columns:
        return columns.days(frame["ds"], "signals.ds", SignalsError), None
    start = columns.days(frame["start"], "signals.start", SignalsError)
    end = _optional(frame, "end", columns.days)
    if end is not None and (end <= start).any():
        row = int((end <= start).argmax())
        raise SignalsError("signals.end", f"{end[row]} in row {row}", f"a day after its start, {start[row]}")
    return start, end


def _texts(column: pd.Series) -> tuple[list[str], IntArray]:
    """The different texts of a column, in order of appearance, and which of them each row has, -1 where it has none.

    Other values count as their text, so that 1 and "1" are the same.
    """
    code, found = pd.factorize(column.array)
    texts = list(found)
    if not all(isinstance(text, str) for text in texts):
        texts = pd.Index(found).astype(str).to_list()
    different = list(dict.fromkeys(texts))
    if len(different) < len(texts):
        code = np.array([*map(different.index, texts), -1])[code]
    return different, code


def _spans(labels: Days, name: str) -> tuple[Days, Days]:
    unique = freq.distinct(labels)
    if unique.size == 1:
        return labels, labels + _DAY
    try:
        cadence = freq.infer(unique, f"signals[{name}].ds")
    except HistoryError as error:
        raise SignalsError(error.field, error.value, f"{error.allowed}; or start and end for ds") from error
    return freq.spans(freq.label(labels, cadence), cadence)


def lay(rows: SignalRows, series: Series, horizon: int, as_of: pd.Timestamp | None) -> Regressor:
    """The signal as known at `as_of` on the periods of `series` and `horizon` more."""
    grid = series.grid(horizon)
    known = rows.as_of(as_of)
    if known.start.size == 0:
        return Regressor(rows.name, np.full(grid.labels.size, np.nan), -1, rows.future_known, rows.total)
    if median(_length(known)) > _COARSER * grid.usual:
        x = _hold(known, grid.ends, series.end if as_of is None else np.datetime64(as_of, "D"))
    else:
        x = _spread(known, grid)
    return Regressor(rows.name, x, _edge(x), rows.future_known, rows.total)


def _length(rows: SignalRows) -> IntArray:
    return freq.numbered(rows.end) - freq.numbered(rows.start)


def _edge(x: FloatArray) -> int:
    known = np.flatnonzero(np.isfinite(x))
    return int(known[-1]) if known.size else -1


def _hold(rows: SignalRows, ends: Days, now: np.datetime64) -> FloatArray:
    """Coarser than the series: each period has the newest value known by its end; a future-known one its own.

    A revised value is held from when its first version was known: a revision says more of then, not of now.
    """
    since, known = rows.end, rows.known_at if rows.first is None else rows.first
    if rows.future_known:
        since = rows.start + _DAY
    elif known is not None:
        since = np.maximum(rows.end, known.astype("datetime64[D]"))
    since = np.maximum.accumulate(since)
    at = np.searchsorted(since, ends, side="right") - 1
    x = np.where(at >= 0, rows.value[np.maximum(at, 0)], np.nan)
    last = np.maximum(rows.end[-1], since[-1])
    x[ends > last + (rows.end[-1] - rows.start[-1])] = np.nan  # stopped: not held for ever
    if not rows.future_known:
        x[ends > max(now, since[-1])] = np.nan  # what will be published by then is not known yet
    return x


def _spread(rows: SignalRows, grid: Grid) -> FloatArray:
    """As fine as the series or finer: the mean (or sum) over the days of each period."""
    x = grid.cut(rows.start, rows.end).mean(rows.value / _length(rows) if rows.total else rows.value)
    if rows.total:
        x *= grid.days
    x[grid.ends > rows.end[-1]] = np.nan  # the period at the edge is not over for this signal
    return x
