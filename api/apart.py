"""Forecasts of jobs are made in processes below the priority of what answers people.

A busy service puts off what it cannot make in time; made with the same right to the cores as what is answered now,
that would delay everybody else. Only arithmetic is done there: a process that holds a lock of the database must not
wait for a core, for then all who write would wait with it.
"""

from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache

from api.batch.pool import new_pool
from api.forecasting import Forecaster
from api.jobs import Job
from api.ledger import Issued
from api.making import made_for
from api.models import ForecastRequest
from api.settings import Settings
from api.snapshots import Snapshots

PROCESSES = 2  # chunks of single forecasts in one, lists in the other: neither is behind the other
TRIES = 2


class Apart:
    """As `made_for`, in another process; they start with the first forecast and end with this one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._pool: ProcessPoolExecutor | None = None

    def __call__(self, job: Job, body: ForecastRequest, number: int) -> Issued | bytes:
        """The forecast, or the problem that says why there is none; raises what it raises there.

        A process that dies over it is replaced, and the forecast tried once more, for it may have died over another.
        """
        slim = dataclasses.replace(job, request=b"")  # what is asked is in `body`
        for left in reversed(range(TRIES)):
            try:
                return self._submitted(slim, body, number).result()
            except BrokenProcessPool:
                self._leave(wait=False)
                if not left:
                    raise
        raise AssertionError("unreachable")

    def close(self) -> None:
        """End the processes once they have made what was asked of them."""
        self._leave(wait=True)

    def _submitted(self, job: Job, body: ForecastRequest, number: int) -> Future[Issued | bytes]:
        with self._lock:  # a pool that was left takes nothing any more
            if self._pool is None:
                self._pool = new_pool(PROCESSES)
            return self._pool.submit(_made, self._settings, job, body, number)

    def _leave(self, wait: bool) -> None:
        """The next forecast starts new processes; those of now make what they have."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait)


def _made(settings: Settings, job: Job, body: ForecastRequest, number: int) -> Issued | bytes:
    return made_for(_forecaster(settings), job, body, number)


@lru_cache(maxsize=1)
def _forecaster(settings: Settings) -> Forecaster:
    return Forecaster(settings, Snapshots(settings.home))
