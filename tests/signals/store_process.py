"""Programs for the crash test: `python -m tests.signals.store_process writer|reader HOME`."""

from __future__ import annotations

import sys
import threading
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd

from signals.store import Batch, Store, StoreEmpty, open_snapshot
from tests.signals.store_frames import batch, categories, sales

NAMES = ("a", "b", "c")
PERIODS = 100


def numbered(number: int) -> Batch:
    """Batch `number`: every period of every category gets that number as its quantity."""
    rows = pd.concat([sales([float(number)] * PERIODS, name) for name in NAMES])
    return batch(rows, categories=categories(*NAMES))


def write(home: Path) -> None:
    """Append and publish for ever, say each acknowledged batch on standard output, take the inbox as it comes."""
    with Store.open(home) as store:
        number = store.data_version
        while True:
            number += 1
            now = datetime(2028, 1, 1) + timedelta(seconds=number)
            result = store.append(numbered(number), now)
            sys.stdout.write(f"{number} {result.data_version}\n")
            sys.stdout.flush()
            store.drain_inbox()
            store.publish()


def read(home: Path) -> None:
    """Read until standard input closes; say how many reads went well. Any fault ends it with an error."""
    closed = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), closed.set()), daemon=True).start()
    snapshot, reads, last = None, 0, 0
    while not closed.is_set():
        try:
            snapshot = snapshot or open_snapshot(home)
        except StoreEmpty:
            closed.wait(0.02)
            continue
        snapshot.refresh()
        version = snapshot.data_version
        assert version >= last, f"went back from {last} to {version}"
        frames = [snapshot.sales(name, data_version=version) for name in NAMES]
        values = {value for frame in frames for value in frame["quantity"]}
        assert len(values) == 1, f"torn: {values}"
        assert all(len(frame) == PERIODS for frame in frames)
        reads, last = reads + 1, version
    sys.stdout.write(f"{reads} {last}")


if __name__ == "__main__":
    {"writer": write, "reader": read}[sys.argv[1]](Path(sys.argv[2]))
