"""A forecast that is answered now, or becomes a job, or is refused: whatever is acknowledged is not lost."""

from __future__ import annotations

import asyncio
import dataclasses
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeVar

import orjson
from anyio.to_thread import run_sync
from fastapi import FastAPI, Request

from api.errors import Problem
from api.forecasting import Forecaster
from api.idempotency import Claim, claim_of
from api.inbox import Inbox
from api.jobs import Job, Jobs, number_of
from api.ledger import Issued, Ledger
from api.making import receipt_of_job
from api.metrics import ADMISSIONS
from api.models import ForecastRequest
from api.prefer import Preference
from api.security import Caller
from api.settings import Settings
from api.turns import Turns

T = TypeVar("T")
BUSY = "busy"
NOT_LATER = "it would not be made in time, and Prefer: handling=strict takes no job for an answer"


async def forecast_within(
    request: Request, body: ForecastRequest, caller: Caller, asked: float, preference: Preference
) -> Issued | Job:
    """The forecast, kept in the ledger, or the job that it has become.

    It becomes one where its turn would not come in time, or the answer is not there in the time that the client gives.
    Raises what `Forecaster.make` raises, and the problem 503 in place of a job where the client cannot ask again.
    """
    try:
        made = await _now_or_later(request, body, caller, asked, preference)
    except Problem as problem:
        if problem.code == BUSY:
            ADMISSIONS.labels("refused").inc()
        raise
    ADMISSIONS.labels("later" if isinstance(made, Job) else "now").inc()
    return made


async def _now_or_later(
    request: Request, body: ForecastRequest, caller: Caller, asked: float, preference: Preference
) -> Issued | Job:
    attempt = _Attempt(request.app, body, caller, claim_of(request), asked)
    if (before := await attempt.before()) is not None:
        return before
    if preference.patience == 0:
        job = await attempt.become_job()
        assert job is not None  # nothing has begun
        return job
    turns: Turns = request.app.state.turns
    settings: Settings = request.app.state.settings
    patience = preference.patience
    own = 0.0 if patience is None else turns.work(attempt.kind)
    most = settings.max_wait_seconds if patience is None else float(patience)
    if turns.wait() and turns.wait() + own > most:  # with nobody before it, trying costs nothing
        return await _later(attempt, preference, turns)
    making = asyncio.create_task(attempt.made_and_kept(turns))
    begun = asyncio.create_task(attempt.begun.wait())
    awaited = {making, begun} if patience is None else {making}  # without a wait named, only the turn is limited
    done, _ = await asyncio.wait(awaited, timeout=most, return_when=asyncio.FIRST_COMPLETED)
    begun.cancel()
    return await making if done else await _late(attempt, making, preference, turns)


async def _late(attempt: _Attempt, making: asyncio.Task[Issued], preference: Preference, turns: Turns) -> Issued | Job:
    """The time is over: what has not begun is left to the job worker, what has begun serves the job too."""
    job = None if preference.strict else await attempt.become_job()
    if job is None and not preference.strict:
        return await making  # it was made in this moment
    if not attempt.begun.is_set():
        making.cancel()
    _let_end(attempt.app, making)
    if job is None:
        raise busy(turns, NOT_LATER)
    return job


async def _later(attempt: _Attempt, preference: Preference, turns: Turns) -> Job:
    if preference.strict:
        raise busy(turns, NOT_LATER)
    job = await attempt.become_job()
    assert job is not None  # nothing has begun
    return job


async def in_turn(request: Request, kind: str, function: Callable[[], T]) -> T:
    """What a function gives when it has its turn among forecasts; raises the problem 503 where that is too late."""
    turns: Turns = request.app.state.turns
    if turns.wait() > request.app.state.settings.max_wait_seconds:
        raise busy(turns, "it would wait too long for its turn")
    return await turns.take(kind, function)


def busy(turns: Turns, why: str) -> Problem:
    """The problem 503 of a service that has more to do than it can."""
    wait = {"Retry-After": str(max(1, math.ceil(turns.wait())))}
    return Problem(503, BUSY, f"the service is busy: {why}; send it again later", headers=wait)


def _let_end(app: FastAPI, making: asyncio.Task[Issued]) -> None:
    """Hold on to what goes on without anybody waiting; an error of it is the job's to tell."""
    running: set[asyncio.Task[Issued]] = app.state.running
    running.add(making)

    def ended(task: asyncio.Task[Issued]) -> None:
        running.discard(task)
        if not task.cancelled():
            task.exception()

    making.add_done_callback(ended)


@dataclass
class _Attempt:
    app: FastAPI
    body: ForecastRequest
    caller: Caller
    claim: Claim | None
    asked: float = field(default_factory=time.perf_counter)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _job: Job | None = None
    _over: bool = False

    @property
    def kind(self) -> str:
        """Requests of one kind take about as long."""
        return kind_of(self.body)

    async def before(self) -> Job | None:
        """The job that the same request has become earlier, before it was cut off."""
        if self.claim is None or not self.claim.again:
            return None
        jobs: Jobs = self.app.state.jobs
        return await run_sync(jobs.status, number_of(self.claim.name))

    async def made_and_kept(self, turns: Turns) -> Issued:
        """The forecast, safe in the ledger. Others are made while it waits for the disk, and share its transaction."""
        issued, kept = await turns.take(self.kind, self._make, begun=self.begun)
        if kept is not None:
            await asyncio.wrap_future(kept)
        return issued

    def _make(self) -> tuple[Issued, Future[None] | None]:
        """Forecast: under a receipt of its own, or under that of the job that it has become meanwhile."""
        ledger: Ledger = self.app.state.ledger
        forecaster: Forecaster = self.app.state.forecaster
        receipt = None if self.claim is None else self.claim.receipt_of(0)
        if self.claim and self.claim.again and (before := ledger.resolve(self.claim.receipt_of(0))):
            return before, None
        issued = forecaster.make(self.body, asked=self.asked, key_id=self.caller.key_id, receipt=receipt)
        with self._lock:
            self._over = self._job is None
        if self._job is not None:
            issued = _of_job(issued, self._job)
        return issued, ledger.append_soon(issued)

    async def become_job(self) -> Job | None:
        """The job that makes it from now on, safe on disk; None where it was made in this moment."""
        # Under a key it looks into the database first; without one a thread would cost more than it does.
        job, kept = await run_sync(self._begin_job) if self.claim else self._begin_job()
        if kept is not None:
            await asyncio.wrap_future(kept)
        return job

    def _begin_job(self) -> tuple[Job | None, Future[None] | None]:
        inbox: Inbox = self.app.state.inbox
        request = self.body.model_dump_json(exclude_defaults=True).encode()
        with self._lock:
            if self._over:
                return None, None
            name = self.claim.name if self.claim else ""
            self._job, kept = inbox.accept_soon(request, key_id=self.caller.key_id, name=name)
            return self._job, kept


def kind_of(body: ForecastRequest) -> str:
    """By what the work of a request differs most: its engine, and whether the store is read."""
    return f"{body.engine} {'store' if body.history is None else 'inline'}"


def _of_job(issued: Issued, job: Job) -> Issued:
    """A forecast under the receipt that its job gives it."""
    receipt = receipt_of_job(job, 0)
    answer = orjson.dumps(orjson.loads(issued.answer) | {"receipt": receipt})
    return dataclasses.replace(issued, receipt=receipt, answer=answer, face="job", run=job.job)
