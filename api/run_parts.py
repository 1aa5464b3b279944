"""The rows of a run, a chunk at a time: from the files of its chunks, or from the ledger where one cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from api.database import reading
from api.errors import Problem
from api.jobs import Job
from api.ledger import Issued
from api.run_chunk import part_of, run_failure
from api.run_input import asked_of, folder
from api.run_table import Result, table_of
from api.runs import answers_in, chunks_of
from api.settings import Settings
from forecast.chunk import CHUNK

T = TypeVar("T")


class Parts:
    """Of a run that is over."""

    def __init__(self, database: sa.Engine, settings: Settings, job: Job) -> None:
        self._database, self._job = database, job
        self._place, self._asked = folder(settings) / job.job, asked_of(settings, job)
        self._chunks = chunks_of(self._asked)

    def levels(self) -> list[float]:
        """The levels that its forecasts have, in rising order.

        Raises the problem 410 where a chunk that was done is neither in its file nor in the ledger.
        """
        names: set[str] = set()
        for chunk in range(self._chunks):
            schema = _read(pq.read_schema, part_of(self._place, chunk))
            names.update((self._again(chunk).schema if schema is None else schema).names)
        return sorted(float(name[3:]) for name in names if name.startswith("lo-"))

    def tables(self) -> Iterator[pa.Table]:
        """The rows of each chunk that has some, in their order."""
        for chunk in range(self._chunks):
            table = _read(_table, part_of(self._place, chunk))
            table = self._again(chunk) if table is None else table
            if table.num_rows:
                yield table

    def damaged(self) -> list[Path]:
        """The files that cannot be read, or are not there."""
        files = [part_of(self._place, chunk) for chunk in range(self._chunks)]
        return [file for file in files if _read(_table, file) is None]

    def _again(self, chunk: int) -> pa.Table:
        """The rows of a chunk as they were written, from the ledger."""
        answers, failures = answers_in(self._database, self._job, self._asked, chunk), self._failures(chunk)
        results: list[Result] = []
        for number, answer in answers:
            if answer is not None:
                category, receipt = (orjson.loads(answer)[name] for name in ("category", "receipt"))
                results.append((number, category, Issued(receipt, category, answer, b"")))
            elif number in failures:
                results.append((number, *failures[number]))
        if len(results) < len(answers) and self._job.state == "succeeded":
            gone = f"{len(answers) - len(results)} forecasts of run {self._job.job}"
            raise Problem(410, "results-gone", f"{gone} are neither in its files nor in the ledger any more")
        return table_of(results)

    def _failures(self, chunk: int) -> dict[int, tuple[str | None, bytes]]:
        in_chunk = run_failure.c.number.between(chunk * CHUNK, (chunk + 1) * CHUNK - 1)
        query = sa.select(run_failure).where(run_failure.c.run == self._job.job, in_chunk)
        with reading(self._database) as connection:
            rows = connection.execute(query).mappings().all()
        return {row["number"]: (row["category"] or None, row["problem"]) for row in rows}


def _read(read: Callable[[Path], T], file: Path) -> T | None:
    """What is read of the file of a chunk; None where it is missing, cut off or damaged."""
    try:
        return read(file)
    except (FileNotFoundError, pa.ArrowException):
        return None
    except OSError as error:
        if error.errno is not None:
            raise  # the disk, which is told as such
        return None  # Arrow says so of a block that cannot be unpacked


def _table(file: Path) -> pa.Table:
    return pq.read_table(file, page_checksum_verification=True)
