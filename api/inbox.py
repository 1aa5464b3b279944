"""Single forecasts that are made later: accepted many in one transaction, made many in one workflow.

A workflow for each would cost a millisecond at its acceptance, which a service has least of when it is overloaded.
"""

from __future__ import annotations

import time
import uuid
from concurrent.futures import Future

import sqlalchemy as sa

from api.database import engine_of, job, now, reading
from api.errors import Problem
from api.grouped import Grouped
from api.jobs import ALIVE, ASKED, FORECASTS, SINGLE, Job, Jobs, as_values, count_accepted, number_of, workflow_of_job
from api.settings import Settings

COUNTED_SECONDS = 1.0
PAUSE_SECONDS = 0.03  # who is put off waits for seconds anyway, and a transaction costs as much as 20 requests
CHUNK = 64  # most of one workflow: another worker can take the next


class Inbox:
    """For many threads of one process: what is accepted at the same time shares one transaction."""

    def __init__(self, settings: Settings, jobs: Jobs) -> None:
        self._settings, self._jobs = settings, jobs
        self._grouped: Grouped[Job] = Grouped("inbox", self._commit, CHUNK, PAUSE_SECONDS)
        self._pending, self._counted = 0, -COUNTED_SECONDS

    @property
    def pending(self) -> int:
        """How many single forecasts waited lately, in all processes."""
        return self._pending

    @property
    def _engine(self) -> sa.Engine:
        return engine_of(self._settings)

    def accept_soon(self, request: bytes, *, key_id: str | None = None, name: str = "") -> tuple[Job, Future[None]]:
        """A job that makes one forecast; it will be made once the future is done. The same `name` gives the same.

        Raises the problem 503 where `max_pending` wait already.
        """
        number, accepted = number_of(name), now()
        before = self._jobs.status(number) if name else None
        if before is not None:
            done: Future[None] = Future()
            done.set_result(None)
            return before, done
        if self._pending >= self._settings.max_pending:
            with reading(self._engine) as connection:
                self._count(connection)
        if self._pending >= self._settings.max_pending:
            detail = f"{self._pending} forecasts wait already (setting max_pending); send it again later"
            raise Problem(503, "busy", detail, headers={"Retry-After": "60"})
        made = Job(number, SINGLE, key_id, "pending", accepted, None, None, 1, 0, request, None, None, None)
        return made, self._grouped.add(made)

    def waiting(self, chunk: str) -> list[Job]:
        """The jobs of a chunk that are not over, in the order in which they came."""
        rows = sa.select(job).join(workflow_of_job, workflow_of_job.c.job == job.c.job)
        wanted = rows.where(workflow_of_job.c.workflow == chunk, job.c.state.in_(ALIVE)).order_by(
            job.c.accepted, job.c.job
        )
        with reading(self._engine) as connection:
            return [Job(**row) for row in connection.execute(wanted).mappings()]

    def _commit(self, group: list[Job]) -> None:
        chunk = str(uuid.uuid4())
        with self._jobs.writing() as connection:
            numbers = [one.job for one in group]
            there = set(connection.execute(sa.select(job.c.job).where(job.c.job.in_(numbers))).scalars())
            fresh = {one.job: one for one in group if one.job not in there}
            if not fresh:
                return
            connection.execute(job.insert(), [as_values(one) for one in fresh.values()])
            connection.execute(workflow_of_job.insert(), [{"job": number, "workflow": chunk} for number in fresh])
            count_accepted(connection, len(fresh))
            self._jobs.enqueue(connection, FORECASTS, ASKED, chunk)
            self._count(connection)

    def _count(self, connection: sa.Connection) -> None:
        if time.monotonic() - self._counted > COUNTED_SECONDS:
            waiting = sa.select(sa.func.count()).where(job.c.state == "pending", job.c.kind == SINGLE)
            self._pending, self._counted = connection.execute(waiting).scalar_one(), time.monotonic()
