"""Hands batches to whoever owns the store, and sees them stored and published."""

from __future__ import annotations

import threading
import time
from datetime import datetime
from pathlib import Path

from signals.batch import AppendResult, Batch, BatchRefused
from signals.home import Home
from signals.inbox import hand_over, receipt
from signals.publish import newest_version, published_version
from signals.store import Store, StoreBusy

EVERY = 5.0  # seconds between two rounds of storing what waits, while nobody else owns the store


class Handing:
    """For many threads of one process. A batch is safe on disk when `give` returns, whoever dies then."""

    def __init__(self, home: Path) -> None:
        self._home, self._lock, self._stored = home, threading.Lock(), time.monotonic()

    def give(self, batch: Batch, now: datetime | None = None) -> str:
        """Put a batch into the inbox; its ticket. Raises BatchRefused."""
        ticket = hand_over(self._home, batch, now)
        if time.monotonic() - self._stored > EVERY:
            self.store()
        return ticket

    def store(self) -> bool:
        """Store and publish what waits, unless another process owns the store: then that does it."""
        with self._lock:
            self._stored = time.monotonic()
            if self._is_elsewhere():
                return False
            try:
                with Store.open(self._home) as store:
                    store.drain_inbox()
                    store.publish()
            except StoreBusy:
                return False
        return True

    def _is_elsewhere(self) -> bool:
        """Whether only what was published lies here: the store itself is on another machine."""
        home = Home(self._home)
        return not home.database.exists() and newest_version(home) > 0

    def settle(self, tickets: list[str], timeout: float) -> dict[str, AppendResult | BatchRefused | None]:
        """What became of each ticket: its result, the refusal, or None where the owner has not answered in time."""
        deadline = time.monotonic() + timeout
        while True:
            found = {ticket: self._answer(ticket) for ticket in tickets}
            if all(found.values()) or time.monotonic() > deadline:
                return found
            if not self.store():
                time.sleep(0.1)

    def published(self, ticket: str, timeout: float) -> AppendResult | None:
        """What the store made of a batch, once readers can see it; None where that takes longer.

        Raises BatchRefused.
        """
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            found = self.settle([ticket], min(left, EVERY))[ticket]
            if isinstance(found, BatchRefused):
                raise found
            if found is not None and published_version(Home(self._home)) >= found.data_version:
                return found
            if not self.store():
                time.sleep(0.1)
        return None

    def _answer(self, ticket: str) -> AppendResult | BatchRefused | None:
        try:
            return receipt(self._home, ticket)
        except BatchRefused as refusal:
            return refusal
