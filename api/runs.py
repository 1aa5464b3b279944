"""Runs: many forecasts in one durable job, all from one data version and one moment."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import orjson
import sqlalchemy as sa

from api import run_pool, webhooks
from api.batch.sql import connection_of
from api.batch.tables import BatchError
from api.database import issued, now, reading
from api.errors import Problem
from api.forecasting import check_limits
from api.jobs import RETRIED, RUNS, Job, Jobs
from api.ledger_packing import unpack
from api.making import body_of, receipt_of_job
from api.models import ForecastRequest
from api.run_chunk import do_chunk, is_over, part_of, release, run_failure
from api.run_input import asked_of, forget, place_of, prepare, too_many
from api.run_models import MOST_FAILURES, RunCounts, RunFailure, RunRequest, RunResults, RunState
from api.security import Caller
from api.settings import Settings
from api.worker import JobFailed, Made, Work
from forecast.chunk import CHUNK
from forecast.configuration import DEFAULT
from forecast.engines import engine
from signals.connector import ConfigError
from signals.store import Snapshot

KIND = "run"
GROUP = 64  # chunks of one part of the job: at its end processes wait for the last one
HERE = 256  # a run of up to so many is done in the job worker itself: processes would take longer to start


def accept_run(
    body: RunRequest, caller: Caller, snapshot: Snapshot, settings: Settings, jobs: Jobs, name: str = ""
) -> str:
    """Accept a run of the categories asked for; its id, the same for the same `name`.

    Raises Problem and ForecastError.
    """
    each = _each(body, snapshot, settings)
    for name in body.categories or ():
        caller.check_category(name)
    names = body.categories or [name for name in snapshot.names() if caller.may_see(name)]
    if len(names) > settings.max_run:
        raise too_many(len(names), settings.max_run)
    return _accept({"from": "categories", "asked": len(names), "categories": names, "each": each}, caller, jobs, name)


def accept_query(body: RunRequest, caller: Caller, settings: Settings, jobs: Jobs, name: str = "") -> str:
    """Accept a run over what a database answers with; its id. Raises Problem and ForecastError."""
    assert body.sql is not None
    if caller.categories is not None:
        raise Problem(403, "forbidden", "the key sees some categories only, and the database may hold others")
    try:
        connection_of(settings.home, body.sql)
    except (BatchError, ConfigError) as error:
        raise Problem(422, "unknown-connection", str(error)) from error
    return _accept({"from": "sql", "sql": body.sql, "each": _each(body, None, settings)}, caller, jobs, name)


def accept_landed(form: str, landed: dict[str, Any], caller: Caller, version: int | None, jobs: Jobs, name: str) -> str:
    """Accept a run over the requests of a landed file; its id."""
    each = {"as_of": f"{now().isoformat()}Z", "data_version": version}
    return _accept({"from": form, "each": each, **landed}, caller, jobs, name)


def _accept(request: dict[str, Any], caller: Caller, jobs: Jobs, name: str = "") -> str:
    """Job and workflow in one transaction; what it refers to is safe on disk by now."""
    request["allowed"] = None if caller.categories is None else sorted(caller.categories)
    total = max(1, parts_of(request.get("asked", 0)))
    return jobs.accept(KIND, orjson.dumps(request), key_id=caller.key_id, total=total, name=name, queue=RUNS)


def _each(body: RunRequest, snapshot: Snapshot | None, settings: Settings) -> dict[str, Any]:
    """What every forecast of the run is asked for with."""
    engine(body.engine or DEFAULT.engine)  # refuses an unknown one now, and not once a category
    each = body.model_dump(mode="json", exclude={"categories", "sql"})
    each["as_of"] = f"{now().isoformat()}Z"
    if snapshot is not None:
        each["data_version"] = snapshot.data_version
    check_limits(ForecastRequest.model_validate({"category": "any", **each}), settings)
    return each


def chunks_of(asked: int) -> int:
    """How many chunks so many forecasts are."""
    return -(-asked // CHUNK)


def parts_of(asked: int) -> int:
    """In how many parts a job does them."""
    return -(-chunks_of(asked) // GROUP)


def chunks_of_part(number: int, parts: int, asked: int) -> range:
    """The chunks of one of so many parts: a run keeps its parts, whatever `GROUP` was when it began."""
    size = -(-chunks_of(asked) // parts)
    return range(number * size, min((number + 1) * size, chunks_of(asked)))


class ForecastRun:
    """Does a run: parts of up to `GROUP` chunks of up to 256 forecasts, on all cores."""

    def parts(self, work: Work) -> int:
        """By the number of forecasts."""
        try:
            return parts_of(prepare(work))
        except Problem as problem:
            raise JobFailed(body_of(problem)) from problem

    def part(self, work: Work, number: int) -> None:
        """Do some chunks, but for those that an interrupted try has done."""
        asked = asked_of(work.settings, work.job)
        mine = chunks_of_part(number, work.job.total, asked)
        chunks = [chunk for chunk in mine if not part_of(place_of(work), chunk).is_file()]
        if asked <= HERE:
            for chunk in chunks:
                do_chunk(work, chunk)
        else:
            run_pool.do_chunks(work.settings, work.job.job, chunks, lambda: is_over(work))
        if is_over(work):  # cancelled: nothing comes after this
            _leave(work, asked)

    def finish(self, work: Work) -> Made:
        """What the run came to; its forecasts are in the ledger, and as rows in the files of its chunks."""
        return Made(counts(work.engine, work.job, work.settings).model_dump_json().encode())

    def ended(self, work: Work) -> None:
        """Tell those who asked to be told."""
        event = "run.completed" if work.job.state == "succeeded" else "run.failed"
        told = counts(work.engine, work.job, work.settings)
        data = {"id": work.job.job, "status": work.job.state, "counts": told.model_dump()}
        webhooks.announce(work.engine, work.jobs, event, work.job.key_id, work.job.job, data)
        _leave(work, told.asked)


def _leave(work: Work, asked: int) -> None:
    if asked > HERE:
        for first in range(0, asked, CHUNK):
            release(work.engine, [receipt_of_job(work.job, i) for i in range(first, min(first + CHUNK, asked))])
    if work.job.state not in RETRIED:  # it would be made from the same
        forget(work)
    run_pool.leave(work.job.job)


def counts(database: sa.Engine, job: Job, settings: Settings) -> RunCounts:
    """How many forecasts were asked for, made and not possible so far."""
    with reading(database) as connection:
        made_, failed = (
            connection.execute(sa.select(sa.func.count()).select_from(table).where(table.c.run == job.job)).scalar_one()
            for table in (issued, run_failure)
        )
    return RunCounts(asked=asked_of(settings, job), made=made_, failed=failed)


def state_of(database: sa.Engine, job: Job, settings: Settings, base: str) -> RunState:
    """A run as it is told; `base` is the address of the API."""
    query = sa.select(run_failure).where(run_failure.c.run == job.job).order_by(run_failure.c.number)
    with reading(database) as connection:
        rows = connection.execute(query.limit(MOST_FAILURES)).mappings().all()
    found = counts(database, job, settings)
    return RunState(
        id=job.job,
        status=job.state,
        counts=found,
        estimate=_estimate(job, found),
        failures=[
            RunFailure(number=row["number"], category=row["category"], problem=orjson.loads(row["problem"]))
            for row in rows
        ],
        error=None if job.error is None else orjson.loads(job.error),
        results=results_of(job.job, base) if job.is_over else None,
    )


def _estimate(job: Job, found: RunCounts) -> dt.datetime | None:
    """When it will be over, at its pace so far."""
    done = found.made + found.failed
    if job.is_over or job.started is None or not done:
        return None
    return (job.started + (now() - job.started) * (found.asked / done)).replace(tzinfo=dt.UTC)


def results_of(run: str, base: str) -> RunResults:
    """The addresses of the forecasts of a run."""
    return RunResults(
        all=f"{base}/v1/runs/{run}/results",
        csv=f"{base}/v1/runs/{run}/csv",
        odata=f"{base}/odata/v4/Forecasts?$filter=RunId%20eq%20{run}",
    )


def answers_of(database: sa.Engine, job: Job, asked: int) -> Iterator[tuple[int, bytes | None]]:
    """The forecasts of a run as they were asked for, None where there is none.

    Read a chunk at a time: whoever reads slowly holds no connection.
    """
    for chunk in range(chunks_of(asked)):
        yield from answers_in(database, job, asked, chunk)


def answers_in(database: sa.Engine, job: Job, asked: int, chunk: int) -> list[tuple[int, bytes | None]]:
    """Those of one chunk."""
    first = chunk * CHUNK
    receipts = {receipt_of_job(job, number): number for number in range(first, min(first + CHUNK, asked))}
    query = sa.select(issued.c.receipt, issued.c.answer).where(issued.c.receipt.in_(receipts))
    with reading(database) as connection:
        found = {row.receipt: row.answer for row in connection.execute(query)}
    return [(number, unpack(found[receipt]) if receipt in found else None) for receipt, number in receipts.items()]
