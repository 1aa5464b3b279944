"""The processes of the job worker that do large runs: below the priority of what answers people, ended with it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing

from api.batch.pool import each, new_pool
from api.run_chunk import do_chunk_of
from api.settings import Settings

_lock = threading.Lock()
_pool: ProcessPoolExecutor | None = None
_users: set[str] = set()  # runs that are under way


def do_chunks(settings: Settings, run: str, chunks: Sequence[int], stopped: Callable[[], bool]) -> None:
    """Do chunks of a run as processes are free; stops early where `stopped` says so. Raises what a chunk raises."""
    pool, processes = shared(settings, run)
    done = each(lambda chunk: pool.submit(do_chunk_of, settings, run, chunk), chunks, 2 * processes)
    try:
        with closing(done):
            for _ in done:
                if stopped():
                    return
    except BrokenProcessPool:
        _drop(pool)  # the next try gets new processes
        raise


def shared(settings: Settings, run: str) -> tuple[ProcessPoolExecutor, int]:
    """The pool of this process, started when it is first needed, and its size."""
    global _pool
    processes = settings.run_processes or len(os.sched_getaffinity(0))
    with _lock:
        _users.add(run)
        if _pool is None:
            _pool = new_pool(processes)
        return _pool, processes


def leave(run: str) -> None:
    """A run is over: when it was the last, its processes give their memory back."""
    with _lock:
        _users.discard(run)
        pool = None if _users else _pool
    if pool is not None:
        _drop(pool)


def _drop(pool: ProcessPoolExecutor) -> None:
    global _pool
    with _lock:
        _pool = None if _pool is pool else _pool
    pool.shutdown(wait=False, cancel_futures=True)
