"""One chunk of a run: read, forecast, kept in the ledger, and written as one Parquet file that appears whole."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from api.batch.parts import write
from api.database import engine_of, issued, metadata, writing
from api.errors import problem_body
from api.forecasting import Forecaster
from api.jobs import Jobs
from api.ledger import Issued, Ledger, cancelled_runs
from api.making import MadeFor, made, made_for, receipt_of
from api.models import ForecastRequest
from api.outages import outage_of
from api.run_input import items_of, place_of
from api.run_table import Result, table_of
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
TOLD_SECONDS = 1.0  # after which what is done of a chunk is kept
LOOK_SECONDS = 0.2  # after which a chunk looks whether its run was cancelled


def do_chunk_of(settings: Settings, run: str, chunk: int) -> None:
    """Do one chunk of a run, in a process of the pool."""
    job = _jobs(settings).status(run)
    assert job is not None  # it is written in the transaction that enqueues it
    work = Work(job, settings, engine_of(settings), _ledger(settings), _jobs(settings), _made_for(settings))
    do_chunk(work, chunk, held=True)


@lru_cache(maxsize=1)
def _jobs(settings: Settings) -> Jobs:
    return Jobs(settings)


@lru_cache(maxsize=1)
def _ledger(settings: Settings) -> Ledger:
    return Ledger(settings)


@lru_cache(maxsize=1)
def _made_for(settings: Settings) -> MadeFor:
    return partial(made_for, Forecaster(settings, Snapshots(settings.home)))


def do_chunk(work: Work, chunk: int, *, held: bool = False) -> None:
    """Forecast one chunk and keep it; what cannot be forecast is noted. Done again it leaves the same.

    What an interrupted try has kept is not made again. What is done is kept every second, so that a run tells how far
    it is. `held`: its rows for OData, which cost a third of its forecasts, are made once the run is over (see
    `release`). Of a run that is cancelled meanwhile, nothing more is made or kept, and no file is written.
    """
    results: list[Result] = []
    stopped = _Stopped(work)
    if stopped():
        return
    items, first = items_of(work, chunk), chunk * CHUNK
    kept, keeping = _kept(work, first, len(items)), _Keeping(work, first, held)
    for i, (category, item) in enumerate(items, first):
        if stopped():
            break
        if isinstance(item, bytes):
            results.append((i, category, item))
        else:
            results.append((i, category, kept[i] if i in kept else _made(work, item, i)))
        if i not in kept:
            keeping.add(*results[-1])
    keeping.end()
    if is_over(work):  # the ledger may have taken less than was made; what it has is read from there
        return
    if any(not isinstance(item, bytes) and item.deadline_ms is not None for _, item in items):
        # Of another that does this chunk at the same time, and had more or less time, the first forecast counts.
        kept = _kept(work, first, len(items))
        results = [(i, category, kept.get(i, result)) for i, category, result in results]
    write(table_of(results), part_of(place_of(work), chunk))  # last: where it is, the chunk is done


def is_over(work: Work) -> bool:
    """Whether the job was cancelled or ended otherwise meanwhile."""
    found = work.jobs.status(work.job.job)
    return found is not None and found.is_over


class _Stopped:
    """Whether a run is over; the database is asked every `LOOK_SECONDS` at most."""

    def __init__(self, work: Work) -> None:
        self._work, self._looked = work, -LOOK_SECONDS

    def __call__(self) -> bool:
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return False
        self._looked = time.monotonic()
        return is_over(self._work)


def _kept(work: Work, first: int, count: int) -> dict[int, Issued]:
    """Those of some numbers that are in the ledger."""
    numbers = {receipt_of(work, i): i for i in range(first, first + count)}
    return {numbers[receipt]: found for receipt, found in work.ledger.among(numbers).items()}


class _Keeping:
    """Keeps the results of a chunk as they come, those of a second in one transaction."""

    def __init__(self, work: Work, first: int, held: bool) -> None:
        self._work, self._first, self._held = work, first, held
        self._made: list[Issued] = []
        self._failures: list[dict[str, Any]] = []
        self._noted = 0  # failures
        self._writing: list[Future[None]] = []
        self._told = time.monotonic()

    def add(self, number: int, category: str | None, result: Issued | bytes) -> None:
        """Keep a result, soon."""
        if isinstance(result, bytes):
            failure = {"run": self._work.job.job, "number": number, "category": category or "", "problem": result}
            self._failures.append(failure)
        else:
            self._made.append(replace(result, held=self._held))
        if time.monotonic() - self._told > TOLD_SECONDS:
            self._keep()

    def _keep(self) -> None:
        self._writing.append(self._work.ledger.append_soon(*self._made))
        if len(self._failures) > self._noted:
            self._note()
        self._made, self._told = [], time.monotonic()

    def _note(self) -> None:
        note_failures(self._work.engine, self._work.job.job, self._first, self._failures)
        self._noted = len(self._failures)

    def end(self) -> None:
        """Wait until all is safe on disk. Raises what the database raises."""
        self._writing.append(self._work.ledger.append_soon(*self._made))
        for kept in self._writing:
            kept.result()
        self._note()  # also where there is none now: an interrupted try may have left some


def release(database: sa.Engine, receipts: Sequence[str]) -> None:
    """Have the rows for OData made that were held back; a few at a time, as nobody else can write meanwhile."""
    with writing(database) as connection:
        connection.execute(issued.update().where(issued.c.receipt.in_(receipts)).values(folded=False))


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
    """Keep the failures of one chunk, in place of those that an interrupted try has left; none of a cancelled run."""
    in_chunk = run_failure.c.number.between(first, first + CHUNK - 1)
    with writing(database) as connection:
        if cancelled_runs(connection, {run}):
            return
        connection.execute(run_failure.delete().where(run_failure.c.run == run, in_chunk))
        if failures:
            connection.execute(run_failure.insert(), failures)
