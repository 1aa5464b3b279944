"""One chunk of a batch: read, forecast, written as two Parquet files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from api.batch import tables
from api.batch.plan import Files, Plan, Stored
from api.batch.tables import CANDIDATES, SALES, SIGNALS
from forecast.chunk import ChunkOptions, forecast_chunk
from forecast.chunk_tables import Chunk, Outcome, tabulated
from signals.store import Snapshot, open_snapshot

PERIODS, SERIES = "periods", "series"


@dataclass(frozen=True)
class Part:
    """What came of one chunk."""

    number: int
    made: int
    failed: int


def do_part(plan: Plan, number: int) -> Part:
    """Forecast one chunk and write it; done again it writes the same."""
    chunk = plan.chunks[number]
    made = _of_files(plan.source, plan.options, chunk) if isinstance(plan.source, Files) else _of_store(plan, chunk)
    write(made.periods, file_of(plan.out, PERIODS, number))
    write(made.series, file_of(plan.out, SERIES, number))  # last: where it is, the chunk is done
    return _counted(number, made.series["status"])


def _of_files(source: Files, options: ChunkOptions, chunk: tuple[str, ...]) -> Chunk:
    first, last = chunk[0], chunk[-1]
    signals = None
    if source.signals and tables.has_owner(source.signals):
        signals = tables.rows_between(source.signals, SIGNALS, first, last)
    elif source.signals:
        signals = tables.all_rows(source.signals, SIGNALS)
    candidates = tables.rows_between(source.candidates, CANDIDATES, first, last) if source.candidates else None
    return forecast_chunk(tables.rows_between(source.sales, SALES, first, last), options, signals, candidates)


def _of_store(plan: Plan, names: tuple[str, ...]) -> Chunk:
    source = plan.source
    assert isinstance(source, Stored)
    snapshot = _snapshot(source.home)
    return tabulated([(name, _stored(snapshot, source, plan.options, name)) for name in names], plan.options.levels)


def _stored(snapshot: Snapshot, source: Stored, options: ChunkOptions, name: str) -> Outcome:
    """As `groundswell forecast` forecasts one category; a defect in one leaves the others alone."""
    from api.service import forecast_category

    try:
        return forecast_category(
            snapshot,
            name,
            options.horizon,
            as_of=source.as_of,
            data_version=source.data_version,
            engine=options.engine,
            levels=[int(level) for level in options.levels],
        )
    except Exception as error:  # noqa: BLE001 - told in its row
        return error


@lru_cache(maxsize=1)
def _snapshot(home: Path) -> Snapshot:
    return open_snapshot(home)


def file_of(out: Path, kind: str, number: int) -> Path:
    """Where the rows of one chunk lie."""
    return out / kind / f"part-{number:05d}.parquet"


def write(table: pa.Table, file: Path) -> None:
    """Write a file whole or not at all; two who write the same do not disturb one another."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.{os.getpid()}")
    pq.write_table(table, part, compression="zstd", write_page_checksum=True)
    with part.open("rb") as written:
        os.fsync(written.fileno())
    part.replace(file)


def done_parts(out: Path, chunks: int) -> Iterator[Part]:
    """The chunks that an earlier try has done."""
    for number in range(chunks):
        if file_of(out, SERIES, number).is_file() and file_of(out, PERIODS, number).is_file():
            yield _counted(number, pq.read_table(file_of(out, SERIES, number), columns=["status"])["status"])


def _counted(number: int, status: pa.ChunkedArray) -> Part:
    failed = status.to_pylist().count("failed")
    return Part(number, len(status) - failed, failed)


def tidy(out: Path) -> None:
    """Drop what interrupted writers have left."""
    for kind in (PERIODS, SERIES):
        for part in (out / kind).glob(".part-*"):
            part.unlink(missing_ok=True)
