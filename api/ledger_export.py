"""The ledger as four tables for analysis, streamed into DuckDB or Parquet: `issued`, `forecast_period`, `contribution`
and `signal`, which join on `receipt`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import duckdb
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from api.database import engine_of, issued, reading
from api.errors import Problem
from api.ledger import Issued, as_issued
from api.receipts import receipt_at
from api.settings import Settings

TOGETHER = 1000  # forecasts in memory at once
NUMBER, TEXT, MOMENT = pa.float64(), pa.string(), pa.timestamp("us")
INTERVALS = pa.list_(pa.struct([("level", NUMBER), ("lo", NUMBER), ("hi", NUMBER)]))
USUAL_LEVELS = ("80", "95")  # have columns of their own

SCHEMAS = {
    "issued": pa.schema([
        ("receipt", TEXT), ("issued", MOMENT), ("category", TEXT), ("face", TEXT), ("key_id", TEXT), ("run", TEXT),
        ("as_of", MOMENT), ("data_version", pa.int64()), ("made_with", TEXT), ("frequency", TEXT), ("unit", TEXT),
        ("horizon", pa.int64()), ("engine", TEXT), ("configuration", TEXT), ("role", TEXT), ("reason", TEXT),
        ("history_start", pa.date32()), ("history_end", pa.date32()), ("history_periods", pa.int64()),
        ("origins", pa.int64()), ("wape", NUMBER), ("mase", NUMBER), ("bias_pct", NUMBER),
        ("vs_seasonal_naive_pct", NUMBER), ("coverage_80", NUMBER), ("coverage_95", NUMBER),
        ("warnings", pa.list_(TEXT)), ("total_ms", NUMBER),
    ]),
    "forecast_period": pa.schema([
        ("receipt", TEXT), ("category", TEXT), ("period", pa.date32()), ("kind", TEXT), ("lead", pa.int64()),
        ("value", NUMBER), ("median", NUMBER), ("lo_80", NUMBER), ("hi_80", NUMBER), ("lo_95", NUMBER),
        ("hi_95", NUMBER), ("intervals", INTERVALS),
    ]),
    "contribution": pa.schema([("receipt", TEXT), ("period", pa.date32()), ("driver", TEXT), ("value", NUMBER)]),
    "signal": pa.schema([
        ("receipt", TEXT), ("signal", TEXT), ("admitted", pa.bool_()), ("gain_pct", NUMBER), ("gain_lo_pct", NUMBER),
        ("gain_hi_pct", NUMBER), ("lag", pa.int64()), ("lead", pa.int64()), ("known_to", pa.date32()),
        ("importance", NUMBER), ("reason", TEXT),
    ]),
}  # fmt: skip
Rows = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Chosen:
    """Which forecasts: of a category (None: of all), issued from `since` on and before `until` (UTC without a zone)."""

    category: str | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None


class _Target(Protocol):
    files: list[Path]

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Files appear whole, or where there was an error not at all."""

    def write(self, name: str, rows: pa.Table) -> None:
        """Add rows to a table."""


def export(settings: Settings, out: Path, chosen: Chosen) -> tuple[list[Path], dict[str, int]]:
    """Write them to a `.duckdb` database, or to a `.parquet` file a table; the files, and how many rows each table has.

    Raises the problem that the name ends in neither.
    """
    kinds: dict[str, type[_Database] | type[_Files]] = {".duckdb": _Database, ".parquet": _Files}
    if out.suffix not in kinds:
        raise Problem(422, "invalid-request", f"{out}: the name must end in {' or '.join(kinds)}")
    counts = dict.fromkeys(SCHEMAS, 0)
    with kinds[out.suffix](out) as target:
        for entries in _batches(settings, chosen):
            for name, rows in rows_of(entries).items():
                target.write(name, pa.Table.from_pylist(rows, schema=SCHEMAS[name]))
                counts[name] += len(rows)
    return target.files, counts


def rows_of(entries: list[Issued]) -> Rows:
    """The rows of some forecasts by table."""
    found: Rows = {name: [] for name in SCHEMAS}
    for entry in entries:
        answer, request = orjson.loads(entry.answer), orjson.loads(entry.request)
        receipt = {"receipt": entry.receipt}
        found["issued"].append(receipt | _head(entry, answer, request))
        for lead, period in enumerate(answer["forecast"], 1):
            label = _day(period["period"])
            head = {"category": entry.category, "period": label, "lead": lead}
            found["forecast_period"].append(receipt | head | _period(period))
            found["contribution"] += [
                receipt | {"period": label, "driver": driver, "value": value}
                for driver, value in period["contributions"].items()
            ]
        found["signal"] += [receipt | _signal(signal) for signal in answer["signals"]]
    return found


