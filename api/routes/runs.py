"""Runs: many forecasts in one request, made in the background."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

import sqlalchemy as sa
from anyio.to_thread import run_sync
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import ValidationError

from api.database import engine_of
from api.errors import Problem, invalid_fields
from api.idempotency import claim_of
from api.jobs import Job, Jobs
from api.routes import AppJobs, AppSettings, base_url, jobs_of, newest_snapshot, settings_of
from api.run_input import FORMS, Landing, tidy
from api.run_models import RunRequest, RunState
from api.run_results import FORMS as RESULT_FORMS
from api.run_results import csv_lines, results
from api.runs import KIND, accept_landed, accept_query, accept_run, state_of
from api.security import Caller, needs
from api.settings import Settings
from api.strict import StrictRoute, content_type, parse_json
from api.tables import CSV, JSON, NDJSON, PARQUET, negotiated
from signals.store import StoreEmpty

router = APIRouter(prefix="/v1/runs", tags=["runs"], route_class=StrictRoute)
POLL_SECONDS = 5

Reader = Annotated[Caller, needs("forecast:read")]
REFUSED: dict[int | str, dict[str, Any]] = {401: {}, 403: {}, 404: {}}
BODY: dict[str, Any] = {
    "required": True,
    "content": {
        JSON: {"schema": {"$ref": "#/components/schemas/RunRequest"}},  # api/openapi.py adds it
        NDJSON: {"schema": {"type": "string", "description": "a forecast request a line"}},
        PARQUET: {"schema": {"type": "string", "format": "binary", "description": "a forecast request a row"}},
    },
}
_NAMES = {NDJSON: "ndjson", PARQUET: "parquet", CSV: "csv"}


@router.post(
    "",
    summary="Start a run",
    status_code=202,
    response_model=RunState,
    responses={status: {} for status in (400, 401, 403, 413, 415, 422, 503)},
    openapi_extra={"requestBody": BODY},
)
async def create_run(request: Request, caller: Annotated[Caller, needs("forecast:write")]) -> Response:
    """Make many forecasts: of categories of the store, of what a database answers with, or of requests in the body.

    As JSON, of categories of the store (all of them without `categories`) or of the series that a [[sales]] database
    of groundswell.toml answers with. As NDJSON or Parquet, one forecast request a line or row, as `POST /v1/forecasts`
    takes it. What cannot be forecast is listed in `failures` and leaves the others alone. Forecasts from the store are
    all made from the data version and at the moment of this request.
    """
    form = content_type(request, FORMS)
    if form == JSON:
        body = await _small(request, settings_of(request))
        return await run_sync(_start, request, body, caller)
    landing = await run_sync(Landing, settings_of(request), form)
    try:
        async for data in request.stream():
            await run_sync(landing.write, data)
        landed = await run_sync(landing.close)
        return await run_sync(_land, request, form, landed, caller)
    except sa.exc.DBAPIError:
        raise  # it may have been accepted, though the database did not come to say so: `tidy` drops it if not
    except BaseException:
        landing.drop()
        raise


async def _small(request: Request, settings: Settings) -> bytes:
    """A body of JSON, which is read whole and so has the limit of other requests."""
    body = bytearray()
    async for data in request.stream():
        body += data
        if len(body) > settings.max_body_bytes:
            most = f"{settings.max_body_bytes} bytes (setting max_body_bytes)"
            raise Problem(413, "body-too-large", f"the body is larger than {most}; send more as NDJSON or Parquet")
    return bytes(body)


def _start(request: Request, raw: bytes, caller: Caller) -> Response:
    settings, jobs, claim = settings_of(request), jobs_of(request), claim_of(request)
    name = claim.name if claim else ""
    try:
        parsed = parse_json(raw)
    except json.JSONDecodeError as error:
        raise Problem(400, "bad-request", f"the body is not JSON: {error.msg}") from error
    if not isinstance(parsed, dict):
        raise Problem(422, "invalid-request", f"the body is a {type(parsed).__name__}; wanted an object")
    try:
        body = RunRequest.model_validate(parsed)
    except ValidationError as error:
        raise invalid_fields([{**item, "loc": ("body", *item["loc"])} for item in error.errors()]) from error
    if body.sql is not None:
        run = accept_query(body, caller, settings, jobs, name)
    else:
        run = accept_run(body, caller, newest_snapshot(request), settings, jobs, name)
    return _told(request, settings, owned_run(jobs, run, caller))


def _land(request: Request, form: str, landed: dict[str, Any], caller: Caller) -> Response:
    settings, jobs, claim = settings_of(request), jobs_of(request), claim_of(request)
    try:
        version: int | None = newest_snapshot(request).data_version
    except StoreEmpty:
        version = None  # requests with a history of their own need no store
    tidy(settings, engine_of(settings))
    run = accept_landed(_NAMES[form], landed, caller, version, jobs, claim.name if claim else "")
    return _told(request, settings, owned_run(jobs, run, caller))


@router.get(
    "/{run}",
    summary="A run",
    responses={200: {"model": RunState, "description": "it is over"}, 202: {"model": RunState}, **REFUSED},
    response_model=None,
)
def get_run(run: str, request: Request, settings: AppSettings, jobs: AppJobs, caller: Reader) -> Response:
    """202 while it is under way, then 200; it is cancelled as a job, under its id."""
    return _told(request, settings, owned_run(jobs, run, caller))


@router.get(
    "/{run}/results",
    summary="The results of a run",
    responses={
        200: {"content": {form: {} for form in RESULT_FORMS}},
        409: {},
        410: {},
        406: {},
        **REFUSED,
    },
    response_class=Response,
)
def get_run_results(run: str, request: Request, settings: AppSettings, jobs: AppJobs, caller: Reader) -> Response:
    """All forecasts and problems in the order asked for, as NDJSON, Parquet or CSV by `Accept`.

    NDJSON has one object a forecast, as the bulk request answers. Parquet and CSV have one row a forecast and period,
    with `lo-80`, `hi-80` and so on for each level, and one with `problem` where there is no forecast.
    """
    form = negotiated(request, RESULT_FORMS)
    job = _over(jobs, run, caller)
    stream = results(form, engine_of(settings), job, settings, caller)
    return _download(stream, form, f"run-{run}.{_NAMES[form]}")


@router.get(
    "/{run}/csv",
    summary="The forecasts of a run as CSV",
    responses={200: {"content": {"text/csv": {}}}, 409: {}, 410: {}, **REFUSED},
    response_class=Response,
)
def get_run_csv(run: str, settings: AppSettings, jobs: AppJobs, caller: Reader) -> Response:
    """For who follows a link: one row a forecast and period; the lower and upper end of each level are columns."""
    job = _over(jobs, run, caller)
    lines = csv_lines(engine_of(settings), job, settings, caller)
    return _download(lines, "text/csv; charset=utf-8", f"run-{run}.csv")


def _download(stream: Any, media_type: str, name: str) -> Response:
    safe = re.sub(r"[^\w.-]", "_", name)
    headers = {"Content-Disposition": f'attachment; filename="{safe}"', "Cache-Control": "no-store"}
    return StreamingResponse(stream, media_type=media_type, headers=headers)


def _over(jobs: Jobs, run: str, caller: Caller) -> Job:
    job = owned_run(jobs, run, caller)
    if not job.is_over:
        raise Problem(409, "run-under-way", f"run {run} is {job.state}; its results can be read once it is over")
    return job


def owned_run(jobs: Jobs, number: str, caller: Caller) -> Job:
    """A run of the caller; raises the problem 404. Another's run is told as none."""
    found = jobs.status(number)
    if found is None or found.kind != KIND or (found.key_id != caller.key_id and "admin" not in caller.scopes):
        raise Problem(404, "unknown-run", f"there is no run {number!r}")
    return found


def _told(request: Request, settings: AppSettings, job: Job) -> Response:
    base = base_url(request)
    state = state_of(engine_of(settings), job, settings, base).model_dump_json()
    if job.is_over:
        return Response(state, media_type="application/json")
    headers = {"Location": f"{base}/v1/runs/{job.job}", "Retry-After": str(POLL_SECONDS)}
    return Response(state, 202, headers, "application/json")
