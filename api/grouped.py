"""Group commit: what many threads want written at the same time is written in one transaction."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")
MOST = 500  # in one transaction


class Grouped(Generic[T]):
    """Hands what comes in to `commit`, all that waits together; a thread of its own begins with the first.

    `commit` returns when everything is safe on disk; what it raises is raised by each future of its group. After one
    it lets `pause` seconds pass before the next: where much comes, a transaction then serves more.
    """

    def __init__(self, name: str, commit: Callable[[list[T]], None], most: int = MOST, pause: float = 0.0) -> None:
        self._name, self._commit, self._most, self._pause = name, commit, most, pause
        self._waiting: queue.SimpleQueue[tuple[T, Future[None]]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._writer: threading.Thread | None = None

    def add(self, item: T) -> Future[None]:
        """Have it written; the future is done when it is safe."""
        kept: Future[None] = Future()
        kept.set_running_or_notify_cancel()  # who waits may give up: it is written, and the writer must not fail
        self._waiting.put((item, kept))
        with self._lock:
            if self._writer is None:
                self._writer = threading.Thread(target=self._write, name=self._name, daemon=True)
                self._writer.start()
        return kept

    def _write(self) -> None:
        free = 0.0
        while True:
            group = [self._waiting.get()]
            if (left := free - time.monotonic()) > 0:
                time.sleep(left)
            while len(group) < self._most and not self._waiting.empty():
                group.append(self._waiting.get())
            try:
                self._commit([item for item, _ in group])
            except Exception as error:  # noqa: BLE001 - it is told to everybody who waits
                for _, kept in group:
                    kept.set_exception(error)
            else:
                for _, kept in group:
                    kept.set_result(None)
            free = time.monotonic() + self._pause
