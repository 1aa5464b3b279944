"""The cores of this machine: processes that end with the one that started them."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

from api.batch.parts import Part, do_part
from api.batch.plan import Plan

T = TypeVar("T")
_RUBBISH = 20_000  # objects that are made before anybody looks for rubbish
NICENESS = 10  # a batch leaves the cores to whoever waits for an answer
# One thread a process in linear algebra: several in each of several processes slow one another down.
_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def run_pool(plan: Plan, numbers: Sequence[int], processes: int) -> Iterator[Part]:
    """Do chunks as processes are free; parts come as they are done."""
    with processes_of(processes) as pool:
        yield from each(lambda number: pool.submit(do_part, plan, number), numbers, 2 * processes)


def each(submit: Callable[[int], Future[T]], numbers: Sequence[int], most: int) -> Generator[T, None, None]:
    """Results as they are done, with at most `most` tasks handed out. Closed early, nothing goes on after it."""
    left = list(reversed(numbers))
    running: set[Future[T]] = set()
    try:
        while left or running:
            while left and len(running) < most:
                running.add(submit(left.pop()))
            over, running = wait(running, return_when=FIRST_COMPLETED)
            for future in over:
                yield future.result()
    finally:
        for future in running:
            future.cancel()
        wait(running)


@contextmanager
def processes_of(count: int) -> Iterator[ProcessPoolExecutor]:
    """A pool whose waiting tasks are dropped when the block ends."""
    pool = new_pool(count)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def new_pool(count: int) -> ProcessPoolExecutor:
    """Processes for numbers: one thread each in linear algebra, of low priority, ended with this one."""
    for name in _ONE_THREAD:
        os.environ.setdefault(name, "1")
    return ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"), initializer=_begin)


def _begin() -> None:
    """Lower the priority, leave Ctrl-C to the parent, end when it has died: nobody would take what is done."""
    import gc
    import signal

    import pyarrow as pa

    os.nice(NICENESS)
    gc.set_threshold(_RUBBISH)  # forecasts leave none; looking for it takes a few per cent of the time
    pa.set_cpu_count(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
