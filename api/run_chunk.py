"""One chunk of a run: read, forecast, kept in the ledger, and written as one Parquet file that appears whole."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import sqlalchemy as sa

from api.batch.parts import write
from api.database import engine_of, issued, metadata, writing
from api.errors import problem_body
from api.forecasting import Forecaster
from api.jobs import Jobs
from api.ledger import Issued, Ledger
from api.making import made
from api.models import ForecastRequest
from api.outages import outage_of
from api.run_input import items_of, place_of
from api.settings import Settings
from api.snapshots import Snapshots
from api.worker import Work
from forecast.chunk import CHUNK

log = logging.getLogger("groundswell")

run_failure = sa.Table(
    "run_failure",
    metadata,
    sa.Column("run", sa.String(36), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("category", sa.Text, nullable=False),
    sa.Column("problem", sa.LargeBinary, nullable=False),  # a problem detail
)
_HEAD = {"number": pa.int32(), "category": pa.string(), "receipt": pa.string(), "unit": pa.string()}
_BODY = {"period": pa.date32(), "kind": pa.string(), "value": pa.float64(), "median": pa.float64()}
_TAIL = {"contributions": pa.map_(pa.string(), pa.float64()), "problem": pa.string()}


def do_chunk_of(settings: Settings, run: str, chunk: int) -> None:
    """Do one chunk of a run, in a process of the pool."""
    job = _jobs(settings).status(run)
    assert job is not None  # it is written in the transaction that enqueues it
    work = Work(job, settings, engine_of(settings), _ledger(settings), _jobs(settings), _forecaster(settings))
    do_chunk(work, chunk, held=True)


@lru_cache(maxsize=1)
def _jobs(settings: Settings) -> Jobs:
    return Jobs(settings)


@lru_cache(maxsize=1)
def _ledger(settings: Settings) -> Ledger:
    return Ledger(settings)


@lru_cache(maxsize=1)
def _forecaster(settings: Settings) -> Forecaster:
    return Forecaster(settings, Snapshots(settings.home))


def do_chunk(work: Work, chunk: int, *, held: bool = False) -> None:
    """Forecast one chunk and keep it; what cannot be forecast is noted. Done again it leaves the same.

    `held`: its rows for OData, which cost as much as its forecasts, are made once the run is over (see `release`).
    """
    first = chunk * CHUNK
    results = [
        (i, None, item) if isinstance(item, bytes) else (i, item.category, _made(work, item, i))
        for i, item in enumerate(items_of(work, chunk), first)
    ]
    kept = [result for _, _, result in results if isinstance(result, Issued)]
    work.ledger.append(*kept)
    if held:
        _fold(work.engine, issued.c.receipt.in_([entry.receipt for entry in kept]), over=True)
    failures = [
        {"run": work.job.job, "number": i, "category": name or "", "problem": result}
        for i, name, result in results
        if isinstance(result, bytes)
    ]
    note_failures(work.engine, work.job.job, first, failures)
    write(_table(results), part_of(place_of(work), chunk))  # last: where it is, the chunk is done


def release(database: sa.Engine, run: str) -> None:
    """Have the rows for OData made that were held back."""
    _fold(database, issued.c.run == run, over=False)


def _fold(database: sa.Engine, which: sa.ColumnElement[bool], *, over: bool) -> None:
    with writing(database) as connection:
        connection.execute(issued.update().where(which).values(folded=over))


def part_of(place: Path, chunk: int) -> Path:
    """Where the rows of one chunk lie."""
    return place / f"part-{chunk:05d}.parquet"


def _made(work: Work, body: ForecastRequest, number: int) -> Issued | bytes:
    """One forecast or its problem; a defect in one leaves the others alone."""
    try:
        return made(work, body, number)
    except Exception as error:
        if outage_of(error) is not None:
            raise  # of all of them, and for a while
        log.exception("run %s: the forecast of %r failed", work.job.job, body.category)
        detail = f"an unexpected error; the log of the service has the cause under run {work.job.job}"
        return problem_body(500, "internal-error", detail, {})


def note_failures(database: sa.Engine, run: str, first: int, failures: list[dict[str, Any]]) -> None:
    """Keep the failures of one chunk, in place of those that an interrupted try has left."""
    in_chunk = run_failure.c.number.between(first, first + CHUNK - 1)
    with writing(database) as connection:
        connection.execute(run_failure.delete().where(run_failure.c.run == run, in_chunk))
        if failures:
            connection.execute(run_failure.insert(), failures)


def _table(results: list[tuple[int, str | None, Issued | bytes]]) -> pa.Table:
    """One row a forecast and period; one a forecast that could not be made."""
    rows: list[dict[str, Any]] = []
    for number, category, result in results:
        head = {"number": number, "category": category}
        if isinstance(result, bytes):
            rows.append(head | {"problem": result.decode()})
        else:
            rows += _rows(head, orjson.loads(result.answer))
    levels = sorted({float(name[3:]) for row in rows for name in row if name.startswith("lo-")})
    return pa.Table.from_pylist(rows, schema_of(levels))


def schema_of(levels: Sequence[float]) -> pa.Schema:
    """The columns of the results of a run whose forecasts have these levels."""
    ends = [f"{end}-{level:g}" for level in levels for end in ("lo", "hi")]
    return pa.schema(_HEAD | _BODY | dict.fromkeys(ends, pa.float64()) | _TAIL)


def _rows(head: dict[str, Any], answer: dict[str, Any]) -> list[dict[str, Any]]:
    head |= {"receipt": answer["receipt"], "unit": answer["unit"]}
    return [_row(head, period) for period in answer["forecast"]]


def _row(head: dict[str, Any], period: dict[str, Any]) -> dict[str, Any]:
    row = head | {name: period[name] for name in ("kind", "value", "median")}
    row["period"] = _day(period["period"])
    for level, (low, high) in period["intervals"].items():
        row[f"lo-{level}"], row[f"hi-{level}"] = low, high
    row["contributions"] = list(period["contributions"].items())
    return row


@lru_cache(maxsize=4096)
def _day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)
