"""Durable jobs: what was accepted is done, told or dead with a reason, whoever is killed meanwhile.

The API accepts and asks; the job worker of `serve` (api/worker.py) does the work. DBOS keeps what is under way: a job
and its workflow are written in one transaction, a part that was interrupted runs again, one that has ended does not.
"""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, EnqueueOptions, WorkflowStatus

from api.database import engine_of, job, metadata, now, reading, writing
from api.settings import Settings

APPLICATION = "groundswell"
# Of the workflows' shape: a worker takes up only what has its own. Raise it when the shape changes, not for a release.
WORKFLOW_VERSION = "1"
QUEUE = "jobs"
RUNS = "runs"  # of their own, as those that follow: a night's batch stands before no single forecast
ASKED = "asked"  # single forecasts
DELIVERIES = "deliveries"  # a receiver that is slow holds up no forecasts
UPLOADS = "uploads"
RETUNES = "retunes"  # minutes of arithmetic each: one at a time, and before nothing else
QUEUES = {"run": RUNS, "upload": UPLOADS, "webhook": DELIVERIES, "retune": RETUNES}  # by kind; all others are in QUEUE
WORKFLOW, FORECASTS = "run_job", "make_asked"
SINGLE = "forecast"  # the kind of a job that makes one forecast; many share a workflow
ENDED = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]  # states of a workflow
FORGOTTEN = 200  # workflows that are removed at once

Note = Callable[[sa.Connection], None]
State = Literal["pending", "running", "succeeded", "failed", "dead", "cancelled"]
ALIVE = ("pending", "running")
RETRIED = ("failed", "dead")  # may be tried again, by a person

