"""Forecast runs: many categories in one request, made in the background."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Annotated, Any

import orjson
import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from api.database import engine_of
from api.errors import Problem
from api.jobs import Job, Jobs
from api.routes import AppJobs, AppSettings, Newest, base_url
from api.runs import KIND, RunRequest, RunState, accept_run, answers_of, state_of
from api.security import Caller, needs
from api.strict import StrictRoute

router = APIRouter(prefix="/v1/forecast-runs", tags=["forecast runs"], route_class=StrictRoute)
POLL_SECONDS = 5

Reader = Annotated[Caller, needs("forecast:read")]
REFUSED: dict[int | str, dict[str, Any]] = {401: {}, 403: {}, 404: {}}


@router.post(
    "",
    summary="Start a forecast run",
    status_code=202,
    response_model=RunState,
    responses={status: {} for status in (400, 401, 403, 413, 415, 422, 503)},
)
def create_run(
    body: RunRequest,
    request: Request,
    snapshot: Newest,
    settings: AppSettings,
    jobs: AppJobs,
    caller: Annotated[Caller, needs("forecast:write")],
) -> Response:
    """Forecast many categories of the store, all from the data version and at the moment of this request.

    A category that cannot be forecast is listed in `failures` and leaves the others alone.
    """
    run = accept_run(body, caller, snapshot, settings, jobs)
    return _told(request, settings, owned_run(jobs, run, caller))


@router.get(
    "/{run}",
    summary="A forecast run",
    responses={200: {"model": RunState, "description": "it is over"}, 202: {"model": RunState}, **REFUSED},
    response_model=None,
)
def get_run(run: str, request: Request, settings: AppSettings, jobs: AppJobs, caller: Reader) -> Response:
    """202 while it is under way, then 200; it is cancelled as a job, under its id."""
    return _told(request, settings, owned_run(jobs, run, caller))


@router.get(
    "/{run}/csv",
    summary="The forecasts of a run as CSV",
    responses={200: {"content": {"text/csv": {}}}, 409: {}, **REFUSED},
    response_class=Response,
)
def get_run_csv(run: str, settings: AppSettings, jobs: AppJobs, caller: Reader) -> Response:
    """One row a category and period, by category; the lower and upper end of each level are columns."""
    job = owned_run(jobs, run, caller)
    if not job.is_over:
        raise Problem(409, "run-under-way", f"run {run} is {job.state}; its rows can be read once it is over")
    lines = csv_lines(engine_of(settings), job, caller)
    name = {"Content-Disposition": f'attachment; filename="forecast-run-{run}.csv"'}
    return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=name)


def owned_run(jobs: Jobs, number: str, caller: Caller) -> Job:
    """A run of the caller; raises the problem 404. Another's run is told as none."""
    found = jobs.status(number)
    if found is None or found.kind != KIND or (found.key_id != caller.key_id and "admin" not in caller.scopes):
        raise Problem(404, "unknown-run", f"there is no forecast run {number!r}")
    return found


def _told(request: Request, settings: AppSettings, job: Job) -> Response:
    base = base_url(request)
    state = state_of(engine_of(settings), job, base).model_dump_json()
    if job.is_over:
        return Response(state, media_type="application/json")
    headers = {"Location": f"{base}/v1/forecast-runs/{job.job}", "Retry-After": str(POLL_SECONDS)}
    return Response(state, 202, headers, "application/json")


def csv_lines(database: sa.Engine, job: Job, caller: Caller) -> Iterator[str]:
    """The rows of a run as text, a forecast at a time; nothing of categories that the caller may not see."""
    levels = [str(level) for level in sorted(orjson.loads(job.request)["each"]["levels"])]
    ends = [f"{end}{level}" for level in levels for end in ("Lower", "Upper")]
    yield _lines([["Time", "Value", "Median", *ends, "Category", "Unit", "Receipt", "Kind"]])
    for answer in answers_of(database, job.job):
        if caller.may_see(answer["category"]):
            yield _lines(_row(answer, period, levels) for period in answer["forecast"])


def _row(answer: dict[str, Any], period: dict[str, Any], levels: list[str]) -> list[object]:
    ends = [end for level in levels for end in period["intervals"][level]]
    named = [answer["category"], answer["unit"], answer["receipt"], period["kind"]]
    return [period["period"], period["value"], period["median"], *ends, *named]


def _lines(rows: Any) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