def _batches(settings: Settings, chosen: Chosen) -> Iterator[list[Issued]]:
    """By receipt, `TOGETHER` at a time; whoever appends waits for none of it."""
    query = sa.select(issued).order_by(issued.c.receipt).limit(TOGETHER)
    if chosen.category is not None:
        query = query.where(issued.c.category == chosen.category)
    if chosen.until is not None:
        query = query.where(issued.c.receipt < receipt_at(chosen.until, 0))
    after = "" if chosen.since is None else receipt_at(chosen.since, 0)
    while True:
        with reading(engine_of(settings)) as connection:
            rows = connection.execute(query.where(issued.c.receipt > after)).mappings().all()
        if not rows:
            return
        yield [as_issued(row) for row in rows]
        after = rows[-1]["receipt"]


def _head(entry: Issued, answer: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    quality, engine, history = answer["quality"], answer["engine"], answer["history"]
    kept: dict[str, Any] = {name: getattr(entry, name) for name in ("issued", "category", "face", "key_id", "run")}
    as_of = answer["as_of"] and dt.datetime.fromisoformat(answer["as_of"]).replace(tzinfo=None)
    names = ("origins", "wape", "mase", "bias_pct", "vs_seasonal_naive_pct")
    return kept | {name: quality[name] for name in names} | {
        "as_of": as_of,
        "data_version": answer["data_version"],
        "made_with": request.get("made_with"),
        "frequency": answer["frequency"],
        "unit": answer["unit"],
        "horizon": request["horizon"],
        "engine": engine["name"],
        **{name: engine[name] for name in ("configuration", "role", "reason")},
        "history_start": _day(history["start"]),
        "history_end": _day(history["end"]),
        "history_periods": history["periods"],
        **{f"coverage_{level}": quality["coverage"].get(level) for level in USUAL_LEVELS},
        "warnings": answer["warnings"],
        "total_ms": answer["timing_ms"]["total"],
    }  # fmt: skip


def _period(period: dict[str, Any]) -> dict[str, Any]:
    found = {name: period[name] for name in ("kind", "value", "median")}
    for level in USUAL_LEVELS:
        found[f"lo_{level}"], found[f"hi_{level}"] = period["intervals"].get(level, (None, None))
    found["intervals"] = [{"level": float(one), "lo": lo, "hi": hi} for one, (lo, hi) in period["intervals"].items()]
    return found


def _signal(signal: dict[str, Any]) -> dict[str, Any]:
    low, high = signal["gain_interval_pct"] or (None, None)
    kept = {name: signal[name] for name in ("signal", "admitted", "gain_pct", "lag", "lead", "importance", "reason")}
    return kept | {"gain_lo_pct": low, "gain_hi_pct": high, "known_to": _day(signal["known_to"])}


def _day(label: str | None) -> dt.date | None:
    return dt.date.fromisoformat(label[:10]) if label else None


class _Database:
    """A new DuckDB database; one that was there is replaced when this one is whole."""

    def __init__(self, out: Path) -> None:
        self.files, self._part = [out], out.with_name(f".{out.name}.part")

    def __enter__(self) -> Self:
        self._part.unlink(missing_ok=True)
        self._connection = duckdb.connect(self._part)
        for name, schema in SCHEMAS.items():
            empty = schema.empty_table()  # noqa: F841 - DuckDB finds it by its name
            self._connection.execute(f"CREATE TABLE {name} AS SELECT * FROM empty")
        return self

    def write(self, name: str, rows: pa.Table) -> None:
        self._connection.register("given", rows)
        self._connection.execute(f"INSERT INTO {name} SELECT * FROM given")
        self._connection.unregister("given")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
        if kind is None:
            self._part.replace(self.files[0])
        else:
            self._part.unlink()


class _Files:
    """A Parquet file a table: `NAME.issued.parquet` and so on."""

    def __init__(self, out: Path) -> None:
        self.files = [out.with_suffix(f".{name}.parquet") for name in SCHEMAS]
        self._parts = {
            name: file.with_name(f".{file.name}.part") for name, file in zip(SCHEMAS, self.files, strict=True)
        }

    def __enter__(self) -> Self:
        self._writers = {
            name: pq.ParquetWriter(self._parts[name], schema, compression="zstd") for name, schema in SCHEMAS.items()
        }
        return self

    def write(self, name: str, rows: pa.Table) -> None:
        self._writers[name].write_table(rows)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self._writers.values():
            writer.close()
        for part, file in zip(self._parts.values(), self.files, strict=True):
            if kind is None:
                part.replace(file)
            else:
                part.unlink()