# Of the jobs whose workflow has another number than they: single forecasts, and what was begun again.
workflow_of_job = sa.Table(
    "job_workflow",
    metadata,
    sa.Column("job", sa.String(36), primary_key=True),
    sa.Column("workflow", sa.String(36), nullable=False),
    sa.Index("job_of_workflow", "workflow"),
)
counted = sa.Table(
    "job_count",
    metadata,
    sa.Column("name", sa.String(20), primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
)


@dataclass(frozen=True)
class Job:
    """One job. Moments are UTC without a zone; `result` is what it made, `error` a problem detail, both as bytes.

    It has failed where it cannot be done, and is dead where it ended by an unforeseen error: that may be tried again.
    """

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
        return self.state not in ALIVE


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
        number = number_of(name)
        made = Job(number, kind, key_id, "pending", now(), None, None, total, 0, request, None, None, None)
        with self.writing() as connection:
            if connection.execute(sa.select(job.c.job).where(job.c.job == number)).first():
                return number
            connection.execute(job.insert().values(**as_values(made)))
            count_accepted(connection, 1)
            self.enqueue(connection, WORKFLOW, queue, number, delay_seconds=delay_seconds)
        return number

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction in which `enqueue` may be called."""
        self._dbos()  # makes its tables in a transaction of its own, which ours would keep waiting
        with writing(self._engine) as connection:
            yield connection

    def enqueue(
        self,
        connection: sa.Connection,
        workflow: str,
        queue: str,
        argument: str,
        *,
        number: str = "",
        delay_seconds: float = 0.0,
    ) -> None:
        """Enqueue a workflow in a transaction of `writing`; its number is its argument unless another is given."""
        options: EnqueueOptions = {
            "workflow_name": workflow,
            "queue_name": queue,
            "workflow_id": number or argument,
            "app_version": WORKFLOW_VERSION,
            "application_name": APPLICATION,
        }
        if delay_seconds:
            options["delay_seconds"] = delay_seconds
        self._dbos().enqueue_in_transaction(connection, options, argument)

    def status(self, number: str) -> Job | None:
        """The state of a job; None where there is none."""
        with reading(self._engine) as connection:
            row = connection.execute(sa.select(job).where(job.c.job == number)).mappings().first()
        return None if row is None else Job(**row)

    def cancel(self, number: str, changed_by: Note | None = None) -> bool:
        """Cancel a job that is not over; whether it was. `changed_by` notes it in the same transaction."""
        over = {"state": "cancelled", "finished": now()}
        alive = job.c.state.in_(ALIVE)
        with writing(self._engine) as connection:
            changed = connection.execute(job.update().where(job.c.job == number, alive).values(**over)).rowcount
            if changed and changed_by is not None:
                changed_by(connection)
        if changed:
            self._dbos().cancel_workflow(number)  # a single forecast has none of its own: its chunk leaves it out
        return bool(changed)

    def workflows(self, status: str | list[str], most: int) -> list[WorkflowStatus]:
        """The oldest workflows of that status, or of one of them, with their arguments."""
        return self._dbos().list_workflows(status=status, limit=most, load_output=False)

    def resume(self, numbers: list[str], queue: str) -> None:
        """Enqueue workflows again that somebody had begun."""
        self._dbos().resume_workflows(numbers, queue_name=queue)

    def stranded(self, numbers: list[str]) -> list[str]:
        """Which of these jobs, none of them over, no worker will ever take up: their workflow is over or was lost."""
        other = sa.select(workflow_of_job).where(workflow_of_job.c.job.in_(numbers))
        with reading(self._engine) as connection:
            workflows = {row.job: row.workflow for row in connection.execute(other)}
        wanted = {workflows.get(number, number) for number in numbers}
        found = self._dbos().list_workflows(
            workflow_ids=list(wanted),
            status=["PENDING", "ENQUEUED", "DELAYED"],
            load_input=False,
            load_output=False,
        )
        under_way = {one.workflow_id for one in found}
        return [number for number in numbers if workflows.get(number, number) not in under_way]

    def forget_workflows(self, ended_before: dt.datetime, stop: threading.Event) -> int:
        """Remove the workflows that ended before a moment, but for those of jobs that are not over; how many."""
        dbos, removed, seen = self._dbos(), 0, 0
        moment = ended_before.replace(tzinfo=dt.UTC).isoformat()
        while not stop.is_set():
            found = dbos.list_workflows(
                status=ENDED, completed_before=moment, limit=FORGOTTEN, offset=seen, load_input=False, load_output=False
            )
            numbers = [one.workflow_id for one in found]
            kept = self._of_jobs_alive(numbers)
            dbos.delete_workflows([number for number in numbers if number not in kept])
            removed, seen = removed + len(numbers) - len(kept), seen + len(kept)
            if len(numbers) < FORGOTTEN:
                break
        return removed

    def _of_jobs_alive(self, workflows: list[str]) -> set[str]:
        other, alive = workflow_of_job, job.c.state.in_(ALIVE)
        own = sa.select(job.c.job).where(job.c.job.in_(workflows), alive)
        shared = sa.select(other.c.workflow).join(job, job.c.job == other.c.job)
        with reading(self._engine) as connection:
            return {
                *connection.scalars(own),
                *connection.scalars(shared.where(other.c.workflow.in_(workflows), alive)),
            }

    def begin_again(self, connection: sa.Connection, number: str, kind: str) -> None:
        """Enqueue a job anew, in a transaction of `writing`; what it has made is not made again.

        The workflow is another one, for that of before is over or was lost.
        """
        workflow = str(uuid.uuid4())
        connection.execute(workflow_of_job.delete().where(workflow_of_job.c.job == number))
        connection.execute(workflow_of_job.insert().values(job=number, workflow=workflow))
        if kind == SINGLE:
            self.enqueue(connection, FORECASTS, ASKED, workflow)
        else:
            self.enqueue(connection, WORKFLOW, QUEUES.get(kind, QUEUE), number, number=workflow)

    def _dbos(self) -> DBOSClient:
        if self._client is None:
            # The worker may not have come to it yet.
            DBOS.migrate(self._engine.url.render_as_string(hide_password=False))
            self._client = DBOSClient(
                system_database_engine=self._engine,
                application_name=APPLICATION,
                lazy=True,
                retry_connection_errors=False,  # whoever asks is told, and does not wait until the database is back
            )
        return self._client


def number_of(name: str) -> str:
    """The number of a new job: the same for the same name, another each time where there is none."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, name) if name else uuid.uuid4())


def as_values(made: Job) -> dict[str, Any]:
    """The columns of a job that is accepted."""
    names = ("job", "kind", "key_id", "accepted", "state", "total", "done", "request")
    return {name: getattr(made, name) for name in names}


def count_accepted(connection: sa.Connection, count: int) -> None:
    """Count in the transaction that accepts."""
    add_to(connection, "accepted", count)


def add_to(connection: sa.Connection, name: str, count: int) -> None:
    """Add to one of the counts that outlive the rows of jobs."""
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert
    else:
        from sqlalchemy.dialects.postgresql import insert  # type: ignore[assignment]
    new = insert(counted).values(name=name, value=count)
    connection.execute(
        new.on_conflict_do_update(index_elements=["name"], set_={"value": counted.c.value + new.excluded.value})
    )
