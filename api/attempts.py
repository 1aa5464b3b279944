"""A forecast that is asked for: made in its turn and kept, or accepted as a job."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field

import orjson
from anyio.to_thread import run_sync
from fastapi import Request

from api.forecasting import Forecaster
from api.idempotency import claim_of
from api.inbox import Inbox
from api.jobs import Job
from api.ledger import Issued, Ledger
from api.making import receipt_of_job
from api.models import ForecastRequest
from api.now_or_later import Attempt, now_or_later
from api.prefer import Preference
from api.security import Caller
from api.turns import Turns


async def forecast_within(
    request: Request, body: ForecastRequest, caller: Caller, asked: float, preference: Preference
) -> Issued | Job:
    """The forecast, kept in the ledger, or the job that it has become; raises what `now_or_later` raises."""
    return await now_or_later(_Forecasting(request.app, claim_of(request), body, caller, asked), preference)


@dataclass
class _Forecasting(Attempt[Issued]):
    body: ForecastRequest
    caller: Caller
    asked: float
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _job: Job | None = None
    _over: bool = False

    @property
    def kind(self) -> str:
        return kind_of(self.body)

    async def made(self, turns: Turns) -> Issued:
        """The forecast, safe in the ledger. Others are made while it waits for the disk, and share its transaction."""
        issued, kept = await turns.take(self.kind, self._make, begun=self.begun)
        if kept is not None:
            await asyncio.wrap_future(kept)
        if self.claim and self.body.deadline_ms is not None:
            # Of another try under the same key, which had more or less time, the first forecast counts.
            ledger: Ledger = self.app.state.ledger
            first = await run_sync(ledger.resolve, issued.receipt)
            assert first is not None  # at least this one was kept
            return first
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
    engine = body.engine or ("default" if body.configuration is None else "configured")
    return f"{engine} {'store' if body.history is None else 'inline'}"


def _of_job(issued: Issued, job: Job) -> Issued:
    """A forecast under the receipt that its job gives it."""
    receipt = receipt_of_job(job, 0)
    answer = orjson.dumps(orjson.loads(issued.answer) | {"receipt": receipt})
    return dataclasses.replace(issued, receipt=receipt, answer=answer, face="job", run=job.job)
