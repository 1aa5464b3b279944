"""Whose turn it is to be forecast for in one worker process, and how long a turn will take to come.

Google's SRE book, "Handling Overload": a service that keeps all that comes until it is late serves nobody in time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple, Unpack

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

FIRST_GUESS = 0.05  # seconds, before one of its kind was timed
WEIGHT = 0.1  # of the newest timing in the mean: some twenty requests are remembered


class Turns:
    """In the order in which they came, `at_once` at a time; for one event loop."""

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once
        self._places = asyncio.Semaphore(at_once)
        self._threads = CapacityLimiter(at_once)  # of their own: reads of the store take none of them
        self._here, self._backlog = 0, 0.0  # who wait or have their turn, and the seconds of their work
        self._means: dict[str, float] = {}

    def wait(self) -> float:
        """Predicted seconds until somebody who comes now has a turn."""
        return self._backlog / self.at_once

    def work(self, kind: str) -> float:
        """Predicted seconds of work of one request of its kind."""
        return self._means.get(kind, FIRST_GUESS)

    async def take(
        self, kind: str, function: Callable[[Unpack[Ts]], T], *args: *Ts, begun: asyncio.Event | None = None
    ) -> T:
        """Call `function` in a thread when it has its turn; `begun` is set then. Cancelled before, it is not called."""
        expected = self.work(kind)
        self._here, self._backlog = self._here + 1, self._backlog + expected
        try:
            async with self._places:
                if begun is not None:
                    begun.set()
                began = time.perf_counter()
                try:
                    return await run_sync(function, *args, limiter=self._threads)
                finally:
                    self._note(kind, time.perf_counter() - began)
        finally:
            self._here -= 1
            self._backlog = max(0.0, self._backlog - expected) if self._here else 0.0  # without what rounding leaves

    def _note(self, kind: str, seconds: float) -> None:
        before = self._means.get(kind)
        self._means[kind] = seconds if before is None else before + WEIGHT * (seconds - before)
