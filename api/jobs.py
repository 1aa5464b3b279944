"""Durable jobs: what was accepted is done, told or dead with a reason, whoever is killed meanwhile.

The API accepts and asks; the job worker of `serve` (api/worker.py) does the work. DBOS keeps what is under way: a job
and its workflow are written in one transaction, a part that was interrupted runs again, one that has ended does not.
"""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, EnqueueOptions

from api.database import engine_of, job, now, reading, writing
from api.settings import Settings

APPLICATION = "groundswell"
# Of the workflow's shape: a worker takes up only what has its own. Raise it when the shape changes, not for a release.
WORKFLOW_VERSION = "1"
QUEUE = "jobs"
RUNS = "runs"  # of its own: a night's batch stands before no single forecast
DELIVERIES = "deliveries"  # of its own: a receiver that is slow holds up no forecasts
WORKFLOW = "run_job"

State = Literal["pending", "running", "succeeded", "failed", "cancelled"]


@dataclass(frozen=True)
class Job:
    """One job. Moments are UTC without a zone; `result` is what it made, `error` a problem detail, both as bytes."""

    job: str
    kind: str
    key_id: str | None
    state: State
    accepted: dt.datetime
    started: dt.datetime | None
    finished: dt.datetime | None
    total: int
    done: int
    request: bytes
    result: bytes | None
    media_type: str | None
    error: bytes | None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ("succeeded", "failed", "cancelled")


class Jobs:
    """What anybody may ask of jobs: accept, status and cancel here; api/worker.py does them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: DBOSClient | None = None

    @property
    def _engine(self) -> sa.Engine:
        return engine_of(self._settings)

    def accept(
        self,
        kind: str,
        request: bytes,
        *,
        key_id: str | None = None,
        total: int = 1,
        name: str = "",
        delay_seconds: float = 0.0,
        queue: str = QUEUE,
    ) -> str:
        """Accept a job; it will be done once this returns. Its id; the same `name` again gives the same job.

        `total` is in how many parts progress is told; it begins `delay_seconds` from now at the earliest.
        """
        number = str(uuid.uuid5(uuid.NAMESPACE_OID, name) if name else uuid.uuid4())
        options: EnqueueOptions = {
            "workflow_name": WORKFLOW,
            "queue_name": queue,
            "workflow_id": number,
            "app_version": WORKFLOW_VERSION,
            "application_name": APPLICATION,
        }
        if delay_seconds:
            options["delay_seconds"] = delay_seconds
        dbos = self._dbos()
        with writing(self._engine) as connection:
            if connection.execute(sa.select(job.c.job).where(job.c.job == number)).first():
                return number
            values = {"job": number, "kind": kind, "key_id": key_id, "accepted": now(), "state": "pending"}
            connection.execute(job.insert().values(**values, total=total, done=0, request=request))
            dbos.enqueue_in_transaction(connection, options, number)
        return number

    def status(self, number: str) -> Job | None:
        """The state of a job; None where there is none."""
        with reading(self._engine) as connection:
            row = connection.execute(sa.select(job).where(job.c.job == number)).mappings().first()
        return None if row is None else Job(**row)

    def cancel(self, number: str) -> bool:
        """Cancel a job that is not over; whether it was cancelled."""
        over = {"state": "cancelled", "finished": now()}
        alive = job.c.state.in_(("pending", "running"))
        with writing(self._engine) as connection:
            changed = connection.execute(job.update().where(job.c.job == number, alive).values(**over)).rowcount
        if changed:
            self._dbos().cancel_workflow(number)
        return bool(changed)

    def _dbos(self) -> DBOSClient:
        if self._client is None:
            url = str(self._engine.url.render_as_string(hide_password=False))
            DBOS.migrate(url)  # the worker may not have come to it yet
            self._client = DBOSClient(system_database_url=url, application_name=APPLICATION, lazy=True)
        return self._client
