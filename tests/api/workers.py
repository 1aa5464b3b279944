"""The job worker for a part of a test: it can be started again over the same home."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from api.handlers import HANDLERS
from api.settings import Settings
from api.worker import Worker

SECONDS = 180  # of a slow machine: only what never happens is waited for as long


@contextmanager
def working(settings: Settings) -> Iterator[None]:
    """Do the jobs of a home until the block ends; one at a time in a process."""
    stop, ready = threading.Event(), threading.Event()
    thread = threading.Thread(target=Worker(settings, HANDLERS).run, args=(stop, ready.set))
    thread.start()
    try:
        assert ready.wait(SECONDS)
        yield
    finally:
        stop.set()
        thread.join(SECONDS)
        assert not thread.is_alive()


def wait_for(condition: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)
