"""The job worker: one process of `serve` that does accepted jobs, part by part, through DBOS."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, Protocol, runtime_checkable

import sqlalchemy as sa
from dbos import DBOS, StepOptions
from dbos import error as dbos_error

from api import making
from api.asked import Asked, unforeseen
from api.database import engine_of, job, now, writing
from api.forecasting import Forecaster
from api.jobs import (
    ALIVE,
    APPLICATION,
    ASKED,
    DELIVERIES,
    FORECASTS,
    QUEUE,
    RETUNES,
    RUNS,
    UPLOADS,
    WORKFLOW,
    WORKFLOW_VERSION,
    Job,
    Jobs,
)
from api.ledger import Ledger
from api.making import MadeFor
from api.outages import outage_of, waiting_out
from api.reaper import Reaper
from api.settings import Settings
from api.snapshots import Snapshots

log = logging.getLogger("groundswell")

LOCK_SECONDS = 0.1
# By queue: how many workflows at once, and after how many seconds DBOS looks for more. It starts at most as many as
# have room at each look, and a look costs 6 ms of CPU, also where there is nothing to do.
QUEUES: dict[str, tuple[int, float]] = {
    QUEUE: (2, 0.5),
    ASKED: (1, 0.25),  # its work is arithmetic: a second would only take turns with the first
    RUNS: (4, 1.0),  # they share the processes of a pool, so that a small one is not behind a large one
    UPLOADS: (8, 0.5),  # they mostly wait until they are stored
    DELIVERIES: (8, 1.0),  # they mostly wait
    RETUNES: (1, 5.0),  # nobody waits for them
}
TRIES = 3


class JobFailed(Exception):  # noqa: N818 - named for what happened, as its callers read it
    """A job cannot be done and trying again would not help; `error` is the problem detail that says why."""

    def __init__(self, error: bytes) -> None:
        self.error = error
        super().__init__(error.decode())


@dataclass(frozen=True)
class Work:
    """A job with all that is needed to do it."""

    job: Job
    settings: Settings
    engine: sa.Engine
    ledger: Ledger
    jobs: Jobs
    made_for: MadeFor


@dataclass(frozen=True)
class Made:
    """What a job came to: the answer that its address gives from then on."""

    body: bytes
    media_type: str = "application/json"


class Handler(Protocol):
    """How one kind of job is done. Each method may run twice where the process was killed: all are idempotent."""

    def parts(self, work: Work) -> int:
        """In how many parts; raises JobFailed."""

    def part(self, work: Work, number: int) -> None:
        """Do one part; raises JobFailed."""

    def finish(self, work: Work) -> Made:
        """Once all parts are done; raises JobFailed."""


@runtime_checkable
class Listener(Protocol):
    """A handler that has something to do once its job is over, done or failed; not after it was cancelled."""

    def ended(self, work: Work) -> None:
        """May run twice, as the others."""


class Worker:
    """Does the jobs of a home until `stop`; at most one of its `executor` name runs at a time.

    Forecasts are made where `made_for` makes them, by default in this process.
    """

    def __init__(
        self,
        settings: Settings,
        handlers: dict[str, Handler],
        executor: str = "",
        made_for: MadeFor | None = None,
    ) -> None:
        self._settings, self._handlers = settings, handlers
        self._executor = executor or settings.executor
        self._engine = engine_of(settings)
        self._ledger, self._jobs = Ledger(settings), Jobs(settings)
        self._made_for = made_for or partial(making.made_for, Forecaster(settings, Snapshots(settings.home)))
        self._asked = Asked(settings, self._jobs, self._ledger, self._made_for)
        self._running: list[str] = []  # workflows, one as often as it is executed at the time

    def run(self, stop: threading.Event, ready: Callable[[], None]) -> None:
        """Take up what an earlier process left, then what comes; what is under way at the end goes on next time."""
        with _alone(self._settings.home / "state" / f"{self._executor}.lock", stop) as held:
            if held:
                self._run(stop, ready)

    def _run(self, stop: threading.Event, ready: Callable[[], None]) -> None:
        DBOS(
            config={
                "name": APPLICATION,
                "system_database_url": self._engine.url.render_as_string(hide_password=False),
                "application_version": WORKFLOW_VERSION,
                "executor_id": self._executor,
                "run_migrations": True,
                "log_level": "WARNING",
            }
        )
        self._register()
        DBOS.listen_queues(list(QUEUES))
        DBOS.launch()
        for queue, (at_once, seconds) in QUEUES.items():
            DBOS.register_queue(
                queue, worker_concurrency=at_once, polling_interval_sec=seconds, on_conflict="always_update"
            )
        reaper = Reaper(self._settings, self._jobs, self._asked, self._executor, self._running)
        reaper.beat()
        ready()
        reaper.run(stop)
        DBOS.destroy(workflow_completion_timeout_sec=self._settings.shutdown_seconds)

    def _register(self) -> None:
        @DBOS.workflow(name=WORKFLOW)
        def run_job(number: str) -> None:
            with self._under_way():
                self._do(number)

        @DBOS.workflow(name=FORECASTS)
        def make_asked(chunk: str) -> None:
            with self._under_way():
                self._make(chunk)

    @contextmanager
    def _under_way(self) -> Iterator[None]:
        """Of a workflow: the reaper begins again what DBOS takes for begun, but is not under way.

        Where DBOS could not note what was done, the process ends: `serve` starts it again, and it goes on from there.
        """
        number = str(DBOS.workflow_id)
        self._running.append(number)
        try:
            yield
        except Exception as error:
            if outage_of(error) is not None:
                _end_process(error)
            raise
        finally:
            self._running.remove(number)

    def _do(self, number: str) -> None:
        end = waiting_out(self._end)
        try:
            for i in range(DBOS.run_step(_step("parts"), waiting_out(self.parts), number)):
                DBOS.run_step(_step("part"), waiting_out(self.part), number, i)
            DBOS.run_step(_step("finish"), waiting_out(self.finish), number)
        except JobFailed as failure:
            end(number, "failed", error=failure.error)
        except Exception as failure:
            error = _cause(failure)
            log.error("job %s is dead", number, exc_info=error)
            end(number, "dead", error=unforeseen(error))
        DBOS.run_step(_step("ended"), waiting_out(self.ended), number)

    def _make(self, chunk: str) -> None:
        try:
            DBOS.run_step(_step("asked"), waiting_out(self._asked.make), chunk)
        except Exception as failure:
            error = _cause(failure)
            log.error("the forecasts of chunk %s are dead", chunk, exc_info=error)
            waiting_out(self._asked.give_up)(chunk, unforeseen(error))

    def parts(self, number: str) -> int:
        """Begin a job; in how many parts it is done."""
        work = self._work(number)
        self._set(number, state="running", started=now())
        parts = self._handlers[work.job.kind].parts(work)
        self._set(number, total=parts)
        return parts

    def part(self, number: str, part: int) -> None:
        """Do one part of a job that was not cancelled."""
        work = self._work(number)
        if work.job.is_over:
            raise JobFailed(b"")
        self._handlers[work.job.kind].part(work, part)
        self._set(number, done=part + 1)

    def finish(self, number: str) -> None:
        """End a job with what it made."""
        work = self._work(number)
        made = self._handlers[work.job.kind].finish(work)
        self._end(number, "succeeded", result=made.body, media_type=made.media_type)

    def ended(self, number: str) -> None:
        """Tell the handler that its job is over, where it wants to know."""
        work = self._work(number)
        handler = self._handlers.get(work.job.kind)
        if isinstance(handler, Listener) and work.job.state != "cancelled":
            handler.ended(work)

    def _work(self, number: str) -> Work:
        found = self._jobs.status(number)
        assert found is not None  # it is written in the transaction that enqueues it
        return Work(found, self._settings, self._engine, self._ledger, self._jobs, self._made_for)

    def _set(self, number: str, **values: Any) -> None:
        """Note something of a job that is not over."""
        alive = job.c.state.in_(ALIVE)
        with writing(self._engine) as connection:
            connection.execute(job.update().where(job.c.job == number, alive).values(**values))

    def _end(self, number: str, state: str, **values: Any) -> None:
        self._set(number, state=state, finished=now(), **values)


def _cause(failure: Exception) -> Exception:
    """The error of the last try; raises what DBOS says for itself, and an outage that it met.

    It is closed when the process ends: what is under way then is no job's fault, and goes on after the next start.
    """
    error = failure.errors[-1] if isinstance(failure, dbos_error.DBOSMaxStepRetriesExceeded) else failure
    if isinstance(error, dbos_error.DBOSException) or outage_of(error) is not None:
        raise error
    return error


def _end_process(error: Exception) -> NoReturn:
    log.critical("the job worker ends, and goes on when it starts again: %s", error)
    logging.shutdown()
    os._exit(1)


@contextmanager
def _alone(lock: Path, stop: threading.Event) -> Iterator[bool]:
    """Wait until the process that had this executor's name before has ended; false where `stop` came first.

    Two at once would do the same work twice: DBOS hands a name's unfinished work to whoever starts under it.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        while not stop.is_set():
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                stop.wait(LOCK_SECONDS)
            else:
                yield True
                return
        yield False


def _step(name: str) -> StepOptions:
    """One that is tried again after an unforeseen error; its outcome is recorded once."""
    return {"name": name, "retries_allowed": True, "max_attempts": TRIES, "should_retry": _passing}


def _passing(error: BaseException) -> bool:
    """Whether trying again may help."""
    return not isinstance(error, JobFailed)
