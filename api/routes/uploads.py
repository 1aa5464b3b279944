"""Sales and signals from outside: a table in the body, taken by a job."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from anyio.to_thread import run_sync
from fastapi import APIRouter, Query, Request, Response
from pydantic import BeforeValidator, Field

from api.database import engine_of
from api.errors import Problem
from api.idempotency import claim_of
from api.job_models import JobState
from api.jobs import UPLOADS
from api.models import Request as Taken
from api.routes import jobs_of, settings_of, statuses
from api.routes.forecasts import LOCATION
from api.routes.jobs import accepted
from api.security import Caller, needs
from api.strict import StrictRoute, content_type, whole
from api.tables import CSV, JSON, NDJSON, PARQUET
from api.uploads import FORMS, job_request, new_file, tidy

router = APIRouter(prefix="/v1", tags=["uploads"], route_class=StrictRoute)

GUESSED = "guessed when not given"
Text = Annotated[str | None, Field(max_length=200)]
Column = Annotated[str | None, Field(max_length=200, description=f"its column, or =NAME for all rows; {GUESSED}")]


def _flag(value: object) -> object:
    if value not in ("true", "false", None):
        raise ValueError("true or false")
    return None if value is None else value == "true"


Flag = Annotated[bool | None, BeforeValidator(_flag), Field(description=GUESSED)]


class TableOptions(Taken):
    """How a table is read; what is not given is found out as the import does."""

    category: Column = None
    date: Column = None
    known_at: Column = None
    frequency: Annotated[str | None, Field(max_length=10, description=f"D, W, W-SUN, MS or QS; {GUESSED}")] = None
    week: Literal["begins", "ends"] | None = Field(None, description="whether the date of a week is its first day")
    unit: Text = None
    duplicates: Literal["refuse", "sum", "last"] = Field("refuse", description="two rows for one period")
    gaps: Literal["missing", "zero"] = Field("missing", description="a period without a row is not known, or was zero")
    dayfirst: Flag = None
    decimal: Literal[".", ","] | None = Field(None, description=f"the decimal separator; {GUESSED}")
    lag_days: Annotated[int, BeforeValidator(whole)] = Field(
        0, ge=0, le=3660, description="days until a value is known, after its period"
    )


class SalesOptions(TableOptions):
    """Of sales."""

    quantity: Column = None
    timezone: Text = None


class SignalOptions(TableOptions):
    """Of signals."""

    signal: Column = None
    value: Column = None
    future_known: Flag = None
    source: Text = None
    region: Text = None
    aggregation: Literal["mean", "sum"] | None = Field(None, description="how finer values become one a period")


Writer = Annotated[Caller, needs("data:write")]

TABLE = {
    "oneOf": [
        {"type": "array", "items": {"type": "object"}, "description": "rows"},
        {"type": "object", "additionalProperties": {"type": "array"}, "description": "columns"},
    ]
}
BODY: dict[str, Any] = {
    "required": True,
    "content": {
        JSON: {"schema": TABLE},
        NDJSON: {"schema": {"type": "string", "minLength": 1}},
        CSV: {"schema": {"type": "string", "minLength": 1}},
        PARQUET: {"schema": {"type": "string", "format": "binary", "minLength": 1}},
    },
}
OPTIONS: dict[str, Any] = {
    "status_code": 202,
    "response_model": JobState,
    "responses": statuses(400, 401, 403, 409, 413, 415, 422) | {202: {"headers": LOCATION}},
    "openapi_extra": {"requestBody": BODY},
}


@router.post("/sales", summary="Upload sales", **OPTIONS)
async def upload_sales(request: Request, caller: Writer, options: Annotated[SalesOptions, Query()]) -> Response:
    """A row for each category and date, as JSON, NDJSON, CSV or Parquet; all of it is stored, or nothing.

    Read and checked as `groundswell import sales` reads a file; the job tells what became of it. The same rows again
    change nothing. `category==Boots` says that all rows belong to Boots.
    """
    return await _take(request, caller, "sales", options)


@router.post("/signals", summary="Upload observations of signals", **OPTIONS)
async def upload_signals(request: Request, caller: Writer, options: Annotated[SignalOptions, Query()]) -> Response:
    """A row for each signal and date, as for sales; read as `groundswell import signals` reads a file."""
    return await _take(request, caller, "signals", options)


async def _take(request: Request, caller: Caller, kind: str, options: TableOptions) -> Response:
    """Keep the body on disk and accept the job that reads it."""
    form, settings = content_type(request, FORMS), settings_of(request)
    file = await run_sync(new_file, settings)
    try:
        await _keep(request, file)
        return await run_sync(_accept, request, caller, kind, form, file, options)
    except sa.exc.DBAPIError:
        raise  # it may have been accepted, though the database did not come to say so: `tidy` drops it if not
    except BaseException:
        file.unlink(missing_ok=True)
        raise


async def _keep(request: Request, file: Path) -> None:
    """The body, safe on disk, a chunk at a time."""
    with file.open("wb") as out:
        async for chunk in request.stream():
            await run_sync(out.write, chunk)
        if not out.tell():
            raise Problem(400, "bad-request", "the body is empty; wanted a table")
        out.flush()
        await run_sync(os.fsync, out.fileno())


def _accept(request: Request, caller: Caller, kind: str, form: str, file: Path, options: TableOptions) -> Response:
    jobs, claim, settings = jobs_of(request), claim_of(request), settings_of(request)
    wanted = job_request(kind, file, form, options.model_dump(exclude_none=True), caller.categories)
    job = jobs.status(
        jobs.accept("upload", wanted, key_id=caller.key_id, name=claim.name if claim else "", queue=UPLOADS)
    )
    assert job is not None
    if job.request != wanted:  # accepted before, under the same key
        file.unlink()
    tidy(settings, engine_of(settings))
    return accepted(request, job)
