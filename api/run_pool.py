"""The processes of the job worker that do large runs: below the priority of what answers people, ended with it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from api.batch.pool import each, new_pool
from api.run_chunk import do_chunk_of
from api.settings import Settings

_lock = threading.Lock()
_pool: ProcessPoolExecutor | None = None


def do_chunks(settings: Settings, run: str, chunks: Sequence[int], stopped: Callable[[], bool]) -> None:
    """Do chunks of a run as processes are free; stops early where `stopped` says so. Raises what a chunk raises."""
    pool, processes = shared(settings)
    try:
        done: Iterator[None] = each(lambda chunk: pool.submit(do_chunk_of, settings, run, chunk), chunks, 2 * processes)
        for _ in done:
            if stopped():
                return
    except BrokenProcessPool:
        close()  # the next try gets new processes
        raise


def shared(settings: Settings) -> tuple[ProcessPoolExecutor, int]:
    """The pool of this process, started when it is first needed, and its size."""
    global _pool
    processes = settings.run_processes or len(os.sched_getaffinity(0))
    with _lock:
        if _pool is None:
            _pool = new_pool(processes)
        return _pool, processes


def is_used() -> bool:
    """Whether there are processes."""
    return _pool is not None


def close() -> None:
    """Drop what waits and end the processes."""
    global _pool
    with _lock:
        pool, _pool = _pool, None
    if pool is not None:
        pool.shutdown(wait=False, cancel_futures=True)
