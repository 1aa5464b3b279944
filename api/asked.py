"""Makes the single forecasts of the inbox, a chunk at a time, and keeps what is made twice a second."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from api.database import engine_of, job, now, writing
from api.errors import problem_body
from api.inbox import Inbox
from api.jobs import ALIVE, Job, Jobs
from api.ledger import Issued, Ledger
from api.making import MadeFor, receipt_of_job
from api.models import ForecastRequest
from api.outages import outage_of
from api.settings import Settings
from api.tables import JSON

log = logging.getLogger("groundswell")

KEEP_SECONDS = 0.5


@dataclass(frozen=True)
class Outcome:
    """What became of one job. `issued`: what is to be kept; None where it was kept before, or there is an error."""

    job: Job
    state: str
    issued: Issued | None = None
    error: bytes | None = None


class Asked:
    """Each step may run twice where the process was killed: what is in the ledger by then is not made again."""

    def __init__(self, settings: Settings, jobs: Jobs, ledger: Ledger, made_for: MadeFor) -> None:
        self._settings, self._ledger, self._made_for = settings, ledger, made_for
        self._inbox = Inbox(settings, jobs)

    def make(self, chunk: str) -> None:
        """Make what of a chunk is not over; a job that was cancelled meanwhile stays so."""
        found: list[Outcome] = []
        kept = time.monotonic()
        for one in self._inbox.waiting(chunk):
            found.append(self._outcome(one))
            if time.monotonic() - kept > KEEP_SECONDS:
                self._keep(found)
                found, kept = [], time.monotonic()
        self._keep(found)

    def give_up(self, chunk: str, error: bytes) -> None:
        """What of a chunk is not over is dead of that error."""
        self._keep([Outcome(one, "dead", error=error) for one in self._inbox.waiting(chunk)])

    def _outcome(self, one: Job) -> Outcome:
        if self._ledger.resolve(receipt_of_job(one, 0)):  # by the request that it was a part of, or before a kill
            return Outcome(one, "succeeded")
        body = ForecastRequest.model_validate(orjson.loads(one.request))
        try:
            issued = self._made_for(one, body, 0)
        except Exception as error:
            if outage_of(error) is not None:
                raise  # no fault of the job, which waits until it is over
            log.exception("job %s is dead", one.job)
            return Outcome(one, "dead", error=unforeseen(error))
        if isinstance(issued, bytes):
            return Outcome(one, "failed", error=issued)
        return Outcome(one, "succeeded", issued)

    def _keep(self, found: list[Outcome]) -> None:
        if not found:
            return
        self._ledger.append(*(one.issued for one in found if one.issued is not None))
        this, alive = job.c.job == sa.bindparam("number"), sa.or_(*(job.c.state == state for state in ALIVE))
        with writing(engine_of(self._settings)) as connection:
            connection.execute(job.update().where(this, alive), [_ended(one) for one in found])


def _ended(one: Outcome) -> dict[str, Any]:
    good = one.state == "succeeded"
    values = {"state": one.state, "finished": now(), "started": one.job.started or now(), "error": one.error}
    return {"number": one.job.job, **values, "done": int(good), "media_type": JSON if good else None}


def unforeseen(error: BaseException) -> bytes:
    """The problem of an error that nobody foresaw: its cause is in the log, not in an answer."""
    detail = f"an unexpected error ({type(error).__name__}); the log of the service has the cause"
    return problem_body(500, "internal-error", detail, {})
