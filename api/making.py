"""A forecast as a part of a job: made again after a kill, it is the same one."""

from __future__ import annotations

import hashlib

from api.errors import known_problem, problem_body
from api.ledger import Issued
from api.models import ForecastRequest
from api.receipts import receipt_at
from api.worker import Work


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
    digest = hashlib.sha256(f"{work.job.job}/{number}".encode()).digest()
    return receipt_at(work.job.accepted, int.from_bytes(digest[:10]))
