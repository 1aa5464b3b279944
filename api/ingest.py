"""The ingest process: the one owner of the writable store while `serve` runs."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

BEAT_SECONDS = 1.0
POLL_SECONDS = 0.2


def heartbeat_age(home: Path) -> float | None:
    """Seconds since the ingest process of this home last gave a sign of life; None if it never did."""
    try:
        return max(0.0, time.time() - _heartbeat(home).stat().st_mtime)
    except FileNotFoundError:
        return None


def run_ingest(home: Path, publish_seconds: float, stop: threading.Event, ready: Callable[[], None]) -> None:
    """Hold the ingest lock until `stop`: take what lies in the inbox and publish it, at most once in `publish_seconds`.

    Raises:
        StoreBusy: another process holds the lock of this home.
    """
    from signals.store import Store

    with Store.open(home) as store:
        beating = threading.Thread(target=_beat, args=(_heartbeat(home), stop), daemon=True)
        beating.start()
        store.publish()  # what an earlier owner took but could not publish any more
        ready()
        published, unpublished = -math.inf, False
        while not stop.wait(POLL_SECONDS):
            unpublished = bool(store.drain_inbox()) or unpublished
            if unpublished and time.monotonic() - published >= publish_seconds:
                store.publish()
                published, unpublished = time.monotonic(), False
        if unpublished:
            store.publish()
        beating.join()


def _heartbeat(home: Path) -> Path:
    return home / "ingest.heartbeat"


def _beat(file: Path, stop: threading.Event) -> None:
    """A sign of life even while a long import is taken."""
    while True:
        file.touch()
        os.utime(file)
        if stop.wait(BEAT_SECONDS):
            file.unlink(missing_ok=True)
            return
