"""The results of a run on their way out, a chunk at a time: NDJSON, Parquet and CSV.

What is known only once a file is read (the columns, whether all is there) is looked at before the first byte goes out.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import sqlalchemy as sa

from api.bulk import told
from api.database import reading
from api.jobs import Job
from api.overrides.applying import overrides_of, served
from api.run_chunk import run_failure
from api.run_input import asked_of
from api.run_parts import Parts
from api.run_table import schema_of
from api.runs import answers_of
from api.security import Caller
from api.settings import Settings
from api.tables import CSV, NDJSON, PARQUET

FORMS = (NDJSON, PARQUET, CSV)


def results(form: str, database: sa.Engine, job: Job, settings: Settings, caller: Caller) -> Iterator[bytes]:
    """Everything that a run came to, in the order asked for; nothing of categories that the caller may not see.

    Raises the problem 410 where rows were lost for good.
    """
    if form == NDJSON:
        return lines(database, job, settings, caller)
    parts = Parts(database, settings, job)
    return _rows_in(form, parts, schema_of(parts.levels()), caller)


def lines(database: sa.Engine, job: Job, settings: Settings, caller: Caller) -> Iterator[bytes]:
    """One object a forecast: `number`, `status`, and `forecast` or `problem`."""
    asked = asked_of(settings, job)
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


def _rows_in(form: str, parts: Parts, whole: pa.Schema, caller: Caller) -> Iterator[bytes]:
    """One row a forecast and period, one a problem; a column that no request of a chunk asked for is empty there."""
    schema = whole if form == PARQUET else _flat(whole)
    out = _Pipe()
    options: dict[str, Any] = {"compression": "zstd"} if form == PARQUET else {}
    make = pq.ParquetWriter if form == PARQUET else pc.CSVWriter
    with make(out, schema, **options) as writer:
        for table in parts.tables():
            seen = table if caller.categories is None else table.filter(_visible(table, caller))
            writer.write_table(pa.table([_column(seen, field) for field in schema], schema=schema))
            yield out.take()
    yield out.take()


def _flat(schema: pa.Schema) -> pa.Schema:
    """CSV has no place for what is not."""
    return pa.schema([field for field in schema if not pa.types.is_map(field.type)])


def _visible(table: pa.Table, caller: Caller) -> pa.Array:
    return pa.array([caller.may_see(name) for name in table["category"].to_pylist()], pa.bool_())


def _column(table: pa.Table, field: pa.Field) -> Any:
    return table[field.name] if field.name in table.column_names else pa.nulls(len(table), field.type)


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
    """The rows in the columns of the ERP faces, as published, a forecast at a time. Raises as `results`."""
    levels = [f"{level:g}" for level in Parts(database, settings, job).levels()]
    return _erp_lines(database, job, asked_of(settings, job), caller, levels)


def _erp_lines(database: sa.Engine, job: Job, asked: int, caller: Caller, levels: list[str]) -> Iterator[str]:
    ends = [f"{end}{level}" for level in levels for end in ("Lower", "Upper")]
    named = ("Category", "Unit", "Receipt", "Kind", "SystemValue", "Overrides", "OverrideAuthor")
    yield _csv([["Time", "Value", "Median", *ends, *named]])
    for _, found in answers_of(database, job, asked):
        answer = None if found is None else orjson.loads(found)
        if answer is not None and caller.may_see(answer["category"]):
            yield _csv(_row(answer, period, levels) for period in answer["forecast"])


def _row(answer: dict[str, Any], period: dict[str, Any], levels: list[str]) -> list[object]:
    shown = served(period)
    ends = [end for level in levels for end in shown["intervals"].get(level, (None, None))]
    named = [answer["category"], answer["unit"], answer["receipt"], period["kind"]]
    told = [period["value"], overrides_of(period), shown.get("author")]
    return [period["period"], shown["value"], period["median"], *ends, *named, *told]


def _csv(rows: Any) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
