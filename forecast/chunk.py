"""Many series at once: one pure function from Arrow tables to Arrow tables, for a process pool, Spark or a notebook.

chunk = forecast_chunk(sales, ChunkOptions(horizon=8), signals)
chunk.periods    one row a category and period
chunk.series     one row a category: what came of it, and why not
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from forecast import frequency as freq
from forecast.arrays import SignalValues, Values
from forecast.chunk_tables import Chunk, Outcome, tabulated
from forecast.core import forecast
from forecast.engines import engine
from forecast.errors import ForecastError, HistoryError, SignalsError
from forecast.frequency import Days, IntArray
from forecast.options import check_horizon, checked_levels, moment_of
from forecast.season import check_country
from forecast.series import versions
from forecast.transform import FloatArray

CHUNK = 256  # series that are worth one task: less costs overhead, more costs memory and what a kill throws away


@dataclass(frozen=True, kw_only=True)
class ChunkOptions:
    """What `forecast()` takes beside the data, the same for every series of a chunk."""

    horizon: int
    engine: str = "fast"
    levels: tuple[float, ...] = (80, 95)
    frequency: str | None = None
    as_of: str | None = None
    calendar: str | None = None
    season_length: float | None = None

    def check(self) -> None:
        """Raise OptionError for an option that no series could be forecast with, whatever its data."""
        check_horizon(self.horizon)
        engine(self.engine)
        checked_levels(self.levels)
        moment_of(self.as_of)
        if self.frequency is not None:
            freq.check(self.frequency)
        if self.calendar is not None:
            check_country(self.calendar)


def forecast_chunk(
    sales: pa.Table, options: ChunkOptions, signals: pa.Table | None = None, candidates: pa.Table | None = None
) -> Chunk:
    """Forecast every series of a chunk (up to `CHUNK` of them by custom), with the numbers that `forecast()` gives.

    `sales` is long: `unique_id` (or `category`), `ds`, `y`, as `forecast()` takes a history, `known_at` included.
    `signals` is long as `forecast()` takes it. With a column `unique_id` or `category` a row serves that series alone,
    or all where it is null; `candidates` (`category`, `signal`) says which signals serve which series, else all do; one
    that has no row for its series is a warning there. A series that cannot be forecast is a row of `series` with its
    reason. Raises HistoryError or SignalsError only where a table lacks a column or a name.
    """
    histories = _Histories(sales)
    offered = None if signals is None else _Signals(signals, candidates)
    outcomes = [(name, _outcome(name, histories, options, offered)) for name in histories.names]
    return tabulated(outcomes, options.levels)


def histories_of(sales: pa.Table) -> Iterator[tuple[str, Values | ForecastError]]:
    """Each series of a long table as consecutive values, or why it is none."""
    histories = _Histories(sales)
    for name in histories.names:
        found = histories.of(name, None)
        try:
            yield name, found if isinstance(found, Values) else _consecutive(found)
        except ForecastError as error:
            yield name, error


def _consecutive(frame: pd.DataFrame) -> Values:
    series = versions(frame, None, None).read(None)
    return Values(start=series.ds[0].item(), frequency=series.frequency, values=series.y)


def _outcome(name: str, histories: _Histories, options: ChunkOptions, offered: _Signals | None) -> Outcome:
    """The forecast of one series, or why there is none; a defect in one leaves the others alone."""
    try:
        given = None if offered is None else offered.of(name)
        made = forecast(
            histories.of(name, options.frequency),
            options.horizon,
            signals=given,
            engine=options.engine,
            levels=options.levels,
            frequency=options.frequency,
            as_of=options.as_of,
            calendar=options.calendar,
            season_length=options.season_length,
            category=name,
        )
    except Exception as error:  # noqa: BLE001 - told in its row
        return error
    absent = [] if offered is None else offered.absent(name)
    if not absent:
        return made
    warning = f"candidates name signals that have no row for this series: {', '.join(absent)}"
    return dataclasses.replace(made, warnings=[warning, *made.warnings])


class _Histories:
    """The sales of each series, as arrays where they are regular and as a frame where `forecast()` has to look."""

    def __init__(self, table: pa.Table) -> None:
        self._table = _named(table, ("ds", "y"), "sales", HistoryError)
        self._rows = _Rows(self._table["unique_id"], self._table["ds"])
        self.names = self._rows.names
        plain = "known_at" not in self._table.column_names
        self._days = _days(self._table["ds"]) if plain else None
        self._y = _numbers(self._table["y"])

    def of(self, name: str, frequency: str | None) -> Any:
        rows = self._rows.of(name)
        if self._days is not None and self._y is not None:
            try:
                return _regular(self._days[rows], self._y[rows], frequency)
            except _OddError:
                pass
        return self._table.take(pa.array(rows)).drop_columns("unique_id").to_pandas()


class _Signals:
    """The signals of each series; those that serve all are read once."""

    def __init__(self, table: pa.Table, candidates: pa.Table | None) -> None:
        own = any(name in table.column_names for name in ("unique_id", "category"))
        if not own:
            table = table.append_column("unique_id", pa.nulls(len(table), pa.string()))
        needed = ("signal", "value") if "start" in table.column_names else ("signal", "ds", "value")
        self._table = _named(table, needed, "signals", SignalsError, nameless=True)
        self._chosen = None if candidates is None else _chosen(candidates)
        plain = not {"known_at", "start", "end"} & set(self._table.column_names)
        self._days = _days(self._table["ds"]) if plain else None
        self._value = _numbers(self._table["value"])
        self._declared = [name for name in _DECLARED if name in self._table.column_names]
        same = {name: pc.unique(self._table[name]).to_pylist() for name in self._declared}
        self._constant = {name: found[0] for name, found in same.items() if len(found) == 1 and found[0] is not None}
        self._rows = self._parts()
        self._read: dict[tuple[str | None, str], SignalValues | None] = {}

    def of(self, name: str) -> Any:
        """What `forecast()` takes, None where nothing is offered."""
        keys = [(owner, signal) for owner in (None, name) for signal in self._rows.get(owner, ())]
        if self._chosen is not None:
            wanted = self._chosen.get(name, set())
            keys = [key for key in keys if key[1] in wanted]
        if not keys:
            return None
        read = [self._values(key) for key in keys]
        names = {signal for _, signal in keys}
        if all(one is not None for one in read) and len(names) == len(keys):
            return read
        rows = np.sort(np.concatenate([self._rows[owner][signal] for owner, signal in keys]))
        return self._table.take(pa.array(rows)).drop_columns("unique_id").to_pandas()

    def absent(self, name: str) -> list[str]:
        """The signals that candidates name for a series, and that have no row for it."""
        wanted = set() if self._chosen is None else self._chosen.get(name, set())
        return sorted(wanted - {signal for owner in (None, name) for signal in self._rows.get(owner, ())})

    def _parts(self) -> dict[str | None, dict[str, np.ndarray]]:
        """Which rows are whose, and of which signal, in the order of dates."""
        day = self._table["ds"] if "ds" in self._table.column_names else self._table["start"]
        owners, signals = self._table["unique_id"], self._table["signal"]
        found: dict[str | None, dict[str, np.ndarray]] = {}
        by_signal = _Rows(signals, day)
        codes, names = _coded(owners)
        for signal in by_signal.names:
            rows = by_signal.of(signal)
            own = codes[rows]
            order = np.argsort(own, kind="stable")
            edges = np.flatnonzero(np.diff(own[order])) + 1
            for part in np.split(order, edges):
                code = int(own[part[0]])
                found.setdefault(None if code < 0 else names[code], {})[signal] = rows[part]
        return found

    def _values(self, key: tuple[str | None, str]) -> SignalValues | None:
        """The signal as consecutive values; None where it is not regular."""
        if key[0] is not None:
            return self._consecutive(*key)
        if key not in self._read:
            self._read[key] = self._consecutive(*key)
        return self._read[key]

    def _consecutive(self, owner: str | None, signal: str) -> SignalValues | None:
        rows = self._rows[owner][signal]
        if self._days is None or self._value is None or len(rows) < 2:
            return None
        try:
            found = _regular(self._days[rows], self._value[rows], None)
            varying = {name: self._one(name, rows) for name in self._declared if name not in self._constant}
        except _OddError:
            return None
        told: dict[str, Any] = self._constant | varying
        return SignalValues(signal=signal, start=found.start, frequency=found.frequency, values=found.values, **told)

    def _one(self, name: str, rows: np.ndarray) -> object:
        """The one value that all these rows hold in a column."""
        values = pc.unique(self._table[name].take(pa.array(rows))).to_pylist()
        if len(values) > 1 or values[0] is None:
            raise _OddError
        return values[0]


_DECLARED = ("future_known", "aggregation")


class _OddError(Exception):
    """Something that the door of arrays does not take: `forecast()` is given the frame and says what is wrong."""


def _regular(days: Days, y: FloatArray, frequency: str | None) -> Values:
    """Sorted rows as consecutive values, NaN in the gaps."""
    start, name, count, at = _calendar(days.tobytes(), frequency)
    values = y
    if at is not None:
        values = np.full(count, np.nan)
        values[at] = y
    return Values(start=start, frequency=name, values=values)


@lru_cache(maxsize=64)
def _calendar(rows: bytes, frequency: str | None) -> tuple[dt.date, str, int, IntArray | None]:
    """The first of sorted days, their frequency, how many periods they span, and where they lie in those; None for
    where there are no gaps. Many series have the same days."""
    days = np.frombuffer(rows, "datetime64[D]")
    number = freq.numbered(days)
    if len(days) < 2 or not (number[1:] > number[:-1]).all():
        raise _OddError
    try:
        name = freq.check(frequency) if frequency else freq.infer(days, "ds")
    except ForecastError as error:
        raise _OddError from error
    whole = freq.between(days[0], days[-1], name)
    if len(whole) == len(days):
        if not (whole == days).all():
            raise _OddError
        return days[0].item(), name, len(whole), None
    at = np.searchsorted(whole, days)
    if at[-1] >= len(whole) or not (whole[at] == days).all():
        raise _OddError
    return days[0].item(), name, len(whole), freq.frozen(at)


def _named(
    table: pa.Table, needed: tuple[str, ...], field: str, error: type[ForecastError], *, nameless: bool = False
) -> pa.Table:
    """The table with its series in the column `unique_id`, as text."""
    if "unique_id" not in table.column_names and "category" in table.column_names:
        table = table.rename_columns(["unique_id" if name == "category" else name for name in table.column_names])
    missing = [name for name in ("unique_id", *needed) if name not in table.column_names]
    if missing:
        raise error(field, f"columns {table.column_names}", f"columns unique_id, {', '.join(needed)}")
    at = table.column_names.index("unique_id")
    table = table.set_column(at, "unique_id", pc.cast(table["unique_id"], pa.string()))
    if table["unique_id"].null_count and not nameless:
        raise error(f"{field}.unique_id", "a row without a name", "a name in every row")
    return table


def _chosen(candidates: pa.Table) -> dict[str, set[str]]:
    table = _named(candidates, ("signal",), "candidates", SignalsError)
    found: dict[str, set[str]] = {}
    for name, signal in zip(table["unique_id"].to_pylist(), table["signal"].to_pylist(), strict=True):
        found.setdefault(name, set()).add(str(signal))
    return found


class _Rows:
    """Which rows belong to each name, in the order of dates; names in the order of their first rows."""

    def __init__(self, names: pa.ChunkedArray, days: pa.ChunkedArray) -> None:
        code, self.names = _coded(names)
        dates = _days(days)
        number = np.zeros(len(code), dtype=np.int64) if dates is None else freq.numbered(dates)
        order = np.lexsort((number, code))
        edges = np.searchsorted(code[order], np.arange(len(self.names) + 1))
        self._parts = {name: order[edges[i] : edges[i + 1]] for i, name in enumerate(self.names)}

    def of(self, name: str) -> np.ndarray:
        return self._parts[name]


def _coded(column: pa.ChunkedArray) -> tuple[np.ndarray, list[str]]:
    """The number of the name in each row, -1 where it has none, and the names."""
    encoded = pc.cast(column, pa.string()).combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    code = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return code, encoded.dictionary.to_pylist()


def _days(column: pa.ChunkedArray) -> Days | None:
    """The dates of a column, None where they are none, or not all there."""
    kind = column.type
    plain = pa.types.is_date(kind) or (pa.types.is_timestamp(kind) and kind.tz is None)
    if not plain or column.null_count:
        return None
    return np.asarray(column.to_numpy()).astype("datetime64[D]")


def _numbers(column: pa.ChunkedArray) -> FloatArray | None:
    """The numbers of a column, NaN where there is none; None where they are of another kind."""
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return None
    return np.asarray(pc.cast(column, pa.float64(), safe=False).to_numpy(), dtype=float)
