"""What every job that forecasts needs: a forecast that has the same receipt however often it is made."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from api.errors import Problem, known_problem, problem_body
from api.forecasting import Forecaster
from api.jobs import Job
from api.ledger import Issued
from api.models import ForecastRequest
from api.receipts import receipt_at

if TYPE_CHECKING:
    from api.worker import Work

MadeFor = Callable[[Job, ForecastRequest, int], Issued | bytes]


def made(work: Work, body: ForecastRequest, number: int) -> Issued | bytes:
    """The forecast number `number` of a job, or the problem detail that says why there is none.

    Made again after a kill it has the same receipt, and the ledger keeps the first.
    """
    return work.made_for(work.job, body, number)


def made_for(forecaster: Forecaster, job: Job, body: ForecastRequest, number: int) -> Issued | bytes:
    """As `made`, in this process."""
    try:
        return forecaster.make(body, face="job", key_id=job.key_id, run=job.job, receipt=receipt_of_job(job, number))
    except Exception as error:
        problem = known_problem(error)
        if problem is None:
            raise
        return body_of(problem)


def receipt_of(work: Work, number: int) -> str:
    """The receipt of a job's forecast of that number, the same at every try."""
    return receipt_of_job(work.job, number)


def receipt_of_job(job: Job, number: int) -> str:
    """As `receipt_of`, for who has no Work."""
    digest = hashlib.sha256(f"{job.job}/{number}".encode()).digest()
    return receipt_at(job.accepted, int.from_bytes(digest[:10]))


def body_of(problem: Problem) -> bytes:
    """The JSON of a problem that is no answer of its own."""
    return problem_body(problem.status_code, problem.code, str(problem.detail), problem.members)
