"""Jobs: what was accepted with 202, until it is over."""

from __future__ import annotations

from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Request, Response

from api.errors import MEDIA_TYPE, Problem
from api.jobs import Job, Jobs
from api.models import JobState
from api.routes import base_url, jobs_of
from api.security import Caller, needs
from api.strict import StrictRoute

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=StrictRoute)
POLL_SECONDS = 1

Port = Annotated[Jobs, Depends(jobs_of)]


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
def get_job(job: str, request: Request, jobs: Port, caller: Annotated[Caller, needs("jobs:read")]) -> Response:
    """202 with its state while it is under way, then 200 with what it made; or the problem that it failed with."""
    found = owned(jobs, job, caller)
    if found.state == "succeeded":
        return Response(found.result or b"", media_type=found.media_type)
    if found.state == "failed":
        where = {"instance": request.url.path, "request_id": request.scope["state"].get("request_id")}
        return Response(orjson.dumps(orjson.loads(found.error or b"{}") | where), 422, media_type=MEDIA_TYPE)
    if found.state == "cancelled":
        raise Problem(410, "job-cancelled", f"job {job} was cancelled")
    return accepted(request, found)


@router.delete("/{job}", summary="Cancel a job", status_code=204, responses={401: {}, 403: {}, 404: {}, 409: {}})
def cancel_job(job: str, jobs: Port, caller: Annotated[Caller, needs("jobs:write")]) -> Response:
    """What it has made so far stays."""
    found = owned(jobs, job, caller)
    if not jobs.cancel(found.job):
        raise Problem(409, "job-over", f"job {job} is over: {found.state}")
    return Response(status_code=204)


def owned(jobs: Jobs, number: str, caller: Caller) -> Job:
    """A job of the caller; raises the problem 404. Another's job is told as none."""
    found = jobs.status(number)
    if found is None or not caller.owns(found.key_id):
        raise Problem(404, "unknown-job", f"there is no job {number!r}")
    return found


def accepted(request: Request, job: Job) -> Response:
    """202 with where to ask, and when."""
    address = f"{base_url(request)}/v1/jobs/{job.job}"
    state = JobState(job=job.job, kind=job.kind, state=job.state, total=job.total, done=job.done, location=address)
    headers = {"Location": address, "Retry-After": str(POLL_SECONDS), "Cache-Control": "no-store"}
    return Response(state.model_dump_json(), 202, headers, "application/json")
