"""Forecasts of jobs are made in processes below the priority of what answers people.

A busy service puts off what it cannot make in time; made with the same right to the cores as what is answered now,
that would delay everybody else. Only arithmetic is done there: a process that holds a lock of the database must not
wait for a core, for then all who write would wait with it.
"""

from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import ProcessPoolExecutor
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
            pool = self._started()
            try:
                return pool.submit(_made, self._settings, slim, body, number).result()
            except BrokenProcessPool:
                self._drop(pool)
                if not left:
                    raise
        raise AssertionError("unreachable")

    def _started(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = new_pool(PROCESSES)
            return self._pool

    def _drop(self, pool: ProcessPoolExecutor) -> None:
        with self._lock:
            self._pool = None if self._pool is pool else self._pool
        pool.shutdown(wait=False)


def _made(settings: Settings, job: Job, body: ForecastRequest, number: int) -> Issued | bytes:
    return made_for(_forecaster(settings), job, body, number)


@lru_cache(maxsize=1)
def _forecaster(settings: Settings) -> Forecaster:
    return Forecaster(settings, Snapshots(settings.home))
