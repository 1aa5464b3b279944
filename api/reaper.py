"""Takes up what a job worker left that will not come back, and ends what was begun too often.

A worker takes up its own work by itself when it starts again under its name; this is for those that never do, and for
a job that kills each worker that begins it. DBOS leaves both to its commercial service.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Collection

import sqlalchemy as sa
from dbos import WorkflowStatus

from api.asked import Asked
from api.database import engine_of, job, metadata, now, reading, writing
from api.errors import problem_body
from api.jobs import ALIVE, FORECASTS, Jobs
from api.settings import Settings

log = logging.getLogger("groundswell")

BEAT_SECONDS = 10.0
GONE_SECONDS = 60.0
# What it had begun too often, and what could not even note that it had failed.
HOPELESS = ["MAX_RECOVERY_ATTEMPTS_EXCEEDED", "ERROR"]
MOST = 1000

executor_alive = sa.Table(
    "executor",
    metadata,
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("alive", sa.DateTime, nullable=False),
)


class Reaper:
    """For a thread of the job worker's process."""

    def __init__(
        self, settings: Settings, jobs: Jobs, asked: Asked, executor: str, running: Collection[str] = ()
    ) -> None:
        """`running`: the workflows that are under way in this process, as they come and go."""
        self._settings, self._jobs, self._asked, self._executor = settings, jobs, asked, executor
        self._signs: dict[str, tuple[dt.datetime, float]] = {}  # by worker: the last, and when we first saw it
        self._running, self._left = running, set[str]()  # left: ours that were not under way at the last look

    def run(self, stop: threading.Event) -> None:
        """Give a sign of life and look after the others until `stop`; an error is logged, and it is tried again."""
        while True:
            try:
                self.beat()
                self.take_over()
                self.end_hopeless()
            except Exception:
                log.exception("jobs that other workers left were not looked after; it is tried again")
            if stop.wait(BEAT_SECONDS):
                return

    def beat(self) -> None:
        """Say that this worker lives."""
        table = executor_alive
        with writing(engine_of(self._settings)) as connection:
            connection.execute(table.delete().where(table.c.name == self._executor))
            connection.execute(table.insert().values(name=self._executor, alive=now()))

    def take_over(self) -> int:
        """Enqueue again what workers without a sign of life had begun, or this one and then dropped; how many."""
        alive, left = self._alive(), set[str]()
        by_queue: dict[str, list[str]] = defaultdict(list)
        for found in self._jobs.workflows("PENDING", MOST):
            number, gone = found.workflow_id, found.executor_id not in alive
            if found.executor_id == self._executor and number not in self._running:
                left.add(number)  # it may be about to begin, or to end
                gone = number in self._left
            if gone and found.queue_name:
                by_queue[found.queue_name].append(number)
        self._left = left
        for queue, numbers in by_queue.items():
            log.warning("%d workflows that nobody does any more are begun again", len(numbers))
            self._jobs.resume(numbers, queue)
        return sum(map(len, by_queue.values()))

    def _alive(self) -> set[str]:
        """Whose sign of life has changed lately, by our own stopwatch: clocks jump, and differ between machines."""
        with reading(engine_of(self._settings)) as connection:
            signs = {row.name: row.alive for row in connection.execute(sa.select(executor_alive))}
        moment = time.monotonic()
        for name, sign in signs.items():
            if self._signs.get(name, (None, 0.0))[0] != sign:
                self._signs[name] = sign, moment
        return {name for name in signs if moment - self._signs[name][1] <= GONE_SECONDS}

    def end_hopeless(self) -> None:
        """Jobs that were begun too often without coming to an end are dead."""
        error = problem_body(
            500, "given-up", "it was begun more than once and never came to an end; the log of the service has more", {}
        )
        for found in self._jobs.workflows(HOPELESS, MOST):
            argument = _argument(found)
            if found.name == FORECASTS:
                self._asked.give_up(argument, error)
                continue
            alive = job.c.state.in_(ALIVE)
            with writing(engine_of(self._settings)) as connection:
                over = job.update().where(job.c.job == argument, alive)
                connection.execute(over.values(state="dead", finished=now(), error=error))


def _argument(found: WorkflowStatus) -> str:
    assert found.input is not None
    return str(found.input["args"][0])
