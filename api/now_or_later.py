"""A request that is answered now, or becomes a job, or is refused: whatever is acknowledged is not lost."""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from anyio.to_thread import run_sync
from fastapi import FastAPI, Request

from api.errors import Problem
from api.idempotency import Claim
from api.jobs import Job, Jobs, number_of
from api.metrics import ADMISSIONS
from api.prefer import Preference
from api.settings import Settings
from api.turns import Turns

BUSY = "busy"
NOT_LATER = "it would not be made in time, and Prefer: handling=strict takes no job for an answer"
T = TypeVar("T")


@dataclass
class Attempt(ABC, Generic[T]):
    """One request on its way to its answer; `begun` is set once it has its turn."""

    app: FastAPI
    claim: Claim | None
    begun: asyncio.Event = field(default_factory=asyncio.Event, kw_only=True)

    @property
    @abstractmethod
    def kind(self) -> str:
        """Requests of one kind take about as long."""

    async def before(self) -> Job | None:
        """The job that the same request has become earlier, before it was cut off."""
        if self.claim is None or not self.claim.again:
            return None
        jobs: Jobs = self.app.state.jobs
        return await run_sync(jobs.status, number_of(self.claim.name))

    @abstractmethod
    async def made(self, turns: Turns) -> T:
        """The answer, when it has had its turn, and whatever must be on disk by then is."""

    @abstractmethod
    async def become_job(self) -> Job | None:
        """The job that makes it from now on, safe on disk; None where it was made in this moment."""


async def now_or_later(attempt: Attempt[T], preference: Preference) -> T | Job:
    """The answer, or the job that the request has become.

    It becomes one where its turn would not come in time, or the answer is not there in the time that the client gives.
    Raises what making it raises, and the problem 503 in place of a job where the client cannot ask again.
    """
    try:
        made = await _tried(attempt, preference)
    except Problem as problem:
        if problem.code == BUSY:
            ADMISSIONS.labels("refused").inc()
        raise
    ADMISSIONS.labels("later" if isinstance(made, Job) else "now").inc()
    return made


async def _tried(attempt: Attempt[T], preference: Preference) -> T | Job:
    if (before := await attempt.before()) is not None:
        return before
    if preference.patience == 0:
        return await _accepted(attempt)
    turns: Turns = attempt.app.state.turns
    settings: Settings = attempt.app.state.settings
    patience = preference.patience
    own = 0.0 if patience is None else turns.work(attempt.kind)
    most = settings.max_wait_seconds if patience is None else float(patience)
    if turns.wait() and turns.wait() + own > most:  # with nobody before it, trying costs nothing
        if preference.strict:
            raise busy(turns, NOT_LATER)
        return await _accepted(attempt)
    making = asyncio.create_task(attempt.made(turns))
    begun = asyncio.create_task(attempt.begun.wait())
    awaited: set[asyncio.Task[Any]] = {making}
    if patience is None:
        awaited.add(begun)  # without a wait named, only the turn is limited
    done, _ = await asyncio.wait(awaited, timeout=most, return_when=asyncio.FIRST_COMPLETED)
    begun.cancel()
    if done:
        return await making
    return await _late(attempt, making, preference, turns)


async def _late(attempt: Attempt[T], making: asyncio.Task[T], preference: Preference, turns: Turns) -> T | Job:
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


async def _accepted(attempt: Attempt[T]) -> Job:
    job = await attempt.become_job()
    assert job is not None  # nothing has begun
    return job


async def in_turn(request: Request, kind: str, function: Callable[[], T]) -> T:
    """What a function gives when it has its turn, for a request that never becomes a job.

    Raises the problem 503 where that would be too late.
    """
    turns: Turns = request.app.state.turns
    if turns.wait() > request.app.state.settings.max_wait_seconds:
        raise busy(turns, "it would wait too long for its turn")
    return await turns.take(kind, function)


def busy(turns: Turns, why: str) -> Problem:
    """The problem 503 of a service that has more to do than it can."""
    wait = {"Retry-After": str(max(1, math.ceil(turns.wait())))}
    return Problem(503, BUSY, f"the service is busy: {why}; send it again later", headers=wait)


def _let_end(app: FastAPI, making: asyncio.Task[Any]) -> None:
    """Hold on to what goes on without anybody waiting; an error of it is the job's to tell."""
    running: set[asyncio.Task[Any]] = app.state.running
    running.add(making)

    def ended(task: asyncio.Task[Any]) -> None:
        running.discard(task)
        if not task.cancelled():
            task.exception()

    making.add_done_callback(ended)
