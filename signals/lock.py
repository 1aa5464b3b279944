"""The ingest lock: at most one process writes to a home."""

# ruff: noqa: N818 - an error is named for what happened, as its callers read it

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from signals.home import Home
from signals.trouble import space_needed

_PAUSE = 0.05


class StoreBusy(RuntimeError):
    """Another process holds the ingest lock of this home; `pid` is that process, None where it is not known."""

    def __init__(self, home: Path, pid: int | None) -> None:
        self.pid = pid
        self.owner = "another process" if pid is None else f"process {pid}"
        super().__init__(
            f"{self.owner} writes to the home {home}; hand the data over with signals.store.submit(), "
            "or try again when that process has ended"
        )


@contextmanager
def ingest_lock(path: Path, timeout: float = 0.0) -> Iterator[None]:
    """Hold the lock file `path` exclusively, or raise StoreBusy when it is not free within `timeout` seconds.

    A file of its own, because DuckDB's lock on the database is a POSIX record lock, which a process loses without
    notice when it opens and closes the same file by any other means. The kernel frees a flock when its owner dies.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    deadline = time.monotonic() + timeout
    try:
        while not _locked(descriptor):
            if time.monotonic() >= deadline:
                raise StoreBusy(path.parent, _owner(descriptor))
            time.sleep(_PAUSE)
        # Written before the rest is cut off: that needs no new space, should the disk be full.
        with space_needed(Home(path.parent), "so the store cannot be opened"):
            os.ftruncate(descriptor, os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0))
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _owner(descriptor: int) -> int | None:
    text = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
    return int(text) if text.isdecimal() else None
