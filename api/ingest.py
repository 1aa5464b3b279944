"""The ingest process: the one owner of the writable store while `serve` runs."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from signals.store import Store, StoreBusy

log = logging.getLogger("groundswell")

BEAT_SECONDS = 1.0
POLL_SECONDS = 0.2
FULL_SECONDS = 5.0
LOCK_SECONDS = 0.02  # imports that come one after the other leave the lock free for moments only


@dataclass(frozen=True)
class SignOfLife:
    """How many seconds ago the ingest process of a home gave its last sign of life, and what hindered it then."""

    age: float
    trouble: str


def sign_of_life(home: Path) -> SignOfLife | None:
    """The last sign of life of this home's ingest process; None if it never gave one."""
    try:
        seen, trouble = _heartbeat(home).stat().st_mtime, _heartbeat(home).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    return SignOfLife(abs(time.time() - seen), trouble)  # later than now: the clock was set back, and it beats no more


class Heart:
    """Gives a sign of life each second, even while a long import is taken; an end by error leaves the last one."""

    def __init__(self, home: Path) -> None:
        self._file = _heartbeat(home)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._trouble, self._written = "", True

    def tell(self, trouble: str) -> None:
        """Say what hinders the process; nothing does where this is empty."""
        changed, self._trouble = trouble != self._trouble, trouble
        if not self._thread.is_alive():
            self._write()
            self._thread.start()
        elif changed:
            self._write()

    def end(self) -> None:
        """End without leaving a trace."""
        self._stop.set()
        self._thread.join()
        self._file.unlink(missing_ok=True)

    def _beat(self) -> None:
        while not self._stop.wait(BEAT_SECONDS):
            if not self._written:
                self._write()
            with suppress(OSError):  # the next one may succeed
                os.utime(self._file)

    def _write(self) -> None:
        """Where the disk takes no word of what hinders the process, it is silent, which readers see too."""
        part = self._file.with_suffix(".part")
        try:
            part.write_text(self._trouble, encoding="utf-8")
            part.replace(self._file)
        except OSError as error:
            if self._written:
                log.error("no sign of life can be given: %s", error)
            self._written = False
            with suppress(OSError):
                self._file.unlink()
        else:
            self._written = True


def run_ingest(
    home: Path, publish_seconds: float, stop: threading.Event, ready: Callable[[], None], *, patience: float = math.inf
) -> None:
    """Hold the ingest lock until `stop`: take what lies in the inbox and publish it, at most once in `publish_seconds`.

    A full disk is waited out: what is handed over stays in the inbox meanwhile.

    Raises:
        StoreBusy: another process has held the lock of this home for `patience` seconds, or until `stop`.
        StoreDamaged, SchemaMismatch: the store cannot be used.
    """
    from signals.schema import SchemaMismatch
    from signals.store import StoreDamaged

    heart = Heart(home)
    try:
        with ExitStack() as owning:
            store = _own(owning, home, stop, patience, heart)
            intake = _Intake(store, publish_seconds, heart)
            pause = intake.turn()
            ready()
            while not stop.wait(pause):
                pause = intake.turn()
            intake.publish()
    except (StoreDamaged, SchemaMismatch) as error:
        heart.tell(f"cannot use the store: {error}")
        raise
    heart.end()


def _own(owning: ExitStack, home: Path, stop: threading.Event, patience: float, heart: Heart) -> Store:
    """Open the store as soon as its lock is free; who is sure to get it one day says what it waits for."""
    from signals.store import Store, StoreBusy

    give_up = time.monotonic() + patience
    while True:
        try:
            return owning.enter_context(Store.open(home))
        except StoreBusy as busy:
            if patience == math.inf:
                heart.tell(_waiting(busy))
            if time.monotonic() > give_up or stop.wait(LOCK_SECONDS):
                raise


def _waiting(busy: StoreBusy) -> str:
    return f"waits for {busy.owner}, which writes to the home"


class _Intake:
    """Takes what lies in the inbox and publishes it, at most once in `publish_seconds`."""

    def __init__(self, store: Store, publish_seconds: float, heart: Heart) -> None:
        self._store, self._publish_seconds, self._heart = store, publish_seconds, heart
        self._published, self._unpublished = -math.inf, True  # an earlier owner may not have come to publish

    def turn(self) -> float:
        """Look once; the seconds to wait until the next time. A full disk is told and waited out."""
        from signals.store import DiskFull

        try:
            self._unpublished = bool(self._store.drain_inbox()) or self._unpublished
            if time.monotonic() - self._published >= self._publish_seconds:
                self.publish()
        except DiskFull as full:
            log.error("%s", full)
            self._heart.tell(str(full))
            self._unpublished = True  # some of what was handed over may have been stored before
            return FULL_SECONDS
        self._heart.tell("")
        return POLL_SECONDS

    def publish(self) -> None:
        """Publish what is not published yet."""
        if self._unpublished:
            self._store.publish()
            self._published, self._unpublished = time.monotonic(), False


def _heartbeat(home: Path) -> Path:
    return home / "ingest.heartbeat"
