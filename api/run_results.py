"""The results of a run on their way out, a chunk at a time: NDJSON, Parquet and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import sqlalchemy as sa

from api.bulk import told
from api.database import issued, reading
from api.jobs import Job
from api.ledger import as_issued
from api.making import receipt_of_job
from api.run_chunk import part_of, run_failure
from api.run_input import asked_of, folder
from api.run_table import Result, schema_of, table_of
from api.runs import answers_of, chunks_of
from api.security import Caller
from api.settings import Settings
from api.tables import CSV, NDJSON, PARQUET
from forecast.chunk import CHUNK

FORMS = (NDJSON, PARQUET, CSV)


def results(form: str, database: sa.Engine, job: Job, settings: Settings, caller: Caller) -> Iterator[bytes]:
    """Everything that a run came to, in the order asked for; nothing of categories that the caller may not see."""
    if form == NDJSON:
        return lines(database, job, settings, caller)
    return _rows_in(form, database, settings, job, caller)


def lines(database: sa.Engine, job: Job, settings: Settings, caller: Caller) -> Iterator[bytes]:
    """One object a forecast: `number`, `status`, and `forecast` or `problem`."""
    asked = asked_of(settings, job.job, orjson.loads(job.request))
    for number, answer in answers_of(database, job, asked):
        if answer is None:
            yield from _problem(database, job, number, caller)
        elif caller.categories is None or caller.may_see(orjson.loads(answer)["category"]):
            yield told(number, answer, good=True) + b"\n"


def _problem(database: sa.Engine, job: Job, number: int, caller: Caller) -> Iterator[bytes]:
    """The problem of one request; nothing where the run ended before it."""
    query = sa.select(run_failure).where(run_failure.c.run == job.job, run_failure.c.number == number)
    with reading(database) as connection:
        row = connection.execute(query).mappings().first()
    if row is not None and caller.may_see(row["category"] or None):
        yield told(number, row["problem"], good=False) + b"\n"


def _rows_in(form: str, database: sa.Engine, settings: Settings, job: Job, caller: Caller) -> Iterator[bytes]:
    """One row a forecast and period, one a problem; a column that no request of a chunk asked for is empty there."""
    schema = _schema(database, settings, job, form)
    out = _Pipe()
    options: dict[str, Any] = {"compression": "zstd"} if form == PARQUET else {}
    make = pq.ParquetWriter if form == PARQUET else pc.CSVWriter
    with make(out, schema, **options) as writer:
        for table in _parts(database, settings, job):
            seen = table if caller.categories is None else table.filter(_visible(table, caller))
            writer.write_table(pa.table([_column(seen, field) for field in schema], schema=schema))
            yield out.take()
    yield out.take()


def _visible(table: pa.Table, caller: Caller) -> pa.Array:
    return pa.array([caller.may_see(name) for name in table["category"].to_pylist()], pa.bool_())


def _column(table: pa.Table, field: pa.Field) -> Any:
    return table[field.name] if field.name in table.column_names else pa.nulls(len(table), field.type)


def _schema(database: sa.Engine, settings: Settings, job: Job, form: str) -> pa.Schema:
    """The columns of all chunks; CSV has no place for what is not flat."""
    whole = schema_of(levels_of(database, settings, job))
    return whole if form == PARQUET else pa.schema([field for field in whole if not pa.types.is_map(field.type)])


def levels_of(database: sa.Engine, settings: Settings, job: Job) -> list[float]:
    """The levels that the forecasts of a run have."""
    names = {
        name
        for chunk in _chunks(settings, job)
        for name in _names(database, settings, job, chunk)
        if name.startswith("lo-")
    }
    return sorted(float(name[3:]) for name in names)


def _chunks(settings: Settings, job: Job) -> range:
    return range(chunks_of(asked_of(settings, job.job, orjson.loads(job.request))))


def _file(settings: Settings, job: Job, chunk: int) -> Path:
    return part_of(folder(settings) / job.job, chunk)


def _names(database: sa.Engine, settings: Settings, job: Job, chunk: int) -> list[str]:
    """The columns of the rows of one chunk."""
    file = _file(settings, job, chunk)
    names: list[str] = (pq.read_schema(file) if file.is_file() else _kept(database, job, chunk).schema).names
    return names


def _parts(database: sa.Engine, settings: Settings, job: Job) -> Iterator[pa.Table]:
    """The rows of each chunk; of one that a cancelled run did not end, those of what was kept of it."""
    for chunk in _chunks(settings, job):
        file = _file(settings, job, chunk)
        yield pq.read_table(file) if file.is_file() else _kept(database, job, chunk)


def _kept(database: sa.Engine, job: Job, chunk: int) -> pa.Table:
    """The rows of what the ledger and the failures hold of one chunk."""
    first = chunk * CHUNK
    numbers = {receipt_of_job(job, number): number for number in range(first, first + CHUNK)}
    good = sa.select(issued).where(issued.c.receipt.in_(numbers))
    bad = sa.select(run_failure).where(run_failure.c.run == job.job, run_failure.c.number.in_(numbers.values()))
    with reading(database) as connection:
        made = [as_issued(row) for row in connection.execute(good).mappings()]
        failed = connection.execute(bad).mappings().all()
    found: list[Result] = [(numbers[one.receipt], one.category, one) for one in made]
    found += [(row["number"], row["category"] or None, row["problem"]) for row in failed]
    return table_of(sorted(found, key=lambda result: result[0]))


class _Pipe(io.RawIOBase):
    """What a writer has written since it was last taken."""

    def __init__(self) -> None:
        super().__init__()
        self._data, self._at = bytearray(), 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._data += bytes(data)
        self._at += len(data)
        return len(data)

    def tell(self) -> int:
        return self._at

    def take(self) -> bytes:
        data = bytes(self._data)
        self._data.clear()
        return data


def csv_lines(database: sa.Engine, job: Job, settings: Settings, caller: Caller) -> Iterator[str]:
    """The rows in the columns of the ERP faces, a forecast at a time."""
    levels = [f"{level:g}" for level in levels_of(database, settings, job)]
    ends = [f"{end}{level}" for level in levels for end in ("Lower", "Upper")]
    yield _csv([["Time", "Value", "Median", *ends, "Category", "Unit", "Receipt", "Kind"]])
    asked = asked_of(settings, job.job, orjson.loads(job.request))
    for _, found in answers_of(database, job, asked):
        answer = None if found is None else orjson.loads(found)
        if answer is not None and caller.may_see(answer["category"]):
            yield _csv(_row(answer, period, levels) for period in answer["forecast"])


def _row(answer: dict[str, Any], period: dict[str, Any], levels: list[str]) -> list[object]:
    ends = [end for level in levels for end in period["intervals"].get(level, (None, None))]
    named = [answer["category"], answer["unit"], answer["receipt"], period["kind"]]
    return [period["period"], period["value"], period["median"], *ends, *named]


def _csv(rows: Any) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
