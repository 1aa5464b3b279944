"""Jobs: what was accepted with 202, until it is over."""

from __future__ import annotations

import datetime as dt
from http import HTTPStatus
from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Request, Response

from api.errors import MEDIA_TYPE, Problem
from api.inbox import Inbox
from api.job_list import listed, retry, totals
from api.job_models import JobPage, JobState, JobTotals, ListedJob
from api.jobs import SINGLE, Job, Jobs, State
from api.ledger import Ledger
from api.making import receipt_of_job
from api.routes import AppJobs, AppLedger, AppSettings, Limit, Offset, base_url, page_of, statuses
from api.security import Caller, needs
from api.strict import StrictRoute

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=StrictRoute)
POLL_SECONDS = 1
EACH_SECONDS = 0.01  # a single forecast of the fast engine, with its share of the disk
LONGEST_PAUSE = 60


@router.get("", summary="Jobs", responses=statuses(401, 403, 422))
def list_jobs(
    request: Request,
    settings: AppSettings,
    caller: Annotated[Caller, needs("jobs:read")],
    state: Annotated[State | None, Query(description="only those in this state")] = None,
    kind: Annotated[str | None, Query(max_length=40, description="only those of this kind")] = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> JobPage:
    """The newest first: those of the caller, and for the scope `admin` those of all."""
    mine = None if "admin" in caller.scopes or caller.key_id is None else caller.key_id
    found, total = listed(settings, state=state, kind=kind, key_id=mine, limit=limit, offset=offset)
    return JobPage(items=[_listed(request, one) for one in found], **page_of(request, total, limit, offset))


@router.get("/totals", summary="What became of all jobs", responses=statuses(401, 403))
def get_totals(settings: AppSettings, caller: Annotated[Caller, needs("admin")]) -> JobTotals:  # noqa: ARG001
    """`accepted` is `answered` + `pending` + `dead` at every moment, whatever was killed meanwhile."""
    return JobTotals(**totals(settings))


def _listed(request: Request, one: Job) -> ListedJob:
    error = None if one.error is None else orjson.loads(one.error)
    moments = {name: _utc(getattr(one, name)) for name in ("accepted", "started", "finished")}
    return ListedJob(**_state(request, one).model_dump(), **moments, error=error)


def _utc(moment: dt.datetime | None) -> dt.datetime | None:
    return None if moment is None else moment.replace(tzinfo=dt.UTC)


@router.get(
    "/{job}",
    summary="A job, or what it made",
    responses={
        200: {"description": "what it made"},
        202: {"model": JobState},
        401: {},
        403: {},
        404: {},
        410: {},
        422: {},
    },
)
def get_job(
    job: str,
    request: Request,
    jobs: AppJobs,
    ledger: AppLedger,
    caller: Annotated[Caller, needs("jobs:read")],
) -> Response:
    """202 with its state while it is under way, then 200 with what it made; or the problem that it failed with.

    500 tells of an error that nobody foresaw; such a job can be tried again.
    """
    found = owned(jobs, job, caller)
    if found.state == "succeeded":
        return Response(_result(found, ledger), media_type=found.media_type)
    if found.state in ("failed", "dead"):
        status = 422 if found.state == "failed" else 500
        where = {"status": status, "title": HTTPStatus(status).phrase, "instance": request.url.path}
        where["request_id"] = request.scope["state"].get("request_id")
        return Response(orjson.dumps(orjson.loads(found.error or b"{}") | where), status, media_type=MEDIA_TYPE)
    if found.state == "cancelled":
        raise Problem(410, "job-cancelled", f"job {job} was cancelled")
    return accepted(request, found)


def _result(found: Job, ledger: Ledger) -> bytes:
    if found.kind != SINGLE:
        return found.result or b""
    issued = ledger.resolve(receipt_of_job(found, 0))  # the ledger holds a single forecast once
    assert issued is not None
    return issued.answer


@router.delete("/{job}", summary="Cancel a job", status_code=204, responses={401: {}, 403: {}, 404: {}, 409: {}})
def cancel_job(job: str, jobs: AppJobs, caller: Annotated[Caller, needs("jobs:write")]) -> Response:
    """What it has made so far stays."""
    found = owned(jobs, job, caller)
    if not jobs.cancel(found.job):
        raise Problem(409, "job-over", f"job {job} is over: {found.state}")
    return Response(status_code=204)


@router.post(
    "/{job}/retry",
    summary="Try a job again",
    status_code=202,
    response_model=JobState,
    responses=statuses(401, 403, 404, 409),
)
def retry_job(job: str, request: Request, jobs: AppJobs, caller: Annotated[Caller, needs("jobs:write")]) -> Response:
    """One that has failed or is dead; what it has made is not made again."""
    found = owned(jobs, job, caller)
    if not retry(jobs, found.job):
        detail = f"job {job} is {found.state}; only one that has failed or is dead can be tried again"
        raise Problem(409, "job-not-failed", detail)
    return accepted(request, owned(jobs, job, caller))


def owned(jobs: Jobs, number: str, caller: Caller) -> Job:
    """A job of the caller; raises the problem 404. Another's job is told as none."""
    found = jobs.status(number)
    if found is None or not caller.owns(found.key_id):
        raise Problem(404, "unknown-job", f"there is no job {number!r}")
    return found


def accepted(request: Request, job: Job) -> Response:
    """202 with where to ask, and when."""
    state = _state(request, job)
    pause = POLL_SECONDS if job.kind != SINGLE else _pause(request)
    headers = {"Location": state.location, "Retry-After": str(pause), "Cache-Control": "no-store"}
    return Response(state.model_dump_json(), 202, headers, "application/json")


def _state(request: Request, job: Job) -> JobState:
    address = f"{base_url(request)}/v1/jobs/{job.job}"
    return JobState(job=job.job, kind=job.kind, state=job.state, total=job.total, done=job.done, location=address)


def _pause(request: Request) -> int:
    """Seconds in which a single forecast is about to be made: as many as those that wait take."""
    inbox: Inbox = request.app.state.inbox
    return round(min(max(POLL_SECONDS, inbox.pending * EACH_SECONDS), LONGEST_PAUSE))
