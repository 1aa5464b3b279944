"""How each kind of job is done; see api/worker.py for the protocol."""

from __future__ import annotations

import hashlib

import orjson

from api.errors import known_problem, problem_body
from api.jobs import Job
from api.ledger import Issued
from api.models import ForecastRequest
from api.receipts import receipt_at
from api.worker import Handler, JobFailed, Made, Work


class OneForecast:
    """A single forecast that was asked for with `Prefer: respond-async`."""

    def parts(self, work: Work) -> int:  # noqa: ARG002
        """One."""
        return 1

    def part(self, work: Work, number: int) -> None:
        """Forecast and keep it, unless the request that it was a part of has done so by now."""
        if work.ledger.resolve(receipt_of(work, number)):
            return
        body = ForecastRequest.model_validate(orjson.loads(work.job.request))
        issued = made(work, body, number)
        if isinstance(issued, bytes):
            raise JobFailed(issued)
        work.ledger.append(issued)

    def finish(self, work: Work) -> Made:
        """The forecast itself."""
        issued = work.ledger.resolve(receipt_of(work, 0))
        assert issued is not None
        return Made(issued.answer)


def made(work: Work, body: ForecastRequest, number: int) -> Issued | bytes:
    """The forecast number `number` of a job, or the problem detail that says why there is none.

    Made again after a kill it has the same receipt, and the ledger keeps the first.
    """
    receipt, job = receipt_of(work, number), work.job
    try:
        return work.forecaster.make(body, face="job", key_id=job.key_id, run=job.job, receipt=receipt)
    except Exception as error:
        problem = known_problem(error)
        if problem is None:
            raise
        return problem_body(problem.status_code, problem.code, str(problem.detail), problem.members)


def receipt_of(work: Work, number: int) -> str:
    """The receipt of a job's forecast of that number, the same at every try."""
    return receipt_of_job(work.job, number)


def receipt_of_job(job: Job, number: int) -> str:
    """As `receipt_of`, for who has no Work."""
    digest = hashlib.sha256(f"{job.job}/{number}".encode()).digest()
    return receipt_at(job.accepted, int.from_bytes(digest[:10]))


HANDLERS: dict[str, Handler] = {"forecast": OneForecast()}
