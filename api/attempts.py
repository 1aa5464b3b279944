"""A forecast that is answered in the time that the client gives it, or becomes a job; what was begun is not lost."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field

import orjson
from anyio.to_thread import run_sync
from fastapi import FastAPI, Request

from api.forecasting import Forecaster
from api.idempotency import Claim, claim_of
from api.jobs import Job, Jobs
from api.ledger import Issued, Ledger
from api.making import receipt_of_job
from api.models import ForecastRequest
from api.security import Caller


async def forecast_within(
    request: Request, body: ForecastRequest, caller: Caller, asked: float, patience: int | None
) -> Issued | Job:
    """The forecast, kept in the ledger; or, where `patience` seconds do not suffice, the job that it became.

    Raises what `Forecaster.make` raises.
    """
    app: FastAPI = request.app
    attempt = _Attempt(app, body, caller, claim_of(request), asked)
    if patience == 0:
        job = await run_sync(attempt.become_job)
        assert job is not None  # nothing has begun
        return job
    making = asyncio.create_task(attempt.made_and_kept())
    done, _ = await asyncio.wait({making}, timeout=patience)
    job = None if done else await run_sync(attempt.become_job)
    if job is None:
        return await making
    if not attempt.begun.is_set():
        making.cancel()  # it waits for its turn still: the job worker does it
    _let_end(app, making)
    return job


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
    begun: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _job: Job | None = None
    _over: bool = False

    async def made_and_kept(self) -> Issued:
        """The forecast, safe in the ledger. Others are made while it waits for the disk, and share its transaction."""
        issued, kept = await run_sync(self._run, limiter=self.app.state.forecasting)
        if kept is not None:
            await asyncio.wrap_future(kept)
        return issued

    def _run(self) -> tuple[Issued, Future[None] | None]:
        """Forecast: under a receipt of its own, or under that of the job that it has become meanwhile."""
        self.begun.set()
        ledger, forecaster = self._ledger, self._forecaster
        receipt = None if self.claim is None else self.claim.receipt_of(0)
        if self.claim and self.claim.again and (before := ledger.resolve(self.claim.receipt_of(0))):
            return before, None
        issued = forecaster.make(self.body, asked=self.asked, key_id=self.caller.key_id, receipt=receipt)
        with self._lock:
            self._over = self._job is None
        if self._job is not None:
            issued = _of_job(issued, self._job)
        return issued, ledger.append_soon(issued)

    def become_job(self) -> Job | None:
        """The job that makes it from now on; None where it was made in this moment."""
        jobs: Jobs = self.app.state.jobs
        with self._lock:
            if self._over:
                return None
            request = self.body.model_dump_json(exclude_defaults=True).encode()
            name = self.claim.name if self.claim else ""
            self._job = jobs.status(jobs.accept("forecast", request, key_id=self.caller.key_id, name=name))
            return self._job

    @property
    def _ledger(self) -> Ledger:
        ledger: Ledger = self.app.state.ledger
        return ledger

    @property
    def _forecaster(self) -> Forecaster:
        forecaster: Forecaster = self.app.state.forecaster
        return forecaster


def _of_job(issued: Issued, job: Job) -> Issued:
    """A forecast under the receipt that its job gives it."""
    receipt = receipt_of_job(job, 0)
    answer = orjson.dumps(orjson.loads(issued.answer) | {"receipt": receipt})
    return dataclasses.replace(issued, receipt=receipt, answer=answer, face="job", run=job.job)
