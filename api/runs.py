"""Forecast runs: many categories of the store in one durable job, all from one data version and one moment."""

from __future__ import annotations

import logging
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import orjson
import sqlalchemy as sa
from pydantic import Field, Strict, field_validator

from api import webhooks
from api.database import issued, metadata, now, reading, writing
from api.errors import problem_body
from api.forecasting import check_limits
from api.jobs import Job, Jobs
from api.ledger import Issued
from api.making import made
from api.models import Answer, Count, EngineName, ForecastRequest, Name, Request
from api.security import Caller
from api.settings import Settings
from api.worker import Made, Work
from forecast.engines import engine
from signals.store import Snapshot

log = logging.getLogger("groundswell")

KIND = "run"
CHUNK = 256  # forecasts of one part: a kill costs at most so many

run_failure = sa.Table(
    "run_failure",
    metadata,
    sa.Column("run", sa.String(36), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("category", sa.Text, nullable=False),
    sa.Column("problem", sa.LargeBinary, nullable=False),  # a problem detail
)


class RunRequest(Request):
    """A run over categories of the store."""

    categories: list[Name] | None = Field(None, min_length=1, description="names of categories; null: all of the store")
    horizon: Count = Field(ge=1, description="periods to forecast, counted from the moment the run was accepted")
    engine: EngineName = Field("fast", description="the engine, as for one forecast")
    levels: list[Annotated[int, Strict(), Field(ge=1, le=99)]] = Field(
        [80, 95], min_length=1, max_length=10, description="levels of the prediction intervals, in per cent"
    )

    @field_validator("categories")
    @classmethod
    def _each_once(cls, names: list[str] | None) -> list[str] | None:
        if nul := next((name for name in names or () if "\0" in name), None):
            raise ValueError(f"names without the character NUL, which no database keeps: not {nul!r}")
        if names is not None and len(set(names)) < len(names):
            name, times = Counter(names).most_common(1)[0]
            raise ValueError(f"each category once; {name!r} is given {times} times")
        return names


class RunCounts(Answer):
    """How far a run is: `made` and `failed` add up to `asked` once it is over."""

    asked: int
    made: int
    failed: int


class RunFailure(Answer):
    """A category that could not be forecast."""

    category: str
    problem: dict[str, Any] = Field(description="the problem detail that a single request would have got")


class RunResults(Answer):
    """Where the forecasts of a run are."""

    csv: str = Field(description="address of all rows as CSV")
    odata: str = Field(description="address of all rows in the OData feed")


class RunState(Answer):
    """A run, under way or over."""

    id: str
    status: Literal["pending", "running", "succeeded", "failed", "dead", "cancelled"]
    counts: RunCounts
    failures: list[RunFailure] = Field(description="the categories that could not be forecast, in the order asked for")
    error: dict[str, Any] | None = Field(description="why the run as a whole failed: a problem detail")
    results: RunResults | None = Field(description="null until the run is over")


def accept_run(body: RunRequest, caller: Caller, snapshot: Snapshot, settings: Settings, jobs: Jobs) -> str:
    """Accept a run of the categories asked for; its id. Raises Problem and ForecastError."""
    for name in body.categories or ():
        caller.check_category(name)
    names = body.categories or [name for name in sorted(snapshot.categories()["category"]) if caller.may_see(name)]
    engine(body.engine)  # refuses an unknown one now, and not once a category
    each = body.model_dump(mode="json", exclude={"categories"})
    each |= {"as_of": f"{now().isoformat()}Z", "data_version": snapshot.data_version}
    check_limits(ForecastRequest.model_validate({"category": "any", **each}), settings)
    request = orjson.dumps({"categories": names, "each": each})
    return jobs.accept(KIND, request, key_id=caller.key_id, total=_parts(names))


def _parts(names: list[str]) -> int:
    return -(-len(names) // CHUNK)


class ForecastRun:
    """Does a run in parts of up to 256 forecasts."""

    def parts(self, work: Work) -> int:
        """By the number of categories."""
        return _parts(orjson.loads(work.job.request)["categories"])

    def part(self, work: Work, number: int) -> None:
        """Forecast one chunk and keep it; what cannot be forecast is noted."""
        request = orjson.loads(work.job.request)
        first = number * CHUNK
        chunk = list(enumerate(request["categories"][first : first + CHUNK], first))
        results = [(i, name, _made(work, {"category": name, **request["each"]}, i)) for i, name in chunk]
        work.ledger.append(*(result for _, _, result in results if isinstance(result, Issued)))
        failures = [
            {"run": work.job.job, "number": i, "category": name, "problem": result}
            for i, name, result in results
            if isinstance(result, bytes)
        ]
        _note_failures(work.engine, work.job.job, first, failures)

    def finish(self, work: Work) -> Made:
        """What the run came to; its forecasts are in the ledger."""
        return Made(orjson.dumps(counts(work.engine, work.job).model_dump()))

    def ended(self, work: Work) -> None:
        """Tell those who asked to be told."""
        event = "run.completed" if work.job.state == "succeeded" else "run.failed"
        data = {"id": work.job.job, "status": work.job.state, "counts": counts(work.engine, work.job).model_dump()}
        webhooks.announce(work.engine, work.jobs, event, work.job.key_id, work.job.job, data)


def _made(work: Work, body: dict[str, Any], number: int) -> Issued | bytes:
    """One forecast or its problem; a defect in one category leaves the others alone."""
    try:
        return made(work, ForecastRequest.model_validate(body), number)
    except Exception:
        log.exception("run %s: the forecast of %r failed", work.job.job, body["category"])
        detail = f"an unexpected error; the log of the service has the cause under run {work.job.job}"
        return problem_body(500, "internal-error", detail, {})


def _note_failures(database: sa.Engine, run: str, first: int, failures: list[dict[str, Any]]) -> None:
    """Keep the failures of one chunk, in place of those that an interrupted try has left."""
    in_chunk = run_failure.c.number.between(first, first + CHUNK - 1)
    with writing(database) as connection:
        connection.execute(run_failure.delete().where(run_failure.c.run == run, in_chunk))
        if failures:
            connection.execute(run_failure.insert(), failures)


def counts(database: sa.Engine, job: Job) -> RunCounts:
    """How many forecasts were asked for, made and not possible so far."""
    with reading(database) as connection:
        made_, failed = (
            connection.execute(sa.select(sa.func.count()).select_from(table).where(table.c.run == job.job)).scalar_one()
            for table in (issued, run_failure)
        )
    return RunCounts(asked=len(orjson.loads(job.request)["categories"]), made=made_, failed=failed)


def state_of(database: sa.Engine, job: Job, base: str) -> RunState:
    """A run as it is told; `base` is the address of the API."""
    query = sa.select(run_failure).where(run_failure.c.run == job.job).order_by(run_failure.c.number)
    with reading(database) as connection:
        rows = connection.execute(query).mappings().all()
    return RunState(
        id=job.job,
        status=job.state,
        counts=counts(database, job),
        failures=[RunFailure(category=row["category"], problem=orjson.loads(row["problem"])) for row in rows],
        error=None if job.error is None else orjson.loads(job.error),
        results=results_of(job.job, base) if job.is_over else None,
    )


def results_of(run: str, base: str) -> RunResults:
    """The addresses of the forecasts of a run."""
    return RunResults(
        csv=f"{base}/v1/forecast-runs/{run}/csv", odata=f"{base}/odata/v4/Forecasts?$filter=RunId%20eq%20{run}"
    )


def answers_of(database: sa.Engine, run: str) -> Iterator[dict[str, Any]]:
    """The forecasts of a run by category, read a chunk at a time: whoever reads slowly holds no connection."""
    after = ""
    while True:
        query = sa.select(issued.c.category, issued.c.answer).where(issued.c.run == run, issued.c.category > after)
        with reading(database) as connection:
            rows = connection.execute(query.order_by(issued.c.category).limit(CHUNK)).all()
        for _, answer in rows:
            yield orjson.loads(zlib.decompress(answer))
        if len(rows) < CHUNK:
            return
        after = rows[-1].category
