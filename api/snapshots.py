"""The newest published snapshot of a home, for many threads of one process."""

from __future__ import annotations

import threading
from pathlib import Path

from signals.store import Snapshot, open_snapshot


class Snapshots:
    """Attaches the first snapshot on demand and then follows; while nothing new is published, that reads one name."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._opening = threading.Lock()
        self._snapshot: Snapshot | None = None

    def current(self) -> Snapshot:
        """The newest snapshot.

        Raises:
            StoreEmpty: nothing was published in this home yet.
        """
        if self._snapshot is None:
            with self._opening:
                self._snapshot = self._snapshot or open_snapshot(self._home)
        self._snapshot.refresh()
        return self._snapshot
